"""What the inputs of lamps and stops ought to come to: one asset, reading after reading, in plain Python."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isnan, nan

Snapshot = Mapping[str, float]
UNKNOWN = nan


def of(snapshot: Snapshot, name: str) -> float:
    return snapshot.get(name, UNKNOWN)


def curve(known: Snapshot, level: float) -> float:
    """P_min + (P_nom - P_min) · f, with a tenth of bend."""
    rated, least_level = known["power_rated_w"], known.get("level_min_pct", 10.0)
    least = known.get("power_min_w", 0.16 * rated)
    x = max((level - least_level) / (100 - least_level), 0)
    return least + (rated - least) * x * (0.88 + 0.12 * x)


@dataclass
class LampTwin:
    """One lamp; ``known`` is its metadata. After ``read`` the fields hold what the inputs must say."""

    known: Snapshot
    seen: dict[str, float] = field(default_factory=dict[str, float])
    switched_ms: int | None = None
    kindled_ms: int | None = None
    level_before: float = UNKNOWN
    power_before: float = UNKNOWN
    power_last: float = UNKNOWN
    gone: bool = False
    last_ms: int | None = None
    unexpected: float = 1.0
    unexpected_ms: int | None = None
    went_out_ms: int | None = None
    window: int | None = None
    volts: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    mean_v: float = UNKNOWN
    shock_ms: int | None = None
    hot_ms: int | None = None
    low: float = 0.0
    full: float = 0.0
    anchor: float = 0.0
    hours: int = 0
    astray: bool = False
    rated: float = 0.0
    replaced: bool = False
    learnt_hour: int = 0
    beat_s: float = UNKNOWN
    tilt: float = UNKNOWN

    def read(self, ts_ms: int, now: Snapshot) -> None:
        gap = UNKNOWN if self.last_ms is None else (ts_ms - self.last_ms) / 1000
        returned = self._supply(of(now, "voltage_v"))
        due_s = 300.0 if of(now, "level_commanded_pct") > 0 else 3600.0
        missing = gap > 1.5 * (due_s if isnan(self.beat_s) else self.beat_s)
        self.beat_s = due_s
        self._switch(ts_ms, gap, now, returned=returned, missing=missing)
        self._voltage(ts_ms, gap, of(now, "voltage_v"))
        self._learn(ts_ms, now)
        tilt = of(now, "tilt_deg")
        if of(now, "shock_g") > 2 or (tilt - self.tilt > 5 and of(now, "uptime_s") < gap):
            self.shock_ms = ts_ms
        if not isnan(tilt) and not abs(tilt - self.tilt) <= 1:
            self.tilt = tilt
        flags = 0 if isnan(of(now, "failure_flags")) else int(now["failure_flags"])
        if of(now, "gear_temp_degc") > 80 or flags & (1 << 4 | 1 << 5 | 1 << 9 | 1 << 10):
            self.hot_ms = ts_ms
        if of(now, "power_w") < 3 <= self.power_last and of(now, "level_commanded_pct") > 0:
            self.went_out_ms = ts_ms
        self.power_last = of(now, "power_w")
        self.last_ms = ts_ms

    def restarting(self, ts_ms: int) -> bool:
        started = self.unexpected_ms is not None and ts_ms - self.unexpected_ms < 24 * 3_600_000
        return started and self.went_out_ms is not None and ts_ms - self.went_out_ms < 3_600_000

    def settled_or_dark(self, ts_ms: int, now: Snapshot) -> float:
        since = self.since_s(ts_ms, now)
        if isnan(since) or since >= 599.4:
            return UNKNOWN if isnan(since) else 1.0
        levels = (of(now, "level_commanded_pct"), self.level_before)
        warm = self.kindled_ms is not None and ts_ms - self.kindled_ms >= 599_400 and not of(now, "uptime_s") < 599.4
        return float(warm and all(of(now, "power_w") < max(0.2 * self.expected(level), 3) for level in levels))

    def since_s(self, ts_ms: int, now: Snapshot) -> float:
        since = UNKNOWN if self.switched_ms is None else (ts_ms - self.switched_ms) / 1000
        known = [s for s in (since, of(now, "uptime_s")) if not isnan(s)]
        return min(known, default=UNKNOWN)

    def expected(self, level: float) -> float:
        if isnan(level):
            return UNKNOWN
        if level <= 0:
            return self.known.get("power_standby_w", 0.5)
        x = max((level - 10) / 90, 0)
        return curve(self.known, level) * (1 + self.low + (self.full - self.low) * x)

    def judged(self, now: Snapshot) -> dict[str, float]:
        """What is said of a reading just read."""
        level, power = of(now, "level_commanded_pct"), of(now, "power_w")
        expected, full = self.expected(level), self.known["power_rated_w"] * (1 + self.full)
        off = 100 * abs(power - expected) / full
        told = [abs(of(now, f"level_{what}_pct") - level) for what in ("effective", "measured")]
        level_off = max((points for points in told if not isnan(points)), default=0.0)
        step = 100 * (expected - self.expected(self.level_before)) / full
        stepped = self.level_before > 0 and abs(step) > 10
        still = stepped and abs(power - self.power_before) <= max(2, 0.05 * power)
        at_full, silent = abs(power - full) <= 0.05 * full, all(isnan(points) for points in told)
        went = stepped and 100 * (power - self.power_before) / full / step >= 0.5
        return {
            "burning": float(level >= 10 and power >= max(3, 0.2 * expected)),
            "level_off_points": level_off,
            "power_off_points": off,
            "power_stuck_points": off if off > 10 and (still or (at_full and silent)) else 0.0,
            "follows_dimming": float(level > 0 and went and off <= 10 and level_off <= 10),
            "power_factor_min": (0.9 if self.known["power_rated_w"] > 25 else 0.7) - 0.4 * ((100 - level) / 90) ** 2,
        }

    def _supply(self, volts: float) -> bool:
        if isnan(volts):
            return False
        was, self.gone = self.gone, volts < 50
        return was and not self.gone

    def _switch(self, ts_ms: int, gap: float, now: Snapshot, *, returned: bool, missing: bool) -> None:
        names = ("level_commanded_pct", "level_effective_pct", "lamp_starts", "supply_losses")
        before = {name: self.seen.get(name, UNKNOWN) for name in names}
        level, effective, starts, losses = (of(now, name) for name in names)
        was_level, was_effective, was_starts, was_losses = before.values()
        burns = of(now, "power_w") >= max(3, 0.1 * self.known["power_rated_w"])
        new_level = not isnan(level) and (isnan(was_level) or abs(level - was_level) > 0.5)
        if new_level or abs(effective - was_effective) > 2 or (starts > was_starts and (burns or missing)):
            self.switched_ms = ts_ms
        if returned or losses > was_losses:
            self.switched_ms = ts_ms
        started = starts > was_starts and (burns or missing)
        if returned or losses > was_losses or started or (new_level and not (was_level > 0 and level > 0)):
            self.kindled_ms = ts_ms
        if new_level:
            self.level_before, self.power_before = was_level, self.power_last
        if self._starts(gap, now, was_level, starts - was_starts, losses - was_losses):
            self.unexpected_ms = ts_ms
        for name in names:
            if not isnan(of(now, name)):
                self.seen[name] = now[name]

    def _starts(self, gap: float, now: Snapshot, was_level: float, more: float, lost: float) -> bool:
        level = of(now, "level_commanded_pct")
        if more < -1:
            self.replaced = True
        lost = lost if lost > 0 else 0
        restarted = lost == 0 and of(now, "uptime_s") < gap
        surplus = more - lost - restarted - (was_level == 0 and level > 0)
        lit = was_level >= 0 and (level > 0 or was_level > 0)
        believed = gap <= 6 * 3600 and more <= 0.1 * gap
        if lit and believed and of(now, "voltage_v") >= 180 and surplus > 0:
            self.unexpected += surplus
            return True
        return False

    def _voltage(self, ts_ms: int, gap: float, volts: float) -> None:
        window = ts_ms // 600_000
        if window != self.window:
            weight = sum(w for _, w in self.volts)
            fresh = not gap > 3 * 3600
            self.mean_v = sum(v * w for v, w in self.volts) / weight if weight and fresh else UNKNOWN
            self.window, self.volts = window, []
        if volts >= 50:
            self.volts.append((volts, 1.0 if isnan(gap) else min(max(gap, 1.0), 600.0)))

    def _learn(self, ts_ms: int, now: Snapshot) -> None:
        level, power, hour = of(now, "level_commanded_pct"), of(now, "power_w"), ts_ms // 3_600_000
        warm = self.since_s(ts_ms, now) >= 599.4 and of(now, "voltage_v") >= 180 and power >= 3
        if hour == self.learnt_hour or not level > 0 or not warm:
            return
        self.learnt_hour = hour
        if self.rated not in (0, self.known["power_rated_w"]):
            self.low = self.full = self.anchor = 0.0
            self.hours, self.astray = 0, False
        self.rated = self.known["power_rated_w"]
        seen = power / curve(self.known, level) - 1
        x = max((level - 10) / 90, 0)
        astray = self._astray(power, level, was=self.astray)
        if astray and self.hours < 200 and abs(seen) < 0.08:
            self.hours = 0
        if self.replaced:
            self.low = self.full = self.anchor = min(max(seen + 1, 0.15), 1.5) - 1
            self.hours, self.replaced = 1, False
            astray = False
        elif (self.hours < 10 or not astray) and abs(seen - self.anchor) <= 0.25 * (1 + self.anchor):
            share = 1 / (self.hours + 1) if self.hours < 10 else 1 / 70
            step = share * (seen - self.low - (self.full - self.low) * x) / ((1 - x) ** 2 + x**2)
            ends = (seen, seen) if self.hours == 0 else (self.low + step * (1 - x), self.full + step * x)
            span = 0.25 * (1 + self.anchor)
            self.low, self.full = (min(max(end, self.anchor - span), self.anchor + span) for end in ends)
            self.hours += 1
        self.astray = self._astray(power, level, was=astray)

    def _astray(self, power: float, level: float, *, was: bool) -> bool:
        usual = self.expected(level)
        off = abs(power - usual)
        return off > max(5, 0.15 * usual) or (was and not off < 0.08 * usual)


@dataclass
class StopTwin:
    """One stop."""

    known: Snapshot
    last_ms: int | None = None
    load: float = 0.0
    watched_s: float = 0.0
    intervals: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    faults: dict[int, float] = field(default_factory=dict[int, float])
    overcurrents: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    pressed: bool = False
    answer: float = -1.0
    waits_ms: int | None = None
    autonomies: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    def read(self, ts_ms: int, now: Snapshot) -> None:
        gap = 1.0 if self.last_ms is None else min((ts_ms - self.last_ms) / 1000, 86_400.0)
        load = of(now, "load_power_w")
        if not isnan(load):
            self.watched_s = min(self.watched_s + gap, 86_400.0)
            self.load += gap / self.watched_s * (load - self.load)
        interval = self.known.get("display_interval_s", 300.0)
        interval = max(interval, 3600.0) if of(now, "shedding") >= 3 else interval
        if not self.intervals or self.intervals[-1][1] != interval:
            self.intervals.append((ts_ms, interval))
        for port in (1, 2, 3, 4):
            count = of(now, f"usb{port}_faults")
            if not isnan(count):
                more = int(max(count - self.faults.get(port, count), 0))
                self.overcurrents.setdefault(port, []).extend([ts_ms] * more)
                self.faults[port] = count
        self._sos(ts_ms, now)
        self.last_ms = ts_ms

    def _sos(self, ts_ms: int, now: Snapshot) -> None:
        pressed, answer = of(now, "sos_pressed") == 1, of(now, "sos_answer_s")
        if pressed and not self.pressed:
            self.waits_ms = ts_ms
        elif not isnan(answer) and answer != self.answer:
            self.waits_ms = None
        self.pressed, self.answer = pressed, -1.0 if isnan(answer) else answer

    def autonomy_lowest(self, ts_ms: int) -> float:
        """Of this and the last four quarters of a day."""
        first = (ts_ms // 21_600_000 - 4) * 21_600_000
        return min((days for ts, days in self.autonomies if ts >= first and not isnan(days)), default=UNKNOWN)

    def display_age_max_s(self, ts_ms: int) -> float:
        since, interval = self.intervals[-1]
        before = self.intervals[-2][1] if len(self.intervals) > 1 else interval
        return 2 * (before if before > interval and ts_ms - since < 2000 * interval else interval)

    def overcurrents_1h(self, ts_ms: int) -> float:
        recent = (sum(ts_ms - t < 3_600_000 for t in times) for times in self.overcurrents.values())
        return min(max(recent), 3) if self.overcurrents else UNKNOWN

    def waiting_s(self, ts_ms: int) -> float:
        if self.waits_ms is None or ts_ms - self.waits_ms >= 6 * 3_600_000:
            return UNKNOWN
        return (ts_ms - self.waits_ms) / 1000

    def autonomy_days(self, now: Snapshot, weak_w: float) -> float:
        soc = of(now, "battery_soc_pct")
        if self.watched_s < 6 * 3600 or isnan(soc):
            return UNKNOWN
        health = 100.0 if isnan(of(now, "battery_soh_pct")) else now["battery_soh_pct"]
        capacity, least = self.known.get("battery_capacity_wh", 1200.0), self.known.get("battery_soc_min_pct", 15.0)
        left = max(soc - least, 0) / 100 * capacity * health / 100 * 0.95
        need = self.load - weak_w
        return left / need / 24 if need > 0 else inf
