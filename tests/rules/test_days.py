"""Aggregates of nights and days are those of all readings, however these came."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.kinds import LAMP
from kraj.metrics import Title
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.estate import Estate
from rules.inputs import Daily, How, health, of_kind, seam
from rules.layer import Layer
from rules.layers import in_time_and_late, layers, rows_of
from rules.rule import Per
from rules.watched import Moment, Watched
from tests.rules.slow_days import Diary, Values
from tests.rules.world import MINUTE_MS, START_MS, asset, readings, rule

HOUR_MS = 60 * MINUTE_MS
TIMED: tuple[How, ...] = ("mean", "integral", "share")


def _power(layer: Layer) -> Floats:
    return layer.column("power_w")


def _low(layer: Layer) -> Floats:
    power = layer.column("power_w")
    return np.where(np.isnan(power), np.nan, power < 50)


def _lit(layer: Layer) -> Mask:
    return layer.column("level_commanded_pct") > 0


def _energy(layer: Layer) -> Floats:
    return layer.column("energy_wh")


def _slow(layer: Layer) -> Floats:
    return np.full(len(layer), 150.0)


def daily(
    name: str,
    how: How,
    *,
    value: Callable[[Layer], Floats] | None = None,
    when: Callable[[Layer], Mask] | None = None,
    most: Callable[[Layer], Floats] | None = None,
) -> Daily:
    plain = _low if how in {"share", "count"} else _power
    return Daily(name, Unit.NONE, Title(cs=name, en=name), how, value or plain, when, increase_max_per_h=most)


POINTED: tuple[How, ...] = ("max", "min", "count")
WHERE_LIT: tuple[How, ...] = (*TIMED, "max", "count")
DAILY = (
    *(daily(how, how) for how in (*TIMED, *POINTED)),
    *(daily(f"{how}_lit", how, when=_lit) for how in WHERE_LIT),
    daily("increase", "increase", value=_energy),
    daily("increase_slow", "increase", value=_energy, most=_slow),
)
COUNTED = {"increase": None, "increase_slow": 150.0}


def watched(per: Per) -> tuple[Watched, Moment]:
    estate = Estate.of(1, [asset(1), asset(2), asset(300)])
    failed: list[tuple[str, Exception]] = []
    found = Watched(
        seam(LAMP, active=of_kind("lamp").active, daily=DAILY),
        estate,
        [rule("any", "coverage > 0", per=per)],
        lambda n, e: failed.append((n, e)),
    )
    assert failed == []
    return found, Moment(estate, {"lamp": found.state}, START_MS, START_MS, 0, {})


def feed(to: Watched, moment: Moment, rows: list[tuple[int, int, dict[str, float]]]) -> None:
    """As ``Observer`` does it."""
    in_time, late = in_time_and_late(rows_of([readings("lamp", rows)], to.members), health.newest_ms(to.state))
    for layer in layers(in_time):
        to.read(layer, moment)
    for layer in layers(late):
        to.read_late(layer, moment, {"lamp": to.late})
    to.late.rollback()


def values_of(named: dict[str, float]) -> Values:
    """What the aggregates look at."""
    power, lit = named.get("power_w"), named.get("level_commanded_pct", 0) > 0
    low = None if power is None else float(power < 50)
    plain: Values = {
        **dict.fromkeys(("mean", "integral", "max", "min"), power),
        **dict.fromkeys(("share", "count"), low),
    }
    plain |= {f"{name}_lit": plain[name] if lit else None for name in WHERE_LIT}
    return plain | dict.fromkeys(COUNTED, named.get("energy_wh"))


def random_row(random: np.random.Generator, ts: int) -> dict[str, float]:
    named = {"level_commanded_pct": float(random.choice([0, 60])), "power_w": float(random.integers(100))}
    named["energy_wh"] = float((ts - START_MS) // 40_000 + random.choice([0, 0, 0, 0, -1, -5000, 9000]))
    if random.random() < 0.1:
        named["energy_wh"] = 0.0
    return {name: value for name, value in named.items() if random.random() > 0.1}


@pytest.mark.parametrize("per", [Per.NIGHT, Per.DAY])
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_aggregates_are_those_of_all_readings(per: Per, seed: int) -> None:
    random = np.random.default_rng(seed)
    to, moment = watched(per)
    place = {int(a): n for n, a in enumerate(to.members.asset_id)}
    diaries = {a: Diary(49.5, float(to.members.longitude[n]), per) for a, n in place.items()}
    now = START_MS + int(random.integers(24)) * HOUR_MS
    for _ in range(30):
        now += int(random.choice([1, 5, 5, 30, 120, 400])) * MINUTE_MS
        rows: dict[tuple[int, int], dict[str, float]] = {}
        for asset_id in random.choice(list(place), int(random.integers(1, 6))).tolist():
            ts = now - int(random.choice([0, 0, 1, 7, 40, 200, 600])) * MINUTE_MS
            rows.setdefault((asset_id, ts), random_row(random, ts))
        feed(to, moment, [(a, ts, named) for (a, ts), named in rows.items()])
        late: list[tuple[int, int]] = []
        for asset_id, ts in sorted(rows, key=lambda row: row[1]):
            diary, values = diaries[asset_id], values_of(rows[asset_id, ts])
            beat = 300_000 if rows[asset_id, ts].get("level_commanded_pct", 0) > 0 else 3_600_000
            if diary.newest is not None and ts <= diary.newest.ts:
                late.append((asset_id, ts))
            else:
                diary.read(ts, values, beat, COUNTED)
        for asset_id, ts in late:
            beat = 300_000 if rows[asset_id, ts].get("level_commanded_pct", 0) > 0 else 3_600_000
            diaries[asset_id].read_late(ts, values_of(rows[asset_id, ts]), beat)
    for asset_id, diary in diaries.items():
        compare(to, diary, place[asset_id], per)


def compare(to: Watched, diary: Diary, slot: int, per: Per) -> None:
    if diary.newest is None:
        return
    for day in (diary.number(diary.newest.ts), diary.number(diary.newest.ts) - 1):
        with np.errstate(all="ignore"):
            found = to.days[per].close(to.state, day)
        told = {name: column[slot] for name, column in found.items()}
        wanted: dict[str, float | None] = {}
        for given_daily in DAILY:
            name, how = given_daily.name, given_daily.how
            points = [] if how == "increase" else diary.pointed(day, name)
            if how in TIMED:
                wanted[name] = diary.held(day, name, how)
            elif how == "increase":
                wanted[name] = diary.increased(day, name)
            elif how == "count":
                wanted[name] = sum(points) if points else None
            else:
                wanted[name] = {"max": max, "min": min}[how](points, default=None)
        for name, value in wanted.items():
            assert told[name] == pytest.approx(math.nan if value is None else value, nan_ok=True, abs=1e-9), name
        assert told["covered_h"] == pytest.approx(diary.covered_h(day), abs=0.005)
