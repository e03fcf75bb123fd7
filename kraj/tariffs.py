"""Prices and CO2 factors by date: what a version is, and where its scope has gaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, TypeAlias, get_args

Direction: TypeAlias = Literal["import", "export"]
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
"""``import``: what a kWh from the grid costs. ``export``: what a kWh into the grid brings."""
DAY: Final = timedelta(days=1)
FIRST, LAST = date(2000, 1, 1), date(2099, 12, 31)
"""Versions begin and end within these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """A price of one scope: an asset's, a group's, or (neither) the whole municipality's. Days are those of Prague, and
    ``valid_until`` is the last of them; None: until further notice."""

    tariff_id: int
    municipality: str
    municipality_title: str
    name: str
    direction: Direction
    czk_per_kwh: Decimal
    valid_from: date
    valid_until: date | None
    asset_id: int | None
    asset: str | None
    group_id: int | None
    group: str | None
    source: str
    who: str
    at: datetime
    withdrawn_at: datetime | None
    withdrawn_why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Co2Factor:
    """Grams of CO2 a kWh; ``municipality`` None: the region's."""

    co2_factor_id: int
    municipality: str | None
    municipality_title: str | None
    g_per_kwh: Decimal
    valid_from: date
    source: str
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """Some days of a time line; ``tariff`` None: a gap, for which there is no figure in crowns."""

    first: date
    last: date | None
    tariff: Tariff | None


def scope(tariff: Tariff) -> tuple[str, int, int, str]:
    """What versions that may not overlap have in common; the whole municipality first."""
    return tariff.municipality_title, tariff.group_id or 0, tariff.asset_id or 0, tariff.direction


def timeline(versions: Sequence[Tariff]) -> list[Span]:
    """The versions of one scope by day, with the gaps between them; what was withdrawn is left out."""
    spans: list[Span] = []
    for version in sorted((one for one in versions if one.withdrawn_at is None), key=lambda one: one.valid_from):
        before = spans[-1].last if spans else None
        if before is not None and before + DAY < version.valid_from:
            spans.append(Span(before + DAY, version.valid_from - DAY, None))
        spans.append(Span(version.valid_from, version.valid_until, version))
    return spans
