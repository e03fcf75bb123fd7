"""A device of the fleet on the real firmware: its power, its network, its sensors, and what it says of itself."""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from simulators.firmware.host import SECTOR, Host, Options, partitions
from simulators.firmware.wiring import settings
from simulators.identity import ROOTS
from simulators.region import Asset, Device
from simulators.ring import Counters

STATUS_S = 5.0
"""So often a device is asked how many readings wait."""
ASK = """
import json, sys, _host
app = sys.modules.get("node.app")
if app and getattr(app, "here", None):
    found = app.state()
    found["running"] = app.here.running
    found["state"] = {name: getattr(app.here.state, name) for name in ("slot", "trial", "floor", "failures")}
    _host.told("state", json.dumps(found))
"""
KEY_ENDS = "-----END PRIVATE KEY-----\n"
NVS = "nvs.json"
RESTART_S = 1.0
"""From the end of a process, by reset or watchdog, to its next start."""
LOADER = "vfs"
"""Folder with what lies in the board's small file system, where it was put there."""
SLOTS = "romfs"
"""The partition with both slots for code."""
ENDED = {"failed": "watchdog", "done": "watchdog", "flash": "power_on"}
"""What a board is reset by after such an end. Nobody waits here until the watchdog finds out."""


class Address(NamedTuple):
    """Where the broker is, and under which name its certificate is known."""

    host: str
    port: int


@dataclass
class Tally:
    """What a device says of its ring."""

    counters: Counters
    """Since its process began; what was made is what was acknowledged and what waits."""
    pending: int = 0


def enrol(  # noqa: PLR0917 - all that is written
    folder: Path, device: Device, asset: Asset, identities: Path, broker: Address, flashed: Path | None = None
) -> None:
    """Write what an enrolment leaves on a device into its ``folder``: who it is, by what it knows the broker, where
    that is. Secrets go into the fake's store, mode 0600.

    Of ``flashed`` (release.bin, release_keys.bin, main.py and the loader's modules) a new device gets the release into
    its first slot, and starts by the loader; one that was flashed before keeps what its flash holds.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = (identities / f"{device.name}.pem").read_text()
    end = own.index(KEY_ENDS) + len(KEY_ENDS)
    kept = {
        "key": own[:end],
        "cert": own[end:],
        "roots": (identities / ROOTS).read_text(),
        "wifi": "simulated\n",
        "settings": json.dumps(
            settings(asset.kind, round(1000 * asset.number("battery_ah", 100)))
            | broker._asdict()
            | {"municipality": device.municipality, "device": device.name}
        ),
    }
    secrets = {name: text.encode() for name, text in kept.items()}
    if flashed is not None:
        secrets["release_keys"] = (flashed / "release_keys.bin").read_bytes()
        _flash(folder, flashed)
    file = folder / NVS
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        json.dump({f"kraj/{name}": "b" + content.hex() for name, content in secrets.items()}, output)


def _flash(folder: Path, flashed: Path) -> None:
    loader, slots = folder / LOADER, folder / f"{SLOTS}.bin"
    if slots.exists():
        return
    release = (flashed / "release.bin").read_bytes()
    slots.write_bytes(release.ljust(partitions()[SLOTS] * SECTOR, b"\xff"))
    loader.mkdir(mode=0o700, exist_ok=True)
    for file in (*flashed.glob("*.mpy"), flashed / "main.py"):
        shutil.copy(file, loader)


class FirmwareDevice:
    """Lives as ``SimulatedDevice`` does, with the same comings and goings, on the real firmware in its own process.

    Where it was flashed (``enrol``, ``cable.py``) it starts by the loader, from a slot; else from the sources. Its
    readings are its own; ``feed`` sets what its sensors see.
    """

    def __init__(
        self,
        device: Device,
        folder: Path,
        random: Random,
        *,
        offset_ms: int = 0,
        spread_s: float = 2.0,
    ) -> None:
        self.device = device
        self.ring = Tally(Counters())
        self.connected = False
        self.sessions = 0
        self.malformed = 0
        self.level_pct: float | None = None
        """What its output gives, where it has one."""
        self.said: list[str] = []
        """The last lines that the firmware printed, and why it ended."""
        self.state: Mapping[str, Any] = {}
        """What it said of itself last, and which release it runs; empty while it does not run."""
        self._folder = folder
        self._random = random
        self._offset_ms = offset_ms
        self._spread_s = spread_s
        self._values: dict[str, object] = {}
        self._host: Host | None = None
        self._stopping = asyncio.Event()
        self._drain_s = 0.0
        self._up = True
        self._last: Mapping[str, Any] = {}

    @property
    def reconnects(self) -> int:
        return max(0, self.sessions - 1)

    def record(self, *_: object, **__: object) -> int:
        """Nothing: it measures by itself."""
        return 0

    def feed(self, values: Mapping[str, object]) -> None:
        """What its sensors see from now on; None is a sensor that does not answer."""
        changed = {name: value for name, value in values.items() if self._values.get(name, self) != value}
        if changed:
            self._values |= changed
            if self._host is not None:
                self._host.order("values", values=changed)

    async def run(self) -> None:
        """Run, and start again whenever it ends; until ``stop``."""
        await self._pause(self._random.uniform(0, self._spread_s))
        while not self._stopping.is_set():
            ended = str(self._last.get("ended", "power_on"))
            cause = ENDED.get(ended, ended)
            # After a loss of power nothing is known any more; what a reset leaves outlives it.
            left: Mapping[str, Any] = {} if cause == "power_on" else self._last
            loader = self._folder / LOADER
            options = Options(
                folder=self._folder,
                kind=self.device.installed[0].asset.kind,
                values=dict(self._values),
                cause=cause,
                rtc_ms=left.get("rtc_ms"),
                rtc_memory=left.get("rtc_memory", ""),
                offset_ms=self._offset_ms,
                network=self._up,
                loader=loader if (loader / "main.py").exists() else None,
            )
            self._host = await Host.start(options)
            listening = asyncio.create_task(self._listen(self._host))
            asking = asyncio.create_task(self._ask(self._host))
            stopping = asyncio.create_task(self._stopping.wait())
            over = asyncio.create_task(self._host.wait())
            try:
                await asyncio.wait([stopping, over], return_when=asyncio.FIRST_COMPLETED)
                if not over.done():
                    await self._drain(self._host)
                    await self._host.close()
                self._last = await over
            finally:
                self._host.kill()
                await self._host.wait()  # also where we are cancelled: its pipes end with it
                self._host = None
                self.connected = False
                self.state = {}
                for task in (asking, stopping, listening):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
            await self._pause(RESTART_S)

    def lose(self) -> None:
        """From now on nothing is sent or heard; to the broker the connection looks alive."""
        self._network(up=False)

    def cut(self) -> None:
        """The connection ends without a goodbye."""
        if self._host is not None:
            self._host.order("cut")

    def back(self) -> None:
        """Power and network are there again."""
        self._network(up=True)

    def restart(self) -> None:
        """Power was gone: it starts again, with what its flash holds."""
        if self._host is not None:
            self._host.kill()

    def lose_power(self, after: int) -> None:
        """Power goes within a write to flash, after so many bytes more; then it starts again."""
        if self._host is not None:
            self._host.order("power", after=after)

    def stop(self, drain_s: float = 0.0) -> None:
        """Send what waits for at most ``drain_s``, then say goodbye."""
        self._drain_s = drain_s
        self._stopping.set()

    def _network(self, *, up: bool) -> None:
        self._up = up
        if self._host is not None:
            self._host.order("network", up=up)

    async def _drain(self, host: Host) -> None:
        if self._up and host.running:
            host.order("python", code=f"from node import app; app.stop({int(self._drain_s * 1000)})")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(host.wait(), self._drain_s + 1)

    async def _ask(self, host: Host) -> None:
        while True:
            await asyncio.sleep(STATUS_S)
            host.order("python", code=ASK)

    async def _listen(self, host: Host) -> None:
        while True:
            told = await host.told.get()
            if line := told.get("said", told.get("failed")):
                self.said = [*self.said[-49:], str(line)]
            elif "state" in told:
                self._take(json.loads(told["state"]))
            elif "level" in told:
                self.level_pct = float(told["level"])

    def _take(self, state: Mapping[str, Any]) -> None:
        self.state = state
        self.connected = bool(state["connected"])
        self.sessions = int(state["sessions"])
        self.malformed = int(state["malformed"])
        counters = Counters(
            produced=int(state["acknowledged"]) + int(state["pending"]),
            acknowledged=int(state["acknowledged"]),
            resent=int(state["resent"]),
            thinned=int(state["thinned"]),
        )
        self.ring = Tally(counters, int(state["pending"]))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
