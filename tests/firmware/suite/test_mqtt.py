"""The MQTT client against a wire in memory: what it says, and that nothing wrong on it is taken for something right."""

import asyncio
import unittest

from node import mqtt
from wire import Clock, Wire, message

WILL = ("kraj/b/l/status", b"gone", 20)


async def connected(wire, heard=None):
    clock = Clock()
    client = mqtt.Client(wire, wire, clock, heard or (lambda *_: None))
    await client.connect("l", WILL, 3600)
    return client, clock


# What ends a connection on which the broker says this.
async def ended_by(raw, heard=None):
    wire = Wire()
    client, _ = await connected(wire, heard)
    wire.say(raw)
    wire.hang_up()
    await client.listen()
    ended = client.ended
    wire.closed = False
    await client.close(4)
    return ended.reason, wire.raw[-1]


class Saying(unittest.IsolatedAsyncioTestCase):
    async def test_connect_asks_for_a_kept_session_and_leaves_a_will_with_a_delay(self):
        wire = Wire()
        await connected(wire)
        expected = b"\x10\x41\x00\x04MQTT\x05\x2c\x00\x3c\x0d\x11\x00\x00\x0e\x10\x21\x00\x08\x27\x00\x00\x40\x00"
        expected += b"\x00\x01l\x05\x18\x00\x00\x00\x14\x00\x0fkraj/b/l/status\x00\x04gone"
        self.assertEqual(wire.raw, [expected[:1] + bytes((len(expected) - 2,)) + expected[2:]])

    async def test_each_packet_is_one_write(self):
        wire = Wire()
        client, _ = await connected(wire)
        task = asyncio.create_task(client.listen())
        await client.subscribe([("a", 1)])
        await client.publish("t", b"x", wait=True)
        await client.publish("t", b"y", retain=True, expiry_s=300)
        await client.acknowledge(258)
        self.assertEqual(wire.raw[1], b"\x82\x07\x00\x01\x00\x00\x01a\x01")
        self.assertEqual(wire.raw[2], b"\x32\x07\x00\x01t\x00\x02\x00x")
        self.assertEqual(wire.raw[3], b"\x33\x0c\x00\x01t\x00\x03\x05\x02\x00\x00\x01\x2cy")
        self.assertEqual(wire.raw[4], b"\x40\x02\x01\x02")
        task.cancel()

    async def test_a_long_payload_has_its_length_in_two_bytes(self):
        wire = Wire()
        client, _ = await connected(wire)
        await client.publish("t", b"z" * 5000)
        self.assertEqual(wire.raw[1][:6], b"\x32\x8e\x27\x00\x01t")

    async def test_only_so_many_wait_for_the_broker_at_a_time(self):
        wire = Wire(connack=b"\x20\x06\x00\x00\x03\x21\x00\x04")  # receive maximum 4
        client, _ = await connected(wire)
        wire.taken = None
        task = asyncio.create_task(client.listen())

        async def say():
            for _ in range(6):
                await client.publish("t", b"x")

        saying = asyncio.create_task(say())
        for _ in range(20):
            await asyncio.sleep(0)
        self.assertEqual(len(wire.raw), 5)
        wire.say(b"\x40\x02\x00\x01\x40\x03\x00\x03\x00")
        await saying
        self.assertEqual(len(wire.raw), 7)
        task.cancel()

    async def test_a_refusal_is_told_and_a_message_too_long_for_the_broker_is_not_sent(self):
        wire = Wire(connack=b"\x20\x08\x00\x00\x05\x27\x00\x00\x00\x20")  # packets of at most 32 bytes
        client, _ = await connected(wire)
        task = asyncio.create_task(client.listen())
        wire.taken = b"\x87"  # not authorized
        self.assertFalse(await client.publish("t", b"x", wait=True))
        self.assertFalse(await client.publish("t", b"x" * 40))
        self.assertEqual((client.refused, len(wire.raw)), (2, 2))
        wire.granted = b"\x87"
        with self.assertRaises(mqtt.ClosedError) as caught:
            await client.subscribe([("a", 1)])
        self.assertEqual(caught.exception.reason, 0x87)
        task.cancel()

    async def test_a_broker_that_refuses_says_why(self):
        for raw, reason in (
            (b"\x20\x03\x00\x87\x00", 0x87),
            (b"\x20\x03\x00\x84\x00", 0x84),
            (b"\x20\x05\x00\x00\x02\x24\x00", 0),  # no QoS 1
            (b"\x30\x03\x00\x01t", mqtt.PROTOCOL),
            (b"\x20\x02\x00\x00", mqtt.MALFORMED),
        ):
            with self.subTest(raw=raw), self.assertRaises(mqtt.ClosedError) as caught:
                await connected(Wire(connack=raw))
            self.assertEqual(caught.exception.reason, reason)

    async def test_a_packet_that_was_cut_off_is_followed_by_none(self):
        wire = Wire()
        client, _ = await connected(wire)
        wire.blocked = asyncio.Event()
        saying = asyncio.create_task(client.publish("t", b"x"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        saying.cancel()
        await asyncio.sleep(0)
        wire.blocked.set()
        with self.assertRaises(mqtt.ClosedError):
            await client.publish("t", b"y")
        self.assertEqual(len(wire.raw), 2)


class Hearing(unittest.IsolatedAsyncioTestCase):
    async def test_messages_are_heard_however_the_wire_cuts_them(self):
        raw = message("t", b"one") + message("u", b"2" * 300, 7, b"\x02\x00\x00\x00\x3c") + b"\xd0\x00"
        raw += message("v", b"", 0, b"\x26\x00\x01k\x00\x01v\x0b\x80\x01\x03\x00\x02ab\x01\x01")
        expected = [("t", b"one", 0, None), ("u", b"2" * 300, 7, 60), ("v", b"", 0, None)]
        for chunk in (1, 2, 3, 7, 100000):
            heard = []
            wire = Wire()
            wire.chunk = chunk
            client, _ = await connected(wire, lambda *said: heard.append(said))  # noqa: B023 - awaited in this round
            wire.say(raw)
            wire.hang_up()
            await client.listen()
            self.assertEqual(heard, expected)

    async def test_what_is_malformed_ends_the_connection_with_its_reason(self):
        cases = (
            (b"\x30\xff\xff\xff\xff\x01", mqtt.MALFORMED),  # a length of five bytes
            (b"\x30\xff\xff\xff\x7f", mqtt.TOO_LARGE),
            (b"\x30\x05\x00\x09abc", mqtt.MALFORMED),  # the topic is longer than the packet
            (b"\x30\x04\x00\x01\xff\x00", mqtt.MALFORMED),  # no UTF-8
            (b"\x30\x03\x00\x00\x00", mqtt.ALIAS),  # no topic
            (b"\x30\x07\x00\x01t\x03\x23\x00\x01", mqtt.ALIAS),
            (b"\x30\x05\x00\x01t\x01\x77", mqtt.MALFORMED),  # a property that there is not
            (b"\x30\x06\x00\x01t\x09\x02\x00", mqtt.MALFORMED),  # properties beyond the end
            (b"\x30\x06\x00\x01t\x02\x02\x00", mqtt.MALFORMED),  # a property beyond the properties
            (b"\x30\x0e\x00\x01t\x0a\x02\x00\x00\x00\x01\x02\x00\x00\x00\x02", mqtt.PROTOCOL),  # twice
            (b"\x32\x06\x00\x01t\x00\x00\x00", mqtt.PROTOCOL),  # number 0
            (b"\x34\x06\x00\x01t\x00\x01\x00", mqtt.PROTOCOL),  # QoS 2
            (b"\x36\x06\x00\x01t\x00\x01\x00", mqtt.MALFORMED),  # QoS 3
            (b"\x40\x01\x00", mqtt.MALFORMED),
            (b"\x10\x00", mqtt.PROTOCOL),
            (b"\x20\x03\x00\x00\x00", mqtt.PROTOCOL),  # a second CONNACK
            (b"\xf0\x02\x18\x00", mqtt.PROTOCOL),
            (b"\xd0\x01\x00", mqtt.MALFORMED),
            (b"\x00\x00", mqtt.PROTOCOL),
        )
        for raw, reason in cases:
            heard = []
            with self.subTest(raw=raw):
                found = await ended_by(raw, lambda *said: heard.append(said))  # noqa: B023
                self.assertEqual(found, (reason, b"\xe0\x01" + bytes((reason,))))
                self.assertEqual(heard, [])

    async def test_no_packet_cut_anywhere_is_heard_and_no_byte_changed_breaks_the_reader(self):
        whole = message("kraj/b/l/command", b'{"id":"1"}', 7, b"\x02\x00\x00\x00\x3c")
        heard = []
        for cut in range(len(whole)):
            await ended_by(whole[:cut], lambda *said: heard.append(said))
        self.assertEqual(heard, [])
        for at in range(len(whole)):
            for bit in range(8):
                raw = whole[:at] + bytes((whole[at] ^ 1 << bit,)) + whole[at + 1 :]
                await ended_by(raw, lambda *said: None)

    async def test_a_goodbye_is_not_answered_and_its_reason_is_known(self):
        for raw, reason in ((b"\xe0\x00", 0), (b"\xe0\x01\x8b", 0x8B), (b"\xe0\x02\x8e\x00", mqtt.TAKEN_OVER)):
            ended, last = await ended_by(raw)
            self.assertEqual(ended, reason)
            self.assertEqual(last[0], 0x10)

    async def test_what_waits_for_an_answer_ends_with_the_connection(self):
        wire = Wire()
        client, _ = await connected(wire)
        wire.taken = None
        task = asyncio.create_task(client.listen())
        saying = asyncio.create_task(client.publish("t", b"x", wait=True))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        wire.hang_up()
        with self.assertRaises(mqtt.ClosedError):
            await saying
        await task


class Quiet(unittest.IsolatedAsyncioTestCase):
    async def test_it_pings_where_it_was_quiet_and_gives_up_where_nothing_answers(self):
        wire = Wire(answers=False)
        wire.say(wire.connack)
        client, clock = await connected(wire)
        clock.now += 41000
        await client.tend()
        self.assertEqual(len(wire.raw), 1)
        clock.now += 2000
        await client.tend()
        self.assertEqual(wire.raw[1:], [b"\xc0\x00"])
        clock.now += mqtt.ANSWER_MS - 1
        await client.tend()
        clock.now += 1
        with self.assertRaises(mqtt.ClosedError):
            await client.tend()

    async def test_any_packet_answers_a_ping(self):
        wire = Wire(answers=False)
        wire.say(wire.connack)
        client, clock = await connected(wire)
        task = asyncio.create_task(client.listen())
        clock.now += 43000
        await client.tend()
        wire.say(message("t", b"x"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.now += mqtt.ANSWER_MS
        await client.tend()
        task.cancel()

    async def test_a_broker_that_pings_back_but_takes_no_messages_is_left(self):
        wire = Wire()
        client, clock = await connected(wire)
        wire.taken = None
        task = asyncio.create_task(client.listen())
        await client.publish("t", b"x")
        clock.now += mqtt.STUCK_MS
        with self.assertRaises(mqtt.ClosedError):
            await client.tend()
        task.cancel()
