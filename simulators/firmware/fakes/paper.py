"""An e-paper panel with an SSD1680: what it shows stays, power or not; while it refreshes it is busy."""

import time

import _host
import parts

RESET, RAM, MODE, REFRESH, COLUMNS, ROWS = 0x12, 0x24, 0x22, 0x20, 0x44, 0x45
REFRESH_MS = 300
ROW_BYTES, HEIGHT = 16, 250
FONT = {}


class Panel:
    """Its pins; ``shown`` is the picture, a bit a point, 1 is white. The host is told of it as text."""

    def __init__(self, cs, dc, busy):
        self.cs, self.dc = cs, dc
        self.command, self.ram, self.window, self.mode = None, b"", {}, None
        self.shown, self.until_ms = None, None
        parts.inputs[busy] = self.busy
        parts.spi.append(self)

    def busy(self):
        """High while it refreshes; for ever where the host says ``display_fault``."""
        if parts.value("display_fault"):
            return True
        return self.until_ms is not None and time.ticks_diff(self.until_ms, time.ticks_ms()) > 0

    def write(self, data):
        """A command, or what belongs to the last."""
        if parts.state.get(self.cs) != 0 or self.busy():
            return
        if parts.state.get(self.dc):
            self.more(data)
            return
        for self.command in data:
            if self.command == RESET:
                self.ram, self.window, self.mode = b"", {}, None
            elif self.command == RAM:
                self.ram = b""
            elif self.command == REFRESH:
                self.refresh()

    def more(self, data):
        """Of the command before it."""
        if self.command == RAM:
            self.ram += bytes(data)
        elif self.command == MODE:
            self.mode = data[0]
        elif self.command in (COLUMNS, ROWS):
            self.window[self.command] = bytes(data)

    def refresh(self):
        """Shown is only a whole picture within the panel's own bounds."""
        self.until_ms = time.ticks_add(time.ticks_ms(), REFRESH_MS)
        bounds = {COLUMNS: bytes((0, ROW_BYTES - 1)), ROWS: bytes((0, 0, HEIGHT - 1, 0))}
        if self.mode == 0xF7 and self.window == bounds and len(self.ram) == ROW_BYTES * HEIGHT:
            self.shown = self.ram
            _host.told("display", self.text())

    def text(self):
        """What a person reads on it, line by line; a question mark for what is no letter."""
        if not FONT:
            learn()
        rows = []
        for top in range(0, HEIGHT - 7, 8):
            row = ""
            for left in range(ROW_BYTES):
                cell = bytes(self.shown[(top + y) * ROW_BYTES + left] for y in range(8))
                row += FONT.get(cell, "?")
            rows.append(row.rstrip())
        return "\n".join(rows).strip("\n")


def learn():
    """The letters of ``framebuf``, black on white."""
    import framebuf

    for code in range(32, 127):
        cell = bytearray(b"\xff" * 8)
        framebuf.FrameBuffer(cell, 8, 8, framebuf.MONO_HLSB).text(chr(code), 0, 0, 0)
        FONT.setdefault(bytes(cell), chr(code))
