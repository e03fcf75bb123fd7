"""The firmware's link against a real mosquitto over mutual TLS: what comes, what is refused, what outlives a broker."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kraj import certificates
from stack.broker import Broker
from tests.firmware.link_rig import Board, Clock, Device, Platform, load, running, until
from tests.stack.mutual import Place, now


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="kraj-"))
    folder.chmod(0o711)
    yield Place(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def broker(place: Place) -> Iterator[Broker]:
    with Broker(place.folder.parent / "broker", tls=place.tls(), credentials={"slot_0": "three"}) as made:
        yield made


@pytest.fixture
async def platform(broker: Broker) -> AsyncIterator[Platform]:
    made = await asyncio.to_thread(Platform, broker)
    yield made
    await asyncio.to_thread(made.end)


def device(place: Place, broker: Broker, name: str) -> Device:
    return Device(Board(place.context(place.device(name))), broker.port, name)


async def test_readings_go_out_and_are_freed_by_the_platforms_answer_alone(
    place: Place, broker: Broker, platform: Platform
) -> None:
    lamp = device(place, broker, "lamp-1")
    platform.acknowledges = False
    lamp.record(3)
    async with running(lamp):
        await until(lambda: len(platform.readings()) == 3)
        assert lamp.ring.pending == 3  # PUBACK says nothing but that a broker has them
        platform.acknowledges = True
        platform.order("lamp-1", "ack", {"boot": 1, "seq": [[1, 2]]})
        await until(lambda: lamp.ring.pending == 1)
        assert lamp.ring.confirmed == {1, 2}
    status = [said for said in platform.said("status", "lamp-1") if said["online"]]
    assert status == [{"online": True, "boot": 1, "reset": "x"}]
    await until(lambda: platform.said("status", "lamp-1")[-1] == {"online": False})  # it said goodbye


async def test_300_readings_published_one_by_one_take_less_than_two_seconds(
    place: Place, broker: Broker, platform: Platform
) -> None:
    """Each in a message of its own and at QoS 1, as ``kraj bench firmware`` measures it."""
    lamp = device(place, broker, "lamp-2")
    async with running(lamp):
        await until(lambda: lamp.link.connected)
        began = time.monotonic()
        for number in range(300):
            await lamp.link._client.publish("kraj/brno/lamp-2/event", b'{"boot":1,"seq":%d}' % (number + 1))
        await until(lambda: not lamp.link._client._waiting)
        assert time.monotonic() - began < 2
        await until(lambda: len(platform.said("event")) == 300)


async def test_what_is_said_while_the_broker_is_killed_arrives_and_nobody_is_reset(
    place: Place, broker: Broker, platform: Platform
) -> None:
    lamp = device(place, broker, "lamp-3")
    lamp.record(100)
    async with running(lamp):
        for _ in range(3):
            await until(lambda: lamp.link.connected and lamp.link.sessions)
            lamp.record(30)
            broker.kill()
            await until(lambda: not lamp.link.connected)
            lamp.record(30)
            broker.start()  # in this thread: it dies with the thread that starts it
        await until(lambda: lamp.ring.pending == 0, 20)
    assert lamp.ring.confirmed == set(range(1, 281))
    assert {reading["seq"] for reading in platform.readings()} == lamp.ring.confirmed
    assert lamp.link.sessions == 4
    assert lamp.board.resets == []


async def test_a_command_sent_while_it_was_away_is_answered_and_one_cut_off_comes_again(
    place: Place, broker: Broker, platform: Platform
) -> None:
    lamp = device(place, broker, "lamp-4")
    lamp.answer = lambda channel, payload: [("result", b'{"id":"%s","ok":true}' % payload[8:9], False)]
    async with running(lamp):
        await until(lambda: lamp.link.connected)
    platform.order("lamp-4", "command", {"id": "a"}, expiry_s=60)
    again = device(place, broker, "lamp-4")

    def cut(channel: str, payload: bytes) -> list[tuple[str, bytes, bool]]:
        again.link._client._writer.transport.abort()
        again.answer = lamp.answer
        return lamp.answer(channel, payload)

    again.answer = cut
    async with running(again):
        await until(lambda: platform.said("result"))
        await until(lambda: len(again.taken) == 2)  # not acknowledged to the broker before the answer was out
        await until(lambda: again.link.connected)
    assert [payload for _, payload, _ in again.taken] == [b'{"id": "a"}'] * 2
    assert all(expiry is not None and 50 <= expiry <= 60 for _, _, expiry in again.taken)
    assert {said["id"] for said in platform.said("result")} == {"a"}


async def test_desired_comes_at_each_connection_and_what_is_reported_stays_at_the_broker(
    place: Place, broker: Broker, platform: Platform
) -> None:
    platform.order("lamp-5", "desired", {"version": 7}, retain=True)
    for _ in range(2):
        lamp = device(place, broker, "lamp-5")
        lamp.answer = lambda channel, payload: [("reported", b'{"version":7,"ok":true}', True)]
        async with running(lamp):
            await until(lambda lamp=lamp: lamp.taken and platform.said("reported", "lamp-5"))
        assert lamp.taken[0][:2] == ("desired", b'{"version": 7}')
    late = await asyncio.to_thread(Platform, broker)
    await until(lambda: {"version": 7, "ok": True} in late.said("reported"))
    await asyncio.to_thread(late.end)


async def test_a_block_of_an_update_is_fetched_and_one_that_is_missing_is_not(
    place: Place, broker: Broker, platform: Platform
) -> None:
    lamp = device(place, broker, "lamp-6")
    block = bytes(range(256)) * 16
    platform.publish("kraj/brno/lamp-6/desired", block, 1, True)  # a topic that it may read
    async with running(lamp):
        await until(lambda: lamp.link.connected)
        assert await lamp.link.fetch("kraj/brno/lamp-6/desired", 5) == block
        began = time.monotonic()
        assert await lamp.link.fetch("kraj/brno/lamp-6/nothing", 1) is None
        assert time.monotonic() - began < 3
        assert lamp.link.connected


async def refused(lamp: Device, platform: Platform, said: str) -> None:
    """It tries again and again, tells why, says nothing to anybody, and is not reset."""
    lamp.record(1)
    module = load("node.link")
    first, module.FIRST_MS = module.FIRST_MS, 10
    try:
        async with running(lamp):
            await until(lambda: lamp.board.dialled >= 3)
            beats = lamp.beats
            await until(lambda: lamp.beats > beats)
    finally:
        module.FIRST_MS = first
    assert said in lamp.link.trouble, lamp.link.trouble
    assert lamp.link.sessions == 0
    assert lamp.ring.pending == 1
    assert lamp.board.resets == []
    assert platform.readings() == []


async def test_a_broker_of_another_name_is_not_spoken_with(place: Place, broker: Broker, platform: Platform) -> None:
    lamp = Device(Board(place.context(place.device("lamp-7")), name="broker.example"), broker.port, "lamp-7")
    await refused(lamp, platform, "Hostname mismatch")


async def test_a_broker_of_another_authority_is_not_spoken_with(
    place: Place, broker: Broker, platform: Platform, tmp_path: Path
) -> None:
    context = Place(tmp_path).context(place.device("lamp-7"))
    await refused(Device(Board(context), broker.port, "lamp-7"), platform, "verify failed")


async def test_a_certificate_that_has_expired_opens_nothing(place: Place, broker: Broker, platform: Platform) -> None:
    key = certificates.new_key()
    old = now() - certificates.DEVICE_LIFE - timedelta(hours=2)
    expired = certificates.issue_device(place.by, key.public_key(), "lamp-7", old)
    context = place.context(place.device("lamp-7", expired, key))
    await refused(Device(Board(context), broker.port, "lamp-7"), platform, "expired")


async def test_a_broker_whose_certificate_has_expired_is_not_spoken_with(
    place: Place, platform: Platform, open_folder: Path
) -> None:
    key = certificates.new_key()
    past = now() - certificates.SERVICE_LIFE - timedelta(hours=2)
    ended = certificates.issue_server(place.by, key.public_key(), ["127.0.0.1"], past)
    tls = place.tls()
    shown = type(tls)(
        certificates.key_pem(key), certificates.pem(ended, place.by.certificate), tls.trusted, tls.revoked
    )
    with Broker(open_folder / "ended", tls=shown, credentials={"slot_0": "x"}) as broker:
        lamp = Device(Board(place.context(place.device("lamp-7"))), broker.port, "lamp-7")
        await refused(lamp, platform, "expired")


async def test_a_server_that_speaks_plain_text_is_told_nothing(place: Place, platform: Platform) -> None:
    heard = b""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard += await reader.read(4096)
        writer.write(b"\x20\x03\x00\x00\x00")  # a CONNACK for everybody
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await refused(Device(Board(place.context(place.device("lamp-7"))), port, "lamp-7"), platform, "SSL")
    server.close()
    await server.wait_closed()
    assert b"lamp-7" not in heard
    assert b"MQTT" not in heard


async def test_without_tls_nobody_gets_in(broker: Broker, platform: Platform) -> None:
    await refused(Device(Board(None), broker.port, "lamp-7"), platform, "")


async def test_nothing_is_dialled_before_the_time_is_known(place: Place, broker: Broker, platform: Platform) -> None:
    lamp = Device(Board(place.context(place.device("lamp-8")), Clock(None)), broker.port, "lamp-8")
    lamp.board.answers = False
    module = load("node.link")
    first, module.FIRST_MS = module.FIRST_MS, 10
    try:
        async with running(lamp):
            await until(lambda: lamp.board.asked >= 3)
            assert lamp.board.dialled == 0
            lamp.board.answers = True
            await until(lambda: lamp.link.connected)
    finally:
        module.FIRST_MS = first


async def test_a_clock_that_outlived_the_restart_is_enough_where_nobody_tells_the_time(
    place: Place, broker: Broker, platform: Platform
) -> None:
    lamp = device(place, broker, "lamp-9")
    lamp.board.answers = False
    async with running(lamp):
        await until(lambda: lamp.link.connected)
    assert lamp.board.asked == 1


async def test_a_network_that_is_down_is_waited_for(place: Place, broker: Broker, platform: Platform) -> None:
    lamp = device(place, broker, "lamp-10")
    lamp.board.broken = OSError(118, "no access point")
    async with running(lamp):
        await until(lambda: "no access point" in lamp.link.trouble)
        assert lamp.board.dialled == 0
        lamp.board.broken = None
        await until(lambda: lamp.link.connected)


async def test_who_is_gone_without_a_word_is_told_of_by_the_will_and_a_short_gap_is_not(
    place: Place, broker: Broker, platform: Platform
) -> None:
    module = load("node.link")
    delay, module.WILL_DELAY_S = module.WILL_DELAY_S, 1
    try:
        lamp = device(place, broker, "lamp-11")
        async with running(lamp):
            await until(lambda: lamp.link.connected)
            lamp.link._client._writer.transport.abort()
            await until(lambda: lamp.link.sessions == 2, 5)
            assert {"online": False} not in platform.said("status", "lamp-11")
        lamp = device(place, broker, "lamp-11")
        task = asyncio.create_task(lamp.link.run(lamp.beat))
        await until(lambda: lamp.link.connected)
        goodbyes = platform.said("status", "lamp-11").count({"online": False})
        lamp.link._client._send = None  # it cannot say anything any more
        lamp.link._client._writer.transport.abort()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await until(lambda: platform.said("status", "lamp-11").count({"online": False}) > goodbyes)
    finally:
        module.WILL_DELAY_S = delay
