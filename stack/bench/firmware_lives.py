"""The memory that firmware takes through what happens to a device: days, losses of the broker, updates, safe mode.

It starts by the real loader from a slot in flash, in virtual time, with a peer in place of broker and platform. Heap is
the most that lives after a collection, without what was there before the firmware: the interpreter, asyncio, and the
fakes of what a board has in C (machine, network, esp32, ssl, socket, time). A collection can only be where the firmware
waits: every five minutes, after two hours every fifteen, at each start and end, and whenever it has asked for a part of
an update or has had one. An image of our own maps the slots and has the loader frozen: bytecode runs where it lies.
Otherwise both are read into memory. A board has TLS in C, beside it.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kraj import firmware_blocks, firmware_release
from kraj.dimming import read
from kraj.errors import UnavailableError
from rules.dimming import desired
from simulators.asset import Asset
from simulators.firmware.device import Address, enrol
from simulators.firmware.host import Host, Options
from simulators.region import Device, Installed
from stack.firmware import simulated
from stack.firmware.building import LIFE, RUNTIME

TOWN = "obec"
START_MS = 1_795_213_800_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
HOURS = {"lamp": 24}
"""Of the first start; else two, of which one has no broker."""
RUNS = """
import json, _host
from node import app
running = app.here.running
_host.told("runs", json.dumps([running["version"], running["in_place"], running["trial"], app.here.safe]))
"""
SEEN: dict[str, dict[str, object]] = {
    "lamp": {"power_full_w": 40, "voltage_v": 230.4, "energy_wh": 120_000, "illuminance_lx": 5, "tilt_deg": 1.0},
    "cabinet": {
        **{f"l{n}_{what}": value for n in (1, 2, 3) for what, value in (("voltage_v", 231.0), ("power_w", 1200.0))},
        "energy_wh": 9_000_000, "breaker_closed": 1, "door_open": 0, "leakage_ma": 3.0, "illuminance_lx": 5,
        "cabinet_temp_degc": 12.0,
    },
    "stop": {
        "battery_voltage_v": 13.2, "battery_current_a": -0.4, "pv_voltage_v": 0.5, "pv_power_w": 0, "load_power_w": 6,
        "charger_state": 0, "air_temp_degc": 4.0, "air_humidity_pct": 80.0, "usb1_current_a": 0.5,
        **{f"load_{rail}_power_w": 1.5 for rail in ("usb", "network", "display", "light", "sos")},
    },
    "solar": {
        "power_w": 4200, "dc_power_w": 4300, "energy_wh": 20_000_000, "state": 3, "frequency_hz": 50.0,
        "l1_voltage_v": 231.0, "l2_voltage_v": 230.0, "l3_voltage_v": 232.0, "string1_current_a": 7.1,
        "string1_voltage_v": 320.0, "string2_current_a": 7.0, "string2_voltage_v": 318.0, "isolation_ohm": 900_000,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Releases:
    """What boards are flashed with, in a folder, and the release that follows."""

    flashed: Path
    next: firmware_release.Release

    @classmethod
    def of(cls, flashed: Path, code: Mapping[str, bytes]) -> Self:
        """Versions 1 and 2 of the same bytecode, by a key of the moment."""
        key = Ed25519PrivateKey.generate()
        public = [firmware_release.public_bytes(key.public_key())]
        ends = START_MS // 1000 + int(LIFE / timedelta(seconds=1))
        first, then = (
            firmware_release.seal(key, code, version=number, name=f"bench-{number}", runtime=RUNTIME, expires=ends)
            for number in (1, 2)
        )
        simulated.put(flashed, first, public)
        return cls(flashed, firmware_release.read(then, public))

    def kept(self) -> dict[str, str]:
        """The next one as a broker keeps it for devices, in base64."""
        parts = {firmware_blocks.manifest_topic(self.next.digest): self.next.head}
        for number in range(self.next.blocks):
            block = firmware_blocks.block(self.next.container, number)
            parts[firmware_blocks.block_topic(self.next.digest, number)] = block
        return {topic: base64.b64encode(data).decode() for topic, data in parts.items()}


@dataclass(frozen=True, slots=True)
class Life:
    """``heaps_kb`` by scenario; ``day_s`` is what its first 24 hours took, 0 where it had fewer."""

    heaps_kb: Mapping[str, float]
    day_s: float

    def __str__(self) -> str:
        heaps = ", ".join(f"{name} {heap:.1f}" for name, heap in self.heaps_kb.items())
        return f"{heaps} KB" + (f", a day in {self.day_s:.1f} s" if self.day_s else "")


def device(kind: str) -> Device:
    """One of a kind, with one asset."""
    asset = Asset(kind=kind, municipality=TOWN, label="1", latitude=49.5, longitude=15.5, metadata={"street": "Lipová"})
    return Device(name=f"{kind}-bench", municipality=TOWN, installed=(Installed(asset=asset),))


async def live(
    folder: Path, kind: str, identities: Path, broker: Address, releases: Releases, *, mapped: bool = True
) -> Life:
    """Four starts of a new device: its days and an hour without a platform; an update; the new version; safe mode.

    Raises ``UnavailableError`` where it does not live so.
    """
    made = device(kind)
    enrol(folder, made, made.installed[0].asset, identities, broker, releases.flashed)
    start = datetime.fromtimestamp(START_MS / 1000, UTC).date()
    program = desired(read({"plans": [{"steps": [{"at": "22:00", "level_pct": 50}]}]}), 20, 49.5, 15.5, start)
    topic = f"kraj/{TOWN}/{made.name}"
    retained = {f"{topic}/desired": json.dumps({"version": 1, "programs": {"0": program}})}
    at_ms, heaps, day_s = START_MS, dict[str, float](), 0.0

    async def begin(scenario: str, ms: int, runs: list[Any], **peer: object) -> float:
        """The next start; what runs at its end is [version, in place, on trial, safe mode], or it ends by a reset."""
        nonlocal at_ms
        host = await Host.start(
            Options(
                folder=folder,
                kind=kind,
                loader=folder / "vfs",
                mapped=mapped,
                values=SEEN[kind],
                virtual=(at_ms, at_ms + ms),
                at_end=RUNS,
                peer={"quiet": True, "retained": retained if kind in ("lamp", "cabinet") else {}, **peer},
            )
        )
        ended = await host.wait()
        at_ms += ms
        said = [host.told.get_nowait() for _ in range(host.told.qsize())]
        found: list[Any] = next((json.loads(one["runs"]) for one in said if "runs" in one), list[Any]())
        if found != runs or ended.get("ended") != ("virtual" if runs else "reset"):
            raise UnavailableError(f"a {kind} did not live through {scenario}: {found} {said[-9:]}")
        heaps[scenario] = ended["heap_kb"]
        return ended["wall_ms"] / 1000

    def order(minutes: int, **what: object) -> list[list[Any]]:
        return [[at_ms + minutes * MINUTE_MS, f"{topic}/command", json.dumps({"id": str(at_ms), **what})]]

    outage = [START_MS + HOUR_MS // 4, START_MS + 5 * HOUR_MS // 4]
    hours = HOURS.get(kind, 2) if mapped else 2
    spent_s = await begin("days and an outage", hours * HOUR_MS, [1, mapped, False, False], outages=[outage])
    day_s = spent_s if hours == 24 else 0.0
    update = order(9, do="update", release=releases.next.digest, version=2)
    await begin("an update", 30 * MINUTE_MS, [], orders=update, kept=releases.kept())
    await begin("the new version", 30 * MINUTE_MS, [2, mapped, False, False])
    await begin("the way to safe mode", 20 * MINUTE_MS, [], orders=order(9, do="safe_mode"))
    await begin("safe mode", 20 * MINUTE_MS, [2, mapped, False, True])
    return Life(heaps, day_s)
