"""Fleets of simulated devices against a real mosquitto, and the command."""

import asyncio
import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from kraj import topics, wire
from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.settings import Settings
from simulators.device import Link
from simulators.fleet import Counts, Fleet, run, wall_clock_ms
from simulators.habits import GASP_MS
from simulators.pace import Pace
from simulators.physics.frame import Fault
from simulators.region import Region, region
from simulators.world import World
from tests.simulators.rig import Broker, Platform, retained, until
from tests.simulators.scripted import HOUR_MS, MINUTE_MS, ON, START_MS, Course, Scripted, between, lamps
from tests.waiting import PATIENCE_S


async def test_a_fleet_delivers_every_reading_over_one_connection_a_device(broker: Broker, platform: Platform) -> None:
    built = region(4, 40, clockless_share=0.3)
    before = broker.connections()
    fleet = Fleet(
        built, Link(host="127.0.0.1", port=broker.port, connect_spread_s=0.2), interval_s=0.5, keep_acknowledged=True
    )
    stop = asyncio.Event()
    task = asyncio.create_task(fleet.run(stop))
    await until(lambda: fleet.counts().connected == 40, "all connected")
    await until(lambda: fleet.counts().acknowledged > 200, "readings acknowledged")
    stop.set()
    await asyncio.wait_for(task, PATIENCE_S)

    counts = fleet.counts()
    assert counts.connected == counts.pending == counts.thinned == counts.malformed == counts.reconnects == 0
    assert counts.produced == counts.acknowledged == len(fleet.acknowledged)
    assert fleet.acknowledged == platform.acked
    assert broker.connections() - before == {d.name: 1 for d in built.devices}
    online = await asyncio.to_thread(retained, broker.port, "kraj/+/+/status", 40)
    assert {state["online"] for state in online.values()} == {False}

    devices = {d.name: d for d in built.devices}
    for name, payload in platform.payloads:
        topics.parse(f"kraj/{devices[name].municipality}/{name}/telemetry")
        wire.decoder(KINDS[devices[name].installed[0].asset.kind]).decode(payload)
    for name, reading in platform.readings:
        assert ("ts" in reading) == devices[name].clock
        assert ("uptime_ms" in reading) != devices[name].clock
    gateway = next(d.name for d in built.devices if len(d.installed) > 1)
    channels = Counter(r.get("channel", 0) for name, r in platform.readings if name == gateway)
    assert set(channels) == {1, 2, 3}
    assert len(set(channels.values())) == 1


async def test_what_nobody_acknowledges_stays_pending(broker: Broker) -> None:
    fleet = Fleet(region(4, 5), Link(host="127.0.0.1", port=broker.port, connect_spread_s=0), interval_s=0.2)
    stop = asyncio.Event()
    task = asyncio.create_task(fleet.run(stop, drain_s=0.1))
    await until(lambda: fleet.counts().sent >= 20, "readings sent")
    stop.set()
    await asyncio.wait_for(task, PATIENCE_S)
    assert fleet.counts().pending == fleet.counts().produced
    assert fleet.counts().acknowledged == 0


async def test_devices_sign_in_with_their_passwords(tmp_path: Path) -> None:
    built = region(2, 6)
    credentials = {d.name: f"secret-{d.name}" for d in built.devices}
    wrong = built.devices[0].name
    file = tmp_path / "passwords"
    file.write_text("".join(f"{name}:{password}\n" for name, password in credentials.items()))
    await asyncio.to_thread(subprocess.run, ["mosquitto_passwd", "-U", str(file)], check=True)
    broker = Broker(tmp_path, password_file=file)
    try:
        settings = Settings(mqtt_host="127.0.0.1", mqtt_port=broker.port)
        stop = asyncio.Event()
        reports: list[Counts] = []
        task = asyncio.create_task(
            run(settings, built, stop, credentials=credentials | {wrong: "guess"}, report=reports.append)
        )
        await until(lambda: len(broker.connections()) == 5, "five connected")
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)
        assert wrong not in broker.connections()
        assert reports[-1].devices == 6
        assert reports[-1].pending == reports[-1].produced
    finally:
        broker.close()


def lived(region: Region, port: int, pace: Pace, *, faults: Sequence[Fault] = (), power: Course = ON) -> Fleet:
    """A fleet of scripted lamps that lives through its days."""
    link = Link(host="127.0.0.1", port=port, connect_spread_s=0, backoff_first_s=0.05, backoff_longest_s=0.1)
    world = World(region, [Scripted(region.assets, power=power)])
    return Fleet(region, link, faults=faults, pace=pace, world=world, boot=5, keep_acknowledged=True)


@contextlib.asynccontextmanager
async def alive(fleet: Fleet) -> AsyncGenerator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(fleet.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


def offset(ts_ms: int) -> Pace:
    """A clock that shows this moment now, as far as it lies from it."""
    off = ts_ms - wall_clock_ms()
    return Pace.of(lambda: wall_clock_ms() + off)


async def test_a_past_is_told_faster_with_its_own_times_and_then_the_present(
    broker: Broker, platform: Platform
) -> None:
    built = lamps(4)
    start_ms = START_MS + 22 * HOUR_MS
    wall_ms = wall_clock_ms() - (start_ms + 4 * HOUR_MS)
    pace = Pace.of(lambda: wall_clock_ms() - wall_ms, start_ms, 6_000.0)
    fleet = lived(built, broker.port, pace)
    async with alive(fleet):
        await until(lambda: not pace.past, "caught up")
        await until(lambda: fleet.counts().produced >= 4 * 47 and not fleet.counts().pending, "all delivered")
    times = sorted(r["ts"] for _, r in platform.readings)
    assert times[0] - start_ms < 6 * MINUTE_MS
    assert start_ms + 4 * HOUR_MS - times[-1] < 6 * MINUTE_MS
    by_device = Counter(name for name, _ in platform.readings)
    assert set(by_device.values()) <= {47, 48, 49}, "midnight lies between, and neither hides nor doubles anything"
    for name in by_device:
        mine = sorted(r["ts"] for device, r in platform.readings if device == name)
        # Clocks drift a little, and are set at night.
        assert all(abs(b - a - 5 * MINUTE_MS) < 4000 for a, b in itertools.pairwise(mine))
    uptimes = {r["uptime_s"] for _, r in platform.readings}
    assert max(uptimes) <= 4 * 3600
    assert all(r["boot"] == 5 for _, r in platform.readings)


async def test_lost_power_silences_devices_publishes_their_wills_and_starts_them_again(
    broker: Broker, platform: Platform
) -> None:
    built = lamps(3)
    now_ms = START_MS + 10 * HOUR_MS
    wall_ms = wall_clock_ms() - (now_ms + 3 * HOUR_MS)
    pace = Pace.of(lambda: wall_clock_ms() - wall_ms, now_ms, 1_200.0)
    power = between(11 * HOUR_MS, 12 * HOUR_MS, 0, 1, row=1)
    fleet = lived(built, broker.port, pace, power=power)
    dark, lit = built.devices[1], built.devices[0]
    topic = f"kraj/obec/{dark.name}/status"
    async with alive(fleet):
        await until(lambda: fleet.counts().connected == 3, "connected")
        await until(lambda: fleet.counts().connected == 2, "one lost its power")
        assert retained(broker.port, topic)[topic] == {"online": False}
        await until(lambda: fleet.counts().connected == 3, "and is back")
        assert retained(broker.port, topic)[topic]["boot"] == 6
        await until(lambda: not pace.past and not fleet.counts().pending, "all delivered")
    mine = [r for name, r in platform.readings if name == dark.name]
    gone = START_MS + 11 * HOUR_MS, START_MS + 12 * HOUR_MS
    assert not [r for r in mine if gone[0] + GASP_MS <= r["ts"] < gone[1]], "but for a last gasp"
    assert {r["boot"] for r in mine if r["ts"] < gone[0]} == {5}
    assert {r["boot"] for r in mine if r["ts"] >= gone[1]} == {6}
    assert min(r["uptime_s"] for r in mine if r["boot"] == 6) < 60
    numbers = [r["seq"] for r in sorted(mine, key=lambda r: r["seq"])]
    twice = {number for number in numbers if numbers.count(number) > 1}  # what was under way when power went
    assert all(r["ts"] < gone[0] + GASP_MS and numbers.count(r["seq"]) == 2 for r in mine if r["seq"] in twice)
    assert sorted(set(numbers)) == list(range(1, len(mine) - len(twice) + 1))
    assert {r["boot"] for name, r in platform.readings if name == lit.name} == {5}


async def test_a_lost_network_holds_readings_back_until_it_returns(broker: Broker, platform: Platform) -> None:
    built = lamps(2)
    now_ms = START_MS + 10 * HOUR_MS
    wall_ms = wall_clock_ms() - (now_ms + 2 * HOUR_MS)
    pace = Pace.of(lambda: wall_clock_ms() - wall_ms, now_ms, 1_200.0)
    start, end = START_MS + int(10.5 * HOUR_MS), START_MS + int(11.5 * HOUR_MS)
    cut = Fault(
        cause="comms_lost", scope="asset", municipality="obec", name="VO-0001",
        targets=(built.assets[1].key,), start_ms=start, end_ms=end,
    )  # fmt: skip
    fleet = lived(built, broker.port, pace, faults=[cut])
    async with alive(fleet):
        await until(lambda: fleet.counts().connected == 2, "connected")
        await until(lambda: fleet.counts().connected == 1, "one is out of reach")
        await until(lambda: fleet.devices[built.devices[1].name].ring.pending > 0, "it keeps its readings")
        await until(lambda: not pace.past and not fleet.counts().pending, "all delivered")
    mine = [r for name, r in platform.readings if name == built.devices[1].name]
    assert len([r for r in mine if start <= r["ts"] < end]) == 12
    assert {r["boot"] for r in mine} == {5}


async def test_devices_without_power_at_the_start_wait_for_it(broker: Broker) -> None:
    power = between(0, 20 * HOUR_MS, 0, 1, row=0)
    fleet = lived(lamps(2), broker.port, offset(START_MS + 10 * HOUR_MS), power=power)
    before = broker.connections()
    async with alive(fleet):
        await until(lambda: fleet.counts().connected == 1, "the other")
        await asyncio.sleep(0.5)
        assert fleet.counts().connected == 1
    assert sum((broker.connections() - before).values()) == 1


async def test_missing_passwords_are_named_before_anything_connects() -> None:
    built = region(2, 6)
    with pytest.raises(
        ConfigurationError, match=f"6 of 6 devices have no password, the first is {built.devices[0].name}"
    ):
        Fleet(built, Link(host="127.0.0.1", port=1), credentials={})


def test_the_command_says_how_it_goes_and_stops_on_sigterm(broker: Broker, platform: Platform) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KRAJ_")}
    command = [sys.executable, "-m", "simulators", "--devices", "5", "--interval", "0.3", "--port", str(broker.port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + PATIENCE_S
    while len({name for name, _ in platform.readings}) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert err == ""
    assert "5 devices in " in out.splitlines()[0]
    assert re.search(r"devices 5  connected 0 .* pending 0 ", out.splitlines()[-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices", "0"], "a region has 1 to"),
        (["--credentials", "/nonexistent"], "--credentials /nonexistent"),
        (["--port", "70000"], "KRAJ_MQTT_PORT"),
        (["--speed", "5"], "needs a start in the past"),
        (["--start", "2100-01-01"], "lies in the future"),
        (["--faults", "lamp_outt"], "did you mean lamp_out?"),
    ],
)
def test_wrong_options_are_explained_without_a_traceback(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simulators", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
