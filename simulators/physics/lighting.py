"""How lamps behave, whether they report themselves or only show in their cabinet's meter: supply, light, watts, energy.

One day of many lamps is a timeline of switchings with what holds between them, and energies on the day's grid; power
at any moment follows from both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.physics.bank import Bank
from simulators.physics.frame import DAY_MS, GRID, GRID_MS, Effects, Floats, Ints, Mask, Rows
from simulators.physics.program import Nights, Program
from simulators.physics.supply import STUCK, Supply
from simulators.physics.timeline import Timeline
from simulators.physics.told import CABINET, FALLBACK, MANUAL, PROGRAM, Told
from simulators.physics.wander import trait

WARM_UP = (0.188, 0.551, 0.667, 0.797, 0.884, 0.928)
"""Of the power, minute by minute after a start: a real cabinet took 1.3, 3.8, 4.6, 5.5, 6.1, 6.4 of 6.9 kW."""
WARM_UP_TAIL_MIN = 2.1
"""So quickly the rest follows: the course of the last two minutes."""
RAMP_MS = 60_000
"""From one level to the next; going off, and the first light, are at once."""
DALI_STEPS = 253 / 3
"""IEC 62386-102: level n of 1 to 254 gives 10^((n − 1) / (253 / 3) − 1) % of the light."""
CLO_FROM, CLO_UNTIL_H = 0.8, 20_000
"""Where light output is held constant, drivers begin with 80 % and give all after 20,000 h (lighting.md)."""
AGEING_PER_H = 1e-6
"""Drivers lose 1 % of their efficiency in 10,000 h."""
SPREAD = 0.02
"""Two lamps of one make differ by up to this."""
DARK_SHARE, DARK_STANDBY = 0.8, 1.5
"""A lamp that has lost so much of its power gives no light; its driver then takes a little more than standby."""
DERATED = 0.92
"""What a driver that is too hot leaves of the power."""
OVERDRIVEN_FULL, LOGARITHM_TWICE = 1.0, 2.0
"""Sizes of dim_not_followed: stays at full light; takes the level for a DALI number, so that 60 % gives 6 %."""
DEAF, LIAR = 3.0, 4.0
"""And: a controller that follows nothing any more, lights at the level that it last had and says so; and one that does
the same and says that it has followed."""
CYCLE_DARK_MS = 4 * 60_000
HOUR_MS = 3_600_000
FINE = 10
"""Parts of a grid step in which energy is summed around switchings: half a minute."""
SETTLED_STEPS = 3
FLEET_BORN_MS = 1_767_225_600_000
"""2026-01-01: lamps were put up one to six years before."""
DARK_HOURS = 4_100 / 8_766
"""Of a Czech year."""

CLOCK_REFUSED_S = 300
"""A device whose clock is further off follows no calendar (lighting.md)."""
CREW_TEST = "crew_test"

WHAT_AGE, WHAT_SPREAD, WHAT_STARTS = 201, 204, 206


@dataclass(frozen=True)
class Carry:
    """What lamps take from one day into the next, arrays of shape ``(n,)``."""

    powered: Mask
    target_pct: Floats
    before_pct: Floats
    lit_pct: Floats
    """The last level above 0, NaN where it is unknown."""
    changed_ms: Ints
    lit_ms: Ints
    booted_ms: Ints
    energy_wh: Floats
    on_ms: Ints
    gear_on_ms: Ints
    starts: Ints
    gear_starts: Ints
    losses: Ints


class Lamps:
    """A bank of lamps through the days: prepared day by day, then asked for any moments of that day."""

    def __init__(self, seed: int, bank: Bank) -> None:
        self.seed = seed
        self.bank = bank
        self.start_ms = -1
        self.told = Told()
        self._carried: dict[int, Carry] = {}
        spread = trait(seed, bank.ids, WHAT_SPREAD, -SPREAD, SPREAD)
        self._full_w = bank.rated_w * (1 + spread)
        self._min_w = bank.min_w * (1 + spread)

    def prepare(self, start_ms: int, effects: Effects, supply: Supply) -> None:
        """The day from ``start_ms`` with the faults that act on these lamps, fed by ``supply``."""
        carry = self._carried.get(start_ms) or self.fresh(start_ms)
        self.start_ms = start_ms
        self.carry = carry
        self._light = (CLO_FROM + (1 - CLO_FROM) * np.minimum(carry.on_ms / HOUR_MS / CLO_UNTIL_H, 1)) ** self.bank.clo
        self._aged = 1 + AGEING_PER_H * carry.on_ms / HOUR_MS
        nights = Nights.of(
            self.seed, self.bank.ids, self.bank.latitude, self.bank.longitude, start_ms, self.bank.switched
        )
        program = Program(start_ms, nights, self.bank.program, self.bank.part_night)
        told = self.told.now()
        by_clock = [*program.events(), *told.events(start_ms)]
        events = [*by_clock, *supply.events(start_ms), *_fault_events(effects), *_drifted(by_clock, effects)]
        self.line = Timeline.of(len(self.bank), start_ms, start_ms + DAY_MS, events)
        self._switch(program, supply, effects, told)
        self._sum_energy()
        # Only today's beginning and end are kept: a day out of order starts afresh.
        self._carried = {start_ms: carry, start_ms + DAY_MS: self._end()}

    def fresh(self, start_ms: int) -> Carry:
        """Plausible values of lamps that have been there for years."""
        bank, n = self.bank, len(self.bank)
        age_s = (start_ms - FLEET_BORN_MS) / 1000 + trait(self.seed, bank.ids, WHAT_AGE, 1, 6) * 365 * 86_400
        nights = (age_s / 86_400).astype(np.int64)
        long_ago = np.full(n, start_ms - 4 * HOUR_MS)
        losses = trait(self.seed, bank.ids, WHAT_STARTS, 0, 12).astype(np.int64) + np.where(bank.switched, nights, 0)
        on_s = age_s * DARK_HOURS
        return Carry(
            powered=np.ones(n, np.bool_),
            target_pct=np.full(n, np.nan),  # as the day finds it
            before_pct=np.full(n, np.nan),
            lit_pct=np.full(n, np.nan),
            changed_ms=long_ago,
            lit_ms=long_ago,
            booted_ms=np.where(bank.switched, long_ago, start_ms - (age_s * 1000 / (losses + 1)).astype(np.int64)),
            energy_wh=np.floor(age_s / 3600 * bank.rated_w * DARK_HOURS * 0.75),
            on_ms=on_s.astype(np.int64) * 1000,
            gear_on_ms=np.where(bank.switched, on_s, age_s).astype(np.int64) * 1000,
            starts=nights,
            gear_starts=losses + 1,
            losses=losses,
        )

    def power_w(self, event: Rows, rows: Rows, ts_ms: Ints) -> Floats:
        """True power at moments with the events that hold then (``line.find``); shapes broadcast."""
        passed = ts_ms - self.changed_ms[event]
        target, before = self.target_pct[event], self.before_pct[event]
        light = np.where((passed < RAMP_MS) & (before > 0), before + (target - before) * (passed / RAMP_MS), target)
        light = np.where(target > 0, light, 0.0) * self._light[rows]
        least, bend = self.bank.level_min_pct[rows], self.bank.bend[rows]
        watts = power_of(light, self._full_w[rows], self._min_w[rows], least, bend)
        watts = watts * warmth(ts_ms - self.lit_ms[event]) * self._aged[rows] * self.factor[event]
        idle = self.bank.standby_w[rows] * self.powered[event]
        return np.where(target > 0, np.maximum(watts, idle * DARK_STANDBY), idle)

    def effective_pct(self, event: Rows, ts_ms: Ints) -> Floats:
        """The level that the driver has reached, by its own word."""
        passed = ts_ms - self.changed_ms[event]
        target, before = self.target_pct[event], self.before_pct[event]
        ramped = before + (target - before) * (passed / RAMP_MS)
        said = np.where((passed < RAMP_MS) & (before > 0) & (target > 0), ramped, target)
        return np.where(self.lies[event] & (target > 0), self.claimed_pct[event], said)

    def energy_wh(self, rows: Rows, ts_ms: Ints) -> Floats:
        """The counter, not yet rounded."""
        place = (ts_ms - self.start_ms) / GRID_MS
        step = np.clip(place.astype(np.intp), 0, GRID - 1)
        part = np.clip(place - step, 0.0, 1.0)
        return self.grid_wh[rows, step] * (1 - part) + self.grid_wh[rows, step + 1] * part

    def _switch(self, program: Program, supply: Supply, effects: Effects, told: Told) -> None:
        """What holds from each event on."""
        line, bank, carry = self.line, self.bank, self.carry
        row, ts = line.row, line.ts_ms
        self.powered = supply.on(row, ts)
        self.commanded_pct, self.reason = _commanded(program, effects, row, ts, told)
        linear = bank.linear[row]
        wanted = np.maximum(self.commanded_pct, 0.1)
        target = np.where(self.commanded_pct > 0, np.where(linear, linear_pct(wanted), dali_pct(wanted)), 0.0)
        misread = effects.size("dim_not_followed", row, ts)
        target = np.where((misread == OVERDRIVEN_FULL) & (target > 0), 100.0, target)
        target = np.where(
            (misread == LOGARITHM_TWICE) & (target > 0) & ~linear, _as_number_pct(self.commanded_pct), target
        )
        target = self._held(target, misread)
        stuck = np.max([effects.size(cause, row, ts) for cause in STUCK], axis=0) > 0
        burning = (effects.size("day_burner", row, ts) > 0) | (stuck & bank.switched[row])
        target = np.where(burning & (target == 0), 100.0, target)
        lost = np.maximum(effects.size("lamp_out", row, ts), effects.size("lamps_dark", row, ts))
        rate = effects.size("cycling", row, ts)
        blinks = (rate > 0) & (np.mod(effects.since_ms("cycling", row, ts), _beat_ms(rate)) < CYCLE_DARK_MS)
        shut = effects.size("gear_shutdown", row, ts) > 0
        self.target_pct = np.where(self.powered & ~blinks & ~shut, target, 0.0)
        deviation = effects.size("power_deviation", row, ts)
        self.hot = effects.size("gear_temp", row, ts)
        self.factor = (1 - lost) * np.where(deviation > 0, deviation, 1.0) * np.where(self.hot > 0, DERATED, 1.0)
        self._count(carry, gives_light=(self.target_pct > 0) & (lost < DARK_SHARE))

    def _held(self, target: Floats, misread: Floats) -> Floats:
        """Where a controller follows nothing any more: lit as before by night, at the level that it last had."""
        line, carry = self.line, self.carry
        deaf = misread >= DEAF
        self.lies = (misread == LIAR) & (target > 0)
        self.claimed_pct = target
        if not deaf.any():
            return target
        place, _ = line.latest((target > 0) & ~deaf, line.ts_ms[line.first])
        before = np.where(np.nan_to_num(carry.lit_pct) > 0, carry.lit_pct, 100.0)
        last = np.where(place >= 0, target[place], before[line.row])
        return np.where(deaf & (target > 0), last, target)

    def _count(self, carry: Carry, *, gives_light: Mask) -> None:
        """What follows from the events before: warmth, ramps and counters."""
        line = self.line
        first = line.first
        known = ~np.isnan(carry.target_pct)
        was = line.before(self.target_pct, np.where(known, carry.target_pct, self.target_pct[first]))
        changed = self.target_pct != was
        place, self.changed_ms = line.latest(changed, carry.changed_ms)
        self.before_pct = np.where(place >= 0, was[place], carry.before_pct[line.row])
        _, self.lit_ms = line.latest(changed & (was == 0), carry.lit_ms)
        self.lit = gives_light
        was_lit = line.before(gives_light.astype(np.float64), np.where(known, carry.target_pct > 0, gives_light[first]))
        was_on = line.before(
            self.powered.astype(np.float64), np.where(known, carry.powered, self.powered[first]).astype(np.float64)
        )
        returns = self.powered & (was_on == 0)
        _, self.booted_ms = line.latest(returns, carry.booted_ms)
        self.starts = line.total((gives_light & (was_lit == 0)).astype(np.int64), carry.starts)
        self.gear_starts = line.total(returns.astype(np.int64), carry.gear_starts)
        self.losses = line.total(returns.astype(np.int64), carry.losses)
        lasts = line.lasts_ms(self.start_ms + DAY_MS)
        on_ms, gear_ms = lasts * gives_light, lasts * self.powered
        self.on_ms = line.total(on_ms, carry.on_ms) - on_ms
        self.gear_on_ms = line.total(gear_ms, carry.gear_on_ms) - gear_ms
        self.switched = changed | (self.factor != line.before(self.factor, self.factor[first]))

    def _sum_energy(self) -> None:
        """Energy at the points of the grid, shape ``(n, GRID + 1)``: finely where something has just switched."""
        n = len(self.bank)
        grid = self.start_ms + np.arange(GRID + 1, dtype=np.int64) * GRID_MS
        rows = np.arange(n)[:, None]
        watts = self.power_w(self.line.find(rows, grid), rows, grid)
        self.grid_w = watts
        each = (watts[:, 1:] + watts[:, :-1]) / 2
        moving = np.zeros((n, GRID + SETTLED_STEPS), np.bool_)
        where, when = self.line.row[self.switched], (self.line.ts_ms[self.switched] - self.start_ms) // GRID_MS
        for later in range(SETTLED_STEPS):
            moving[where, when + later] = True
        row, step = np.nonzero(moving[:, :GRID])
        fine = grid[step][:, None] + ((np.arange(FINE) + 0.5) * (GRID_MS / FINE)).astype(np.int64)
        if len(row):
            rows = row[:, None]
            each[row, step] = self.power_w(self.line.find(rows, fine), rows, fine).mean(axis=1)
        self.grid_wh = np.empty((n, GRID + 1))
        self.grid_wh[:, 0] = self.carry.energy_wh
        self.grid_wh[:, 1:] = self.carry.energy_wh[:, None] + np.cumsum(each, axis=1) * (GRID_MS / HOUR_MS)

    def _end(self) -> Carry:
        last = self.line.last
        left_ms = self.start_ms + DAY_MS - self.line.ts_ms[last]
        place = self.line.latest(self.target_pct > 0, self.carry.lit_ms)[0][last]
        return Carry(
            powered=self.powered[last],
            target_pct=self.target_pct[last],
            before_pct=self.before_pct[last],
            lit_pct=np.where(place >= 0, self.target_pct[place], self.carry.lit_pct),
            changed_ms=self.changed_ms[last],
            lit_ms=self.lit_ms[last],
            booted_ms=self.booted_ms[last],
            energy_wh=self.grid_wh[:, -1],
            on_ms=self.on_ms[last] + left_ms * self.lit[last],
            gear_on_ms=self.gear_on_ms[last] + left_ms * self.powered[last],
            starts=self.starts[last],
            gear_starts=self.gear_starts[last],
            losses=self.losses[last],
        )


def dali_pct(level_pct: Floats) -> Floats:
    """The light of the DALI level nearest to ``level_pct``, which must be above 0."""
    number = np.clip(np.round(1 + DALI_STEPS * (np.log10(level_pct) + 1)), 1, 254)
    return 10 ** ((number - 1) / DALI_STEPS - 1)


def linear_pct(level_pct: Floats) -> Floats:
    """The same on the linear dimming curve (IEC 62386-207), whose 254 steps are alike."""
    return np.clip(np.round(level_pct * 2.54), 1, 254) / 2.54


def _as_number_pct(level_pct: Floats) -> Floats:
    """What a logarithmic driver gives when ``level_pct`` of 254 is sent as its level: 3.1 % for 50 %."""
    number = np.clip(np.round(level_pct * 2.54), 1, 254)
    return 10 ** ((number - 1) / DALI_STEPS - 1)


def power_of(light_pct: Floats, full_w: Floats, min_w: Floats, least_pct: Floats, bend: Floats) -> Floats:
    """What a lit lamp takes at a light, warm and new: a little less for each per cent the darker it is (``bend``)."""
    share = np.maximum(light_pct - least_pct, 0.0) / (100.0 - least_pct)
    span = full_w - min_w
    watts = min_w + span * share * (1 - bend + bend * share)
    # Below its least level only a driver that misreads its levels goes.
    return np.where(light_pct < least_pct, min_w * (0.6 + 0.4 * light_pct / least_pct), watts)


def warmth(lit_ms: Ints) -> Floats:
    """The share of its power that a lamp takes so long after its start."""
    minutes = lit_ms / 60_000
    last = len(WARM_UP) - 1
    curve = np.interp(minutes, np.arange(last + 1), WARM_UP)
    tail = 1 - (1 - WARM_UP[-1]) * np.exp(-(minutes - last) / WARM_UP_TAIL_MIN)
    return np.where(minutes > last, tail, curve)


def _commanded(program: Program, effects: Effects, row: Rows, ts: Ints, told: Told) -> tuple[Floats, Floats]:
    """Level and its reason, by priority: emergency, the cabinet's switch, by hand, program; a refused clock means full.

    ``told`` goes before the program that a lamp came with.
    """
    ahead_s = effects.size("clock_drift", row, ts)
    refused = ahead_s > CLOCK_REFUSED_S
    ahead_ms = np.where(refused, 0, ahead_s * 1000).astype(np.int64)
    dark = program.nights.lit(row, ts)
    level = program.commanded_pct(row, ts + ahead_ms)
    level = np.where(refused, np.where(dark, 100.0, 0.0), level)
    test = effects.size(CREW_TEST, row, ts)
    reason = np.select([test >= 2, test > 0, refused], [CABINET, MANUAL, FALLBACK], PROGRAM)
    return told.commanded(np.where(test > 0, 100.0, level), reason, row, ts, ahead_ms, refused, dark)


def _beat_ms(rate: Floats) -> Floats:
    """From one restart to the next, at so many an hour: whole milliseconds, so that moments of switching and the phase
    that holds from them on agree."""
    return np.floor(HOUR_MS / np.maximum(rate, 1e-9))


def _fault_events(effects: Effects) -> list[tuple[Rows, Ints]]:
    found: list[tuple[Rows, Ints]] = []
    for cause, (rows, starts, ends, sizes) in effects.by_cause.items():
        found += [(rows, starts), (rows, ends)]
        if cause == "cycling":
            for row, start, end, rate in zip(*(c.tolist() for c in (rows, starts, ends, sizes)), strict=True):
                # One that began days ago goes on in the same beat; the timeline keeps what lies within the day.
                beat_ms = int(_beat_ms(np.array(rate)))
                dark: Ints = start + np.arange((end - start) // beat_ms + 1, dtype=np.int64) * beat_ms
                found += [(np.full(1, row), moments) for moments in (dark, dark + CYCLE_DARK_MS)]
    return found


def _drifted(events: Sequence[tuple[Rows, Ints]], effects: Effects) -> list[tuple[Rows, Ints]]:
    """A clock that is ahead moves the steps of its program."""
    if "clock_drift" not in effects.by_cause:
        return []
    rows, _, _, sizes = effects.by_cause["clock_drift"]
    return [
        (row[row == one], ts[row == one] - int(size * 1000))
        for row, ts in events
        for one, size in zip(rows, sizes, strict=True)
        if size <= CLOCK_REFUSED_S
    ]
