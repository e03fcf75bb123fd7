"""Rollups again: one asset, one bucket, one reading after another, in plain Python."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

from kraj.metrics import Kind, Metric
from kraj.units import Unit

MINUTE = 60_000
QUARTER = 15 * MINUTE
HOUR = 60 * MINUTE
PRAGUE = ZoneInfo("Europe/Prague")


@dataclass
class Reading:
    """What one asset told at a time (Unix milliseconds); what is not in ``known`` it did not tell."""

    ts: int
    known: Mapping[str, float]
    town: int = 1


@dataclass
class Bucket:
    """A rollup; ``known`` by the columns' names."""

    begin: int
    town: int
    readings: int
    covered_s: float
    known: dict[str, float]


def day_of(ts: int) -> int:
    """When the day began in Prague."""
    day = datetime.fromtimestamp(ts / 1000, PRAGUE).date()
    return round(datetime(day.year, day.month, day.day, tzinfo=PRAGUE).timestamp() * 1000)


def days_after(ts: int, days: int) -> int:
    """A midnight in Prague some days later."""
    day = datetime.fromtimestamp(ts / 1000, PRAGUE).date() + timedelta(days=days)
    return round(datetime(day.year, day.month, day.day, tzinfo=PRAGUE).timestamp() * 1000)


def hour_of(ts: int) -> int:
    """When the hour began."""
    return ts - ts % HOUR


def held(kind: Kind, reading: Reading) -> int:
    """For how long a reading counts: three heartbeats; a lamp that is told to shine has its active one."""
    active = kind.name == "lamp" and reading.known.get("level_commanded_pct", 0) > 0
    return 3000 * (kind.heartbeat_s if active else kind.heartbeat_idle_s)


def fastest(kind: Kind, metric: Metric, rated_w: float) -> float:
    """How far a counter may go in an hour."""
    if metric.unit is Unit.SECOND:
        return 3780
    if metric.name == "energy_wh" and rated_w:
        return {"lamp": 2.0, "cabinet": 2.0, "solar": 1.3}[kind.name] * rated_w
    return kind.by_name["pv_power_w"].possible[1] if metric.name == "pv_energy_wh" else float("inf")


def quarters(kind: Kind, readings: Sequence[Reading], begin: int, end: int, rated_w: float) -> list[Bucket]:
    """The quarters from one moment to another in which anything is known; ``readings`` in order."""
    until = [r.ts + held(kind, r) for r in readings]
    until = [min(e, n.ts) for e, n in zip(until, [*readings[1:], Reading(1 << 60, {})], strict=True)]
    times = [r.ts for r in readings]
    steps = {m.name: rises(kind, m, readings, rated_w) for m in kind.metrics if m.rolled.value == "increase"}
    cuts = [r.ts for before, r in pairwise(readings) if before.town != r.town]
    found: list[Bucket] = []
    for quarter in range(begin, end, QUARTER):
        edges = [quarter, *(cut for cut in cuts if quarter < cut < quarter + QUARTER), quarter + QUARTER]
        for low, high in pairwise(edges):
            first, last = max(0, bisect_right(times, low) - 1), bisect_left(times, high)
            near = zip(readings[first:last], until[first:last], strict=True)
            pieces = [(r, (min(e, high) - max(r.ts, low)) / 1000) for r, e in near if min(e, high) > max(r.ts, low)]
            known = _of_pieces(kind, pieces)
            for name, made in steps.items():
                made_here = made[
                    bisect_right(made, low, key=lambda m: m[1]) : bisect_left(made, high, key=lambda m: m[0])
                ]
                shares = [(rise, min(b, high) - max(a, low), b - a) for a, b, rise in made_here]
                if any(part > 0 for _, part, _ in shares):
                    known[name] = sum(rise * part / whole for rise, part, whole in shares if part > 0)
            count = last - bisect_left(times, low)
            if pieces or count or known:
                owner = readings[max(0, bisect_right(times, low) - 1)].town
                found.append(Bucket(quarter, owner, count, sum(s for _, s in pieces), known))
    return found


def rises(kind: Kind, metric: Metric, readings: Sequence[Reading], rated_w: float) -> list[tuple[int, int, float]]:
    """From when to when a counter rose by how much."""
    slack = {Unit.WATT_HOUR: 2.0, Unit.SECOND: 60.0}.get(metric.unit, 1.0)
    told = [(r.ts, r.known[metric.name]) for r in readings if metric.name in r.known]
    told = [(ts, v) for ts, v in told if (v >= 0 if metric.unit is Unit.COUNT else v > 0)]

    def near(place: int) -> tuple[list[float], list[float]]:
        ts = told[place][0]
        first = min(bisect_left(told, ts - 30 * MINUTE, key=lambda t: t[0]), max(0, place - 1))
        last = max(bisect_right(told, ts + 30 * MINUTE, key=lambda t: t[0]), place + 2)
        return [v for _, v in told[first:place]], [v for _, v in told[place + 1 : last]]

    def fell(place: int) -> bool:
        before, behind = near(place)
        return bool(before and behind) and told[place][1] < max(before) <= max(behind) + slack

    def rose(place: int) -> bool:
        before, behind = near(place)
        return bool(before and behind) and told[place][1] > min(behind) + slack >= min(before)

    told = [reading for place, reading in enumerate(told) if not fell(place)]
    told = [reading for place, reading in enumerate(told) if not rose(place)]
    found: list[tuple[int, int, float]] = []
    for (a, low), (b, high) in pairwise(told):
        possible = -slack <= high - low <= fastest(kind, metric, rated_w) * (b - a) / HOUR + slack
        if possible and 0 < b - a <= 100 * 24 * HOUR:
            first, last = a if a == day_of(a) else days_after(a, 1), day_of(b)
            found.append((first, last, max(high - low, 0)) if last > first else (a, b, max(high - low, 0)))
    return found


def larger(kind: Kind, finer: Iterable[Bucket], begin_of: Callable[[int], int]) -> list[Bucket]:
    """Buckets, in order, into hours or days."""
    found: list[Bucket] = []
    ordered = sorted(finer, key=lambda b: (begin_of(b.begin), b.town, b.begin))
    for (begin, town), group in groupby(ordered, key=lambda b: (begin_of(b.begin), b.town)):
        parts = list(group)
        known = _of_buckets(kind, parts)
        found.append(Bucket(begin, town, sum(p.readings for p in parts), sum(p.covered_s for p in parts), known))
    return found


def _of_pieces(kind: Kind, pieces: Sequence[tuple[Reading, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for metric in kind.metrics:
        said = [(r.known[metric.name], s) for r, s in pieces if metric.name in r.known]
        if said and metric.rolled.value != "increase":
            found[metric.name] = _reduced(metric.rolled.value, said)
            if metric.extremes:
                found[metric.name + "_min"] = min(v for v, _ in said)
                found[metric.name + "_max"] = max(v for v, _ in said)
    return found


def _of_buckets(kind: Kind, parts: Sequence[Bucket]) -> dict[str, float]:
    ways = {m.name: m.rolled.value for m in kind.metrics}
    ways |= {m.name + end: end for m in kind.metrics if m.extremes for end in ("_min", "_max")}
    found: dict[str, float] = {}
    for name, way in ways.items():
        said = [(p.known[name], p.covered_s) for p in parts if name in p.known]
        if said:
            found[name] = _reduced(way, said)
    return found


def _reduced(way: str, said: Sequence[tuple[float, float]]) -> float:
    values = [value for value, _ in said]
    if way in {"mean", "share"}:
        weight = sum(w for _, w in said)
        return sum(v * w for v, w in said) / weight if weight else float("nan")
    if way == "bits":
        bits = 0
        for value in values:
            bits |= int(value)
        return float(bits)
    reducers: dict[str, Callable[[Sequence[float]], float]] = {"_min": min, "_max": max, "increase": sum}
    return reducers[way](values) if way in reducers else values[-1]
