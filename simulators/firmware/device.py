"""A device of the fleet on the real firmware: its power, its network, its sensors, and what it says of itself."""

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from simulators.firmware.host import Host, Options
from simulators.firmware.wiring import settings
from simulators.identity import ROOTS
from simulators.region import Asset, Device
from simulators.ring import Counters

STATUS_S = 5.0
"""So often a device is asked how many readings wait."""
ASK = "import json, _host; from node import app; _host.told('state', json.dumps(app.state())) if app.here else None"
KEY_ENDS = "-----END PRIVATE KEY-----\n"
NVS = "nvs.json"
RESTART_S = 1.0
"""From the end of a process, by reset or watchdog, to its next start."""


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


def enrol(folder: Path, device: Device, asset: Asset, identities: Path, broker: Address) -> None:
    """Write what an enrolment leaves on a device into its ``folder``: who it is, by what it knows the broker, where
    that is. Secrets go into the fake's store, mode 0600."""
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
    file = folder / NVS
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        json.dump({f"kraj/{name}": "b" + text.encode().hex() for name, text in kept.items()}, output)


class FirmwareDevice:
    """Lives as ``SimulatedDevice`` does, with the same comings and goings, on the real firmware in its own process.

    Its readings are its own; ``feed`` sets what its sensors see.
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
        """The last lines that the firmware printed."""
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
            options = Options(
                folder=self._folder,
                kind=self.device.installed[0].asset.kind,
                values=dict(self._values),
                # After a loss of power nothing is known any more; what a reset leaves outlives it.
                cause=str(self._last.get("ended", "power_on")),
                rtc_ms=self._last.get("rtc_ms"),
                rtc_memory=self._last.get("rtc_memory", ""),
                offset_ms=self._offset_ms,
                network=self._up,
            )
            self._host = await Host.start(options)
            listening = asyncio.create_task(self._listen(self._host))
            asking = asyncio.create_task(self._ask(self._host))
            stopping = asyncio.create_task(self._stopping.wait())
            ended = asyncio.create_task(self._host.wait())
            try:
                await asyncio.wait([stopping, ended], return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    await self._drain(self._host)
                    await self._host.close()
                self._last = await ended
            finally:
                self._host.kill()
                self._host = None
                self.connected = False
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
            if "said" in told:
                self.said = [*self.said[-49:], str(told["said"])]
            elif "state" in told:
                self._take(json.loads(told["state"]))
            elif "level" in told:
                self.level_pct = float(told["level"])

    def _take(self, state: Mapping[str, Any]) -> None:
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
