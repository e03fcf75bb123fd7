"""NOR flash as it is: writes only clear bits, and the power can go within any byte. For both interpreters."""

SECTOR = 4096
ERASE_STEPS = 4
"""Moments within an erase at which the power can go: each leaves another mix of old and erased bits."""


class PowerCut(BaseException):
    """The power is gone: nothing works until ``Nor.power``."""


class Nor:
    """``left`` steps are done before the power goes (None: it stays): a byte is one step, an erase ``ERASE_STEPS``.

    ``stuck`` are worn cells: by offset the bits that can still be 1. Where ``strict``, a write that would have to set a
    bit is an ``AssertionError``.
    """

    def __init__(self, sectors, strict=False):
        self.sectors = sectors
        self.data = bytearray(b"\xff" * (sectors * SECTOR))
        self.left = None
        self.gone = False
        self.steps = 0
        self.strict = strict
        self.stuck = {}
        self.erased = [0] * sectors
        self.reads = 0

    def power(self, left=None):
        """The power is back, for so many steps."""
        self.left = left
        self.gone = False

    def read(self, offset, n):
        self._alive()
        assert 0 <= offset <= offset + n <= len(self.data), (offset, n)
        self.reads += 1
        return bytes(self.data[offset : offset + n])

    def write(self, offset, data):
        self._alive()
        assert 0 <= offset <= offset + len(data) <= len(self.data), (offset, len(data))
        if self.left is None and not self.strict:
            self.steps += len(data)
            old = int.from_bytes(self.data[offset : offset + len(data)], "big")
            self.data[offset : offset + len(data)] = (old & int.from_bytes(data, "big")).to_bytes(len(data), "big")
            return
        for place, byte in enumerate(data, offset):
            if self.strict:
                assert not byte & ~self.data[place], f"a bit would have to be set at {place}"
            if not self._step():
                # Some of the bits were cleared already.
                self.data[place] &= byte | (0xA5 ^ (place & 0xFF))
                self._cut()
            self.data[place] &= byte

    def erase(self, sector):
        self._alive()
        assert 0 <= sector < self.sectors, sector
        at = sector * SECTOR
        for step in range(ERASE_STEPS):
            if not self._step():
                # From none of the bits to nearly all of them are set by now, here and there.
                mask, noise = (0x00, 0x21, 0xB6, 0xFE)[step], sector + step
                for place in range(at, at + SECTOR):
                    noise = (noise * 1103515245 + 12345) & 0x3FFFFFFF
                    self.data[place] |= mask & (noise >> 16) & 0xFF
                self._cut()
        self.data[at : at + SECTOR] = b"\xff" * SECTOR
        self.erased[sector] += 1
        for place, bits in self.stuck.items():
            if at <= place < at + SECTOR:
                self.data[place] &= bits

    def wear(self, place, bits):
        """A cell of which only these bits can still be 1."""
        self.stuck[place] = bits
        self.data[place] &= bits

    def _alive(self):
        if self.gone:
            raise PowerCut

    def _step(self):
        self.steps += 1
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0

    def _cut(self):
        self.gone = True
        raise PowerCut
