"""A month's split of energy: against the simulator's truth, a slow twin, and what readings cannot tell."""

from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from rules.lighting import ledger
from rules.lighting.ledger import Days, Due, Full, Seen, completeness, observe
from rules.lighting.power import Luminaire
from simulators.adversity import DAY_S, START_S, Adversity
from simulators.year import Day, Truth, run

LAMPS, NIGHTS = 60, 40
SEED = 6
STEP_MIN = 5
BOUNDS_S = START_S + np.arange(NIGHTS + 1) * DAY_S
KWH = 3.6e6
PARTS = ("baseline", "measured", "outside", "led", "dimming", "outage")


def luminaires(rated_w: Any) -> Luminaire:
    rated = np.asarray(rated_w, float)
    return Luminaire(rated, np.full(len(rated), np.nan), np.full(len(rated), 0.5), np.full(len(rated), 10.0))


@cache
def lived() -> tuple[Adversity, Truth, Seen, Seen]:
    """40 days of 60 lamps; readings each five minutes of all lamps, and of those that have supply."""
    days: list[Day] = []
    year = run(SEED, LAMPS, days=NIGHTS, look=days.append)
    power = np.concatenate([day.power_w for day in days], axis=1)
    level = np.concatenate([day.level_pct for day in days], axis=1)
    counter = np.floor(np.cumsum(power, axis=1, dtype=np.float64) / 60)
    begun = np.concatenate([np.zeros((LAMPS, 1)), counter[:, :-1]], axis=1)
    at = np.arange(0, power.shape[1], STEP_MIN, dtype=np.int64)
    ts = START_S + at * 60
    rows = np.repeat(np.arange(LAMPS), len(at))
    seen = Seen(
        rows,
        np.tile(ts, LAMPS),
        power[:, at].astype(np.float64).ravel(),
        begun[:, at].ravel(),
        level[:, at].astype(np.float64).ravel(),
    )
    return year.adversity, year.truth, seen, part(seen, seen.power_w > 0)


def part(seen: Seen, chosen: Any) -> Seen:
    return Seen(*(getattr(seen, f.name)[chosen] for f in fields(Seen)))


@cache
def due() -> Due:
    adversity = lived()[0]
    held = [
        [
            (f, adversity.documents[value])
            for row, f, _, value, _ in adversity.held.within(START_S, BOUNDS_S[-1])
            if row == n
        ]
        for n in range(LAMPS)
    ]
    return Due.of([ledger.nights(sorted(mine, key=lambda one: one[0]), START_S, int(BOUNDS_S[-1])) for mine in held])


def observed(seen: Seen) -> tuple[Days, Full]:
    return observe(seen, luminaires(lived()[0].rated_w), np.arange(LAMPS), due(), BOUNDS_S)


@pytest.mark.parametrize("silent", [False, True], ids=["all send", "without supply nobody sends"])
def test_every_part_is_within_half_a_per_cent_of_the_truth(silent: bool) -> None:
    adversity, truth, *both = lived()
    days, full = observed(both[silent])
    found = ledger.split(days, full.power_w[:, None], adversity.before_w[:, None])
    baseline = truth.baseline_kwh.sum()
    for name in PARTS:
        mine, true = getattr(found, f"{name}_kwh").sum(), getattr(truth, f"{name}_kwh").sum()
        assert abs(mine - true) <= 0.005 * baseline, name
    total = found.measured_kwh - found.outside_kwh + found.led_kwh + found.dimming_kwh + found.outage_kwh
    np.testing.assert_allclose(found.baseline_kwh, total, atol=1e-12)
    assert completeness(found.due_h.sum(), found.covered_h.sum()) > 0.999
    assert found.due_h.sum() == pytest.approx(truth.due_h.sum(), rel=1e-6)
    assert truth.outage_h.sum() > 20, "there is something to tell apart"
    assert found.outage_h.sum() == pytest.approx(truth.outage_h.sum(), rel=0.05)


NIGHT = (18 * 3600, 30 * 3600)
DAYS_S = np.arange(4) * DAY_S
ONE = luminaires([60.0])
"""A lamp of 60 W; nights from six to six, days of 24 hours from 0."""


def three_nights() -> Due:
    begins = np.array([NIGHT[0] + n * DAY_S for n in range(-1, 3)])
    return Due.of([(np.maximum(begins, 0), begins + NIGHT[1] - NIGHT[0])])


def steady(ts: Any, power_w: Any, level: Any = 100.0) -> Seen:
    """Readings of one lamp with the counter of this power by the minute (a number or shape ``(4320,)``)."""
    ts = np.asarray(ts)
    by_minute = np.broadcast_to(np.asarray(power_w, float), (4320,))
    counter = np.concatenate([[0], np.cumsum(by_minute)]) / 60
    at = ts // 60
    return Seen(
        np.zeros(len(ts), np.int64),
        ts,
        by_minute[np.minimum(at, 4319)],
        counter[at],
        np.broadcast_to(np.asarray(level, float), (4320,))[np.minimum(at, 4319)],
    )


def lit_by_night(watts: float = 60.0) -> Any:
    minute = np.arange(4320) % 1440
    return np.where((minute < 360) | (minute >= 1080), watts, 0.0)


def one(seen: Seen, lamps: Luminaire = ONE) -> tuple[Days, Full]:
    return observe(seen, lamps, np.zeros(1, np.int64), three_nights(), DAYS_S)


EVERY = np.arange(0, 3 * DAY_S + 1, 300)


def test_an_outage_is_no_saving_and_an_ordered_dark_lamp_is_no_outage() -> None:
    power = lit_by_night()
    power[1080:1440] = 1.0
    days, full = one(steady(EVERY, power))
    found = ledger.split(days, full.power_w[:, None], np.array([[150.0]]))
    assert found.outage_h.sum() == pytest.approx(6, abs=0.1)
    assert found.outage_kwh.sum() == pytest.approx(6 * 0.149, abs=0.02)
    assert found.dimming_kwh.sum() == pytest.approx(0, abs=0.01)

    level = np.where(power == 1.0, 0.0, 100.0)
    days, full = one(steady(EVERY, power, level))
    found = ledger.split(days, full.power_w[:, None], np.array([[150.0]]))
    assert found.outage_h.sum() == pytest.approx(0, abs=0.1)
    assert found.dimming_kwh.sum() == pytest.approx(6 * 0.059, abs=0.01)


def test_a_gap_saves_nothing_whatever_the_counter_says_of_it() -> None:
    power = lit_by_night()
    power[1140:1800] = 30.0
    whole = one(steady(EVERY, power))[0]
    days, full = one(steady(EVERY[(EVERY <= 1140 * 60) | (EVERY >= 1740 * 60)], power))
    found = ledger.split(days, full.power_w[:, None], np.array([[150.0]]))
    assert whole.uncovered_kwh.sum() == 0
    assert found.uncovered_kwh.sum() == pytest.approx(10 * 0.03)
    assert found.due_h.sum() - found.covered_h.sum() == pytest.approx(10)
    assert found.dimming_kwh.sum() == pytest.approx(0.03, abs=0.01), "what was heard of it"
    assert completeness(found.due_h.sum(), found.covered_h.sum()) == pytest.approx(26 / 36)


def test_a_lamp_that_was_silent_and_took_nothing_was_dark() -> None:
    power = lit_by_night()
    power[1140:1740] = 0.0
    days, _ = one(steady(EVERY[(EVERY <= 1130 * 60) | (EVERY >= 1740 * 60)], power))
    assert days.outage_h.sum() == pytest.approx(10.1, abs=0.2)
    assert days.uncovered_kwh.sum() == 0


@pytest.mark.parametrize("wrong", ["begins anew", "another device's", "missing"])
def test_a_counter_that_cannot_be_believed_is_not(wrong: str) -> None:
    seen = steady(EVERY, lit_by_night())
    energy = seen.energy_wh.copy()
    if wrong == "begins anew":
        energy[400:] -= energy[400]
    elif wrong == "another device's":
        energy[400:] += 1_000_000
    else:
        energy[:] = np.nan
    true, _ = one(seen)
    found, _ = one(replace(seen, energy_wh=energy))
    assert found.lit_kwh.sum() == pytest.approx(true.lit_kwh.sum(), rel=0.002)
    assert found.lit_h.sum() == pytest.approx(36)


def test_months_without_readings_or_without_a_known_power_are_incomplete_and_save_nothing() -> None:
    nothing = Seen(*(np.zeros(0, kind) for kind in (np.int64, np.int64, float, float, float)))
    unknown = luminaires([np.nan])
    for seen, lamps in ((nothing, ONE), (steady(EVERY, lit_by_night(), np.nan), unknown)):
        days, full = one(seen, lamps)
        found = ledger.split(days, full.power_w[:, None], np.array([[150.0]]))
        assert found.due_h.sum() == pytest.approx(36)
        assert not any(getattr(found, f"{name}_kwh").any() for name in PARTS)
        assert completeness(found.due_h, found.covered_h).max() == 0
    assert days.uncovered_kwh.sum() == pytest.approx(36 * 0.06), "what it took is told"


def test_full_light_is_measured_warm_else_reckoned_by_the_curve_else_rated() -> None:
    power = lit_by_night(55.0)
    for minute in (1080, 2520, 3960):
        power[minute : minute + 15] = 20.0  # warming up
    _, full = one(steady(EVERY, power))
    assert (full.power_w.tolist(), full.source.tolist()) == ([55.0], [0])
    _, full = one(steady(EVERY, lit_by_night(30.0), 50.0))
    assert full.source.tolist() == [1]
    assert 50 < full.power_w[0] < 70
    _, full = one(steady(EVERY, lit_by_night(30.0), np.nan))
    assert (full.power_w.tolist(), full.source.tolist()) == ([60.0], [2])


def twin(seen: Seen, lamps: Luminaire, timeline: Any, nights: Any, bounds_s: Any) -> Any:
    """By the minute, for readings on even minutes: hours lit and dark, and kWh lit, dark, outside, uncovered."""
    out = np.zeros((6, len(timeline), len(bounds_s) - 1))

    def is_due(lamp: int, at: float) -> bool:
        begins, ends = nights[timeline[lamp]]
        return any(b <= at < e for b, e in zip(begins, ends, strict=True))

    def is_dark(k: int) -> bool:
        rated, level = lamps.rated_w[seen.lamp[k]], seen.level_pct[k]
        share = max((level - 10) / 90, 0)
        expected = rated * (0.16 + 0.84 * share * (0.88 + 0.12 * share))
        return level > 0 and seen.power_w[k] < max(3, 0.2 * expected)

    for i in range(len(seen.ts_s) - 1):
        lamp, a, b = int(seen.lamp[i]), int(seen.ts_s[i]), int(seen.ts_s[i + 1])
        if seen.lamp[i + 1] != lamp or a == b:
            continue
        rated, gone = lamps.rated_w[lamp], seen.energy_wh[i + 1] - seen.energy_wh[i]
        strongest = max(rated, seen.power_w[i], seen.power_w[i + 1])
        counted = 0 <= gone <= 2 * strongest * (b - a) / 3600 + 2
        minutes = [(m, is_due(lamp, m), i if m < (a + b) // 2 else i + 1) for m in range(a, b, 60)]
        due_min = sum(wanted for _, wanted, _ in minutes)
        short = b - a <= 7500
        stood = not short and counted and due_min > 0 and gone * 60 < max(3, 0.2 * 0.16 * rated) * due_min
        covered = short or stood or (counted and not due_min)
        parts: list[tuple[int, bool, bool, float]] = []
        for m, wanted, near in minutes:
            far = 2 * i + 1 - near
            fitting = [k for k in (near, far) if is_due(lamp, seen.ts_s[k]) == wanted]
            watts = seen.power_w[fitting[0]] if fitting else (rated if wanted else 0.0)
            dark = wanted and (stood or (short and bool(fitting) and is_dark(fitting[0])))
            parts.append((m, wanted, dark, watts + 1e-6 if short else 1.0))
        total = sum(watts for *_, watts in parts) / 60
        for m, wanted, dark, watts in parts:
            day = int(np.searchsorted(bounds_s, m, "right")) - 1
            if not 0 <= day < len(bounds_s) - 1:
                continue
            wh = watts / 60 * (gone / total if counted else (1 if short else 0))
            if not covered:
                out[5, lamp, day] += wh / 1000
            elif wanted:
                out[1 if dark else 0, lamp, day] += 1 / 60
                out[3 if dark else 2, lamp, day] += wh / 1000
            else:
                out[4, lamp, day] += wh / 1000
    return out


@pytest.mark.parametrize("seed", range(12))
def test_arrays_equal_the_slow_twin(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, rows = 3, 160
    lamp = np.sort(random.integers(n, size=rows))
    ts = np.concatenate([
        np.sort(random.choice(np.arange(0, 3 * DAY_S + 14_400, 600), size=int((lamp == k).sum()), replace=False))
        for k in range(n)
    ])  # fmt: skip
    energy = random.integers(0, 200, rows).cumsum() * (random.random(rows) > 0.1)
    power = random.choice([0.0, 2.0, 9.0, 25.0, 60.0], rows)
    level = random.choice([0.0, 10.0, 50.0, 100.0], rows)
    seen = Seen(lamp, ts, power, energy.astype(float), level)
    lamps, timeline = luminaires([60.0, 22.0, 84.0]), np.array([1, 0, 1])
    begins = np.array([NIGHT[0] + k * DAY_S for k in range(4)])
    nights = [(begins, begins + 40_020), (begins + 3000, begins + 43_140)]
    days, _ = observe(seen, lamps, timeline, Due.of(nights), DAYS_S + 7200)
    slow = twin(seen, lamps, timeline, nights, DAYS_S + 7200)
    names = ("lit_h", "outage_h", "lit_kwh", "dark_kwh", "outside_kwh", "uncovered_kwh")
    for name, wanted in zip(names, slow, strict=True):
        np.testing.assert_allclose(getattr(days, name), wanted, atol=2e-6, err_msg=name)
