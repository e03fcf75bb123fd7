"""The cable to a simulated board: what ``mpremote`` is told is done to the flash in a folder."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from kraj.errors import ConfigurationError
from simulators.firmware.device import LOADER
from simulators.firmware.host import Host, Options

REMOTE = "/remote"


def take(folder: Path, words: Sequence[str]) -> list[str]:
    """Do what follows ``mpremote connect PORT``, and give what the board printed.

    As much of it as ``kraj firmware flash`` says: mount, run, exec, fs cp, reset and sleep. Nothing waits. Raises
    ``ConfigurationError`` for other words, and where what runs on the board fails.
    """
    rest, files, said = list(words), dict[str, Path](), list[str]()
    while rest:
        match rest.pop(0):
            case "reset":
                pass
            case "sleep":
                rest.pop(0)
            case "mount":
                files = {REMOTE: Path(rest.pop(0))}
            case "exec":
                said += asyncio.run(_run(folder, rest.pop(0), files))
            case "run":
                said += asyncio.run(_run(folder, Path(rest.pop(0)).read_text(), files))
            case "fs":
                _copy(folder / LOADER, rest)
                rest = []
            case word:
                raise ConfigurationError(f"a simulated board does not know mpremote's {word!r}")
    return said


def _copy(to: Path, words: Sequence[str]) -> None:
    """``cp FILE... :[NAME]``."""
    command, *found, last = words
    if command != "cp" or not last.startswith(":"):
        raise ConfigurationError(f"a simulated board does not know mpremote's fs {' '.join(words)!r}")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in found:
        shutil.copy(file, to / (last[1:] or Path(file).name))


async def _run(folder: Path, script: str, files: dict[str, Path]) -> list[str]:
    host = await Host.start(Options(folder=folder, script=script, files=files))
    await host.wait()
    told = [host.told.get_nowait() for _ in range(host.told.qsize())]
    if failed := [one["failed"] for one in told if "failed" in one]:
        raise ConfigurationError(f"the board says: {failed[0]}")
    return [str(one["said"]) for one in told if "said" in one]
