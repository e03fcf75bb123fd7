# What all kinds share: their parts, the health of the device, a photocell that is not trusted blindly.
#
# `config["parts"]` names each part's wiring; a part that is not there, or does not answer, leaves its metrics unknown.
# `board.part(wiring)` gives the driver of one: the buses, pins and outputs of firmware/board/drivers.

import math  # a float: an angle, of which tenths of a degree are kept

from node import constants
from node.scale import Snapshot
from node.supervisor import say

RETRY_MS = 60000  # a part that could not be opened is tried again after so long
DARK_MLX, BRIGHT_MLX = 20000, 40000
STEADY_MS = 60000  # dusk is longer than a cloud or a headlight
STUCK_MS = 64800000  # no day has 18 hours: a photocell that saw light for so long is broken


class Kind:
    NAME = ""
    COMMANDED = ()
    UNEXPECTED = ()
    every_ms = 10000
    channels = (0,)
    changed = False  # since the last reading: a level, a contactor, what is shed

    def __init__(self, board, config, orders):
        self.board, self.clock, self.config, self.orders = board, board.clock, config, orders
        self.table = constants.kind(self.NAME)
        self.places = {name: place for place, name in enumerate(self.table.NAMES)}
        self.wirings = config.get("parts") or {}
        self.opened, self.failed_ms = {}, {}
        self.silent = {}  # parts that did not answer when they were last asked, and whether that was told
        self.missed = 0  # how often a part did not answer
        self.told = []  # events: (channel, word)

    # What a part's wiring opens, made by `make(driver, wiring)`; None where there is none. It is opened when it is
    # needed, once.
    def part(self, name, make=None):
        if name in self.opened:
            return self.opened[name]
        wiring, now_ms = self.wirings.get(name), self.clock.ticks_ms()
        if wiring is None or now_ms - self.failed_ms.get(name, -RETRY_MS) < RETRY_MS:
            return None
        try:
            found = self.board.part(wiring)
            if make is not None:
                found = make(found, wiring)
        except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
            self.missed += 1
            if name not in self.failed_ms:
                say("part " + name, error)
            self.failed_ms[name] = now_ms
            return None
        self.opened[name] = found
        self.failed_ms.pop(name, None)
        return found

    # It did not answer. That is told when it is so twice: a chip that only begins, or one lost frame, is no news.
    def unanswered(self, name, error):
        self.missed += 1
        told = self.silent.get(name)
        if told is False:
            say("part " + name, error)
        self.silent[name] = told is not None

    # The parts that cannot be opened, or do not answer.
    def failed(self):
        return sorted(list(self.failed_ms) + [name for name, told in self.silent.items() if told])

    # What `of(part)` gives, None where the part is absent or does not answer.
    def ask(self, name, of, make=None):
        part = self.part(name, make)
        if part is None:
            return None
        try:
            found = of(part)
        except OSError as error:
            return self.unanswered(name, error)
        self.silent.pop(name, None)
        return found

    # The same for parts that have to be awaited.
    async def wait(self, name, of, make=None):
        part = self.part(name, make)
        if part is None:
            return None
        try:
            found = await of(part)
        except OSError as error:
            return self.unanswered(name, error)
        self.silent.pop(name, None)
        return found

    # Whether a contact is closed, None where there is none; `closed` is the wiring's level of a closed one (0).
    def contact(self, name):
        level = self.ask(name, value_of)
        return None if level is None else int(level == self.wirings[name].get("closed", 0))

    # What a sensor with a voltage says, in thousandths, never below 0: `zero_mv`, then `per_v` of the metric's unit.
    def analogue(self, name):
        mv, wiring = self.ask(name, millivolts), self.wirings.get(name) or {}
        return None if mv is None else max(0, mv - wiring.get("zero_mv", 0)) * wiring.get("per_v", 1)

    def snapshot(self):
        found = Snapshot(self.table, self.places)
        board = self.board
        found.put("uptime_s", self.clock.ticks_ms() // 1000)
        words = self.table.STATES["reset_cause"]
        cause = board.reset_cause()
        found.put("reset_cause", words.index(cause if cause in words else "unknown"))
        for name, ask, decimals in (("rssi_dbm", "rssi", 0), ("clock_offset_s", "clock_offset_ms", 3)):
            tell = getattr(board, ask, None)
            if tell is not None:
                found.put(name, tell(), decimals)
        return found

    def tell(self, word, channel=0):
        self.told.append((channel, word))

    def events(self):
        told, self.told = self.told, []
        return told

    def active(self, channel):
        return True

    def sent(self, channel):
        pass

    async def apply(self):
        pass

    # How long outputs and contacts may be left alone.
    def pause_ms(self):
        return 1000


def value_of(pin):
    return pin.value()


def millivolts(adc):
    return adc.mv()


# Whether it is dark: with hysteresis, steady for a minute, and None once it cannot be right.
class Dusk:
    def __init__(self, clock):
        self.clock, self.dark, self.since_ms = clock, None, 0
        self.wanted, self.wanted_ms = None, 0

    # `mlx` are thousandths of a lux.
    def look(self, mlx):
        now_ms = self.clock.ticks_ms()
        if mlx is None:
            self.dark = self.wanted = None
            return None
        wanted = True if mlx < DARK_MLX else False if mlx > BRIGHT_MLX else self.dark
        if wanted is None:
            wanted = True  # between both at the start: lit
        if wanted != self.wanted:
            self.wanted, self.wanted_ms = wanted, now_ms
        if self.dark is None or (wanted != self.dark and now_ms - self.wanted_ms >= STEADY_MS):
            if wanted != self.dark:
                self.since_ms = now_ms
            self.dark = wanted
        if not self.dark and now_ms - self.since_ms >= STUCK_MS:
            return None
        return self.dark


# An accelerometer: how far it leans from how it was mounted, and the hardest shock since it was last told.
class Lean:
    REST_MG = (850, 1150)

    def __init__(self, upright=None):
        self.upright, self.peak_mg, self.tilt = upright, 0, None

    # (x, y, z, the shock that the sensor has kept) in mg.
    def look(self, found_mg):
        if found_mg is None:
            self.tilt = None
            return
        x, y, z, kept_mg = found_mg
        size = int(math.sqrt(x * x + y * y + z * z))
        self.peak_mg = max(self.peak_mg, abs(size - 1000), kept_mg)
        if not self.REST_MG[0] <= size <= self.REST_MG[1]:
            return  # it is being shaken: where it leans shows afterwards
        if self.upright is None:
            self.upright = x, y, z
        a, b, c = self.upright
        cross = math.sqrt((y * c - z * b) ** 2 + (z * a - x * c) ** 2 + (x * b - y * a) ** 2)
        self.tilt = int(math.atan2(cross, x * a + y * b + z * c) * 573 + 0.5)  # a float: in tenths of a degree
