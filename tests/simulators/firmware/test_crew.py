"""Devices of a fleet on the real firmware, over mutual TLS: they report what the world has, and obey."""

import asyncio
from collections.abc import Generator, Mapping
from datetime import UTC, date, datetime, time
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kraj.dimming import read
from kraj.errors import ConfigurationError
from rules.dimming import desired
from simulators import region as regions
from simulators.device import Link
from simulators.firmware.crew import KINDS, FirmwareCrew, chosen
from simulators.firmware.device import Address, enrol
from simulators.fleet import Fleet, wall_clock_ms
from simulators.pace import Pace
from simulators.region import Device
from simulators.world import World
from tests.simulators.firmware.rig import Region, until
from tests.simulators.rig import Platform

INVENTED = regions.region(1, 60)
CHOSEN = chosen(INVENTED, 4)


@pytest.fixture(scope="module")
def rig() -> Generator[tuple[Region, Platform]]:
    made = Region(device.name for device in INVENTED.devices)
    platform = Platform(made.plain)
    yield made, platform
    platform.close()
    made.close()


def test_one_of_each_kind_is_chosen_and_a_region_that_is_too_small_says_so() -> None:
    assert [device.installed[0].asset.kind for device in CHOSEN] == list(KINDS)
    with pytest.raises(ConfigurationError, match="simulate more"):
        chosen(INVENTED, 1000)


def test_a_new_device_is_flashed_and_an_old_one_keeps_what_it_runs(tmp_path: Path) -> None:
    device, flashed, own = CHOSEN[0], tmp_path / "flashed", tmp_path / "own"
    flashed.mkdir()
    for name in ("release.bin", "release_keys.bin", "loader.mpy", "main.py"):
        (flashed / name).write_bytes(name.encode())
    identities = tmp_path / "identities"
    identities.mkdir()
    (identities / "roots.pem").write_text("roots")
    (identities / f"{device.name}.pem").write_text("key\n-----END PRIVATE KEY-----\ncertificate\n")
    slot = own / "romfs.bin"
    for written in (b"release.bin".ljust(68 * 4096, b"\xff"), b"an update"):
        enrol(own, device, device.installed[0].asset, identities, Address("localhost", 1), flashed)
        assert slot.read_bytes() == written
        slot.write_bytes(b"an update")
    assert sorted(file.name for file in (own / "vfs").iterdir()) == ["loader.mpy", "main.py"]
    assert (own / "nvs.json").stat().st_mode & 0o777 == 0o600


async def test_a_fleet_with_firmware_reports_is_acknowledged_and_obeys(
    rig: tuple[Region, Platform], tmp_path: Path
) -> None:
    made, platform = rig
    crew = FirmwareCrew.of(
        INVENTED, 4, folder=tmp_path, identities=made.identities, broker=Address("localhost", made.port)
    )
    link = Link(host="localhost", port=made.port, connect_spread_s=0.5)
    fleet = Fleet(INVENTED, link, identities=made.identities, firmware=crew)
    stop = asyncio.Event()
    running = asyncio.create_task(fleet.run(stop))
    try:
        names = set(crew.devices)
        await until(lambda: names <= {name for name, _, _ in platform.acked}, "each has been acknowledged", 60)
        lamp = CHOSEN[0]
        order = {"id": "c1", "do": "set_level", "reason": "manual", "level_pct": 35, "channel": 0}
        until_ms = 4_000_000_000_000
        platform.publish(f"kraj/{lamp.municipality}/{lamp.name}/command", {**order, "until": until_ms}, expiry_s=60)
        await until(lambda: {"id": "c1", "ok": True} in platform.results, "the lamp has answered", 20)

        def dimmed() -> bool:
            return any(n == lamp.name and r.get("level_commanded_pct") == 35 for n, r in platform.readings)

        await until(dimmed, "the lamp tells its level", 30)
        await until(lambda: crew.devices[lamp.name].level_pct == 35, "whoever runs it knows its level", 30)
        await until(lambda: fleet.counts().connected == len(INVENTED.devices), "all are counted as connected", 30)
    finally:
        stop.set()
        await running
    for device in CHOSEN:
        mine = [r for name, r in platform.readings if name == device.name]
        numbers = [r["seq"] for r in mine if r["boot"] == mine[0]["boot"]]
        assert numbers == sorted(set(numbers))
        kind = device.installed[0].asset.kind
        told = {"lamp": "power_w", "cabinet": "l1_voltage_v", "stop": "battery_voltage_v", "solar": "state"}[kind]
        assert any(told in reading for reading in mine), (kind, mine[-1])
        assert not [line for line in crew.devices[device.name].said if "Traceback" in line]


def meta(device: regions.Device) -> Mapping[str, object]:
    return device.installed[0].asset.metadata


def same(ours: dict[str, Any]) -> tuple[object, ...]:
    """An answer without its words: what was refused, and by which of the reasons that both know."""
    error = ours.get("error")
    code = None if error is None else str(error).split(":")[0]
    return ours.get("id"), ours.get("version"), ours["ok"], ours.get("wanted"), code


async def test_the_firmware_and_the_simulated_fleet_do_the_same_when_told_the_same(
    rig: tuple[Region, Platform], tmp_path: Path
) -> None:
    """Two lamps, one on the firmware and one of the Python fleet, by night: programs, orders, refusals, repetitions,
    resends.
    """
    made, platform = rig
    night = datetime.combine(date.today(), time(23, 20), UTC)  # noqa: DTZ011
    off_ms = int(night.timestamp() * 1000) - wall_clock_ms()

    def now_ms() -> int:
        return wall_clock_ms() + off_ms

    crew = FirmwareCrew.of(
        INVENTED,
        1,
        folder=tmp_path,
        identities=made.identities,
        broker=Address("localhost", made.port),
        offset_ms=off_ms,
    )
    world = World(INVENTED)
    link = Link(host="localhost", port=made.port, connect_spread_s=0.5)
    pace = Pace.of(now_ms)
    fleet = Fleet(INVENTED, link, identities=made.identities, firmware=crew, world=world, pace=pace)
    real = CHOSEN[0]
    fits = (d for d in INVENTED.devices if d is not real and d.clock and len(d.installed) == 1)
    twin = next(d for d in fits if d.installed[0].asset.kind == "lamp" and "report_interval_s" not in meta(d))
    stop = asyncio.Event()
    running = asyncio.create_task(fleet.run(stop))
    platform.results.clear()
    platform.reports.clear()

    def say(channel: str, body: object, *, retain: bool = False) -> None:
        for device in (real, twin):
            topic = f"kraj/{device.municipality}/{device.name}/{channel}"
            platform.publish(topic, body, retain=retain, expiry_s=None if retain else 60)

    def level_of_twin() -> float:
        row = [a.key for a in world.models["lamp"].assets].index(twin.installed[0].asset.key)
        now = np.array([now_ms()], np.int64)
        return float(world.at("lamp", np.array([row], np.intp), now)["level_commanded_pct"][0])

    def levels() -> tuple[float | None, float]:
        return crew.devices[real.name].level_pct, level_of_twin()

    try:
        await until(lambda: fleet.devices[twin.name].connected, "the twin is there", 20)
        fleet.devices[twin.name].record({"power_w": 1.0}, now_ms())  # its next own one may be due in an hour
        await until(lambda: {real.name, twin.name} <= {n for n, _, _ in platform.acked}, "both are known", 20)
        place = real.installed[0].asset
        steps = [{"at": "sunset", "level_pct": 70}, {"at": "22:00", "level_pct": 50}]
        document = desired(read({"plans": [{"steps": steps}]}), 20, place.latitude, place.longitude, date.today())  # noqa: DTZ011
        documents: list[object] = [
            {"version": 3, "programs": {"0": document}, "interval_s": 300},
            {"version": 2, "programs": {}},
            {"version": 4, "programs": {"7": document}},
            {"version": 4, "programs": {"0": {**document, "floor_pct": 101}}},
            b"{broken",
            {"version": 4, "programs": {"0": document}, "interval_s": 1},
            {"version": 5, "programs": {"0": {**document, "floor_pct": 30}}},
            {"version": 6, "programs": {}, "interval_s": 600},
        ]

        def reported(device: Device) -> list[tuple[object, ...]]:
            """What it said in turn; whoever connects anew hears the newest document and answers it again."""
            return [one for one, _ in groupby(same(r) for name, r in platform.reports if name == device.name)]

        for number, one in enumerate(documents, 1):
            say("desired", one, retain=True)
            await until(
                lambda number=number: min(len(reported(d)) for d in (real, twin)) >= number, f"document {number}", 20
            )
        ours, theirs = reported(real), reported(twin)
        assert ours == theirs
        assert [one[2] for one in ours] == [True, False, False, False, False, False, True, True]

        far = 4_000_000_000_000
        orders: list[dict[str, object]] = [
            {"id": "a", "do": "set_level", "reason": "manual", "level_pct": 35, "until": far},
            {"id": "b", "do": "set_level", "reason": "manual", "level_pct": 350, "until": far},
            {"id": "c", "do": "set_level", "reason": "manual", "level_pct": 35, "until": far, "channel": 9},
            {"id": "d", "do": "set_level", "reason": "mood", "level_pct": 35, "until": far},
            {"id": "e", "do": "set_level", "reason": "manual", "level_pct": 35, "until": 1000},
            {"id": "f", "do": "set_level", "reason": "manual", "level_pct": 35},
            {"id": "g", "do": "dance"},
            {"id": "a", "do": "set_level", "reason": "manual", "level_pct": 90, "until": far},
            {"id": "h", "do": "resend", "from_seq": 1, "to_seq": 1},
        ]
        for number, order in enumerate(orders, 1):
            say("command", order)
            await until(lambda number=number: len(platform.results) >= 2 * number, f"order {order['id']}", 20)
        pairs = [sorted(same(r)[:4] for r in platform.results if r["id"] == name) for name in "abcdefgh"]
        assert all(len(set(pair)) == 1 and len(pair) in (2, 4) for pair in pairs), pairs
        codes = {name: {same(r)[4] for r in platform.results if r["id"] == name} for name in "bcdef"}
        assert codes == {name: {code} for name, code in zip("bcdef", CODES, strict=True)}
        assert [r.get("readings") for r in platform.results if r["id"] == "h"] == [1, 1]
        await until(lambda: levels() == (35, 35), "both obey the first order alone", 20)

        say("command", {"id": "i", "do": "set_level", "reason": "emergency", "level_pct": 10, "until": far})
        await until(lambda: levels() == (100, 100), "an emergency is full light", 20)
        say("command", {"id": "j", "do": "release", "reason": "emergency"})
        await until(lambda: levels() == (35, 35), "the order before holds again", 20)
        say("command", {"id": "k", "do": "release", "reason": "manual"})
        await until(lambda: levels() == (50, 50), "both follow the program that the last document did not name", 20)
    finally:
        for device in (real, twin):
            platform.publish(f"kraj/{device.municipality}/{device.name}/desired", b"", retain=True)
        stop.set()
        await running


CODES = ("level", "channel", "reason", "expired", "until")
