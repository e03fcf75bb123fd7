"""In memory, for both interpreters: the streams between a device and a broker that does what the test says."""

import asyncio


# Time that passes by `run` alone; who sleeps wakes in order.
class Clock:
    def __init__(self, utc_ms=1795212345000):
        self.now = 1000
        self.ahead = None if utc_ms is None else utc_ms - self.now
        self.sleepers = []

    def ticks_ms(self):
        return self.now

    def utc_ms(self):
        return None if self.ahead is None else self.ahead + self.now

    def set(self, utc_ms):
        self.ahead = utc_ms - self.now

    async def sleep_ms(self, n):
        woken = asyncio.Event()
        self.sleepers.append((self.now + n, woken))
        await woken.wait()

    async def run(self, ms):
        end = self.now + ms
        await settle()
        while self.sleepers:
            first = min(self.sleepers, key=lambda one: one[0])
            if first[0] > end:
                break
            self.sleepers.remove(first)
            self.now = max(self.now, first[0])
            first[1].set()
            await settle(6)
        self.now = end


# Let everybody do what they can.
async def settle(rounds=40):
    for _ in range(rounds):
        await asyncio.sleep(0)


# Reader and writer of the device. `said` are its packets; `say` gives it bytes, `hang_up` ends. A broker `answers` by
# itself: CONNACK with `connack`, SUBACK with `granted`, PUBACK with `taken` (None: never).
class Wire:
    def __init__(self, answers=True, connack=b"\x20\x03\x00\x00\x00"):
        self.said = []
        self.raw = []
        self.answers, self.connack = answers, connack
        self.granted, self.taken = b"\x01", b""
        self.retained = {}  # topic: payload, for who subscribes to exactly that
        self.ended = False
        self.closed = False
        self.blocked = None  # an event: until it is set the wire takes nothing
        self.chunk = 100000
        self._in = b""
        self._news = asyncio.Event()

    def say(self, raw):
        self._in += raw
        self._news.set()

    def hang_up(self):
        self.ended = True
        self._news.set()

    async def read(self, n):
        while not self._in and not self.ended:
            self._news.clear()
            await self._news.wait()
        n = min(n, self.chunk)
        found, self._in = self._in[:n], self._in[n:]
        return found

    def write(self, raw):
        if self.closed:
            raise OSError("closed")
        self.raw.append(bytes(raw))
        self.said.append(raw[0])
        if self.answers:
            self._answer(bytes(raw))

    async def drain(self):
        if self.blocked is not None:
            await self.blocked.wait()

    def close(self):
        self.closed = True
        self.hang_up()

    async def wait_closed(self):
        await asyncio.sleep(0)

    def _answer(self, raw):
        at = 1
        while raw[at] & 128:
            at += 1
        body = raw[at + 1 :]
        if raw[0] == 0x10:
            self.say(self.connack)
        elif raw[0] in (0x82, 0xA2):
            count = 3 if len(body) > 60 else 1
            self.say(bytes((0x90 if raw[0] == 0x82 else 0xB0, 3 + count)) + body[:2] + b"\x00" + self.granted * count)
            for topic, payload in self.retained.items():
                if raw[0] == 0x82 and text(topic) in body:
                    self.say(message(topic, payload))
        elif raw[0] in (0x32, 0x33) and self.taken is not None:
            topic = body[0] * 256 + body[1]
            number = body[2 + topic : 4 + topic]
            self.say(bytes((0x40, 2 + len(self.taken))) + number + self.taken)
        elif raw[0] == 0xC0:
            self.say(b"\xd0\x00")

    # The payloads that were published on topics that end so.
    def published(self, ending):
        found = []
        for raw in self.raw:
            if raw[0] in (0x32, 0x33):
                at = 1
                while raw[at] & 128:
                    at += 1
                body = raw[at + 1 :]
                length = body[0] * 256 + body[1]
                if body[2 : 2 + length].decode().endswith(ending):
                    found.append(body[5 + length :])
        return found


def text(said):
    return len(said).to_bytes(2, "big") + said.encode()


def message(topic, payload, number=0, properties=b""):
    head = 0x32 if number else 0x30
    body = text(topic) + (number.to_bytes(2, "big") if number else b"")
    body += bytes((len(properties),)) + properties + payload
    length, out = len(body), bytes((head,))
    while True:
        length, digit = length >> 7, length & 127
        out += bytes((digit | 128 if length else digit,))
        if not length:
            return out + body
