# An e-paper panel with an SSD1680: shows a frame, counts what it has shown, and tells whether the last one worked.

import asyncio

import framebuf
from machine import SPI, Pin

REFRESH_MS = 15000  # a full refresh takes 2 to 8 s, in the cold more
STEP_MS = 50
ROW_BYTES, HEIGHT = 16, 250  # 122 points wide, of which 15 letters fill 120
WINDOW = ((0x44, b"\x00\x0f"), (0x45, b"\x00\x00\xf9\x00"), (0x4E, b"\x00"), (0x4F, b"\x00\x00"))


class Panel:
    def __init__(self, wiring):
        self.spi = SPI(wiring.get("id", 2), baudrate=4000000, sck=Pin(wiring["sck"]), mosi=Pin(wiring["mosi"]))
        self.cs, self.dc, self.rst = (Pin(wiring[name], Pin.OUT, value=1) for name in ("cs", "dc", "rst"))
        self.busy = Pin(wiring["busy"], Pin.IN)
        self.every_s = 300  # how often there is to be new content; 0 is never
        self.ok, self.shown = None, 0

    # Lines of text in the letters of framebuf, which has ASCII alone.
    async def write(self, lines):
        return await self.show(bands(lines))

    # Whole frames alone: what is half drawn is worse than what is old. Gives whether it is shown.
    async def show(self, frame):
        self.rst.value(0)
        await asyncio.sleep_ms(10)
        self.rst.value(1)
        await asyncio.sleep_ms(10)
        done = await self.idle()
        if done:
            self.say(0x12)
            await asyncio.sleep_ms(10)
            for command, data in WINDOW:
                self.say(command, data)
            self.say(0x24, frame)
            self.say(0x22, b"\xf7")
            self.say(0x20)
            await asyncio.sleep_ms(STEP_MS)
            done = await self.idle()
        self.ok = int(done)
        if done:
            self.shown += 1
        return done

    # A panel that stays busy is broken.
    async def idle(self):
        for _ in range(REFRESH_MS // STEP_MS):
            if not self.busy.value():
                return True
            await asyncio.sleep_ms(STEP_MS)
        return False

    def say(self, command, data=()):
        self.cs.value(0)
        self.dc.value(0)
        self.spi.write(bytes((command,)))
        self.dc.value(1)
        for part in (data,) if isinstance(data, bytes) else data:
            self.spi.write(part)
        self.cs.value(1)


# A picture of some lines, in parts of eight rows: the whole of it would take 4 KB of memory.
def bands(lines):
    band = bytearray(ROW_BYTES * 8)
    frame = framebuf.FrameBuffer(band, ROW_BYTES * 8, 8, framebuf.MONO_HLSB)
    for at in range(0, HEIGHT, 8):
        frame.fill(1)
        if at // 8 < len(lines):
            frame.text(lines[at // 8], 0, 0, 0)
        yield bytes(band[: ROW_BYTES * min(8, HEIGHT - at)])


epaper = Panel
