"""The year's readings against a lamp that decides for itself when to send, and the ledger against the truth."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from kraj.kinds import LAMP
from simulators import yearcard, yearledger
from simulators.adversity import HOUR_S, START_S, Adversity, Spans
from simulators.year import Day, Truth, live
from simulators.yearledger import PARTS, Books, Errors, Meters, Sent

SEED, LAMPS, DAYS = 4, 50, 40
UNFED, MENDED, DRIFTING = 3, 10, 16


@cache
def lived() -> tuple[Adversity, list[Day], Truth]:
    adversity, seen = Adversity.of(SEED, LAMPS), list[Day]()
    return adversity, seen, live(adversity, days=DAYS, look=seen.append).truth


def sent(days: int) -> list[Sent]:
    adversity, seen, _ = lived()
    meters = Meters(adversity, SEED)
    return [meters.day(day) for day in seen[:days]]


def test_a_lamp_sends_by_deadband_and_heartbeat_and_counts_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOST_SHARE", "TWICE_SHARE", "FULL_A_YEAR", "BLIND_S_MAX"):
        monkeypatch.setattr(yearledger, name, 0)
    night_s, morning_s = START_S + 20 * HOUR_S, START_S + 27 * HOUR_S + 1
    dead = Spans.of([(UNFED, night_s, morning_s, 1, 0), (MENDED, night_s, morning_s, 0, 0)])
    made = Adversity.of(SEED, 20)
    drift_s = np.zeros(20, np.int64)
    drift_s[DRIFTING] = 130
    adversity, seen = replace(made, dead=dead, blind=Spans.of([]), drift_s=drift_s), list[Day]()
    live(adversity, days=3, look=seen.append)
    meters = Meters(adversity, SEED)
    found = [meters.day(day) for day in seen]
    power, level = (np.concatenate([getattr(day, name) for day in seen], axis=1) for name in ("power_w", "level_pct"))
    for row in (0, UNFED, MENDED, DRIFTING, 19):
        expected = said(power[row].tolist(), level[row].tolist(), mended_min=27 * 60 + 1 if row == MENDED else None)
        of = {
            name: np.concatenate([getattr(one, name)[one.row == row] for one in found])
            for name in ("ts_s", "power_w", "energy_wh", "level_pct")
        }
        assert ((of["ts_s"] - START_S - drift_s[row]) / 60).tolist() == [now for now, *_ in expected], row
        np.testing.assert_allclose(of["power_w"], [watts for _, watts, _, _ in expected], atol=0.051)
        np.testing.assert_allclose(of["energy_wh"], [taken for *_, taken, _ in expected], atol=1)
        assert of["level_pct"].tolist() == [pct for *_, pct in expected]
        assert (np.diff(of["energy_wh"]) < 0).sum() == (row == MENDED), "a mended lamp counts anew"


def said(power_w: list[float], level_pct: list[int], mended_min: int | None) -> list[tuple[int, float, float, int]]:
    """Minute, watts, watt-hours and per cent of each reading of one lamp, which decides for itself."""
    deadband = LAMP.by_name["power_w"]
    assert deadband.deadband
    assert deadband.deadband_pct
    found: list[tuple[int, float, float, int]] = []
    told: tuple[int, float, int] | None = None
    taken = 0.0
    for now, (watts, pct) in enumerate(zip(power_w, level_pct, strict=True)):
        taken = 0.0 if now == mended_min else taken
        if watts == 0:
            told = None
        elif (
            told is None
            or pct != told[2]
            or abs(watts - told[1]) > max(deadband.deadband, deadband.deadband_pct / 100 * told[1])
            or now - told[0] >= (5 if pct > 0 else 60)
        ):
            told = now, watts, pct
            found.append((now, watts, taken, pct))
        taken += watts / 60
    return found


def test_readings_are_lost_doubled_and_misdated() -> None:
    adversity, seen, _ = lived()
    found = sent(6)
    row, ts_s = (np.concatenate([getattr(one, name) for one in found]) for name in ("row", "ts_s"))
    key = row.astype(np.int64) << 40 | ts_s
    assert 0.005 < 1 - len(np.unique(key)) / len(key) < 0.02
    on_time = np.isin(ts_s, np.concatenate([day.ts_s for day in seen[:6]]))
    off = {int(r) for r in row[~on_time]}
    blind = {r for r, *_ in adversity.blind.within(START_S, int(seen[5].ts_s[-1]))}
    assert off <= blind | set(np.flatnonzero(adversity.drift_s).tolist())
    assert off


def books(days: list[Day], adversity: Adversity) -> Books:
    made = Books(adversity, SEED)
    for day in days:
        made.look(day)
    made.close()
    return made


def test_each_part_of_each_month_is_within_half_a_per_cent_of_the_truth() -> None:
    adversity, seen, truth = lived()
    made = books(seen, adversity)
    errors = Errors.of(made, truth, adversity)
    for name in PARTS:
        assert np.isfinite(errors.month[name]).tolist() == [True, True] + [False] * 10
        assert np.nanmax(np.abs(errors.month[name])) < 0.5, name
    np.testing.assert_allclose(made.due_h.sum(), truth.due_h.sum(), rtol=2e-3)
    assert 0.995 < made.covered_h.sum() / made.due_h.sum() < 1
    # Only what was declared says what the old lamp took: with something else the LED part must be found wrong.
    wrong = Errors.of(books(seen, replace(adversity, before_w=2 * adversity.before_w)), truth, adversity)
    assert wrong.year["led"] > 50
    assert abs(wrong.year["dimming"]) < 0.5


def test_the_command_holds_the_ledger_against_the_truth_and_fails_when_it_is_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = typer.Typer()
    app.command()(yearcard.command)
    arguments = ["--seed", "2", "--lamps", "50", "--days", "5", "--ledger", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert 0 < found["ledger_error_pct_max"] < 0.5
    assert found["ledger_error_pct_max"] == max(found[f"ledger_{name}_error_pct_max"] for name in PARTS)
    assert found["ledger_worst_part"] in PARTS
    assert found["ledger_worst_month"] == 1
    assert found["ledger_measured_kwh"] == pytest.approx(found["measured_kwh"], rel=0.01)
    monkeypatch.setattr(yearcard, "LEDGER_ERROR_PCT_MAX", found["ledger_error_pct_max"] / 2)
    assert CliRunner().invoke(app, arguments).exit_code == 1
    text = CliRunner().invoke(app, [*arguments[:-1], "--seeds", "2-3"]).output
    assert "ledger_error_pct_max" in text
