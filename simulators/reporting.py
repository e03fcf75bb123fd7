"""When devices report: heartbeats, a closer look after an unexpected change, and silence without power.

Every asset keeps to its own grid of minutes, so that a day of a kind is one matrix of the minutes that are due. The
model is asked on the heartbeats of five minutes; only where something changed between two of them, or a fault begins
or ends there, is it asked for the minutes between.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from simulators.habits import HABITS, MINUTE_MS, STEP, Crew, noticeable
from simulators.physics.frame import DAY_MS, GRID, GRID_MS, Columns, Floats, Ints, Mask, Model, Rows

MINUTES = DAY_MS // MINUTE_MS
BURST_MINUTES = 20
"""After an unexpected change a device reports every minute for so long (design.md)."""
FORGIVEN_STEPS = 2
"""For these steps after a command or the return of power a change is expected: warm-up, ramps."""
_Some = TypeVar("_Some", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of some of a crew, by place in it; shapes ``(k,)``."""

    place: Rows
    ts_ms: Ints

    @staticmethod
    def none() -> "Moments":
        return Moments(np.zeros(0, np.intp), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Switching:
    """Where power went (``up`` False) and came back, in order of place and time; shapes ``(k,)``.

    A device that gets its power back speaks from ``ts_ms`` on, and one that loses it until then: the time to start and
    that of a last gasp are counted in.
    """

    place: Rows
    ts_ms: Ints
    up: Mask


@dataclass(frozen=True, slots=True)
class Memory:
    """What is carried from one day to the next; arrays of shape ``(n,)``, ``seen`` by metric.

    ``expected`` counts the steps for which changes are still expected, ``burst`` the minutes of a closer look to come.
    """

    seen: Mapping[str, Floats]
    powered: Mask
    active: Mask
    expected: Ints
    burst: Ints


@dataclass(frozen=True, slots=True)
class Plan:
    """A day of a crew: ``due`` of shape ``(n, MINUTES)`` on each one's own minutes, and the switching of its power.

    ``powered`` is how the day begins; ``columns`` are the model's answers on the heartbeats, shape ``(n, GRID)`` each.
    """

    start_ms: int
    due: Mask
    powered: Mask
    switching: Switching
    columns: Columns


class Reporter:
    """The devices of some assets of one model, day after day."""

    def __init__(self, model: Model, crew: Crew) -> None:
        self.model = model
        self.crew = crew
        self._habit = HABITS[model.kind.name]
        self._memory: Memory | None = None
        self._before: tuple[int, Memory] | None = None
        self.habitual_steps = crew.active_steps.copy()
        """Between heartbeats while nobody asks for others."""

    def plan(self, start_ms: int, *, edges: Moments | None = None, returns: Moments | None = None) -> Plan:
        """When these devices report on the prepared day: the one that follows the day planned before, or that again.

        ``edges`` are the moments at which faults begin and end, looked at more closely; at ``returns`` a device has its
        network back, and reports.
        """
        day = _Day(self.model, self.crew, start_ms)
        again = self._before is not None and self._before[0] == start_ms
        memory = self._before[1] if self._before and again else self._memory or self._first(day)
        self._before = (start_ms, memory)
        changes = _changes(day, self._habit.commanded, self._habit.unexpected, memory, edges or Moments.none())
        switching = _switching(day, changes)
        due = _heartbeats(self.crew, day.active, memory.active)
        more = changes.once | _bursts(changes.burst, memory.burst)
        _mark(more, self.crew, start_ms, returns or Moments.none())
        due |= more & ~self.crew.terse[:, None]
        _mark(due, self.crew, start_ms, Moments(switching.place[switching.up], switching.ts_ms[switching.up]))
        _mark(due, self.crew, start_ms, _gasps(self.crew, switching))
        due &= _with_power(self.crew, start_ms, memory.powered, switching)
        self._memory = Memory(
            {name: day.columns[name][:, -1].copy() for name in self._habit.watched},
            day.powered[:, -1].copy(),
            day.active[:, -1].copy(),
            changes.expected_left,
            _burst_left(changes.burst, memory.burst),
        )
        return Plan(start_ms, due, memory.powered, switching, day.columns)

    def moments(self, plan: Plan) -> Moments:
        """Everything that is due, in order of place and time."""
        place, minute = np.nonzero(plan.due)
        return Moments(place, plan.start_ms + self.crew.second_ms[place] + minute * MINUTE_MS)

    def read(self, plan: Plan) -> tuple[Moments, Floats]:
        """Everything that is due and what is measured then, shape ``(metrics, k)``, NaN where unknown."""
        due = self.moments(plan)
        minute = (due.ts_ms - plan.start_ms) // MINUTE_MS - self.crew.minute[due.place]
        on = due.place * GRID + minute // STEP
        off = np.flatnonzero(minute % STEP)
        between = self.model.at(self.crew.rows[due.place[off]], due.ts_ms[off]) if len(off) else {}
        values = np.full((len(self.model.kind.metrics), len(due.place)), np.nan)
        for name, index in self.model.kind.positions.items():
            if name in plan.columns:
                # In the last minutes of a day there is no heartbeat any more; they are filled in below.
                values[index] = plan.columns[name].ravel().take(on, mode="clip")
            if name in between:
                values[index, off] = between[name]
        return due, values

    def _first(self, day: "_Day") -> Memory:
        """Before the first day nothing has changed."""
        none = np.zeros(len(self.crew), np.int64)
        at_start = self.model.powered(self.crew.lead, np.full(len(self.crew), day.start_ms))
        seen = {name: day.columns[name][:, 0].copy() for name in self._habit.watched}
        return Memory(seen, at_start, day.active[:, 0].copy(), none, none)


class _Day:
    """A model's day as a crew sees it on its heartbeats: arrays of shape ``(n, GRID)``."""

    def __init__(self, model: Model, crew: Crew, start_ms: int) -> None:
        self.model, self.crew, self.start_ms = model, crew, start_ms
        self.beat_ms: Ints = (crew.minute * MINUTE_MS + crew.second_ms)[:, None] + (
            start_ms + np.arange(GRID, dtype=np.int64) * GRID_MS
        )
        self.columns = {name: c.reshape(self.beat_ms.shape) for name, c in self.at(self.beat_ms).items()}
        self.powered = self.power(np.arange(len(crew)), self.beat_ms)
        self.active = model.active(np.repeat(crew.rows, GRID), self.beat_ms.ravel()).reshape(self.beat_ms.shape)

    def at(self, ts_ms: Ints, place: Rows | None = None) -> Columns:
        """Flat columns of some places at the moments of shape ``(k, t)``."""
        rows = self.crew.rows if place is None else self.crew.rows[place]
        return self.model.at(np.repeat(rows, ts_ms.shape[1]), ts_ms.ravel()) if ts_ms.size else {}

    def power(self, place: Rows, ts_ms: Ints) -> Mask:
        """Shape as ``ts_ms``, ``(k, t)``."""
        lead = np.repeat(self.crew.lead[place], ts_ms.shape[1])
        return self.model.powered(lead, ts_ms.ravel()).reshape(ts_ms.shape)

    def moved(self, seen: Mapping[str, Floats], metrics: tuple[str, ...]) -> Mask:
        """Where one of these metrics changed noticeably from one moment (axis 1) to the next."""
        parts = [noticeable(self.model.kind, name, seen[name][:, :-1], seen[name][:, 1:]) for name in metrics]
        return np.logical_or.reduce(parts)


class _Changes(NamedTuple):
    """``once``: minutes at which something commanded or without a deadband changed, ``(n, MINUTES)``; ``burst``: places
    and minutes at which a closer look begins; ``power``: places, the last moments before and the first after power
    changed, and whether it came."""

    once: Mask
    burst: tuple[Rows, Ints]
    power: tuple[Rows, Ints, Ints, Mask]
    expected_left: Ints


def _changes(
    day: _Day, commanded: tuple[str, ...], unexpected: tuple[str, ...], memory: Memory, edges: Moments
) -> _Changes:
    """What happened between heartbeats: step *i* ends at heartbeat *i*."""

    def since(before: NDArray[_Some], column: NDArray[_Some]) -> NDArray[_Some]:
        return np.concatenate([before[:, None], column], axis=1)

    seen = {name: since(memory.seen[name], day.columns[name]) for name in (*commanded, *unexpected)}
    power, active = since(memory.powered, day.powered), since(memory.active, day.active)
    switched = power[:, 1:] ^ power[:, :-1]
    # Whoever begins or ceases to be lit or to produce does so by program.
    begins = day.moved(seen, commanded) | (active[:, 1:] ^ active[:, :-1]) | (switched & power[:, 1:])
    steps = np.arange(GRID)
    expected = begins | (steps < memory.expected[:, None])
    for later in range(1, FORGIVEN_STEPS + 1):
        expected[:, later:] |= begins[:, :-later]
    on = power[:, 1:] & power[:, :-1]
    # What has no deadband (words, flags, counters of faults) is told in any case.
    exact = tuple(name for name in unexpected if not day.model.kind.by_name[name].deadband)
    look = begins | switched | (on & ((day.moved(seen, unexpected) & ~expected) | day.moved(seen, exact)))
    step = np.ceil((edges.ts_ms - day.beat_ms[edges.place, 0]) / GRID_MS).astype(np.intp)
    known = (step >= 0) & (step < GRID)
    look[edges.place[known], step[known]] = True
    last = np.where(begins, steps, -GRID).max(axis=1)
    left = np.clip(FORGIVEN_STEPS - (GRID - 1 - last), 0, None)

    place, step = np.nonzero(look)
    close = _Closer(day, place, step, seen, power)
    burst = close.on & day.moved(close.seen, unexpected) & ~expected[place, step][:, None]
    once = np.zeros((len(day.crew), MINUTES), np.bool_)
    row, moment = np.nonzero(close.on & day.moved(close.seen, (*commanded, *exact)))
    once[place[row], close.minute[row, moment]] = True
    row, moment = np.nonzero(close.switched)
    return _Changes(
        once,
        (place[np.nonzero(burst)[0]], close.minute[burst]),
        (place[row], close.ts_ms[row, moment], close.ts_ms[row, moment + 1], close.powered[row, moment + 1]),
        left,
    )


class _Closer:
    """Some steps minute by minute: six moments from one heartbeat to the next, and the five spans between them.

    ``minute`` (of the day, ends of the spans), ``on`` (with power all through) and ``switched`` have shape ``(k, 5)``,
    the others ``(k, 6)``.
    """

    def __init__(self, day: _Day, place: Rows, step: Rows, seen: Mapping[str, Floats], power: Mask) -> None:
        minute = day.crew.minute[place][:, None] + STEP * (step[:, None] - 1) + np.arange(STEP + 1)
        # The day before is no longer prepared: for us nothing changed until this one began.
        self.ts_ms = np.maximum(day.start_ms + day.crew.second_ms[place][:, None] + minute * MINUTE_MS, day.start_ms)
        self.minute = np.maximum(minute[:, 1:], 0)
        inner = self.ts_ms[:, 1:-1]
        between = day.at(inner, place)

        def whole(edge: NDArray[_Some], middle: NDArray[_Some]) -> NDArray[_Some]:
            return np.concatenate([edge[place, step][:, None], middle, edge[place, step + 1][:, None]], axis=1)

        empty = np.zeros(0)
        self.seen = {
            name: whole(column, between.get(name, empty).reshape(inner.shape)) for name, column in seen.items()
        }
        self.powered = whole(power, day.power(place, inner))
        self.on = self.powered[:, 1:] & self.powered[:, :-1]
        self.switched = self.powered[:, 1:] ^ self.powered[:, :-1]


def _switching(day: _Day, changes: _Changes) -> Switching:
    """When exactly power went and came, by bisection."""
    place, before, after, up = changes.power
    while len(place) and (after - before).max() > 1:
        middle = (before + after) // 2
        new = day.power(place, middle[:, None])[:, 0] == up
        before, after = np.where(new, before, middle), np.where(new, middle, after)
    order = np.lexsort((after, place))
    place, after, up = place[order], after[order], up[order]
    speaks = after + np.where(up, day.crew.boot_ms[place], day.crew.gasp_ms[place])
    # Who loses power again while it starts has said nothing, and who has it back at once has not stopped.
    again = np.flatnonzero(place[1:] == place[:-1])
    speaks[again] = np.minimum(speaks[again], after[again + 1])
    return Switching(place, speaks, up)


def _gasps(crew: Crew, switching: Switching) -> Moments:
    """When those that can tell of a loss of power begin to."""
    down = np.flatnonzero(~switching.up & (crew.gasp_ms[switching.place] > 0))
    place = switching.place[down]
    return Moments(place, switching.ts_ms[down] - crew.gasp_ms[place])


def _heartbeats(crew: Crew, active: Mask, active_before: Mask) -> Mask:
    """The heartbeats, and one where they become slower or faster: nobody is to wait for what is no longer due."""
    due = np.zeros((len(crew), MINUTES), np.bool_)
    turn = crew.turn[:, None] + np.arange(GRID)
    beats = turn % np.where(active, crew.active_steps[:, None], crew.idle_steps[:, None]) == 0
    changed = np.concatenate([(active[:, 0] != active_before)[:, None], active[:, 1:] != active[:, :-1]], axis=1)
    place, step = np.nonzero(beats | (changed & ~crew.terse[:, None]))
    due[place, crew.minute[place] + STEP * step] = True
    return due


def _bursts(begins: tuple[Rows, Ints], left: Ints) -> Mask:
    change = np.zeros((len(left), MINUTES + BURST_MINUTES + 2), np.int32)
    place, minute = begins
    np.add.at(change, (place, minute), 1)
    np.add.at(change, (place, minute + BURST_MINUTES + 1), -1)
    change[:, 0] += 1
    change[np.arange(len(left)), left] -= 1
    return np.cumsum(change, axis=1)[:, :MINUTES] > 0


def _burst_left(begins: tuple[Rows, Ints], left: Ints) -> Ints:
    out = np.maximum(left - MINUTES, 0)
    np.maximum.at(out, begins[0], begins[1] + BURST_MINUTES + 1 - MINUTES)
    return out


def _minute(crew: Crew, start_ms: int, at: Moments) -> Ints:
    """The first of each one's own minutes that is not before a moment; ``MINUTES`` when that is tomorrow."""
    return np.clip(-((start_ms + crew.second_ms[at.place] - at.ts_ms) // MINUTE_MS), 0, MINUTES)


def _mark(due: Mask, crew: Crew, start_ms: int, at: Moments) -> None:
    minute = _minute(crew, start_ms, at)
    today = minute < MINUTES
    due[at.place[today], minute[today]] = True


def _with_power(crew: Crew, start_ms: int, powered: Mask, switching: Switching) -> Mask:
    """Which minutes have power: each switching turns what was."""
    turns = np.zeros((len(crew), MINUTES + 1), np.int32)
    np.add.at(turns, (switching.place, _minute(crew, start_ms, Moments(switching.place, switching.ts_ms))), 1)
    return ((np.cumsum(turns, axis=1)[:, :MINUTES] + powered[:, None]) % 2).astype(np.bool_)
