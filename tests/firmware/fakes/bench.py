"""A bench for kinds: a clock that is set by hand, a store, a ring that only listens, and a board with parts on it."""


class Clock:
    def __init__(self, utc_ms=1795212345000):
        self.now_ms, self.utc_from_ms = 1000, None if utc_ms is None else utc_ms - 1000

    def ticks_ms(self):
        return self.now_ms

    def utc_ms(self):
        return None if self.utc_from_ms is None else self.utc_from_ms + self.now_ms

    def set(self, utc_ms):
        self.utc_from_ms = None if utc_ms is None else utc_ms - self.now_ms

    async def sleep_ms(self, n):
        self.now_ms += n


class Store:
    """What a configuration keeps; ``full`` refuses, ``bad`` gives back something else."""

    def __init__(self):
        self.held, self.full, self.bad, self.writes = {}, False, False, 0

    def get(self, name):
        return b"?" if self.bad else self.held.get(name)

    def keep(self, name, content):
        if self.full:
            raise ValueError("too large")
        self.writes += 1
        self.held[name] = content


class Ring:
    def __init__(self):
        self.readings, self.asked = [], None

    def append(self, values, ts_ms, uptime_ms, channel=0, event=None):
        self.readings.append((uptime_ms, channel, event, dict(values)))
        return len(self.readings)

    def resend(self, from_seq, to_seq, from_ts, to_ts):
        self.asked = (from_seq, to_seq, from_ts, to_ts)
        return 7


class Pin:
    """A contact or a switch; what is written to it is counted."""

    def __init__(self, level=1):
        self.level, self.moves, self.edges, self.broken = level, 0, 0, False

    def value(self):
        if self.broken:
            raise OSError("broken wire")
        return self.level

    def set(self, level):
        self.level = level
        self.moves += 1

    def taken(self):
        edges, self.edges = self.edges, 0
        return edges


class Analogue:
    def __init__(self, mv=0):
        self.level_mv = mv

    def mv(self):
        if self.level_mv is None:
            raise OSError("no converter")
        return self.level_mv


class Leaning:
    """``kept_mg`` is a shock that its latch tells once."""

    def __init__(self, xyz_mg=(0, 0, 1000)):
        self.xyz_mg, self.kept_mg = xyz_mg, 0

    def read(self):
        kept_mg, self.kept_mg = self.kept_mg, 0
        x, y, z = self.xyz_mg
        return x, y, z, kept_mg


class Display:
    def __init__(self):
        self.every_s, self.shown, self.ok, self.written = None, 0, None, []

    async def write(self, lines):
        self.written.append(lines)


class Board:
    """``parts`` by the name that stands in the wiring under ``at``."""

    def __init__(self, clock, **parts):
        self.clock, self.parts, self.cause = clock, parts, "power_on"

    def part(self, wiring):
        return self.parts[wiring["at"]]

    def reset_cause(self):
        return self.cause

    def rssi(self):
        return -71


def wired(*names, **more):
    """Wirings of parts that are named like what they are; ``more`` adds to each by name."""
    found = {name: {"at": name} for name in names}
    for name, about in more.items():
        found.setdefault(name, {"at": name}).update(about)
    return found
