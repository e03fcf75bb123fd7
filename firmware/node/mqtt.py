# MQTT 5 as far as a device speaks it: QoS 0 and 1 over a pair of asyncio streams, one write per packet.
# What is malformed ends the connection. Nothing is kept over connections: the ring and the link know what to say again.
import asyncio

PACKET_MAX = 16384  # what we take; a program has about 4 KB a channel, a block of an update 4 KB
WINDOW = 16  # of our own messages that wait for the broker's PUBACK
INBOX = 8  # messages that the broker may leave with us unacknowledged
CHUNK = 1024
ANSWER_MS = 20000
STUCK_MS = 60000
NOBODY_ASKS = b""
# What a connection may end with, beside ClosedError; MicroPython's TimeoutError is asyncio's alone.
LOST = (OSError, EOFError, ValueError, asyncio.TimeoutError)
REFUSED = 0x80  # reason codes from here on are refusals

MALFORMED, PROTOCOL, BUSY, TAKEN_OVER, TOO_LARGE, ALIAS = 0x81, 0x82, 0x89, 0x8E, 0x95, 0x94
EXPIRY, SESSION, KEEPALIVE, WILL_DELAY, RECEIVE_MAX, PACKET_SIZE, ALIAS_USED = 0x02, 0x11, 0x13, 0x18, 0x21, 0x27, 0x23
QOS_MAX = 0x24
# Properties by the size of what they carry; -1: a number of variable length, -2: a text or bytes, -3: two texts.
SIZES = {1: 1, 2: 4, 3: -2, 8: -2, 9: -2, 11: -1, 17: 4, 18: -2, 19: 2, 21: -2, 22: -2, 23: 1, 24: 4, 25: 1, 26: -2}
SIZES.update({28: -2, 31: -2, 33: 2, 34: 2, 35: 2, 36: 1, 37: 1, 38: -3, 39: 4, 40: 1, 41: 1, 42: 1})


# The connection has ended or must end; `reason` is MQTT's, or 0 where nobody gave one.
class ClosedError(OSError):
    def __init__(self, reason, said):
        super().__init__(said)
        self.reason = reason


def malformed(said):
    return ClosedError(MALFORMED, "malformed: " + said)


def varint(number):
    out = bytearray()
    while True:
        number, digit = number >> 7, number & 127
        out.append(digit | 128 if number else digit)
        if not number:
            return bytes(out)


def text(said):
    raw = said if isinstance(said, bytes) else said.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(head, body):
    return bytes((head,)) + varint(len(body)) + body


def number_property(key, value):
    return bytes((key,)) + value.to_bytes(SIZES[key], "big")


# Reads a packet's body from front to back; whatever lies beyond its end is malformed.
class Body:
    def __init__(self, raw):
        self.raw = memoryview(raw)
        self.at = 0

    def take(self, count):
        end = self.at + count
        if end > len(self.raw):
            raise malformed("cut short")
        found = bytes(self.raw[self.at : end])
        self.at = end
        return found

    def number(self, count):
        return int.from_bytes(self.take(count), "big")

    def varint(self):
        found = shift = 0
        while True:
            digit = self.number(1)
            found |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return found
            if shift > 21:
                raise malformed("a length of five bytes")

    def rest(self):
        return self.take(len(self.raw) - self.at)

    # The properties that are numbers; texts are skipped.
    def properties(self):
        end = self.varint() + self.at
        if end > len(self.raw):
            raise malformed("properties cut short")
        found = {}
        while self.at < end:
            key = self.number(1)
            size = SIZES.get(key)
            if size is None:
                raise malformed(f"property {key}")
            if size == -1:
                found[key] = self.varint()
            elif size < 0:
                for _ in range(-1 - size):
                    self.take(self.number(2))
            else:
                if key in found:
                    raise ClosedError(PROTOCOL, f"property {key} twice")
                found[key] = self.number(size)
        if self.at != end:
            raise malformed("properties end within one")
        return found


# One connection. `heard(topic, payload, packet_id, expiry_s)` is called for each message; with a packet_id other than
# 0 it comes again, in another connection, until `acknowledge` is given that number.
class Client:
    def __init__(self, reader, writer, clock, heard):
        self.ended = None
        self.resumed = False
        self.refused = 0
        self.keepalive_s = 60
        self._reader = reader
        self._writer = writer
        self._open = True
        self._clock = clock
        self._heard = heard
        self._rest = b""
        self._rest_at = 0
        self._next_id = 0
        self._window = WINDOW
        self._packet_max = 268435455
        self._waiting = {}  # packet id -> None until it is answered, then the reasons; or NOBODY_ASKS
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._sent_ms = self._received_ms = self._answered_ms = clock.ticks_ms()
        self._pinged_ms = None

    # Raises ClosedError with the broker's reason where it refuses. `will` is (topic, payload, delay_s).
    async def connect(self, name, will, expiry_s, *, keepalive_s=60, password=None):
        self.keepalive_s = keepalive_s
        topic, said, delay_s = will
        flags = 0x04 | 0x08 | 0x20 | (0 if password is None else 0xC0)
        properties = number_property(SESSION, expiry_s) + number_property(RECEIVE_MAX, INBOX)
        properties += number_property(PACKET_SIZE, PACKET_MAX)
        delay = number_property(WILL_DELAY, delay_s)
        body = b"\x00\x04MQTT\x05" + bytes((flags,)) + keepalive_s.to_bytes(2, "big") + varint(len(properties))
        body += properties + text(name) + varint(len(delay)) + delay + text(topic) + text(said)
        if password is not None:
            body += text(name) + text(password)
        try:
            await self._send(packet(0x10, body))
            self._taken_in(*await self._read())
        except ClosedError as error:
            self.ended = error
            raise

    def _taken_in(self, head, raw):
        if head != 0x20:
            raise ClosedError(PROTOCOL, f"no CONNACK but {head}")
        answer = Body(raw)
        self.resumed = answer.number(1) == 1
        reason = answer.number(1)
        found = answer.properties()
        if reason:
            raise GoneError(reason, f"refused with reason {reason}")
        if found.get(QOS_MAX, 1) < 1:
            raise ClosedError(0, "the broker has no QoS 1")
        self.keepalive_s = found.get(KEEPALIVE, self.keepalive_s)
        self._window = max(1, min(WINDOW, found.get(RECEIVE_MAX, WINDOW)))
        self._packet_max = found.get(PACKET_SIZE, self._packet_max)

    # Read until the end, whose cause is in `ended` then.
    async def listen(self):
        try:
            while True:
                head, raw = await self._read()
                self._take(head, raw)
        except ClosedError as error:
            self.ended = error
        except LOST as error:
            self.ended = ClosedError(0, str(error) or type(error).__name__)
        finally:
            if self.ended is None:
                self.ended = ClosedError(0, "no longer listened to")
            self._tell()

    # Waits for a place in the window, and with `wait` for the broker's answer: whether it took the message.
    async def publish(self, topic, payload, *, retain=False, expiry_s=0, wait=False):
        while len(self._waiting) >= self._window:
            await self._change()
        number = self._number()
        properties = number_property(EXPIRY, expiry_s) if expiry_s else b""
        body = text(topic) + number.to_bytes(2, "big") + varint(len(properties)) + properties + payload
        if len(body) + 5 > self._packet_max:
            self.refused += 1
            return False
        self._expect(number, None if wait else NOBODY_ASKS)
        await self._send(packet(0x33 if retain else 0x32, body))
        return not wait or (await self._answer(number))[0] < REFUSED

    # Raises ClosedError when the broker refuses one of the filters: [(filter, qos)].
    async def subscribe(self, filters):
        body = b"".join(text(topic) + bytes((qos,)) for topic, qos in filters)
        for reason in await self._ask(0x82, body, len(filters)):
            if reason >= REFUSED:
                raise ClosedError(reason, f"a subscription was refused with reason {reason}")

    async def unsubscribe(self, filters):
        await self._ask(0xA2, b"".join(text(topic) for topic in filters), len(filters))

    async def acknowledge(self, number):
        await self._send(b"\x40\x02" + number.to_bytes(2, "big"))

    # A ping where it was quiet; raises ClosedError when the broker has not answered one, or no message for long.
    # To be called every quarter of the keepalive or so; it does not wait for a wire that takes nothing.
    async def tend(self):
        now = self._clock.ticks_ms()
        if self._pinged_ms is not None:
            if now - self._pinged_ms >= ANSWER_MS:
                raise ClosedError(0, "the broker does not answer")
        elif now - min(self._sent_ms, self._received_ms) >= self.keepalive_s * 700:
            self._pinged_ms = now
            if not self._writing.locked():
                await asyncio.wait_for(self._send(b"\xc0\x00"), 5)
        if self._waiting and now - self._answered_ms >= STUCK_MS:
            raise ClosedError(0, "the broker takes no messages")

    # Say goodbye with a reason (0x04: and publish the will all the same) and let go of the streams.
    async def close(self, reason=0):
        ended, self.ended = self.ended, None
        if ended is None or (ended.reason and not isinstance(ended, GoneError)):
            try:
                said = bytes((ended.reason if ended else reason,))
                await asyncio.wait_for(self._send(b"\xe0\x01" + said), 2)
            except LOST:
                self.ended = ended
        self.ended = ended or ClosedError(0, "closed")
        self._tell()
        if self._open:
            self._open = False
            await let_go(self._writer)

    def _number(self):
        while True:
            self._next_id = self._next_id % 65535 + 1
            if self._next_id not in self._waiting:
                return self._next_id

    def _expect(self, number, what):
        if not self._waiting:
            self._answered_ms = self._clock.ticks_ms()
        self._waiting[number] = what

    def _tell(self):
        self._news.set()
        self._news.clear()

    async def _change(self):
        if self.ended is None:
            await self._news.wait()
        if self.ended is not None:
            raise self.ended

    async def _answer(self, number):
        try:
            while self._waiting[number] is None:
                await self._change()
            return self._waiting[number]
        finally:
            self._waiting.pop(number, None)
            self._tell()

    async def _ask(self, head, body, count):
        number = self._number()
        self._expect(number, None)
        await self._send(packet(head, number.to_bytes(2, "big") + b"\x00" + body))
        reasons = await self._answer(number)
        if len(reasons) != count:
            raise ClosedError(PROTOCOL, f"{len(reasons)} answers to {count} filters")
        return reasons

    # Whole packets one after another: two drains at a time would mix them. One that was cut off ends the connection.
    async def _send(self, raw):
        async with self._writing:
            if self.ended is not None:
                raise self.ended
            done = False
            try:
                self._writer.write(raw)
                await self._writer.drain()
                done = True
            finally:
                if not done and self.ended is None:
                    self.ended = ClosedError(0, "a packet was cut off")
                    self._tell()
            self._sent_ms = self._clock.ticks_ms()

    # At least one byte more, or ClosedError.
    async def _more(self, most):
        found = await self._reader.read(most)
        if not found:
            raise ClosedError(0, "the broker hung up")
        return found

    async def _byte(self):
        if self._rest_at >= len(self._rest):
            self._rest, self._rest_at = b"", 0  # it is not in memory while there is nothing to read
            self._rest = await self._more(CHUNK)
        self._rest_at += 1
        return self._rest[self._rest_at - 1]

    async def _read(self):
        head = await self._byte()
        length = shift = 0
        while True:
            digit = await self._byte()
            length |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                break
            if shift > 21:
                raise malformed("a length of five bytes")
        if length > PACKET_MAX:
            raise ClosedError(TOO_LARGE, f"a packet of {length} bytes")
        raw = bytearray(length)
        at = min(length, len(self._rest) - self._rest_at)
        raw[:at] = self._rest[self._rest_at : self._rest_at + at]
        self._rest_at += at
        while at < length:
            found = await self._more(min(CHUNK, length - at))
            raw[at : at + len(found)] = found
            at += len(found)
        self._received_ms = self._clock.ticks_ms()
        self._pinged_ms = None
        return head, raw

    def _take(self, head, raw):
        kind, body = head >> 4, Body(raw)
        if kind == 3:
            self._message(head, body)
        elif head == 0x40:
            number = body.number(2)
            reason = body.number(1) if len(raw) > 2 else 0
            self._settle(number, bytes((reason,)))
            self.refused += reason >= REFUSED
        elif head in (0x90, 0xB0):
            number = body.number(2)
            body.properties()
            self._settle(number, body.rest())
        elif head == 0xD0:
            if raw:
                raise malformed("a PINGRESP with a body")
        elif head == 0xE0:
            reason = body.number(1) if raw else 0
            raise GoneError(reason, f"the broker said goodbye with reason {reason}")
        else:
            raise ClosedError(PROTOCOL, f"a packet that begins with {head}")

    def _message(self, head, body):
        qos = head >> 1 & 3
        if qos > 1:
            raise ClosedError(MALFORMED if qos == 3 else PROTOCOL, f"QoS {qos}")
        try:
            topic = body.take(body.number(2)).decode()
        except ValueError:
            raise malformed("a topic that is no UTF-8") from None
        number = body.number(2) if qos else 0
        if qos and not number:
            raise ClosedError(PROTOCOL, "a message with number 0")
        found = body.properties()
        if ALIAS_USED in found or not topic:
            raise ClosedError(ALIAS, "a topic alias")
        self._heard(topic, body.rest(), number, found.get(EXPIRY))

    def _settle(self, number, reasons):
        if number in self._waiting:
            self._answered_ms = self._clock.ticks_ms()
            if self._waiting[number] is NOBODY_ASKS:
                del self._waiting[number]
            else:
                self._waiting[number] = reasons
            self._tell()


# The broker has ended the session itself: there is nobody to say goodbye to.
class GoneError(ClosedError):
    pass


async def let_go(writer):
    try:
        writer.close()
        await asyncio.wait_for(writer.wait_closed(), 2)
    except LOST:
        return
