"""The distributor's meters: EANs, what hangs on a meter, invoices, and whether three sides agree on a span of days."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from kraj.tariffs import DAY, Direction

ZONE: Final = ZoneInfo("Europe/Prague")
EAN: Final = re.compile(r"[0-9]{18}")
CZECH_PREFIX: Final = "859182400"
"""EANs of Czech connection points begin so; others are taken as well."""
QUARTER_S: Final = 900
VOLTAGES: Final = ("nn", "vn", "vvn")
DIFFERENCE_PCT: Final = 2.0
"""Beyond, a point's figures are to be looked at, unless the point says otherwise."""
OURS_COMPLETE: Final = 0.99
"""A counter's increase is right across a gap, but not at the ends of a span: where less of it is heard, or bridged by
the counter itself, there is no figure to compare."""
COUNTERS: Final[dict[Direction, dict[str, str]]] = {
    "import": {"cabinet": "energy_wh", "lamp": "energy_wh", "solar": "import_energy_wh"},
    "export": {"solar": "export_energy_wh"},
}
"""By direction and kind, the counter that sees what the distributor's meter sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A distributor's meter."""

    ean: str
    municipality: str
    municipality_title: str
    title: str
    voltage: str
    distributor: str
    difference_pct_max: float
    version: int
    links: int
    quarters_from: datetime | None
    quarters_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What hangs on a meter: an asset, or a group (a site is one); ``valid_until`` is the last day."""

    link_id: int
    ean: str
    asset_id: int | None
    group_id: int | None
    label: str
    valid_from: date
    valid_until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """What was billed; days from the first to the last, without VAT. A credit note is below zero."""

    invoice_id: int
    municipality: str
    ean: str
    number: str
    direction: Direction
    period_from: date
    period_until: date
    kwh: Decimal
    czk: Decimal
    meter_import_id: int | None
    who: str
    at: datetime
    withdrawn_at: datetime | None
    withdrawn_why: str | None


class Verdict(StrEnum):
    """Whether two sides agree."""

    AGREES = "agrees"
    CHECK = "check"
    NO_DATA = "no_data"


@dataclass(frozen=True, slots=True)
class Side:
    """Energy of a span as somebody says it; ``completeness`` 0 to 1. ``kwh`` is None where some of it is missing; a
    counter of ours that goes on behind a gap within the span misses nothing, however little was heard."""

    kwh: float | None
    completeness: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A span of days (``last`` belongs to it); differences in per cent of the distributor's, or of the invoice's
    figure where the distributor has none."""

    first: date
    last: date
    ours: Side
    theirs: Side
    billed: Side
    billed_czk: float | None
    difference_pct: float | None
    billed_difference_pct: float | None
    verdict: Verdict


def check_digit(digits: str) -> str:
    """The last digit of an EAN by its first 17 (GS1: weights 3, 1, 3, … from the left)."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits))
    return str(-total % 10)


def is_ean(text: str) -> bool:
    """Whether these are 18 digits with the right check digit."""
    return EAN.fullmatch(text) is not None and text.isascii() and check_digit(text[:17]) == text[17]


def midnight(day: date) -> datetime:
    """When a day of Prague begins."""
    return datetime.combine(day, time(), ZONE)


def quarters(first: date, last: date) -> int:
    """How many quarter-hours these days have: 96, 92 or 100 a day."""
    return round((midnight(last + DAY).timestamp() - midnight(first).timestamp()) / QUARTER_S)


def difference_pct(given: Side, reference: Side) -> float | None:
    """By how much a side is above the other; None where either is unknown or the reference is nothing."""
    if given.kwh is None or reference.kwh is None or not reference.kwh:
        return None
    return 100 * (given.kwh - reference.kwh) / reference.kwh


def compare(
    days: tuple[date, date], ours: Side, theirs: Side, billing: tuple[Side, float | None], pct_max: float
) -> Comparison:
    """Hold three sides of a span of days against one another."""
    billed, billed_czk = billing
    reference = theirs if theirs.kwh is not None else billed
    own = difference_pct(ours, reference)
    invoice = difference_pct(billed, theirs)
    known = [found for found in (own, invoice) if found is not None]
    verdict = Verdict.NO_DATA
    if known:
        verdict = Verdict.CHECK if max(map(abs, known)) > pct_max else Verdict.AGREES
    return Comparison(*days, ours, theirs, billed, billed_czk, own, invoice, verdict)


def billed(invoices: list[Invoice], first: date, last: date) -> tuple[Side, float | None]:
    """What invoices say of these days: a figure only if they cover each day exactly once, none beyond."""
    within = sorted((one for one in invoices if one.period_until >= first and one.period_from <= last),
                    key=lambda one: one.period_from)  # fmt: skip
    covered = sum((min(one.period_until, last) - max(one.period_from, first)).days + 1 for one in within)
    whole = (last - first).days + 1
    tiles = bool(within) and within[0].period_from == first and within[-1].period_until == last
    for before, after in pairwise(within):
        tiles = tiles and before.period_until + DAY == after.period_from
    share = min(1.0, covered / whole)
    if not tiles:
        return Side(None, share), None
    return Side(float(sum(one.kwh for one in within)), 1.0), float(sum(one.czk for one in within))
