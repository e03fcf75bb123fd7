"""Rollups are what a slow twin makes of the same readings, and the same again made from any part of them."""

import numpy as np
import pytest

from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Rollup
from kraj.rollups import value_columns
from kraj.units import Unit
from rules.counted import Seen, Spans, most_per_h
from rules.rollups import HOUR_MS, Rolled, coarser, day_ms, hold_ms, quarters
from tests.rules import slow_rollups as slow
from tests.rules.slow_rollups import MINUTE, Bucket, Reading

RATED_W = 50.0
MARCH, OCTOBER = 1_774_566_000_000, 1_792_706_400_000
"""Midnights in Prague before the 29th of March 2026, a day of 23 hours, and the 25th of October, one of 25."""
DAYS = 4


def story(kind: Kind, chance: np.random.Generator, begin: int, *, sold: bool, silent_days: int = 0) -> list[Reading]:
    """Some days of an asset: restarts, zeros, hiccups and new meters, silences, unknown values, a change of owner; its
    first reading may lie long before all others."""
    found: list[Reading] = []
    counts = {m.name: float(chance.integers(1, 5000)) for m in kind.metrics if m.rolled is Rollup.INCREASE}
    ts, end = begin - 4 * HOUR_MS + int(chance.integers(MINUTE)), slow.days_after(begin, DAYS) + HOUR_MS
    if silent_days:
        found.append(Reading(begin - silent_days * 24 * HOUR_MS, {name: value - 1 for name, value in counts.items()}))
        ts = begin + 5 * HOUR_MS
    moved = begin + int(chance.integers(DAYS * 24 * HOUR_MS)) if sold else end
    while ts < end:
        lit = ts // (7 * HOUR_MS) % 2
        known = {m.name: _value(m, chance) for m in kind.metrics if chance.random() < 0.9}
        known |= {name: value for name, value in counts.items() if chance.random() < 0.9}
        if "level_commanded_pct" in known:
            known["level_commanded_pct"] = 100.0 * lit
        for name in counts.keys() & known.keys():
            if chance.random() < 0.01:
                known[name] = float(chance.choice([0, 5, counts[name] - 1, counts[name] + 3, 1e6]))
        found.append(Reading(ts, known, 2 if ts >= moved else 1))
        if chance.random() < 0.01:  # the same moment, told twice under two numbers
            found.append(Reading(ts, known, found[-1].town))
        gap = float(chance.choice([1, 5, 5, 5, 15])) if chance.random() > 0.01 else float(chance.integers(60, 1500))
        step = round(gap * MINUTE) + int(chance.integers(-20_000, 20_000))
        for name in counts:
            metric = kind.by_name[name]
            rate = {Unit.WATT_HOUR: 40.0 * lit, Unit.SECOND: 3600.0 * lit}.get(metric.unit, 0.3)
            counts[name] += round(rate * step / HOUR_MS + chance.random() * 0.3)
            if chance.random() < 0.003:
                counts[name] = float(chance.choice([3, 100_000]))
        ts += step
    return found


def _value(metric: Metric, chance: np.random.Generator) -> float:
    if metric.rolled is Rollup.SHARE:
        return float(chance.integers(2))
    if metric.rolled in {Rollup.BITS, Rollup.LAST}:
        return float(chance.choice([0, 0, 1, 4, 6]))
    return float(chance.normal(100, 30))


def seen_of(kind: Kind, readings: list[list[Reading]]) -> Seen:
    listed = [(row, reading) for row, own in enumerate(readings) for reading in own]
    values = np.full((len(listed), len(kind.metrics)), np.nan)
    for place, (_, reading) in enumerate(listed):
        for name, value in reading.known.items():
            values[place, kind.positions[name]] = value
    nobody = np.full(len(listed), np.nan)
    return Seen(
        np.array([row for row, _ in listed], np.int64),
        np.array([reading.town for _, reading in listed], np.int64),
        np.array([reading.ts for _, reading in listed], np.int64),
        values,
        hold_ms(kind, values, nobody, nobody),
    )


def by_hand(kind: Kind, readings: list[list[Reading]], begin: int, end: int) -> list[list[tuple[int, Bucket]]]:
    """Quarters, hours and days, each with its asset's row."""
    found: list[list[tuple[int, Bucket]]] = [[], [], []]
    for row, own in enumerate(readings):
        finest = slow.quarters(kind, own, begin, end, RATED_W if kind.name == "lamp" else 0)
        hours = slow.larger(kind, finest, slow.hour_of)
        for part, made in zip(found, (finest, hours, slow.larger(kind, hours, slow.day_of)), strict=True):
            part += [(row, bucket) for bucket in sorted(made, key=lambda b: (b.begin, b.town))]
    return found


def assert_same(kind: Kind, made: Rolled, expected: list[tuple[int, Bucket]]) -> None:
    order = np.lexsort((made.town, made.bucket_ms, made.row))
    made = made.take(order)
    keys = zip(made.row.tolist(), made.bucket_ms.tolist(), made.town.tolist(), made.readings.tolist(), strict=True)
    assert list(keys) == [(row, b.begin, b.town, b.readings) for row, b in expected]
    assert np.allclose(made.covered_s, [b.covered_s for _, b in expected])
    for place, column in enumerate(value_columns(kind)):
        wanted = np.array([b.known.get(column.name, np.nan) for _, b in expected])
        assert np.allclose(made.values[:, place], wanted, rtol=1e-9, atol=1e-6, equal_nan=True), column.name


@pytest.mark.parametrize(
    ("name", "begin", "seed"),
    [("lamp", MARCH, 1), ("lamp", OCTOBER, 2), ("stop", OCTOBER, 3), ("lamp", MARCH, 4), ("lamp", OCTOBER, 5)],
)
def test_quarters_hours_and_days_are_what_a_slow_twin_makes(name: str, begin: int, seed: int) -> None:
    kind, chance = KINDS[name], np.random.default_rng(seed)
    end = slow.days_after(begin, DAYS)
    readings = [story(kind, chance, begin, sold=row == 1, silent_days=days) for row, days in enumerate((0, 60, 120))]
    seen = seen_of(kind, readings)
    most = most_per_h(kind, np.full(3, RATED_W if name == "lamp" else np.nan))
    whole = Spans(np.arange(3), np.full(3, begin), np.full(3, end))
    finest = quarters(kind, seen, whole, most)
    hours = coarser(kind, finest, finest.bucket_ms // HOUR_MS * HOUR_MS)
    days = coarser(kind, hours, day_ms(hours.bucket_ms))
    for made, expected in zip((finest, hours, days), by_hand(kind, readings, begin, end), strict=True):
        assert_same(kind, made, expected)
    assert np.unique(days.bucket_ms).tolist() == [slow.days_after(begin, n) for n in range(DAYS)]
    assert {23, 24, 25} > {(slow.days_after(d, 1) - d) // HOUR_MS for d in days.bucket_ms.tolist()} != {24}

    part = Spans(np.array([0, 2, 2]), begin + np.array([30, 7, 50]) * HOUR_MS, begin + np.array([33, 9, 51]) * HOUR_MS)
    again = quarters(kind, seen, part, most)
    inside = np.zeros(len(finest.row), bool)
    for row, low, high in zip(part.row, part.begin_ms, part.end_ms, strict=True):
        inside |= (finest.row == row) & (finest.bucket_ms >= low) & (finest.bucket_ms < high)
    assert inside.any()
    assert again.bucket_ms.tolist() == finest.bucket_ms[inside].tolist()
    assert np.allclose(again.values, finest.values[inside], rtol=1e-9, atol=1e-6, equal_nan=True)
