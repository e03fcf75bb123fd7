"""A night of a program at a place: its levels by the minute, and what the lamps there would take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from kraj.attributes import ATTRIBUTES
from kraj.dimming import Program
from kraj.readings import Floats
from kraj.store.queries.lighting import LampRow
from rules import dimming
from rules.dimming import Document, Night
from rules.lighting.power import Gain, Luminaire, expected_w

_DEFAULTS = {one.name: one.default for one in ATTRIBUTES["lamp"]}


@dataclass(frozen=True, slots=True)
class Preview:
    """A night, its floor, and kWh; ``unrated`` lamps have no rated power and are not counted, ``measured`` ones are
    counted by the curve that was learnt from their own nights, the others by their rated power."""

    night: Night
    floor_pct: int
    lamps: int
    unrated: int
    measured: int
    kwh: float
    kwh_undimmed: float


def place(lamps: Sequence[LampRow], otherwise: tuple[float, float] | None) -> tuple[float, float]:
    """The middle of these lamps, north and east, in degrees."""
    return dimming.place(((one.latitude, one.longitude) for one in lamps), otherwise)


def compiled(program: Program, floor_pct: int, where: tuple[float, float], today: date) -> Document:
    """What the lamps of a segment keep."""
    return dimming.desired(program, floor_pct, *where, today)


def made(document: Mapping[str, Any], evening: date, lamps: Sequence[LampRow]) -> Preview:
    """The night of a compiled program that begins on a date, for these lamps."""
    night = dimming.night(document, evening)
    watts, unrated, measured = power_w(lamps)
    lit = night.level_pct[night.level_pct > 0]
    minutes = max(night.end_s - night.begin_s, 0) / 60
    return Preview(
        night,
        int(document["floor_pct"]),
        len(lamps),
        unrated,
        measured,
        float(np.sum(watts[lit])) / 60_000,
        float(watts[100]) * minutes / 60_000,
    )


def power_w(lamps: Sequence[LampRow]) -> tuple[Floats, int, int]:
    """What lamps take together at each of the 101 levels, shape ``(101,)``; and how many have no rated power, and how
    many a curve of their own."""
    rated = _attribute(lamps, "power_rated_w")
    known = ~np.isnan(rated)
    names = ("power_rated_w", "power_min_w", "power_standby_w", "level_min_pct")
    luminaire = Luminaire(*(_attribute(lamps, name)[known] for name in names))
    learnt = np.array([(one.gain_low, one.gain_full, one.learnt_w) for one in lamps], np.float64).reshape(-1, 3)[known]
    measured = np.isclose(learnt[:, 2], rated[known], rtol=1e-6)  # else another lamp stood there
    low, full, _ = np.where(measured[:, None], learnt, 0.0).T
    gain = Gain(low, full, np.zeros(len(low)), np.zeros(len(low)))
    total = [float(expected_w(luminaire, gain, np.full(len(low), float(level))).sum()) for level in range(101)]
    return np.array(total), int((~known).sum()), int(measured.sum())


def _attribute(lamps: Sequence[LampRow], name: str) -> Floats:
    default = _DEFAULTS[name]
    return np.array([_number(one.metadata.get(name), default) for one in lamps], np.float64)


def _number(given: object, default: float | None) -> float:
    try:
        return float(given)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return np.nan if default is None else default


def moment(utc_s: int) -> datetime | None:
    """A second of the night; 0 is none."""
    return datetime.fromtimestamp(utc_s, UTC) if utc_s else None
