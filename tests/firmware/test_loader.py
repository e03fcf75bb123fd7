"""A release of the real firmware, made by the real compiler, is mounted and imported under MicroPython."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kraj import firmware_release
from kraj.firmware_release import SLOT_BYTES
from stack.firmware import building
from tests.firmware.test_suite import NODE, ROOT

RUNNER = ROOT / "tests/firmware/micropython.mjs"
CHECK = ROOT / "tests/firmware/node/check_loader.py"
FLAT = ("loader.py", "node/release.py", "node/state.py")


@pytest.fixture(scope="module")
def release() -> firmware_release.Release:
    key = Ed25519PrivateKey.generate()
    container = building.build(key, version=7, name="1.2.3", now=datetime(2026, 11, 22, tzinfo=UTC))
    return firmware_release.read(container, [firmware_release.public_bytes(key.public_key())])


def changed(container: bytes) -> bytes:
    return container[:-1] + bytes([container[-1] ^ 1])


@pytest.mark.parametrize("mapped", ["whole", "changed", None])
def test_a_slot_is_mounted_and_what_lies_there_is_imported(
    release: firmware_release.Release, tmp_path: Path, mapped: str | None
) -> None:
    """In place where the interpreter maps the slots; read into memory where it does not, or maps something else."""
    (tmp_path / "container.bin").write_bytes(release.container)
    files = [Path(shutil.copy(building.ROOT / file, tmp_path)) for file in FLAT]
    if mapped:
        seen = release.container if mapped == "whole" else changed(release.container)
        files.append(tmp_path / "romfs.bin")
        files[-1].write_bytes(release.container.ljust(SLOT_BYTES, b"\xff") + seen.ljust(SLOT_BYTES, b"\xff"))
    done = subprocess.run(
        [NODE, RUNNER, CHECK, tmp_path / "container.bin", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
        timeout=120,
    )
    top = sorted({name.split("/")[0] for name in release.files})
    modules = sum(name.startswith("node/") for name in release.files) + len(("kinds", "metrics"))
    size = len(release.files["node/program.mpy"])
    assert (done.stdout, done.stderr) == (
        "['', '.frozen', '/lib'] ['/']\n"
        f"[1, True, 7, '1.2.3', {mapped == 'whole'}] ['/code', '.frozen']\n"
        "/code/node/program.mpy (2024, 2, 29)\n"
        f"{modules}\n"
        f"{' '.join(top)}\n"
        f"b'M\\x06' {size}\n",
        "",
    )
