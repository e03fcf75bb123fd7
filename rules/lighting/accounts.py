"""A segment's month in the ledger: its lamps, days, programs and baselines laid out as arrays, observed and split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import numpy as np

from kraj.attributes import ATTRIBUTES
from kraj.dimming import Program
from kraj.ledger import Baseline, Held, Lamp, Segment
from kraj.readings import Floats, Ints
from rules.dimming import ZONE, desired
from rules.lighting import ledger
from rules.lighting.ledger import Days, Due, Full, Seen, Split
from rules.lighting.power import Luminaire

MIDDLE: Final = (49.82, 15.47)
"""Of the republic, for lamps of which nobody knows where they stand."""
MARGIN: Final = timedelta(seconds=ledger.GAP_S)
"""Readings so long before and behind a month cover its edges."""
Observed = tuple[Days, Full]
_DEFAULTS = {one.name: one.default for one in ATTRIBUTES["lamp"]}


@dataclass(frozen=True, slots=True)
class Account:
    """A segment's month up to ``until_s``: ``n`` lamps, ``d`` days; ``baseline_w`` NaN and version 0: none declared."""

    segment: Segment
    month: date
    until_s: int
    dates: Sequence[date]
    days: Days
    full: Full
    baseline_w: Floats
    baseline_version: Ints
    """``(d,)``"""

    @property
    def split(self) -> Split:
        """The parts of each lamp and day."""
        return ledger.split(self.days, self.full.power_w[:, None], self.baseline_w[None, :])


def bounds(month: date, until: datetime) -> Ints:
    """The midnights in Prague of a month, UTC seconds; the last is its end, or ``until`` if that comes first.

    Raises ``ValueError`` for a month that has not begun.
    """
    first = month.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    every = [midnight_s(first + timedelta(days=n)) for n in range((following - first).days + 1)]
    now = int(until.timestamp())
    if now <= every[0]:
        raise ValueError(f"{first:%Y-%m} has not begun")
    return np.array([s for s in every if s < now] + [min(now, every[-1])] if now < every[-1] else every)


def midnight_s(day: date) -> int:
    """When a day begins in Prague, UTC seconds."""
    return int(datetime.combine(day, time(), ZONE).timestamp())


def observe(segment: Segment, numbers: Sequence[int], table: Floats, bounds_s: Ints) -> Observed:
    """A batch of the segment's lamps, by rows as ``kraj.store.ledger.readings`` gives them."""
    by_number = {lamp.asset_id: lamp for lamp in segment.lamps}
    lamps = luminaires([by_number[number] for number in numbers])
    row = np.searchsorted(np.array(numbers), table[:, 0].astype(np.int64))
    seen = Seen(row, table[:, 1].astype(np.int64), table[:, 2], table[:, 3], table[:, 4])
    due = due_of(segment.programs, place(segment.lamps), bounds_s)
    return ledger.observe(seen, lamps, np.zeros(len(numbers), np.int64), due, bounds_s)


def account(segment: Segment, parts: Sequence[Observed], month: date, bounds_s: Ints) -> Account:
    """The month of all batches, in the order of the segment's lamps."""
    first = month.replace(day=1)
    dates = [first + timedelta(days=n) for n in range(len(bounds_s) - 1)]
    power, version = baseline(segment.baselines, dates)
    return Account(segment, first, int(bounds_s[-1]), dates, _days(parts, len(dates)), _full(parts), power, version)


def _days(parts: Sequence[Observed], d: int) -> Days:
    names = Days.__slots__
    return Days(*(np.concatenate([np.zeros((0, d)), *(getattr(days, name) for days, _ in parts)]) for name in names))


def _full(parts: Sequence[Observed]) -> Full:
    return Full(
        np.concatenate([np.zeros(0), *(full.power_w for _, full in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(full.source for _, full in parts)]),
    )


def due_of(programs: Sequence[Held], where: tuple[float, float], bounds_s: Ints) -> Due:
    """When programs want light between midnights; from sunset to sunrise before the first of them."""
    first, last = int(bounds_s[0]), int(bounds_s[-1])
    held = timeline(programs, where, datetime.fromtimestamp(first, ZONE).date())
    margin = ledger.GAP_S
    return Due.of([ledger.nights(held, first - margin, last + margin)])


def timeline(programs: Sequence[Held], where: tuple[float, float], today: date) -> list[tuple[int, Mapping[str, Any]]]:
    """From which second on which document holds; before the first program lamps burn from sunset to sunrise."""
    found: list[tuple[int, Mapping[str, Any]]] = []
    if not programs or programs[0].since is not None:
        found.append((0, desired(Program(), 100, *where, today)))
    return found + [(0 if one.since is None else int(one.since.timestamp()), one.document) for one in programs]


def place(lamps: Sequence[Lamp]) -> tuple[float, float]:
    """The middle of lamps, north and east in degrees, to a kilometre."""
    known = [(one.latitude, one.longitude) for one in lamps if one.latitude is not None and one.longitude is not None]
    north, east = np.mean(np.array(known), axis=0).tolist() if known else MIDDLE
    return round(float(north), 2), round(float(east), 2)


def baseline(declared: Sequence[Baseline], dates: Sequence[date]) -> tuple[Floats, Ints]:
    """Watts of the old lamp and version on each day: of those that have begun, the latest declared; NaN and 0: none."""
    power, version = np.full(len(dates), np.nan), np.zeros(len(dates), np.int64)
    days = np.array(dates, "datetime64[D]")
    for one in sorted(declared, key=lambda found: found.version):
        begun = days >= np.datetime64(one.valid_from)
        power[begun], version[begun] = one.power_w, one.version
    return power, version


def luminaires(lamps: Sequence[Lamp]) -> Luminaire:
    """What the registry says of them; NaN where it does not."""
    names = ("power_rated_w", "power_min_w", "power_standby_w", "level_min_pct")
    return Luminaire(*(np.array([_number(one.metadata.get(name), _DEFAULTS[name]) for one in lamps]) for name in names))


def _number(given: object, default: float | None) -> float:
    try:
        return float(given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return np.nan if default is None else default
