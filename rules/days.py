"""What a night or day comes to: aggregates that grow with each reading, two open pages an asset, rings of past ones.

A reading's values count from its moment to the next reading of the asset, if that comes within three heartbeats
(devices send when something changes, so what they sent last holds). Where nothing came for longer there is a hole; late
readings that fall into an asset's last hole fill it, and count as if they had come in time. Late readings elsewhere
count for ``max``, ``min`` and ``count`` alone: their time is already taken.
"""

from collections.abc import Callable

import numpy as np

from kraj.readings import DAY_MS, Floats, Ints
from rules.calendar import Calendar
from rules.estate import Members, Slots
from rules.increase import BASE, DOUBT, FIELDS, increased
from rules.inputs import Daily, Seam
from rules.layer import Layer
from rules.rule import Per
from rules.state import Array, State
from rules.timers import GAP_HEARTBEATS

HOUR_MS = 3_600_000
CURSOR, END, BEAT_MS = range(3)
"""Of a hole: up to where it is filled, where it ends, and the heartbeat at the cursor."""

Fail = Callable[[str, Exception], None]
Day = tuple[Ints, Ints]
"""Numbers and beginnings (ms) of nights or days."""
Span = tuple[Floats | Ints, Floats | Ints, Floats]
"""From, to, and the heartbeat from there on, all in milliseconds."""


class Days:
    """The nights or days of one kind.

    A page's columns: for each aggregate over time its value · hours, then the hours of each, then the hours covered;
    for each count the true and the known readings; for each counter its increase and the readings that it was known
    at; then the extremes, those of ``min`` negated; at last the number of the night or day.
    """

    def __init__(self, seam: Seam, per: Per, members: Members, fail: Fail) -> None:
        self.calendar = Calendar(per, members)
        self._per, self._fail, self._size = per, fail, len(members)
        self._held = [d for d in seam.daily if d.how in {"mean", "integral", "share"}]
        self._count = [d for d in seam.daily if d.how == "count"]
        self._increase = [d for d in seam.daily if d.how == "increase"]
        self._extreme = [d for d in seam.daily if d.how in {"max", "min"}]
        self._covered = 2 * len(self._held)
        self._counts = self._covered + 1
        self._increases = self._counts + 2 * len(self._count)
        self._sums = self._increases + 2 * len(self._increase)
        self._day = self._sums + len(self._extreme)
        self._blank = np.zeros(self._day + 1)
        self._blank[self._sums : self._day] = np.nan
        self._past = {d.name: d.past for d in seam.daily if d.past}
        self._failed: set[str] = set()

    @property
    def layout(self) -> list[str]:
        """What the columns of a page are; of another layout, pages cannot be read."""
        return [f"{d.name} {d.how}" for d in (*self._held, *self._count, *self._increase, *self._extreme)]

    def switch(self, name: str, *, on: bool) -> None:
        """Compute this aggregate from now on, or do not."""
        if on:
            self._failed.discard(name)
        else:
            self._failed.add(name)

    # As readings come

    def add(self, layer: Layer) -> None:
        """Readings in time, before the next layer: ``heartbeat_s`` and ``gap_s`` are those up to this reading."""
        state, slots, end = layer.state, layer.slots, layer.ts_ms
        gap, beat = layer.gap_s * 1000, layer.column("heartbeat_s") * 1000
        np.copyto(gap, 0.0, where=np.isnan(gap))
        start = end - np.where(gap <= GAP_HEARTBEATS * beat, gap, 0).astype(np.int64)
        held = self._array(state, "held").take(slots, axis=0)
        holes = np.flatnonzero(start - end + gap > 0)
        if len(holes):
            self._open_holes(state, slots[holes], (end[holes] - gap[holes], end[holes], beat[holes]), held[holes])
        if self._held:
            state.put(self._name("held"), slots, self._values(layer), held)
        day, begins = self.calendar.locate(slots, end)
        amounts = self._hold(slots, (day, begins), start, end, held)
        self._add_counts(layer, amounts)
        self._grow(layer, (day, begins), amounts)
        self._put(state, slots, day, amounts, self._extremes(layer))
        earlier = np.flatnonzero(start < begins)
        if len(earlier):
            rows, before = slots[earlier], (day[earlier] - 1, begins[earlier] - DAY_MS)
            added = self._hold(rows, before, start[earlier], end[earlier], held[earlier])
            self._put(state, rows, before[0], added)

    def add_late(self, layer: Layer, state: State) -> None:
        """Readings that come late, in order of time; ``layer`` sees a state of its own, ``state`` is the true one."""
        slots, ts = layer.slots, layer.ts_ms
        day, _ = self.calendar.locate(slots, ts)
        amounts = np.zeros((len(layer), self._day + 1))
        self._add_counts(layer, amounts)
        self._put(state, slots, day, amounts, self._extremes(layer))
        hole = self._array(state, "hole")[slots]
        rows = np.flatnonzero((ts > hole[:, CURSOR]) & (ts < hole[:, END]))
        if not len(rows):
            return
        slots, ts, hole = slots[rows], ts[rows], hole[rows]
        held = self._array(state, "hole_held")[slots]
        now = self._values(layer)[rows]
        beat = layer.state.array("heartbeat_s")[slots] * 1000
        cursor, end = hole[:, CURSOR], hole[:, END]
        self._fill(state, slots, (cursor, end, hole[:, BEAT_MS]), held, -1)
        self._fill(state, slots, (cursor, ts, hole[:, BEAT_MS]), held, 1)
        self._fill(state, slots, (ts, end, beat), now, 1)
        state.put(self._name("hole"), slots, np.stack([ts, end, beat], axis=1))
        if self._held:
            state.put(self._name("hole_held"), slots, now, held)

    def _fill(self, state: State, slots: Slots, span: Span, held: Floats, sign: int) -> None:
        """Add (or take back) what was held over spans in which readings may have been missing."""
        start, end, beat = span
        end = np.where(end - start <= GAP_HEARTBEATS * beat, end, start)
        last, begins = self.calendar.locate(slots, np.floor(end).astype(np.int64))
        for ago in (1, 0):
            amounts = self._hold(slots, (last - ago, begins - ago * DAY_MS), start, end, held)
            self._put(state, slots, last - ago, sign * amounts)

    # Amounts: what is added to pages, shape as theirs; extremes and days stand apart and are 0

    def _hold(self, slots: Slots, day: Day, start: Floats | Ints, end: Floats | Ints, held: Floats) -> Floats:
        """What was held from start to end, as far as that is within the day."""
        number, begins = day
        start = np.maximum(start, begins).astype(np.float64)  # exact, and a float's division is faster
        end = np.minimum(end, begins + DAY_MS).astype(np.float64)
        amounts = np.zeros((len(slots), self._day + 1))
        hours = np.maximum(end - start, 0) / HOUR_MS
        for column in range(self._covered):  # long columns take less than many short rows
            np.multiply(held[:, column], hours, out=amounts[:, column])
        opens, closes = self.calendar.window_ms(slots, number)
        covered = np.minimum(end, closes) - np.maximum(start, opens)
        amounts[:, self._covered] = np.maximum(covered, 0) / HOUR_MS
        return amounts

    def _values(self, layer: Layer) -> Floats:
        """What holds from these readings on: each value (0 where unknown), then whether each is known."""
        count = len(self._held)
        now = np.empty((len(layer), 2 * count))
        for place, daily in enumerate(self._held):
            value = self._value(daily, layer)
            known = ~np.isnan(value)
            now[:, place] = value
            now[:, count + place] = known.astype(np.float64)
            now[np.flatnonzero(~known), place] = 0
        return now

    def _value(self, daily: Daily, layer: Layer) -> Floats:
        if daily.name in self._failed:
            return np.full(len(layer), np.nan)
        try:
            value = np.asarray(daily.value(layer), np.float64)
            return value if daily.when is None else np.where(daily.when(layer), value, np.nan)
        except Exception as error:  # one aggregate is lost, and the rules on it; telemetry goes on
            self._failed.add(daily.name)
            self._fail(daily.name, error)
            return np.full(len(layer), np.nan)

    def _add_counts(self, layer: Layer, amounts: Floats) -> None:
        for place, daily in enumerate(self._count):
            value = self._value(daily, layer)
            amounts[:, self._counts + 2 * place] = value == 1
            amounts[:, self._counts + 2 * place + 1] = ~np.isnan(value)

    def _grow(self, layer: Layer, day: Day, amounts: Floats) -> None:
        """Counters: what they rose by counts for the time since the reading before, evenly."""
        if not self._increase:
            return
        all_counters = self._array(layer.state, "counters").take(layer.slots, axis=0)
        for place, daily in enumerate(self._increase):
            value, at, counters = self._value(daily, layer), self._increases + 2 * place, all_counters[:, place]
            as_before = (value == counters[:, BASE]) & np.isnan(counters[:, DOUBT])
            amounts[:, at + 1] = as_before.astype(np.float64)
            # A counter that stands still needs nothing, unless how fast it may go is known.
            rows = np.flatnonzero(~as_before if daily.increase_max_per_h is None else ~np.isnan(value))
            if len(rows):
                most = np.inf if daily.increase_max_per_h is None else daily.increase_max_per_h(layer)[rows]
                grown = increased(counters[rows], value[rows], layer.ts_ms[rows], most)
                put = (layer.slots[rows], place)
                layer.state.put(self._name("counters"), put, grown.after, counters[rows])
                amounts[rows, at + 1] = grown.known
                since = np.fmax(grown.since_ms, layer.ts_ms[rows] - layer.gap_s[rows] * 1000)
                since = np.where(grown.epoch, grown.since_ms, since)
                elsewhere = self._before_midnight(layer, rows, (day[0][rows], day[1][rows]), (since, grown.amount), at)
                amounts[rows, at] = grown.amount - elsewhere

    def _before_midnight(self, layer: Layer, rows: Slots, day: Day, grown: tuple[Floats, Floats], at: int) -> Floats:
        """Book what belongs to the day before, of amounts since given moments; gives what is not of this day."""
        ts, (number, begins), (since, amount) = layer.ts_ms[rows], day, grown
        split = np.flatnonzero((amount > 0) & (since < begins))
        elsewhere = np.zeros(len(rows))
        if len(split):
            span = ts[split] - since[split]
            elsewhere[split] = amount[split] * (begins[split] - since[split]) / span
            before = np.zeros((len(split), self._day + 1))
            before[:, at] = amount[split] * np.minimum(begins[split] - since[split], DAY_MS) / span
            before[:, at + 1] = 1
            self._put(layer.state, layer.slots[rows[split]], number[split] - 1, before)
        return elsewhere

    def _extremes(self, layer: Layer) -> Floats:
        found = np.empty((len(layer), len(self._extreme)))
        for place, daily in enumerate(self._extreme):
            value = self._value(daily, layer)
            found[:, place] = value if daily.how == "max" else -value
        return found

    # Pages

    def _put(self, state: State, slots: Slots, day: Ints, amounts: Floats, extremes: Floats | None = None) -> None:
        """Add to the pages of these days; a day older than what its page holds is closed. Writes over ``amounts``."""
        pages = self._array(state, "pages").reshape(-1, len(self._blank))
        at = 2 * slots + (day & 1)
        before = pages.take(at, axis=0)
        turned = before[:, self._day] != day.astype(np.float64)
        if turned.any():
            closed = before[:, self._day] > day
            if closed.any():
                still = np.flatnonzero(~closed)
                rest = None if extremes is None else extremes[still]
                self._put(state, slots[still], day[still], amounts[still], rest)
                return
            after = np.where(turned[:, None], self._blank, before)
            after[:, self._day] = day
            after += amounts
        else:
            after = np.add(before, amounts, out=amounts)
        if extremes is not None and extremes.shape[1]:
            highest = after[:, self._sums : self._day]
            np.fmax(highest, extremes, out=highest)
        state.write(pages, at, after, before)

    def _open_holes(self, state: State, slots: Slots, span: Span, held: Floats) -> None:
        self._array(state, "hole")
        state.put(self._name("hole"), slots, np.stack(span, axis=1))
        if self._held:
            self._array(state, "hole_held")
            state.put(self._name("hole_held"), slots, held)

    def _name(self, what: str) -> str:
        return f"{self._per}.{what}"

    def _array(self, state: State, what: str) -> Array:
        shape, fill, dtype = {
            "pages": ((2, len(self._blank)), 0, np.float64),
            "held": ((self._covered,), 0, np.float64),
            "hole": ((3,), 0, np.float64),
            "hole_held": ((self._covered,), 0, np.float64),
            "counters": ((len(self._increase), len(FIELDS)), np.nan, np.float64),
        }[what]
        return state.array(self._name(what), dtype=dtype, fill=fill, shape=shape)

    # When it is over

    def close(self, state: State, day: int) -> dict[str, Floats]:
        """Every aggregate of a night or day that is over, shape ``(slots,)``; the rings move on."""
        page = self._array(state, "pages")[:, day & 1]
        mine = page[:, self._day] == day
        everybody = np.arange(self._size)
        opens, closes = self.calendar.window_ms(everybody, np.full(self._size, day))
        covered = np.where(mine, page[:, self._covered], 0.0)
        columns = {"covered_h": covered, "coverage": covered * HOUR_MS / (closes - opens)}
        count = len(self._held)
        for place, daily in enumerate(self._held):
            hours = page[:, count + place]
            columns[daily.name] = page[:, place] / (1.0 if daily.how == "integral" else hours)
            columns[daily.name][~(mine & (hours > 0))] = np.nan
        for first, dailies in ((self._counts, self._count), (self._increases, self._increase)):
            for place, daily in enumerate(dailies):
                known = mine & (page[:, first + 2 * place + 1] > 0)
                columns[daily.name] = np.where(known, page[:, first + 2 * place], np.nan)
        for place, daily in enumerate(self._extreme):
            value = np.where(mine, page[:, self._sums + place], np.nan)
            columns[daily.name] = value if daily.how == "max" else -value
        for name, past in self._past.items():
            self._ring(state, name)
            state.put(self._name(f"past.{name}"), (slice(None), day % (past + 1)), columns[name])
        return columns

    def past(self, state: State, day: int, name: str, days: int) -> Floats:
        """Earlier values of an aggregate, newest first, shape ``(days, slots)``; NaN where unknown."""
        kept = self._past.get(name, 0)
        if days > kept:
            raise KeyError(f"{name}: the last {kept} are kept, {days} are asked for")
        return self._ring(state, name)[:, (day - 1 - np.arange(days)) % (kept + 1)].T.astype(np.float64)

    def _ring(self, state: State, name: str) -> Array:
        return state.array(self._name(f"past.{name}"), dtype=np.float32, shape=(self._past[name] + 1,))
