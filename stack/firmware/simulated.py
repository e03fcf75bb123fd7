"""What the demo's boards are flashed with: a release signed by keys of the demo's own, and the loader."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from kraj import firmware_release
from kraj.store import releases
from stack.firmware import building, flashing

FIRST = 1
"""The version that they start with: an update is a higher one."""
RELEASE, KEYS = "release.bin", "release_keys.bin"
"""As ``simulators/firmware/device.py`` takes them."""


def lay_out(folder: Path, now: datetime) -> Path:
    """Make keys in ``folder``/keys and all the rest in ``folder``/flashed, where they are not yet; gives the latter.

    Takes a second or two of compiling, once. Raises ``ConfigurationError`` where sources or compiler are missing.
    """
    keys, flashed = folder / "keys", folder / "flashed"
    if not (keys / building.PUBLIC_FILE).exists():
        building.make_keys(keys)
    if not (flashed / RELEASE).exists():
        name = f"{version('kraj')}+{FIRST}"
        by = building.read_key(keys / building.KEY_FILES[0])
        container = building.build(by, version=FIRST, name=name, now=now)
        put(flashed, container, building.read_public(keys / building.PUBLIC_FILE))
    return flashed


def put(flashed: Path, container: bytes, public: Sequence[bytes]) -> None:
    """Fill a folder with what boards are flashed with: a release, the keys that devices trust, and the loader."""
    firmware_release.read(container, public)
    flashed.mkdir(mode=0o700, parents=True, exist_ok=True)
    frozen = building.compile_all({"names.mpy": building.ROOT / building.NAMES})
    for file, code in (*building.loader().items(), *frozen.items()):
        (flashed / file).write_bytes(code)
    (flashed / "main.py").write_text(flashing.MAIN)
    (flashed / KEYS).write_bytes(b"".join(public))
    (flashed / RELEASE).write_bytes(container)


def trust(url: str, folder: Path) -> None:
    """Let the demo's platform take what the demo's keys have signed; ``url`` is the owner's."""

    async def keep() -> None:
        async with await psycopg.AsyncConnection[Any].connect(url) as connection:
            await releases.trust(connection, building.read_public(folder / "keys" / building.PUBLIC_FILE))

    asyncio.run(keep())
