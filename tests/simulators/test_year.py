"""A year of lamps: against the lamp's own program minute by minute, what its checks find, and sums that add up."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from kraj import sun
from rules.deciding import EMERGENCY, MANUAL
from simulators import year as year_module
from simulators.adversity import DAY_S, START_S, Adversity, Spans
from simulators.year import Day, run
from simulators.yearcard import command, figures, summary
from tests.rules.test_deciding import DEVICE, WORDS

LAMPS = 60
APRIL = 88


@cache
def lived() -> tuple[Adversity, list[Day]]:
    seen: list[Day] = []
    return run(3, LAMPS, days=12, look=seen.append).adversity, seen


def holding(spans: Spans, row: int, utc_s: int) -> tuple[int, int] | None:
    """Value and until of the span that holds; the last that began."""
    mine = [s for s in zip(*(getattr(spans, f).tolist() for f in ("row", "from_s", "to_s", "value", "until_s")),
                           strict=True) if s[0] == row and s[1] <= utc_s < s[2]]  # fmt: skip
    return (mine[-1][3], mine[-1][4]) if mine else None


def test_each_lamp_decides_as_its_own_program_does() -> None:
    adversity, seen = lived()
    random = np.random.default_rng(5)
    picked: list[tuple[int, int, int]] = list(
        zip(*(random.integers(high, size=1500).tolist() for high in (len(seen), LAMPS, 1440)), strict=True)
    )
    special = [(d, r, m) for d, day in enumerate(seen) for r, m in np.argwhere(day.reason != 4)[::37].tolist()]
    drifting = np.flatnonzero(adversity.drift_s).tolist()
    assert drifting, "the seed has a clock that is off"
    picked += [(d, r, m) for r in drifting for d in range(len(seen)) for m in range(0, 1440, 53)]
    picked += [special[n] for n in random.integers(len(special), size=600).tolist()]
    reasons: set[str] = set()
    for d, row, minute in picked:
        day = seen[d]
        utc_s = int(day.ts_s[minute])
        held = holding(adversity.held, row, utc_s)
        assert held is not None
        orders = {
            "emergency": holding(adversity.emergency, row, utc_s),
            "manual": holding(adversity.manual, row, utc_s),
            "local": holding(adversity.local, row, utc_s) is not None,
            "motion_s": None,
        }
        blind = holding(adversity.blind, row, utc_s) is not None
        expected = DEVICE.decide(
            adversity.documents[held[0]],
            None if blind else utc_s + int(adversity.drift_s[row]),
            utc_s,
            orders,
            dark_seen(adversity, row, utc_s) if blind else None,
        )
        assert (day.level_pct[row, minute], WORDS[day.reason[row, minute]]) == expected, (d, row, minute)
        reasons.add(expected[1])
    assert reasons >= {"program", "manual", "fallback"}


def dark_seen(adversity: Adversity, row: int, utc_s: int) -> bool | None:
    if not adversity.photocell[row]:
        return None
    segment = int(adversity.segment[row])
    threshold = year_module.photocell_deg(LAMPS)[row]
    place = float(adversity.latitude[segment]), float(adversity.longitude[segment])
    return bool(sun.elevation_deg(utc_s * 1000, *place) < threshold)


def test_orders_end_by_themselves_while_nobody_hears_of_anything() -> None:
    adversity, seen = lived()
    for day in seen:
        for row, minute in np.argwhere(day.reason <= MANUAL)[::11].tolist():
            if day.reason[row, minute] == 1:
                continue
            spans = adversity.emergency if day.reason[row, minute] == EMERGENCY else adversity.manual
            found = holding(spans, row, int(day.ts_s[minute]))
            assert found is not None
            assert day.ts_s[minute] < found[1]
    assert (adversity.manual.to_s > adversity.manual.until_s).any(), "some are never released"


def test_nobody_walks_in_the_dark_while_everything_fails() -> None:
    found = run(11, 200, days=40)
    checks = found.checks
    assert (checks.below, checks.dark) == (0, 0)
    assert min(checks.fallback, checks.by_order, checks.ordered_below, checks.dead) > 0
    asked = [
        step[2] < document["floor_pct"]
        for document in found.adversity.documents
        for plan in document["plans"]
        for step in plan["steps"]
    ]
    assert any(asked), "programs do ask for too little"


def test_the_checks_find_a_floor_that_is_crossed_and_a_lamp_that_stays_dark(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Adversity.of(2, 50)
    sunk = [document | {"floor_pct": 0} for document in made.documents]
    monkeypatch.setattr(Adversity, "of", _always(replace(made, documents=sunk)))
    found = run(2, 50, days=3)
    assert found.checks.below > 1000
    monkeypatch.undo()
    monkeypatch.setattr(year_module, "PHOTOCELL_DEG", (-30.0, -20.0))
    blind = Spans.of([(row, START_S, START_S + DAY_S, 1, 0) for row in range(50)])
    monkeypatch.setattr(Adversity, "of", _always(replace(made, blind=blind, photocell=np.ones(50, np.bool_))))
    assert run(2, 50, days=1).checks.dark > 1000


def _always(made: Adversity) -> Callable[[int, int], Adversity]:
    return lambda seed, lamps: made


def test_the_truth_adds_up_for_each_lamp_and_each_part_is_what_it_says() -> None:
    seen: list[Day] = []
    found = run(6, 300, days=6, look=seen.append)
    adversity, truth = found.adversity, found.truth
    whole = truth.measured_kwh - truth.outside_kwh + truth.led_kwh + truth.dimming_kwh + truth.outage_kwh
    np.testing.assert_allclose(whole, truth.baseline_kwh, rtol=1e-6, atol=1e-6)
    measured = np.sum([day.power_w.sum(axis=1, dtype=np.float64) for day in seen], axis=0) / 60_000
    np.testing.assert_allclose(truth.measured_kwh.sum(axis=1), measured, rtol=1e-6)
    assert (truth.measured_kwh[:, 1:] == 0).all(), "six days of January"
    out = np.sum([(day.due & day.dead).sum(axis=1) for day in seen], axis=0) / 60
    np.testing.assert_allclose(truth.outage_h.sum(axis=1), out)
    struck = out > 0
    assert struck.any()
    assert (truth.outage_kwh.sum(axis=1)[~struck] == 0).all()
    lost = adversity.before_w[struck] * out[struck] / 1000
    assert (truth.outage_kwh.sum(axis=1)[struck] <= lost + 1e-9).all()
    assert (truth.outage_kwh.sum(axis=1)[struck] > 0.95 * lost).all()
    assert truth.dimming_kwh.sum() > 0.05 * truth.undimmed_kwh.sum()


def test_months_are_those_of_the_clock_on_the_wall() -> None:
    shown: list[Day] = []
    run(4, 5, days=APRIL + 4, look=shown.append)
    (turn,) = [day for day in shown if len(np.unique(day.month)) > 1]
    first = int(turn.ts_s[np.flatnonzero(turn.month == 3)[0]])
    assert datetime.fromtimestamp(first, UTC) == datetime(2026, 3, 31, 22, tzinfo=UTC)


def test_a_lamp_warms_up_after_each_start_over_midnight_too() -> None:
    _, seen = lived()
    after = np.concatenate([day.level_pct for day in seen[:3]], axis=1).astype(int)
    power = np.concatenate([day.power_w for day in seen[:3]], axis=1)
    dead = np.concatenate([day.dead for day in seen[:3]], axis=1)
    row, at = np.argwhere((after[:, 1:-30] == 100) & (after[:, :-31] == 0) & ~dead[:, 1:-30])[0].tolist()
    course = power[row, at + 1 : at + 21]
    assert after[row, at + 1 : at + 21].min() == 100
    assert (np.diff(course) >= 0).all()
    assert 0.3 < course[0] / course[-1] < 0.45


def test_the_same_seed_gives_the_same_year_and_another_seed_another() -> None:
    first, second, third = (run(seed, 30, days=2).truth.measured_kwh for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_the_command_prints_its_figures_and_fails_when_a_street_was_too_dark(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, ["--seeds", "1-2", "--lamps", "50", "--days", "3", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert set(found["seeds"]) == {"1", "2"}
    wanted = {"minutes_below_class", "lamp_minutes_dark", "saved_share", "measured_kwh", "undimmed_kwh", "memory_mb"}
    assert wanted | {"seconds"} <= set(found["seeds"]["1"])
    assert found["over_seeds"]["minutes_below_class"] == {"mean": 0, "worst": 0}
    made = Adversity.of(2, 50)
    sunk = [document | {"floor_pct": 0} for document in made.documents]
    monkeypatch.setattr(Adversity, "of", _always(replace(made, documents=sunk)))
    assert CliRunner().invoke(app, ["--seed", "2", "--lamps", "50", "--days", "3"]).exit_code == 1


def test_the_worst_seed_is_the_one_that_saved_least() -> None:
    each = [figures(seed, 25, 2) for seed in (1, 2)]
    over = summary(each)["over_seeds"]
    assert over["saved_share"]["worst"] == min(one["saved_share"] for one in each)
    assert over["seconds"]["worst"] == max(one["seconds"] for one in each)
