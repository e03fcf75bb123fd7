"""The region as deliveries: everything once, in order of arrival, and alike whenever it is asked for."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from kraj.assets import DeviceStatus
from kraj.kinds import LAMP
from kraj.readings import Readings, as_stored, implausible_bits, spans
from simulators.asset import Region
from simulators.habits import GASP_MS
from simulators.physics.frame import DAY_MS, Fault
from simulators.radio import RADIOS
from simulators.stream import Delivery, days, stored
from simulators.world import World
from tests.simulators.scripted import HOUR_MS, START_MS, TOWN, Scripted, between, lamps

PERFECT = RADIOS["perfect"]


def world(region: Region, **said: object) -> World:
    return World(region, [Scripted(region.assets, **said)])  # type: ignore[arg-type]


def fault(cause: str, targets: Sequence[str], from_h: float, to_h: float, size: float = 1.0) -> Fault:
    start, end = (START_MS + int(h * HOUR_MS) for h in (from_h, to_h))
    return Fault(
        cause=cause, scope="asset", municipality=TOWN.name, name=targets[0], targets=tuple(targets),
        start_ms=start, end_ms=end, size=size,
    )  # fmt: skip


def table(found: Sequence[Delivery]) -> dict[str, np.ndarray]:
    """All readings with the moment of their delivery."""
    names = ("asset_id", "municipality_id", "ts_ms", "seq", "boot")
    parts = [(d.now_ms, r) for d in found for r in d.readings]
    out = {name: np.concatenate([getattr(r, name) for _, r in parts]) for name in names}
    out["now_ms"] = np.concatenate([np.full(len(r), now) for now, r in parts])
    out["values"] = np.concatenate([r.values for _, r in parts])
    return out


def said(found: Sequence[Delivery]) -> list[DeviceStatus]:
    return [status for delivery in found for status in delivery.statuses]


def test_every_batch_is_delivered_even_an_empty_one() -> None:
    found = list(days(world(lamps(2)), START_MS, 2, radio=PERFECT, batch_s=120))
    assert len(found) == 2 * 720
    assert set(np.diff([d.now_ms for d in found])) == {120_000}
    assert found[0].now_ms == START_MS + 120_000


def test_without_loss_each_reading_comes_in_the_batch_in_which_it_was_taken() -> None:
    found = table(list(days(world(lamps(3)), START_MS, 1, radio=PERFECT)))
    assert len(found["ts_ms"]) == 3 * 288
    age = found["now_ms"] - found["ts_ms"]
    assert ((age > 0) & (age <= 120_000)).all()
    assert Counter(found["asset_id"].tolist()) == {1: 288, 2: 288, 3: 288}
    assert set(found["municipality_id"].tolist()) == {1}


def test_numbers_count_on_without_a_gap_through_channels_boots_and_days() -> None:
    region = lamps(4, channels=2)
    power = between(int(30.5 * HOUR_MS), 31 * HOUR_MS, 0, 1)
    found = table(list(days(world(region, power=power), START_MS, 2, radio=PERFECT)))
    for device in (0, 1):
        mine = (found["asset_id"] - 1) // 2 == device
        order = np.argsort(found["seq"][mine])
        assert found["seq"][mine][order].tolist() == list(range(1, mine.sum() + 1))
        assert (np.diff(found["ts_ms"][mine][order]) >= 0).all()
        assert set(found["boot"][mine].tolist()) == {1, 2}
        assert (np.diff(found["boot"][mine][order]) >= 0).all()
    uptime = found["values"][:, LAMP.positions["uptime_s"]]
    again = found["boot"] == 2
    assert (uptime[again] <= (found["ts_ms"][again] - START_MS - 31 * HOUR_MS) / 1000).all()


@pytest.mark.parametrize("name", ["ordinary", "storm"])
def test_loss_makes_late_what_it_does_not_make_missing(name: str) -> None:
    region = lamps(30)
    sent = {(i, s) for i in range(1, 31) for s in range(1, 289)}
    listed = list(days(world(region), START_MS, 2, radio=RADIOS[name]))
    found = table(listed)
    keys = list(zip(found["asset_id"].tolist(), found["seq"].tolist(), strict=True))
    assert len(set(keys)) == len(keys)
    assert sent <= set(keys), "the first day is there by the end of the second"
    late = (found["now_ms"] - found["ts_ms"] > 140_000).mean()
    assert 0 < late < 3 * RADIOS[name].loss
    repeated = sum(d.repeated for d in listed)
    assert 0 < repeated < 3 * RADIOS[name].duplicates * len(keys)
    assert (np.diff(found["ts_ms"][found["asset_id"] == 1]) < 0).any() == (name == "storm")


def test_a_device_without_network_reads_on_and_tells_it_later_the_newest_first() -> None:
    region = lamps(2)
    key = region.assets[0].key
    cut = fault("comms_lost", [key], 3, 9.5)
    found = list(days(world(region), START_MS, 1, [cut], PERFECT))
    rows = table(found)
    mine = rows["asset_id"] == 1
    taken, told = rows["ts_ms"][mine], rows["now_ms"][mine]
    held = (taken >= cut.start_ms) & (taken < cut.end_ms)
    assert held.sum() == 78
    assert (told[held] > cut.end_ms + 60_000).all()
    assert (told[held] <= cut.end_ms + 330_000).all()
    first_after = np.flatnonzero(told > cut.end_ms)[0]
    assert taken[first_after] > cut.end_ms, "a live reading first"
    assert sorted(rows["seq"][mine].tolist()) == list(range(1, mine.sum() + 1))
    statuses = [s for s in said(found) if s.device_id == 1]
    assert [s.online for s in statuses] == [True, False, True]
    assert statuses[1].ts_ms == cut.start_ms + 90_000
    assert 0 < statuses[2].ts_ms - cut.end_ms <= 31_000
    assert [s.boot for s in statuses] == [1, None, 1]
    assert (rows["boot"] == 1).all()


def test_a_network_lost_for_days_holds_everything_back() -> None:
    region = lamps(1)
    cut = fault("comms_lost", [region.assets[0].key], 3, 51)
    rows = table(list(days(world(region), START_MS, 3, [cut], PERFECT)))
    held = (rows["ts_ms"] >= cut.start_ms) & (rows["ts_ms"] < cut.end_ms)
    assert held.sum() == 48 * 12
    assert (rows["now_ms"][held] > cut.end_ms).all()
    assert not ((rows["now_ms"] > cut.start_ms + 120_000) & (rows["now_ms"] < cut.end_ms)).any()
    assert sorted(rows["seq"].tolist()) == list(range(1, len(rows["seq"]) + 1))


def test_power_lost_and_back_is_told_by_the_will_and_by_the_next_boot() -> None:
    region = lamps(3)
    power = between(2 * HOUR_MS, 5 * HOUR_MS, 0, 1)
    found = list(days(world(region, power=power), START_MS, 1, radio=PERFECT))
    changes = [s for s in said(found) if s.ts_ms > START_MS]
    wills, starts = [s for s in changes if not s.online], [s for s in changes if s.online]
    # Who has a capacitor speaks a little longer.
    lasting = {s.ts_ms - START_MS - 2 * HOUR_MS - 90_000 for s in wills}
    assert len(wills) == 3
    assert lasting <= {0, GASP_MS}
    assert all((s.boot, s.reset) == (2, "power_on") for s in starts)
    assert all(4_000 <= s.ts_ms - START_MS - 5 * HOUR_MS < 20_000 for s in starts)
    rows = table(found)
    assert not ((rows["ts_ms"] >= START_MS + 2 * HOUR_MS + GASP_MS) & (rows["ts_ms"] < START_MS + 5 * HOUR_MS)).any()


def test_a_clock_that_is_off_stamps_its_own_time_and_says_so() -> None:
    region = lamps(2)
    off = fault("clock_drift", [region.assets[0].key], 6, 12, size=400.0)
    rows = table(list(days(world(region), START_MS, 1, [off], PERFECT)))
    offset = rows["values"][:, LAMP.positions["clock_offset_s"]]
    assert (offset[rows["asset_id"] == 2] == 0).all()
    wrong = offset == 400
    assert wrong.sum() == 72
    assert (rows["now_ms"][wrong] - rows["ts_ms"][wrong] <= 120_000 - 400_000).all()


def test_a_clock_more_than_ten_minutes_ahead_is_refused() -> None:
    region = lamps(1)
    off = fault("clock_drift", [region.assets[0].key], 6, 12, size=700.0)
    found = list(days(world(region), START_MS, 1, [off], PERFECT))
    assert sum(d.refused for d in found) == 72
    assert len(table(found)["ts_ms"]) == 288 - 72


def test_a_device_without_a_clock_is_stamped_by_the_platform_and_knows_no_offset() -> None:
    region = lamps(1, clock=False)
    off = fault("clock_drift", [region.assets[0].key], 6, 12, size=400.0)
    rows = table(list(days(world(region), START_MS, 1, [off], RADIOS["ordinary"])))
    assert np.isnan(rows["values"][:, LAMP.positions["clock_offset_s"]]).all()
    assert set((rows["ts_ms"][1:] - rows["ts_ms"][:-1]).tolist()) <= {300_000, 600_000, -300_000, 0}


def test_impossible_values_are_not_stored_and_implausible_ones_are_marked() -> None:
    region = lamps(1)
    volts = between(6 * HOUR_MS, 12 * HOUR_MS, 900.0, 255.0)
    found = list(days(world(region, courses={"voltage_v": volts}), START_MS, 1, radio=PERFECT))
    at = LAMP.positions["voltage_v"]
    for delivery in found:
        for readings in delivery.readings:
            unknown = np.isnan(readings.values[:, at])
            assert (
                unknown == ((readings.ts_ms - START_MS >= 6 * HOUR_MS) & (readings.ts_ms - START_MS < 12 * HOUR_MS))
            ).all()
            assert ((readings.implausible >> at & 1) == ~unknown).all()


def test_values_are_those_that_the_platform_would_give_back() -> None:
    random = np.random.default_rng(1)
    values = random.normal(0, 300, (len(LAMP.metrics), 500))
    values[random.random(values.shape) < 0.1] = np.nan
    low, high = spans(LAMP)
    impossible = (values < low[:, None]) | (values > high[:, None])
    kept = values.copy()
    bits = stored(LAMP, kept)
    expected = np.where(impossible, np.nan, values)
    assert np.array_equal(bits, implausible_bits(LAMP, expected.T))
    assert bits.any()
    n = 500
    none = np.zeros(n, np.int64)
    given = Readings(LAMP, none, none, none, none, none, expected.T, bits, none)
    assert np.array_equal(kept.T, as_stored(given).values, equal_nan=True)


def test_the_same_seed_tells_the_same_story_and_starting_again_too() -> None:
    region = lamps(5)
    first, second = (table(list(days(world(region), START_MS, 2, radio=RADIOS["storm"]))) for _ in range(2))
    assert all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)


def test_days_need_not_be_consumed_to_the_end() -> None:
    stream = days(world(lamps(2)), START_MS, 30)
    assert next(stream).now_ms == START_MS + 120_000
    assert next(stream).now_ms == START_MS + 240_000
    stream.close()  # type: ignore[attr-defined]
    assert DAY_MS
