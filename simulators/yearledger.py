"""The readings that a year's lamps send, and what the ledger of savings makes of them, to hold against the truth.

Lamps look each minute and send by deadband and heartbeat; what they send is lost, doubled and misdated as radio, clocks
and supply bring it. Months are observed and split by the very functions behind ``kraj ledger`` and the API.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from kraj.kinds import LAMP
from kraj.ledger import Baseline, Held, Lamp, Segment
from rules.dimming import ZONE
from rules.lighting import accounts
from rules.lighting.ledger import GAP_S
from simulators.adversity import DAY_S, HOUR_S, RATED_W, START_S, TO_S, Adversity, Spans
from simulators.physics.frame import Floats, Ints, Mask
from simulators.year import MINUTES, MONTHS, Day, Truth, minutes

PARTS = ("baseline", "measured", "outside", "led", "dimming", "outage")
LOST_SHARE, TWICE_SHARE = 0.005, 0.01
"""Of single readings are lost for ever, or come twice."""
FULL_A_YEAR, FULL_H = 0.5, 12.0
"""So often a ring was full, and what a lamp said for so many hours (on average) had no room."""
BLIND_S_MAX = 60
"""So far off at most is what the platform makes of the uptime of a lamp that has lost its clock."""
POWER_DIGITS = 1
BEAT_MIN, BEAT_IDLE_MIN = LAMP.heartbeat_s // 60, LAMP.heartbeat_idle_s // 60
NEVER = -1
_YEAR = datetime.fromtimestamp(START_S, ZONE).year


@dataclass(frozen=True, slots=True)
class Sent:
    """Readings that reached the platform, by lamp: its row, UTC seconds, watts, watt-hours by its counter and the
    commanded per cent, shapes ``(k,)``; ``end_s`` is later than each of them."""

    end_s: int
    row: NDArray[np.int16]
    ts_s: Ints
    power_w: NDArray[np.float32]
    energy_wh: NDArray[np.int32]
    level_pct: NDArray[np.int16]


class Meters:
    """What each lamp has told and counted so far; ``day`` must be asked day after day."""

    def __init__(self, adversity: Adversity, seed: int) -> None:
        n = len(adversity.segment)
        self._adversity = adversity
        self._random = np.random.default_rng([seed, n])
        self._watts = np.zeros(n, np.float32)
        self._pct = np.full(n, NEVER, np.int16)
        self._sent = np.zeros(n, np.int64)
        self._now = 0
        self._wh = np.zeros(n)
        self._blind_s = self._random.integers(-BLIND_S_MAX, BLIND_S_MAX, n, endpoint=True)
        self._full = self._times()

    def day(self, day: Day) -> Sent:
        """What reaches the platform of a day."""
        power = np.ascontiguousarray(day.power_w.T)
        level = np.ascontiguousarray(day.level_pct.T).astype(np.int16)
        start_s = int(day.ts_s[0])
        counter = self._counted(power, start_s)
        due = self._due(power, level) & ~self._mask(self._full, start_s)
        due &= self._random.random(due.shape, np.float32) >= LOST_SHARE
        row, minute = np.nonzero(due.T)
        times = 1 + (self._random.random(len(row), np.float32) < TWICE_SHARE)
        row, minute = row.repeat(times), minute.repeat(times)
        ts_s = day.ts_s[minute] + self._adversity.drift_s[row]
        blind = self._mask(self._adversity.blind, start_s)[minute, row]
        return Sent(
            start_s + DAY_S + int(np.abs(self._adversity.drift_s).max(initial=0)) + BLIND_S_MAX,
            row.astype(np.int16),
            np.where(blind, day.ts_s[minute] + self._blind_s[row], ts_s),
            np.round(power[minute, row], POWER_DIGITS),
            np.floor(counter[minute, row]).astype(np.int32),
            level[minute, row],
        )

    def _due(self, power: NDArray[np.float32], level: NDArray[np.int16]) -> Mask:
        """Who sends in which minute, ``(1440, n)``: after a change beyond the deadband, else by the heartbeat."""
        metric = LAMP.by_name["power_w"]
        least, share = np.float32(metric.deadband or 0), np.float32((metric.deadband_pct or 0) / 100)
        due = np.empty(power.shape, np.bool_)
        for minute, (watts, pct, send) in enumerate(zip(power, level, due, strict=True)):
            now = self._now + minute
            fed = watts > 0
            np.greater(np.abs(watts - self._watts), np.maximum(least, share * self._watts), out=send)
            send |= pct != self._pct
            send |= now - self._sent >= np.where(pct > 0, BEAT_MIN, BEAT_IDLE_MIN)
            send &= fed
            np.copyto(self._watts, watts, where=send)
            np.copyto(self._pct, pct, where=send)
            np.copyto(self._pct, NEVER, where=~fed)  # it tells when it has supply again
            np.copyto(self._sent, now, where=send)
        self._now += len(due)
        return due

    def _counted(self, power: NDArray[np.float32], start_s: int) -> Floats:
        """Watt-hours before each minute, ``(1440, n)``; a lamp that was mended comes with a counter of its own."""
        counter = np.cumsum(power, axis=0, dtype=np.float64) / 60 + self._wh
        ends, counter = counter[-1].copy(), counter - power / 60
        for row, _, to_s, value, _ in self._adversity.dead.within(start_s, start_s + DAY_S):
            minute = -((start_s - to_s) // 60)
            if value == 0 and 0 <= minute < MINUTES:
                before = counter[minute, row]
                counter[minute:, row] -= before
                ends[row] -= before
        self._wh = ends
        return counter

    def _times(self) -> Spans:
        """Spans of the year in which nothing is kept, exponentially long."""
        draw = self._random
        rows = np.repeat(np.arange(len(self._wh)), draw.poisson(FULL_A_YEAR, len(self._wh)))
        begins = draw.integers(START_S, TO_S, len(rows))
        ends = begins + draw.exponential(FULL_H * HOUR_S, len(rows)).astype(np.int64)
        none = np.zeros(len(rows), np.int64)
        return Spans.of(list(zip(*(one.tolist() for one in (rows, begins, ends, none, none)), strict=True)))

    def _mask(self, spans: Spans, start_s: int) -> Mask:
        found = np.zeros((MINUTES, len(self._wh)), np.bool_)
        for row, first, end, _, _ in minutes(spans.within(start_s, start_s + DAY_S), start_s):
            found[first:end, row] = True
        return found


class Books:
    """The ledger of all segments, month by month: ``look`` at each day, then ``close``.

    ``kwh`` holds the parts by name, ``due_h`` and ``covered_h`` hours; arrays of shape ``(segments, 12)``.
    """

    def __init__(self, adversity: Adversity, seed: int) -> None:
        self._meters = Meters(adversity, seed)
        self._segments = [_segment(adversity, number) for number in range(len(adversity.designed))]
        self._kept: list[Sent] = []
        self._month, self._until_s = 0, START_S
        shape = len(self._segments), MONTHS
        self.kwh = {name: np.zeros(shape) for name in PARTS}
        self.due_h, self.covered_h = np.zeros(shape), np.zeros(shape)

    def look(self, day: Day) -> None:
        """Take what reaches the platform of the next day; a month is split when its margin is there, too."""
        self._kept.append(self._meters.day(day))
        self._until_s = int(day.ts_s[0]) + DAY_S
        if self._month < MONTHS and self._until_s >= accounts.midnight_s(_first(self._month + 1)) + GAP_S:
            self._split()

    def close(self) -> None:
        """Split what is left, as far as it was lived through."""
        while self._month < MONTHS and accounts.midnight_s(_first(self._month)) < self._until_s:
            self._split()

    def _split(self) -> None:
        first, month = _first(self._month), self._month
        self._month += 1
        bounds_s = accounts.bounds(first, datetime.fromtimestamp(self._until_s, UTC))
        from_s, to_s = int(bounds_s[0]) - GAP_S, int(bounds_s[-1]) + GAP_S
        self._kept = [sent for sent in self._kept if sent.end_s > from_s]
        for number, segment in enumerate(self._segments):
            numbers = [lamp.asset_id for lamp in segment.lamps]
            part = accounts.observe(segment, numbers, _table(self._kept, numbers, from_s, to_s), bounds_s)
            found = accounts.account(segment, [part], first, bounds_s).split
            for name, kwh in self.kwh.items():
                kwh[number, month] = getattr(found, f"{name}_kwh").sum()
            self.due_h[number, month] = found.due_h.sum()
            self.covered_h[number, month] = found.covered_h.sum()


@dataclass(frozen=True)
class Errors:
    """How far a ledger is from the truth, in per cent of the true baseline, by part of ``PARTS``: in the ``year``, in
    each ``month``, shape ``(12,)``, and in the worst month of any ``segment``; NaN for months without a baseline."""

    year: dict[str, float]
    month: dict[str, Floats]
    segment: dict[str, float]

    @staticmethod
    def of(books: Books, truth: Truth, adversity: Adversity) -> "Errors":
        def of_segments(by_lamp: Floats) -> Floats:
            found = np.zeros((len(adversity.designed), MONTHS))
            np.add.at(found, adversity.segment, by_lamp)
            return found

        def share(difference: Floats, whole: Floats) -> Floats:
            return np.divide(100 * difference, whole, out=np.full_like(whole, np.nan), where=whole > 0)

        baseline = of_segments(truth.baseline_kwh)
        off = {name: kwh - of_segments(getattr(truth, f"{name}_kwh")) for name, kwh in books.kwh.items()}
        return Errors(
            {name: float(100 * found.sum() / baseline.sum()) for name, found in off.items()},
            {name: share(found.sum(axis=0), baseline.sum(axis=0)) for name, found in off.items()},
            {name: float(np.nanmax(np.abs(share(found, baseline)))) for name, found in off.items()},
        )


def _first(month: int) -> date:
    return date(_YEAR + month // MONTHS, month % MONTHS + 1, 1)


def _segment(a: Adversity, number: int) -> Segment:
    """As the platform knows it: its lamps' type, the programs that were handed out to all, the declared baseline."""
    rows = np.flatnonzero(a.segment == number)
    rated_w = min(RATED_W, key=lambda watts: abs(watts - float(a.rated_w[rows].mean())))
    where = float(a.latitude[number]), float(a.longitude[number])
    mine = [one for one in a.rollouts.within(0, 2 * TO_S) if one[0] == number and not one[4]]
    programs = [
        Held(None if n == 0 else datetime.fromtimestamp(at_s, UTC), document, a.documents[document])
        for n, (_, at_s, _, document, _) in enumerate(mine)
    ]
    before_w, at = float(a.before_w[rows[0]]), datetime.fromtimestamp(START_S, UTC)
    before = Baseline(1, date(_YEAR, 1, 1), before_w, "simulator", "simulator", at)
    lamps = [Lamp(int(row), f"{row}", *where, {"power_rated_w": rated_w}) for row in rows]
    return Segment(number, f"{number}", "", "", lamps, programs, [before])


def _table(kept: Sequence[Sent], lamps: Sequence[int], from_s: int, to_s: int) -> Floats:
    """Rows as ``kraj.store.ledger.readings`` gives them, of neighbouring lamps."""
    names = ("row", "ts_s", "power_w", "energy_wh", "level_pct")
    cuts = [slice(*np.searchsorted(sent.row, [lamps[0], lamps[-1] + 1]).tolist()) for sent in kept]
    columns = [
        np.concatenate([getattr(sent, name)[cut] for sent, cut in zip(kept, cuts, strict=True)]) for name in names
    ]
    mine = np.flatnonzero((columns[1] >= from_s) & (columns[1] < to_s))
    order = mine[np.lexsort((columns[1][mine], columns[0][mine]))]
    return np.stack([column[order].astype(np.float64) for column in columns], axis=1)
