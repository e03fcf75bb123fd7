"""Rolled up bit by bit, late and twice, is the same as at once and as by hand; groups follow their members."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import numpy as np
import pytest

from kraj.kinds import LAMP
from kraj.readings import Readings
from kraj.rollups import value_columns
from stack import rollup, rollup_service
from stack.bench.processes import wait_until
from stack.database import OWNER
from tests.rules import slow_rollups as slow
from tests.stack.rollup_town import BASE_MS, MINUTE_MS, Town, at, differences, lamps, of_town


@pytest.fixture
def town(database_role_url: Callable[[str], str]) -> Iterator[Town]:
    found = Town(database_role_url(OWNER))
    yield found
    found.connection.close()


@pytest.fixture
def url(database_role_url: Callable[[str], str]) -> str:
    return database_role_url("kraj_rollup")


def history(seed: int) -> Readings:
    """Some days of six lamps: gaps, hiccups, restarts and zeros of counters, a change of owner, clocks going back."""
    chance = np.random.default_rng(seed)
    rows: list[tuple[int, int, dict[str, float]]] = []
    moved: list[bool] = []
    for asset in range(1, 7):
        ms, meter, sold = BASE_MS + int(chance.integers(MINUTE_MS)), 1000.0, int(chance.integers(4 * 1440))
        while ms < BASE_MS + 4 * 1440 * MINUTE_MS:
            lit = ms // (6 * 60 * MINUTE_MS) % 2
            watts = 40.0 * lit
            known = {"power_w": watts + float(chance.integers(3)), "voltage_v": 230.0, "energy_wh": meter}
            known["level_commanded_pct"] = 100.0 * lit
            known["failure_flags"] = float(chance.choice([0, 0, 0, 1, 4]))
            known["lamp_starts"] = float(ms // (1440 * MINUTE_MS) - BASE_MS // (1440 * MINUTE_MS))
            odd = chance.random()
            if odd < 0.02:
                known["energy_wh"] = float(chance.choice([0, 5, 1e6]))
            elif odd < 0.025:
                meter = float(chance.choice([3, 100_000]))
            elif odd < 0.05:
                known = {"voltage_v": 228.0}
            rows.append((asset, ms, known))
            moved.append(asset == 2 and ms > BASE_MS + sold * MINUTE_MS)
            gap = int(chance.choice([5, 5, 5, 5, 10, 1])) * (1 if lit else 12)
            gap = gap if chance.random() > 0.01 else int(chance.integers(60, 1200))
            meter += float(np.round(watts * gap / 60))
            ms += gap * MINUTE_MS + int(chance.integers(-20_000, 20_000))
    return of_town(lamps(rows), 2, np.array(moved))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bit_by_bit_is_the_same_as_at_once(town: Town, url: str, seed: int) -> None:
    readings, chance = history(seed), np.random.default_rng(seed)
    now = BASE_MS + 4 * 1440 * MINUTE_MS
    arrives = readings.ts_ms + np.where(
        chance.random(len(readings)) < 0.9, 0, chance.integers(0, 40, len(readings)) * 3_600_000
    )
    for number in range(8):
        step = np.flatnonzero((arrives - BASE_MS) * 8 // (now - BASE_MS) == number)
        again = chance.choice(len(readings), 5)
        again = again[arrives[again] < arrives[step].max()]
        town.write(readings.take(step), readings.take(again.astype(np.int64)))
        rollup.catch_up(url, at(BASE_MS + (number + 1) * (now - BASE_MS) // 8))
    rest = np.flatnonzero(arrives >= now)
    town.write(readings.take(rest))
    rollup.catch_up(url, at(now))
    step_by_step = town.rolled()
    town.forget()
    assert rollup.catch_up(url, at(now)) > 0
    assert differences(step_by_step, town.rolled()) == []
    for row, bucket in zip(quarters_of(town), by_hand(readings, now), strict=True):
        assert row[:3] == bucket[:3]
        assert np.allclose(np.array(row[3:], float), bucket[3:], rtol=1e-5, atol=1e-3, equal_nan=True)


def quarters_of(town: Town) -> list[tuple[float, ...]]:
    names = ", ".join(column.name for column in value_columns(LAMP))
    return town.ask(
        f"SELECT asset_id, (extract(epoch FROM bucket) * 1000)::bigint, municipality_id, readings, covered_s, {names}"
        " FROM rollup_lamp_15m ORDER BY 1, 2, 3"
    )


def by_hand(readings: Readings, now: int) -> list[tuple[float, ...]]:
    found: list[tuple[float, ...]] = []
    begin, end = BASE_MS - slow.HOUR, now // slow.QUARTER * slow.QUARTER + slow.QUARTER
    for asset in range(1, 7):
        mine = readings.take(np.flatnonzero(readings.asset_id == asset))
        told = [
            slow.Reading(ts, {m.name: v for m, v in zip(LAMP.metrics, values, strict=True) if not np.isnan(v)}, owner)
            for ts, values, owner in zip(
                mine.ts_ms.tolist(), mine.values.tolist(), mine.municipality_id.tolist(), strict=True
            )
        ]
        found += [
            (
                asset,
                b.begin,
                b.town,
                b.readings,
                b.covered_s,
                *(b.known.get(c.name, np.nan) for c in value_columns(LAMP)),
            )
            for b in sorted(slow.quarters(LAMP, told, begin, end, 50), key=lambda b: (b.begin, b.town))
        ]
    return found


def test_a_group_has_the_history_of_those_who_are_in_it_now(town: Town, url: str) -> None:
    now = BASE_MS + 4 * 1440 * MINUTE_MS
    town.write(history(4))
    town.ask("INSERT INTO asset_group (municipality_id, name) VALUES (1, 'Left')")
    town.ask("INSERT INTO asset_group_member VALUES (2, 5)")
    rollup.catch_up(url, at(now))
    before = town.rolled(LAMP)
    later = at(now) + timedelta(days=70)  # some months back
    town.ask("DELETE FROM asset_group_member WHERE asset_id IN (1, 5); INSERT INTO asset_group_member VALUES (1, 6)")
    town.ask("DELETE FROM asset_group WHERE group_id = 2")
    rollup.catch_up(url, later)
    followed = town.rolled(LAMP)
    assert town.ask("SELECT * FROM rollup_regroup") == []
    town.forget()
    rollup.catch_up(url, later)
    assert differences(followed, town.rolled(LAMP)) == []
    assert differences(before, followed) != []
    assert town.ask("SELECT DISTINCT group_id FROM rollup_group_lamp_1d") == [(1,)]


def test_the_service_rolls_up_what_comes_and_says_how_far_it_is(town: Town, url: str) -> None:
    town.write(history(5))
    figures, stop = rollup_service.Figures(), threading.Event()
    now = BASE_MS + 4 * 1440 * MINUTE_MS
    work = threading.Thread(target=rollup_service.serve, args=(url, lambda: at(now), 0.05, stop, figures))
    work.start()
    try:
        wait_until(lambda: bool(figures.registry.get_sample_value("kraj_rollup_round_seconds_count")), "a round")
        town.write(lamps([(1, now - MINUTE_MS, {"power_w": 40.0})]))
        wait_until(lambda: bool(town.ask("SELECT 1 FROM rollup_done WHERE batch_id = 2")), "the second batch")
    finally:
        stop.set()
        work.join()
    seen = {
        name: figures.registry.get_sample_value(f"kraj_rollup_{name}") for name in ("readings_total", "lag_seconds")
    }
    assert seen == {"readings_total": town.ask("SELECT sum(committed) FROM batch")[0][0], "lag_seconds": 0}
