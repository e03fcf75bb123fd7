"""What the firmware's own update code does with bad releases, and when the power goes at any byte of an update.

The device's modules are loaded from ``firmware/`` under CPython, in a process of their own (``measure``), as they are
named ``node`` and ``loader`` and no server's module may find them. Its flash is the one of the firmware's tests.
"""

import asyncio
import contextlib
import hashlib
import importlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kraj import firmware_blocks, firmware_release
from kraj.errors import ConfigurationError
from stack.firmware.building import ROOT, RUNTIME

NOW_S = 1_800_000_000
FLASH = ROOT.parent / "tests/firmware"
"""Where ``nor.py`` lies: NOR flash that only clears bits, and of which the power can go within any byte."""
BATCH = 500
FILES = {"main.mpy": b"the one that runs", "node/app.mpy": bytes(range(200)), "node/link.mpy": b"links"}


class Area:
    """Some sectors of one flash: what is cut is cut for all of them."""

    def __init__(self, flash: Any, first: int, sectors: int, sector_bytes: int) -> None:
        self.flash, self.first, self.sectors = flash, first, sectors
        self.begin = first * sector_bytes

    def read(self, offset: int, size: int) -> bytes:
        return self.flash.read(self.begin + offset, size)

    def write(self, offset: int, data: bytes) -> None:
        self.flash.write(self.begin + offset, data)

    def erase(self, sector: int) -> None:
        self.flash.erase(self.first + sector)


class Device:
    """The firmware's loader and update code over such flash, with release 5 in slot 0 and two keys that it trusts."""

    def __init__(self, keys: list[bytes], first: bytes, sectors: int = 2) -> None:
        names = ("loader", "node.release", "node.state", "node.update", "nor")
        self.modules: tuple[Any, ...] = tuple(importlib.import_module(name) for name in names)
        _, _, state, _, nor = self.modules
        self.keys = b"".join(keys)
        self.flash = nor.Nor(4 + 2 * sectors)
        places = (("state", 0, 4), ("code_0", 4, sectors), ("code_1", 4 + sectors, sectors))
        self.areas = {name: Area(self.flash, first, count, nor.SECTOR) for name, first, count in places}
        self.areas["code_0"].write(0, first)
        state.State(self.areas["state"]).keep(slot=0, floor=5)
        if self.boot() is None:
            raise ConfigurationError("the loader starts no good release: nothing can be said of bad ones")

    def boot(self) -> tuple[int, bool, int] | None:
        """Start: (slot, on trial, version), or None where nothing can be started."""
        loader, _, state, update, _ = self.modules
        self.state = state.State(self.areas["state"])
        chosen = loader.choose(self.areas, self.state)
        if chosen is None:
            return None
        slot, trial, manifest = chosen
        self.running = {"slot": slot, "trial": trial, "version": manifest["version"]}
        self.update = update.Update(self.areas, self.state, self, self.keys, self.running)
        return slot, trial, manifest["version"]

    def utc_ms(self) -> int:
        return NOW_S * 1000

    def take(self, container: bytes, version: int) -> bool:
        """Order a release and send it as the broker would; whether it was taken."""
        release = self.modules[1]
        length = min(int.from_bytes(container[8:12], "big"), len(container))
        head = container[: 12 + length + 64]
        order = {"release": hashlib.sha256(head).hexdigest()[:16], "version": version}

        async def fetch(topic: str, _timeout_s: float) -> bytes | None:
            which = topic.rpartition("/")[2]
            return head if which == "manifest" else firmware_blocks.block(container, int(which)) or None

        if self.update.accept(order) is not None:
            return False
        try:
            asyncio.run(self.update.run(order, fetch))
        except release.Refused:
            return False
        return True

    def confirm(self) -> None:
        """As after a round trip to the broker."""
        self.modules[3].confirm(self.state, self.running)


def sealed(by: Ed25519PrivateKey, version: int, expires: int = NOW_S + 1000) -> bytes:
    """A small release of ``FILES``."""
    return firmware_release.seal(by, FILES, version=version, name=f"1.{version}", runtime=RUNTIME, expires=expires)


def bad_updates_accepted(count: int, seed: int) -> int:
    """Of so many mutated releases, how many a device took. Each is changed, cut, doubled or mixed."""
    chance = random.Random(seed)  # noqa: S311 - a failure must be found again
    keys = [Ed25519PrivateKey.from_private_bytes(chance.randbytes(32)) for _ in range(3)]
    known = [firmware_release.public_bytes(key.public_key()) for key in keys[:2]]
    good = sealed(keys[0], 7)
    others = (sealed(keys[1], 8), sealed(keys[2], 7), sealed(keys[0], 5), sealed(keys[0], 7, NOW_S))
    device = Device(known, sealed(keys[0], 5))
    if not device.take(good, 7):
        raise ConfigurationError("the device refuses a good release: nothing can be said of bad ones")
    taken = 0
    for number in range(count):
        if number % BATCH == 0:
            device = Device(known, sealed(keys[0], 5))
        bad, version = _mutated(good, others, chance), chance.choice((5, 6, 7, 7, 7, 8))
        # The second key's release, whole and ordered as what it is, is a good one.
        if bad in (good, others[0]) and version == firmware_release.read(bad, known).manifest.version:
            version -= 1
        taken += device.take(bad, version)
    return taken


def _mutated(good: bytes, others: tuple[bytes, ...], chance: random.Random) -> bytes:
    at, end = sorted(chance.sample(range(len(good)), 2))
    other = chance.choice(others)
    changes: tuple[Callable[[], bytes], ...] = (
        lambda: good[:at] + bytes([good[at] ^ 1 << chance.randrange(8)]) + good[at + 1 :],
        lambda: good[:at] + chance.randbytes(end - at) + good[end:],
        lambda: good[:at],
        lambda: good[:at] + good[end:],
        lambda: good[:end] + good[at:],
        lambda: good + chance.randbytes(chance.randrange(1, 200)),
        lambda: good[:at] + other[at:],
        lambda: other[:at] + good[at:],
        lambda: other,
        lambda: good[:at] + bytes([chance.choice(b'"0123456789,:[]{}abcdef')]) + good[at + 1 :],
    )
    return chance.choice(changes)()


def brick_states(seed: int, stride: int = 1) -> dict[str, int]:
    """An update cut at every ``stride``-th step; then a start, the update again, its confirmation.

    ``cuts`` were tried. ``bricked`` counts those after which nothing started, or neither the old nor the new
    version, or the update could not be made up for.
    """
    chance = random.Random(seed)  # noqa: S311
    key = Ed25519PrivateKey.from_private_bytes(chance.randbytes(32))
    known = [firmware_release.public_bytes(key.public_key())]
    old, new = sealed(key, 5), sealed(key, 7)

    def whole(left: int | None) -> tuple[bool, int]:
        """An update and its first two starts with power for so many steps; whether all is well, and the steps used."""
        device = Device(known, old)
        nor, flash = device.modules[4], device.flash
        device.areas["code_1"].write(0, chance.randbytes(nor.SECTOR))
        begun = flash.steps
        flash.power(left)
        with contextlib.suppress(nor.PowerCut):
            if not device.take(new, 7):
                return False, flash.steps - begun
            device.boot()
            device.confirm()
        flash.power()
        used = flash.steps - begun
        started = device.boot()
        if started not in ((0, False, 5), (1, True, 7), (1, False, 7)):
            return False, used
        if started[0] == 0 and not (device.take(new, 7) and device.boot() == (1, True, 7)):
            return False, used
        device.confirm()
        return device.boot() == (1, False, 7) and device.state.floor == 7, used

    _, steps = whole(None)
    tried = range(0, steps, stride)
    return {"cuts": len(tried), "bricked": sum(not whole(left)[0] for left in tried)}


def measure(updates: int, seed: int = 1, stride: int = 1, root: Path = ROOT) -> dict[str, int]:
    """Both, in a process with the firmware on its path.

    Gives ``bad_updates``, ``bad_updates_accepted``, ``cuts`` and ``brick_states``.
    """
    script = (
        f"import json, sys; sys.path[:0] = {[str(root), str(FLASH)]!r}; "
        "from stack.bench import firmware_trials as trials; "
        f"found = trials.brick_states({seed}, {stride}); accepted = trials.bad_updates_accepted({updates}, {seed}); "
        f"print(json.dumps(dict(bad_updates={updates}, bad_updates_accepted=accepted, "
        "cuts=found['cuts'], brick_states=found['bricked'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    if done.returncode:
        raise ConfigurationError(f"the firmware's update code cannot be run:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
