# A Modbus RTU master that only reads: one question at a time over a `port` with write(data) and read() -> bytes.

INPUT, HOLDING = 4, 3
POLL_MS = 5
READ_MAX = 125


class ModbusError(OSError):
    pass


# The check of half a byte each: a table for whole ones has 256 entries.
HALVES = (
    0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
    0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
)  # fmt: skip


def crc16(data):
    crc = 0xFFFF
    table = HALVES
    for byte in data:
        crc = (crc >> 4) ^ table[(crc ^ byte) & 15]
        crc = (crc >> 4) ^ table[(crc ^ byte >> 4) & 15]
    return crc


# With its CRC behind it, low byte first.
def framed(body):
    crc = crc16(body)
    return bytes(body) + bytes((crc & 255, crc >> 8))


class Master:
    def __init__(self, port, clock, timeout_ms=300, tries=2):
        self.port, self.clock, self.timeout_ms, self.tries = port, clock, timeout_ms, tries
        self.silent, self.broken = 0, 0  # answers that did not come, and that came damaged

    # `count` registers from `address` on, as unsigned 16 bits; ModbusError where none come.
    async def read(self, unit, address, count, function=HOLDING):
        question = framed(bytes((unit, function, address >> 8, address & 255, count >> 8, count & 255)))
        for _ in range(self.tries):
            while self.port.read():  # what came too late belongs to an older question
                pass
            self.port.write(question)
            answer = await self.answer(unit, function, 3 + 2 * count)
            if answer is not None:
                return [answer[at] << 8 | answer[at + 1] for at in range(3, 3 + 2 * count, 2)]
        raise ModbusError("unit " + str(unit) + " does not answer")

    # The frame without its CRC, None where there is no whole one in time. A refusal is an answer: nobody asks again.
    async def answer(self, unit, function, size):
        began, got = self.clock.ticks_ms(), b""
        until = began + self.timeout_ms
        while self.clock.ticks_ms() <= until:
            more = self.port.read()
            if more:  # a long answer takes its time, but a line that chatters has no end
                until = min(self.clock.ticks_ms() + self.timeout_ms, began + 5 * self.timeout_ms)
                got += more
            # The line may ring before the answer begins.
            while got and got[0] != unit:
                got = got[1:]
            if len(got) >= 5 and got[1] == function | 0x80:
                if framed(got[:3]) == got[:5]:
                    raise ModbusError("refused by code " + str(got[2]))
                self.broken += 1
                return None
            if len(got) >= size + 2:
                if got[1] == function and got[2] == size - 3 and framed(got[:size]) == got[: size + 2]:
                    return got[:size]
                self.broken += 1
                return None
            await self.clock.sleep_ms(POLL_MS)
        if got:
            self.broken += 1
        else:
            self.silent += 1
        return None
