"""The firmware counts in whole numbers and speaks TLS to whom it means; each rule has examples that it finds."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stack.firmware.building import ROOT
from tests.firmware.lint import findings, lint

WRONG = (
    ("energy_wh += power_w * 0.1", "float literal"),
    ("energy_wh = energy_wh + power_w / 3600", "use //"),
    ("energy_wh /= 10", "use //"),
    ("wh = float(text)", "float()"),
    ("wh = round(x)", "round()"),
    ("wh = 10 ** -1 * x", "negative power"),
    ("import math", "math computes"),
    ("from math import floor", "math computes"),
    ("import time\nnow = time.time()", "ask the clock"),
    ("r, w = await asyncio.open_connection(host, port, ssl=context)", "without server_hostname"),
    ("r, w = await asyncio.open_connection(host, port, ssl=True, server_hostname=None)", "without server_hostname"),
    ("r, w = await asyncio.open_connection(host, port, context)", "without server_hostname"),
    ("r, w = await open_connection(host, port, **options)", "hides"),
    ("s = context.wrap_socket(s)", "without server_hostname"),
    ("s = ssl.wrap_socket(s, server_hostname='')", "without server_hostname"),
    ("await writer.start_tls(context)", "without server_hostname"),
    ("context.verify_mode = ssl.CERT_NONE", "always checked"),
    ("context.verify_mode = CERT_OPTIONAL", "always checked"),
    ("from typing import Any", "no device has"),
    ("import machine", "node/ is pure"),
    ("from board import flash", "node/ is pure"),
    ("def f():\n    import ssl", "node/ is pure"),
    ('def f():\n    """Says what."""', "write a comment"),
    ('"""Says what."""', "write a comment"),
    ("found = [*range(3), 0]", "a star within a display"),
    ("for at in (*range(3), 8):\n    print(at)", "a star within a display"),
    ("found = {*range(3)}", "a star within a display"),
    ("def f(a):\n    return *a, 0", "a star within a display"),
    ("found = {**settings, 'version': 1}", "two stars within a dict"),
)
RIGHT = (
    "energy_mws += power_mw * elapsed_s\nenergy_wh = energy_mws // 3600000",
    "r, w = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)",
    "r, w = await asyncio.open_connection(host, port)",
    "r, w = await asyncio.open_connection(host, port, ssl=None)",
    "s = context.wrap_socket(s, server_hostname=host)",
    "context.verify_mode = CERT_REQUIRED",
    "await asyncio.wait_for(event.wait(), ms / 1000)  # a float: asyncio's seconds",
    "from node import release",
    "first, *rest = found",
    "[first, *rest] = found",
    "print(*found, sep='')",
)


@pytest.mark.parametrize(("source", "said"), WRONG)
def test_what_must_not_be_is_found(source: str, said: str) -> None:
    [found] = findings(_asynchronous(source), pure=True)
    assert said in found


@pytest.mark.parametrize("source", RIGHT)
def test_what_is_right_is_left_alone(source: str) -> None:
    assert findings(_asynchronous(source), pure=True) == []


def test_hardware_may_be_used_in_board() -> None:
    assert findings("import machine", pure=False) == []


def test_the_firmware_does_nothing_of_it() -> None:
    assert lint(ROOT) == []


def test_the_firmware_is_type_checked_against_the_stubs_of_its_interpreter(tmp_path: Path) -> None:
    """Names of modules, functions and arguments as MicroPython 1.29 has them; ``make setup`` installs the stubs."""
    typings = ROOT / "typings"
    if not (typings / "machine.pyi").exists():
        pytest.fail("the stubs are missing: make setup")
    found = _pyright(tmp_path, [ROOT])
    assert found == [], "\n".join(found)


def test_a_name_that_micropython_does_not_have_is_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("import machine\nmachine.Pin(2).toogle()\nimport esp32\nesp32.NVS()\n")
    found = _pyright(tmp_path, [tmp_path / "wrong.py"])
    assert len(found) == 2, found


def _pyright(folder: Path, what: list[Path]) -> list[str]:
    typings = str(ROOT / "typings")
    settings = {
        "include": [str(path) for path in what],
        "exclude": ["**/typings", str(ROOT / "manifest.py")],
        "stubPath": typings,
        "typeshedPath": typings,
        "extraPaths": [str(ROOT)],
        "pythonVersion": "3.11",
        "typeCheckingMode": "standard",
        "reportMissingModuleSource": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)["generalDiagnostics"]
    return [
        f"{Path(said['file']).name}:{said['range']['start']['line'] + 1}: {said['message']}"
        for said in told
        if said["severity"] == "error"
    ]


def _asynchronous(source: str) -> str:
    return re.sub(r"^(?=.*\bawait\b)", "async def f():\n    ", source)
