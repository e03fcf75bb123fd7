# The board's clock: a steady count of milliseconds, and the time of day once somebody has told it.
import asyncio
import socket
import struct
import time

from machine import RTC
from node import sntp

EPOCH_S = 946684800 if time.gmtime(0)[0] == 2000 else 0  # of this interpreter, in Unix seconds
# Before this firmware was written, and after its certificates can hold: no time of ours.
EARLIEST_MS, LATEST_MS = 1767225600000, 4102444800000
SERVERS = ("pool.ntp.org", "time.cloudflare.com")
TRY_MS, LOOK_MS = 3000, 50


def plausible(utc_ms):
    return EARLIEST_MS <= utc_ms < LATEST_MS


class Clock:
    def __init__(self):
        self.offset_ms = None  # by how much the clock was off when it was last told
        self._last = time.ticks_ms()
        self._count = 0
        self._utc_at_0 = None
        # A reset leaves the chip's own clock as it was, a loss of power does not.
        kept_ms = (time.time() + EPOCH_S) * 1000
        if plausible(kept_ms):
            self._utc_at_0 = kept_ms

    # Since the start; the interpreter's own count begins anew every 12 days.
    def ticks_ms(self):
        now = time.ticks_ms()
        self._count += time.ticks_diff(now, self._last)
        self._last = now
        return self._count

    def utc_ms(self):
        return None if self._utc_at_0 is None else self._utc_at_0 + self.ticks_ms()

    def set(self, utc_ms):
        if not plausible(utc_ms):
            raise ValueError("no time of ours")
        before = self.utc_ms()
        self.offset_ms = None if before is None else before - utc_ms
        self._utc_at_0 = utc_ms - self.ticks_ms()
        year, month, day, hour, minute, second, weekday, _ = time.gmtime(utc_ms // 1000 - EPOCH_S)
        RTC().datetime((year, month, day, weekday, hour, minute, second, utc_ms % 1000 * 1000))

    async def sleep_ms(self, n):
        await asyncio.sleep_ms(n)

    # Asks for the time and sets it: whether somebody answered.
    async def ask(self, servers=SERVERS):
        for name in servers:
            try:
                utc_ms = await self._ask(name)
            except OSError:
                continue
            if utc_ms is not None and plausible(utc_ms):
                self.set(utc_ms)
                return True
        return False

    # One question by SNTP (RFC 4330); the answer must repeat what we asked with, so that nobody else answers for it.
    async def _ask(self, name):
        address = socket.getaddrinfo(name, 123)[0][-1]
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            wire.setblocking(False)
            sent_ms = self.ticks_ms()
            nonce = struct.pack("!II", time.ticks_us() & 0x7FFFFFFF, sent_ms & 0x7FFFFFFF)
            wire.sendto(sntp.question(nonce), address)
            while self.ticks_ms() - sent_ms < TRY_MS:
                try:
                    answer = wire.recv(48)
                except OSError:
                    await asyncio.sleep_ms(LOOK_MS)
                    continue
                utc_ms = sntp.read(answer, nonce)
                if utc_ms is not None:
                    return utc_ms + (self.ticks_ms() - sent_ms) // 2
            return None
        finally:
            wire.close()
