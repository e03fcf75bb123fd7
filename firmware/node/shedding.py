# A stop's battery: how full it is, counted in whole milliampere-seconds, and what is shed as it empties.

BELOW_PCT = (60, 45, 30, 15)  # no USB; no WiFi and little light; display hourly and no air; only SOS and modem
AGAIN_PCT = 10  # each comes back so much higher
NONE, USB_OFF, WIFI_OFF, DISPLAY_HOURLY, SOS_ONLY = 0, 1, 2, 3, 4
LIGHT_SHED_PCT = 30

# Four cells of LiFePO4 at rest: flat, so that it is a first guess and no more.
REST_MV = (11200, 12300, 12750, 12950, 13100, 13200, 13300, 13400, 13600)
REST_PCT = (0, 5, 10, 20, 40, 70, 90, 98, 100)
FULL_MV = 13800  # absorption and float lie above, and a battery that takes a fiftieth of its capacity there is full
FULL_PART = 50
GAP_MS = 60000  # a longer silence of the meters is not counted at the current before it


# The step in force: one more as charge falls below the next, one less 10 % above the last; unknown changes nothing.
# Tenths of a per cent.
def step(soc_permille, now):
    if soc_permille is None:
        return now
    down = sum(1 for pct in BELOW_PCT if soc_permille < pct * 10)
    up = sum(1 for pct in BELOW_PCT if soc_permille < (pct + AGAIN_PCT) * 10)
    return min(max(now, down), up)


def light_pct(level, shed):
    if shed >= SOS_ONLY:
        return 0
    return min(level, LIGHT_SHED_PCT) if shed >= WIFI_OFF else level


# What the voltage of a battery (of 4 or, at 24 V, 8 cells) suggests, in tenths of a per cent.
def guess_permille(mv):
    if mv > 18000:
        mv //= 2
    if mv <= REST_MV[0]:
        return 0
    for place in range(1, len(REST_MV)):
        if mv < REST_MV[place]:
            low, high = REST_PCT[place - 1] * 10, REST_PCT[place] * 10
            return low + (high - low) * (mv - REST_MV[place - 1]) // (REST_MV[place] - REST_MV[place - 1])
    return 1000


# Counts coulombs and begins anew at full. `charge_mas` is None until the first measured voltage or what was kept.
class Battery:
    def __init__(self, capacity_mah, charge_mas=None):
        self.full_mas = capacity_mah * 3600
        self.charge_mas = None if charge_mas is None else min(max(charge_mas, 0), self.full_mas)
        self.before_ms = None
        self.rest = 0  # milliampere-milliseconds that are no whole milliampere-second yet

    # `ma` into the battery is positive; what is None is unknown. `floating`: the charger says that it is full.
    def count(self, now_ms, mv, ma, floating=False):
        if self.charge_mas is None and mv is not None:
            self.charge_mas = self.full_mas // 1000 * guess_permille(mv)
        if ma is None or self.charge_mas is None:
            self.before_ms = None
            return
        if self.before_ms is not None and 0 <= now_ms - self.before_ms <= GAP_MS:
            # LiFePO4 gives back 97 % of what goes in.
            flown = ma * (now_ms - self.before_ms)
            flown = (flown * 97 // 100 if ma > 0 else flown) + self.rest
            self.charge_mas = min(max(self.charge_mas + flown // 1000, 0), self.full_mas)
            self.rest = flown % 1000
        self.before_ms = now_ms
        cells = 2 if mv is not None and mv > 18000 else 1
        high = mv is not None and mv >= FULL_MV * cells
        if floating or (high and 0 <= ma * FULL_PART * 3600 <= self.full_mas):
            self.charge_mas, self.rest = self.full_mas, 0

    def permille(self):
        return None if self.charge_mas is None else self.charge_mas * 1000 // self.full_mas


# One charging port: three over-currents in an hour latch it off until a person looks.
HOUR_MS, TRIPS = 3600000, 3
REST_MS = 60000  # so long a tripped port stays off
OFF, IDLE, CHARGING, OVERCURRENT, LATCHED = 0, 1, 2, 3, 4


class Port:
    def __init__(self, limit_ma=2800, faults=0, latched=False):
        self.limit_ma, self.faults, self.latched = limit_ma, faults, latched
        self.trips, self.again_ms, self.ma = [], None, None

    # Whether it is to have power; `tripped` is the switch's own fault line.
    def look(self, now_ms, ma, tripped, shed):
        if self.again_ms is not None and now_ms >= self.again_ms:
            self.again_ms = None
        over = tripped or (ma is not None and ma > self.limit_ma)
        if over and not self.latched and self.again_ms is None:
            self.faults += 1
            self.trips = [at for at in self.trips if now_ms - at < HOUR_MS] + [now_ms]
            self.again_ms = now_ms + REST_MS
            self.latched = len(self.trips) >= TRIPS
        return not shed and not self.latched and self.again_ms is None

    def state(self, ma, shed):
        if self.latched:
            return LATCHED
        if self.again_ms is not None:
            return OVERCURRENT
        if shed:
            return OFF
        return CHARGING if ma is not None and ma > 50 else IDLE
