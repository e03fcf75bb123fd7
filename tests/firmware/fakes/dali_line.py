"""A DALI bus with one D4i gear that answers frame by frame."""


# Pulses of an answer, the first one low; a last high one is the rest of the line.
def backward(byte, half_us=417):
    halves = [0, 1]
    for place in range(7, -1, -1):
        halves += [0, 1] if byte >> place & 1 else [1, 0]
    found, before = [0], 0
    for level in halves:
        if level != before:
            found.append(0)
            before = level
        found[-1] += half_us
    return found[:-1] if before else found


class Line:
    """``banks``: by number, by address a byte. ``mute`` takes the gear away."""

    def __init__(self, banks=None):
        self.banks, self.mute, self.sent = banks or {}, False, []
        self.level, self.dtr0, self.dtr1 = 254, 0, 0
        self.failure_level = self.power_on_level = None
        self.before = None

    async def send(self, frame):
        self.sent.append(frame)
        if self.mute:
            return
        high, low = frame >> 8, frame & 255
        if high == 0xA3:
            self.dtr0 = low
        elif high == 0xC3:
            self.dtr1 = low
        elif not high & 1:
            self.level = low if low != 255 else self.level
        elif frame == self.before and low == 0x2C:
            self.failure_level = self.dtr0
        elif frame == self.before and low == 0x2D:
            self.power_on_level = self.dtr0
        self.before = frame

    async def ask(self, frame):
        self.before = None
        if self.mute:
            return None
        low = frame & 255
        if low == 0xA0:
            return self.level
        if low == 0xC5:
            found = self.banks.get(self.dtr1, {}).get(self.dtr0)
            self.dtr0 = self.dtr0 + 1 & 255
            return found
        return None
