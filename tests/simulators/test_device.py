"""Single simulated devices against a real mosquitto and an independent platform."""

import asyncio
import json
from random import Random

from kraj import wire
from simulators.device import Link, SimulatedDevice
from simulators.region import Device
from simulators.ring import Ring
from tests.simulators.rig import PREFIX, SOON, Broker, Platform, Proxy, retained, running, until
from tests.waiting import PATIENCE_S


async def test_only_what_the_platform_names_is_freed_and_the_rest_is_sent_again(
    broker: Broker, platform: Platform
) -> None:
    platform.answer = lambda readings: [r["seq"] for r in readings if r["seq"] in (2, 3, 5)]
    async with running(broker.port, resend_after=SOON) as device:
        for n in range(6):
            device.record({"power_w": n}, 1000 + n)
        await until(lambda: all(platform.seen()[seq] >= 3 for seq in (1, 4, 6)), "the unnamed are sent again")
        assert {seq for seq, times in platform.seen().items() if times == 1} == {2, 3, 5}
        assert device.ring.pending == 3
        assert device.ring.counters.acknowledged == 3
        platform.answer = lambda readings: [r["seq"] for r in readings]
        await until(lambda: not device.ring.pending, "all named in the end")
    assert next(r for _, r in platform.readings if r["seq"] == 4) == {"boot": 7, "seq": 4, "ts": 1003, "power_w": 3}


async def test_an_ack_of_another_boot_or_a_broken_one_frees_nothing(broker: Broker, platform: Platform) -> None:
    platform.answer = lambda _: []
    async with running(broker.port) as device:
        device.record({"power_w": 1}, 1000)
        platform.publish(f"{PREFIX}/ack", {"boot": 6, "seq": [[1, 1]]})
        for junk in (b"", b"\xff", b"[]", b'{"boot":7}', b'{"boot":7,"seq":[1]}', b'{"boot":7,"seq":[["a",2]]}'):
            platform.publish(f"{PREFIX}/ack", junk)
        platform.publish(f"{PREFIX}/command", b"{}")
        await until(lambda: device.malformed == 7, "broken messages counted")
        assert device.ring.pending == 1
        assert device.connected


async def test_the_status_tells_online_then_offline_when_the_cable_is_pulled_then_online_again(
    broker: Broker, proxy: Proxy
) -> None:
    topic = f"{PREFIX}/status"
    async with running(proxy.port, boot=9) as device:
        online = {"online": True, "boot": 9, "firmware": "sim-0.1", "reset": "power_on"}
        assert await asyncio.to_thread(retained, broker.port, topic) == {topic: online}
        proxy.cut()
        await until(lambda: not device.connected, "disconnected")
        # The broker publishes the will when it sees the broken socket, a moment after the device does.
        await until(lambda: retained(broker.port, topic)[topic] == {"online": False}, "the will")
        proxy.open = True
        await until(lambda: device.connected, "reconnected")
        assert await asyncio.to_thread(retained, broker.port, topic) == {topic: online}
        assert device.reconnects == 1
    assert await asyncio.to_thread(retained, broker.port, topic) == {topic: {"online": False}}


async def test_a_reconnect_sends_everything_unacknowledged_at_once_and_live_readings_first(
    platform: Platform, proxy: Proxy
) -> None:
    platform.answer = lambda _: []
    async with running(proxy.port) as device:
        for n in range(3):
            device.record({"power_w": n}, n)
        await until(lambda: len(platform.readings) == 3, "sent once")
        proxy.cut()
        await until(lambda: not device.connected, "disconnected")
        device.record({"power_w": 3}, 3)
        platform.answer = lambda readings: [r["seq"] for r in readings]
        proxy.open = True
        await until(lambda: not device.ring.pending, "all acknowledged")
        assert platform.seen() == {1: 2, 2: 2, 3: 2, 4: 1}


async def test_the_command_resend_sends_delivered_readings_again_once_for_each_id(
    broker: Broker, platform: Platform
) -> None:
    async with running(broker.port) as device:
        for n in range(5):
            device.record({"power_w": n}, 1000 + n)
        await until(lambda: device.ring.counters.acknowledged == 5, "all delivered")
        command = {"id": "c1", "do": "resend", "from_ts": 1002}
        platform.publish(f"{PREFIX}/command", command)
        await until(lambda: len(platform.results) == 1, "the result")
        await until(lambda: not device.ring.pending, "delivered again")
        assert platform.seen() == {1: 1, 2: 1, 3: 2, 4: 2, 5: 2}
        platform.publish(f"{PREFIX}/command", command)
        await until(lambda: len(platform.results) == 2, "the same result")
        assert platform.results == [{"id": "c1", "ok": True, "readings": 3}] * 2
        assert device.ring.counters.sent == 8
        assert device.ring.counters.acknowledged == 5


async def test_an_unknown_or_wrong_command_is_answered_with_what_is_wrong(broker: Broker, platform: Platform) -> None:
    async with running(broker.port):
        platform.publish(f"{PREFIX}/command", {"id": "c9", "do": "dance"})
        await until(lambda: platform.results, "the result")
        platform.publish(f"{PREFIX}/command", {"id": "c10", "do": "resend", "from_ts": "noon"})
        await until(lambda: len(platform.results) == 2, "the second result")
        assert platform.results[0] == {"id": "c9", "ok": False, "error": "unknown command 'dance'; known: resend, move"}
        assert platform.results[1]["ok"] is False
        assert "from_ts" in platform.results[1]["error"]


async def test_a_command_given_while_the_device_is_away_is_obeyed_when_it_returns(
    platform: Platform, proxy: Proxy
) -> None:
    async with running(proxy.port) as device:
        proxy.cut()
        await until(lambda: not device.connected, "disconnected")
        platform.publish(f"{PREFIX}/command", {"id": "late", "do": "resend"})
        proxy.open = True
        await until(lambda: platform.results, "the result")
        assert platform.results[0]["id"] == "late"


async def test_a_device_without_a_clock_sends_uptime_and_resends_all_whatever_time_is_named(
    broker: Broker, platform: Platform
) -> None:
    clockless = Device(name="lamp-a1", municipality="obec", installed=(), clock=False)
    async with running(broker.port, device=clockless) as device:
        device.record({"power_w": 1}, 5_000)
        device.record({"power_w": 2}, 1_000)
        await until(lambda: device.ring.counters.acknowledged == 2, "delivered")
        platform.publish(f"{PREFIX}/command", {"id": "c1", "do": "resend", "from_ts": 9_000})
        await until(lambda: platform.seen() == {1: 2, 2: 2}, "all again")
    first, second = (next(r for _, r in platform.readings if r["seq"] == seq) for seq in (1, 2))
    assert "ts" not in first
    assert 0 <= first["uptime_ms"] <= second["uptime_ms"] < 60_000


async def test_a_backlog_goes_in_messages_that_the_platform_takes(broker: Broker, platform: Platform) -> None:
    async with running(broker.port) as device:
        for n in range(300):
            device.record({"power_w": n}, n)
        await until(lambda: not device.ring.pending, "all delivered")
    assert sorted(platform.seen()) == list(range(1, 301))
    sizes = [len(json.loads(p)) if p.startswith(b"[") else 1 for _, p in platform.payloads]
    assert 1 < max(sizes) <= wire.READINGS_PER_MESSAGE_MAX


def offline(port: int) -> bool:
    topic = f"{PREFIX}/status"
    return retained(port, topic)[topic] == {"online": False}


async def test_without_power_nothing_is_sent_and_the_will_tells_when_the_broker_notices(
    broker: Broker, platform: Platform
) -> None:
    topic = f"{PREFIX}/status"
    async with running(broker.port, boot=9) as device:
        device.record({"power_w": 1}, 1000)
        await until(lambda: not device.ring.pending, "delivered")
        device.lose()
        device.record({"power_w": 2}, 2000)
        await asyncio.sleep(0.3)
        assert platform.seen() == {1: 1}
        assert not await asyncio.to_thread(offline, broker.port), "nobody knows yet"
        device.cut()
        await until(lambda: not device.connected, "disconnected")
        assert await asyncio.to_thread(offline, broker.port)
        await asyncio.sleep(0.3)
        assert device.sessions == 1, "without power it does not come back"
        device.restart()
        device.back()
        await until(lambda: not device.ring.pending, "the rest is delivered")
        online = {"online": True, "boot": 10, "firmware": "sim-0.1", "reset": "power_on"}
        assert await asyncio.to_thread(retained, broker.port, topic) == {topic: online}
    assert [(r["boot"], r["seq"]) for _, r in platform.readings] == [(9, 1), (9, 2)]


async def test_what_the_broker_says_to_a_device_without_power_is_not_heard_until_it_is_back(
    broker: Broker, platform: Platform
) -> None:
    platform.answer = lambda _: []
    async with running(broker.port) as device:
        device.record({"power_w": 1}, 1000)
        await until(lambda: platform.readings, "sent")
        device.lose()
        platform.publish(f"{PREFIX}/ack", {"boot": 7, "seq": [[1, 1]]})
        platform.publish(f"{PREFIX}/command", {"id": "c1", "do": "resend", "from_seq": 1})
        await asyncio.sleep(0.3)
        assert device.ring.pending == 1
        device.cut()
        await until(lambda: not device.connected, "disconnected")
        assert not platform.results
        platform.answer = lambda readings: [r["seq"] for r in readings]
        device.back()
        await until(lambda: platform.results, "the command waited for it")
        await until(lambda: not device.ring.pending, "delivered")


async def test_a_device_that_begins_without_power_does_not_connect(broker: Broker) -> None:
    link = Link(host="127.0.0.1", port=broker.port, connect_spread_s=0)
    device = SimulatedDevice(
        Device(name="lamp-b2", municipality="obec", installed=()), Ring(1, Random(1)), link, Random(2)
    )
    device.lose()
    task = asyncio.create_task(device.run())
    await asyncio.sleep(0.3)
    assert broker.connections()["lamp-b2"] == 0
    device.back()
    await until(lambda: device.connected, "connected")
    device.stop()
    await asyncio.wait_for(task, PATIENCE_S)


async def test_a_fleet_can_be_stopped_while_a_device_has_no_power(broker: Broker) -> None:
    async with running(broker.port) as device:
        device.record({"power_w": 1}, 1000)
        device.lose()
    async with running(broker.port) as device:
        device.lose()
        device.cut()


async def test_of_the_past_a_device_without_a_clock_is_told_the_time(broker: Broker, platform: Platform) -> None:
    clockless = Device(name="lamp-a1", municipality="obec", installed=(), clock=False)
    async with running(broker.port, device=clockless) as device:
        device.record({"power_w": 1}, 5_000, past=True)
        device.record({"power_w": 2}, 9_000, uptime_ms=777)
        await until(lambda: not device.ring.pending, "delivered")
    first, second = (next(r for _, r in platform.readings if r["seq"] == seq) for seq in (1, 2))
    assert (first["ts"], "uptime_ms" in first) == (5_000, False)
    assert (second["uptime_ms"], "ts" in second) == (777, False)
