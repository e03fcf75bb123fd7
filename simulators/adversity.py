"""What people want of a year's lamps and what goes wrong meanwhile, drawn from a seed: who hears what, and when.

Spans are arrays of row, from and to in UTC seconds. Nothing here knows how a lamp decides (``simulators.year`` does).
"""

import itertools
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random
from typing import Any, Final

import numpy as np

from kraj import dimming
from rules.dimming import Document, desired
from simulators.physics.frame import Floats, Ints, Mask

LAMPS_PER_SEGMENT = 25
HOUR_S, DAY_S = 3600, 86_400
START_S = int(datetime(2025, 12, 31, 23, tzinfo=UTC).timestamp())
"""The first midnight of 2026 on the wall in Prague; the year has ``DAYS`` days of 24 hours from then."""
DAYS = 365
FROM_S, TO_S = START_S - DAY_S, START_S + DAYS * DAY_S
FOREVER_S = TO_S + 400 * DAY_S

PROGRAMS: Final[Sequence[Mapping[str, Any]]] = (
    {"steps": [{"at": "22:00", "level_pct": 60, "ramp_s": 60}, {"at": "05:00", "level_pct": 100, "ramp_s": 60}]},
    {
        "steps": [
            {"at": "sunset+120", "level_pct": 80, "ramp_s": 600},
            {"at": "23:30", "level_pct": 40, "ramp_s": 90},
            {"at": "sunrise-60", "level_pct": 90, "ramp_s": 300},
        ]
    },
    {"steps": [{"at": "21:00", "level_pct": 75}, {"at": "00:30", "level_pct": 20}, {"at": "04:30", "level_pct": 75}]},
    {"days": ["fri", "sat"], "steps": [{"at": "01:00", "level_pct": 50, "ramp_s": 120}], "on_min": -10, "off_min": 10},
    {"from": "11-01", "to": "03-31", "steps": [{"at": "23:00", "level_pct": 55, "ramp_s": 30}], "on_min": 12},
    {"steps": []},
)
"""Plans that people put together; some ask for less than their streets' classes permit, which no lamp may follow."""
CLASSES: Final = (("M3", "M4"), ("M3", "M5"), ("M4", "M6"), ("M4", "M4"), ("P2", "P4"), ("P3", "P6"), ("P4", "P5"))
"""Designed and permitted."""
RATED_W, BEFORE_W = (22.0, 34.0, 45.0, 60.0, 84.0), (83.0, 83.0, 115.0, 168.0, 275.0)
"""Of a LED lamp, and of the sodium lamp that it replaced, its ballast included."""

# So many a year and segment, or a year and lamp, or in the whole region.
PROGRAMS_A_YEAR, ORDERS_A_YEAR, SWITCHED_A_YEAR, TRIPS_A_YEAR = 6.0, 12.0, 1.0, 1.5
AWAY_A_YEAR, BLIND_A_YEAR, REBOOTS_A_YEAR, LAMP_OUT_A_YEAR = 6.0, 2.0, 4.0, 0.05
BROKER_A_YEAR, EMERGENCIES_A_YEAR = 12.0, 3.0
PHOTOCELL_SHARE, BATTERY_SHARE, DRIFT_SHARE, DRIFT_S_MAX = 0.6, 0.5, 0.05, 240
"""Lamps with a photocell; with a clock that outlives a restart; with one that is off, by up to so many seconds."""
FIRST_SHARE, STOPPED_SHARE = 0.05, 0.1
"""Of a segment's lamps get a program first; so many roll-outs go no further."""
MANUAL_PCT = (100, 100, 100, 70, 50, 10, 0)
"""People may order what a program may not."""


@dataclass(frozen=True)
class Spans:
    """From when until when something holds on which lamp, with a value; shapes ``(k,)``, by ``from_s``."""

    row: Ints
    from_s: Ints
    to_s: Ints
    value: Ints
    until_s: Ints

    @staticmethod
    def of(found: Sequence[tuple[int, int, int, int, int]]) -> "Spans":
        table = np.array(sorted(found, key=lambda one: one[1]), np.int64).reshape(-1, 5)
        return Spans(table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4])

    def within(self, from_s: int, to_s: int) -> "list[tuple[int, int, int, int, int]]":
        """Those that touch a time: row, from, to, value, until, in order of their beginning."""
        mine = np.flatnonzero((self.from_s < to_s) & (self.to_s > from_s))
        columns = (self.row, self.from_s, self.to_s, self.value, self.until_s)
        return list(zip(*(column[mine].tolist() for column in columns), strict=True))


@dataclass(frozen=True)
class Adversity:
    """A year of ``n`` lamps: where and what they are (shapes ``(n,)``), and all that befalls them."""

    segment: Ints
    latitude: Floats
    longitude: Floats
    """Of segments, shape ``(s,)``."""
    designed: Sequence[str]
    permitted: Sequence[str]
    """Of segments."""
    rated_w: Floats
    before_w: Floats
    bend: Floats
    clo: Mask
    burned_h: Floats
    photocell: Mask
    drift_s: Ints
    documents: Sequence[Document]
    held: Spans
    """The document (``value``) on board."""
    rollouts: Spans
    """Of segments: a document's way to the first lamps and to the rest; ``until_s`` is 1 where it went no further."""
    blind: Spans
    manual: Spans
    emergency: Spans
    local: Spans
    """Orders as heard: on the device from ``from_s``, forgotten at ``to_s``; ``until_s`` is told with them."""
    dead: Spans
    """No light by a fault of the lamp (``value`` 0) or without supply (1)."""

    @staticmethod
    def of(seed: int, lamps: int) -> "Adversity":
        return _Draw(seed, lamps).made()


class _Draw:
    def __init__(self, seed: int, lamps: int) -> None:
        self.random = Random(f"{seed} year")
        self.lamps = range(lamps)
        self.segment = [row // LAMPS_PER_SEGMENT for row in self.lamps]
        self.segments = range(self.segment[-1] + 1)
        self.battery = [self.random.random() < BATTERY_SHARE for _ in self.lamps]

    def made(self) -> Adversity:
        draw = self.random
        place = [(draw.uniform(48.6, 51.0), draw.uniform(12.2, 18.8)) for _ in self.segments]
        classes = [draw.choice(CLASSES) for _ in self.segments]
        make = [draw.randrange(len(RATED_W)) for _ in self.segments]
        broker = self._times(BROKER_A_YEAR, 10.0)
        self.away = [_merged([*broker, *self._times(AWAY_A_YEAR, 14.0)]) for _ in self.lamps]
        trips = {s: self._times(TRIPS_A_YEAR, 4.0) for s in self.segments}
        self.restarts = [
            sorted([*(t for t, _ in self._times(REBOOTS_A_YEAR, 1.0)), *(end for _, end in trips[s])])
            for s in self.segment
        ]
        documents, held, rollouts = self._programs(place, classes)
        manual, emergency = self._orders()
        dead = [(row, *span, 1, 0) for row in self.lamps for span in trips[self.segment[row]]]
        dead += [(row, *span, 0, 0) for row in self.lamps for span in self._times(LAMP_OUT_A_YEAR, 4 * 24.0)]
        switched = [(s, *span) for s in self.segments for span in self._times(SWITCHED_A_YEAR, 0.7)]
        local = [(row, f, t, 1, 0) for s, f, t in switched for row in self.lamps if self.segment[row] == s]
        n = len(self.lamps)
        spread = np.array([draw.uniform(0.98, 1.02) for _ in self.lamps])
        return Adversity(
            segment=np.array(self.segment),
            latitude=np.array([latitude for latitude, _ in place]),
            longitude=np.array([longitude for _, longitude in place]),
            designed=[designed for designed, _ in classes],
            permitted=[permitted for _, permitted in classes],
            rated_w=np.array([RATED_W[make[s]] for s in self.segment]) * spread,
            before_w=np.array([BEFORE_W[make[s]] for s in self.segment]),
            bend=np.array([draw.uniform(0.04, 0.14) for _ in RATED_W])[[make[s] for s in self.segment]],
            clo=np.array([draw.random() < 0.25 for _ in self.segments])[self.segment],
            burned_h=np.array([draw.uniform(4_000, 25_000) for _ in range(n)]),
            photocell=np.array([draw.random() < PHOTOCELL_SHARE for _ in range(n)]),
            drift_s=np.array([self._drift() for _ in range(n)], np.int64),
            documents=documents,
            held=Spans.of(held),
            rollouts=Spans.of(rollouts),
            blind=Spans.of(self._blind()),
            manual=Spans.of(manual),
            emergency=Spans.of(emergency),
            local=Spans.of(local),
            dead=Spans.of(dead),
        )

    def _drift(self) -> int:
        draw = self.random
        return draw.randint(-DRIFT_S_MAX, DRIFT_S_MAX) if draw.random() < DRIFT_SHARE else 0

    def _times(self, a_year: float, mean_h: float) -> list[tuple[int, int]]:
        """Spans of the year, in no order; so many on average, exponentially long."""
        draw = self.random
        count = sum(draw.random() < a_year / 50 for _ in range(50))
        begins = [draw.randint(FROM_S, TO_S) for _ in range(count)]
        return [(at, at + 60 + int(draw.expovariate(1 / (mean_h * HOUR_S)))) for at in begins]

    def _heard_s(self, row: int, at_s: int) -> int:
        """When a lamp hears what is said from a moment on."""
        away = self.away[row]
        place = bisect_right(away, (at_s, FOREVER_S)) - 1
        return away[place][1] if place >= 0 and at_s < away[place][1] else at_s

    def _programs(
        self, place: Sequence[tuple[float, float]], classes: Sequence[tuple[str, str]]
    ) -> tuple[list[Document], list[tuple[int, int, int, int, int]], list[tuple[int, int, int, int, int]]]:
        """Documents, which of them each lamp holds when, and how they were handed out."""
        draw = self.random
        documents: list[Document] = []
        held: list[tuple[int, int, int, int, int]] = []
        rollouts: list[tuple[int, int, int, int, int]] = []
        for segment in self.segments:
            floor = dimming.floor_pct(*classes[segment])
            changes = sorted(at for at, _ in self._times(PROGRAMS_A_YEAR, 1.0))
            waits = [draw.randint(2, 24) * HOUR_S for _ in changes]
            stopped = [draw.random() < STOPPED_SHARE for _ in changes]
            first = len(documents)
            rollouts.append((segment, FROM_S, FROM_S, first, 0))
            rollouts += [
                (segment, at, at + wait, first + 1 + number, int(stop))
                for number, (at, wait, stop) in enumerate(zip(changes, waits, stopped, strict=True))
            ]
            for _ in (None, *changes):
                plans = draw.sample(PROGRAMS, draw.randint(1, 3))
                documents.append(desired(dimming.read({"plans": plans}), floor, *place[segment], date(2026, 1, 1)))
            members = [row for row in self.lamps if self.segment[row] == segment]
            for n, row in enumerate(members):
                early = n < max(1, FIRST_SHARE * len(members))
                told = [
                    (at if early else at + wait, first + 1 + number)
                    for number, (at, wait, stop) in enumerate(zip(changes, waits, stopped, strict=True))
                    if early or not stop
                ]
                told = [(self._heard_s(row, at), document) for at, document in sorted(told)]
                # Of what was said while it was away only the last is retained.
                newest = dict(told)
                steps = [(FROM_S, first), *sorted(newest.items())]
                ends = [at for at, _ in steps[1:]] + [FOREVER_S]
                held += [(row, at, end, document, 0) for (at, document), end in zip(steps, ends, strict=True)]
        return documents, held, rollouts

    def _orders(self) -> tuple[list[tuple[int, int, int, int, int]], list[tuple[int, int, int, int, int]]]:
        """Manual orders to segments and emergencies for all, as each lamp hears them."""
        draw = self.random
        wanted = [
            (draw.choice(MANUAL_PCT), at, at + draw.choice((1800, 7200, 6 * HOUR_S)), draw.random() < 0.3, segment)
            for segment in self.segments
            for at, _ in self._times(ORDERS_A_YEAR, 1.0)
        ]
        alarms = [
            (100, at, at + draw.randint(1, 4) * HOUR_S, draw.random() < 0.5, None)
            for at, _ in self._times(EMERGENCIES_A_YEAR, 1.0)
        ]
        manual = [
            span for row in self.lamps for span in self._heard(row, [w for w in wanted if w[4] == self.segment[row]])
        ]
        return manual, [span for row in self.lamps for span in self._heard(row, alarms)]

    def _heard(
        self, row: int, wanted: Sequence[tuple[int, int, int, bool, int | None]]
    ) -> list[tuple[int, int, int, int, int]]:
        """What a lamp knows of these orders: until a newer one, a release that it hears, or a restart."""
        heard: list[list[int]] = []
        for pct, at_s, until_s, released, _ in wanted:
            from_s = self._heard_s(row, at_s)
            if from_s >= until_s:
                continue  # it has expired at the broker
            forgotten = self._heard_s(row, (at_s + until_s) // 2) if released else FOREVER_S
            place = bisect_right(self.restarts[row], from_s)
            restart = self.restarts[row][place] if place < len(self.restarts[row]) else FOREVER_S
            # Nothing told before it was heard of can end it.
            heard.append([from_s, max(min(forgotten, restart), from_s), pct, until_s])
        heard.sort()
        for one, later in itertools.pairwise(heard):
            one[1] = min(one[1], later[0])
        return [(row, from_s, to_s, pct, until_s) for from_s, to_s, pct, until_s in heard if from_s < to_s]

    def _blind(self) -> list[tuple[int, int, int, int, int]]:
        """Clocks lost for hours to days, and after a restart without a battery until the time is heard again."""
        found: list[tuple[int, int, int, int, int]] = []
        for row in self.lamps:
            spans = self._times(BLIND_A_YEAR, 18.0)
            if not self.battery[row]:
                spans += [(at, self._heard_s(row, at) + 60) for at in self.restarts[row]]
            found += [(row, from_s, to_s, 1, 0) for from_s, to_s in spans]
        return found


def _merged(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for from_s, to_s in sorted(spans):
        if out and from_s <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], to_s))
        else:
            out.append((from_s, to_s))
    return out
