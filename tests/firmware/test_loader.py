"""A release of the real firmware, made by the real compiler, is mounted and imported under MicroPython."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kraj import firmware_release
from stack.firmware import building
from tests.firmware.test_suite import NODE, ROOT

RUNNER = ROOT / "tests/firmware/micropython.mjs"
CHECK = ROOT / "tests/firmware/node/check_loader.py"


def test_a_slot_is_mounted_and_what_lies_there_is_imported(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    container = building.build(key, version=7, name="1.2.3", now=datetime(2026, 11, 22, tzinfo=UTC))
    release = firmware_release.read(container, [firmware_release.public_bytes(key.public_key())])
    (tmp_path / "container.bin").write_bytes(container)
    flat = [shutil.copy(building.ROOT / file, tmp_path) for file in ("loader.py", "node/release.py", "node/state.py")]
    done = subprocess.run(
        [NODE, RUNNER, CHECK, tmp_path / "container.bin", *flat],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
        timeout=120,
    )
    top = sorted({name.split("/")[0] for name, _ in release.contents()})
    modules = sum(name.startswith("node/") for name, _ in release.contents()) + len(("kinds", "metrics"))
    size = len(dict(release.contents())["node/program.mpy"])
    assert (done.stdout, done.stderr) == (
        "1 True 7 1.2.3 ['/code', '.frozen']\n"
        "/code/node/program.mpy (2024, 2, 29)\n"
        f"{modules}\n"
        f"{' '.join(top)}\n"
        f"b'M\\x06' {size}\n",
        "",
    )
