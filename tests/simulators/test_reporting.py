"""When devices report, on a model whose day is written down minute by minute."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.kinds import SOLAR, STOP
from simulators.habits import HABITS, Crew, noticeable
from simulators.physics.frame import DAY_MS, Effects, Ints
from simulators.reporting import BURST_MINUTES, MINUTE_MS, Moments, Plan, Reporter
from tests.simulators.scripted import HOUR_MS, START_MS, Course, Scripted, always, between, lamps, names

NOTHING = Effects({})


def reporter(model: Scripted, count: int = 1, *, channels: int = 1, interval_s: int | None = None) -> Reporter:
    known = {} if interval_s is None else {"report_interval_s": interval_s}
    region = lamps(count, channels=channels, known=known)
    model.assets = region.assets
    return Reporter(model, Crew.of(model.kind, region.assets, names(region), 1, np.arange(count)))


def reports(found: Reporter, plan: Plan, place: int = 0) -> Ints:
    """Moments since the start at which a device reports."""
    due = found.moments(plan)
    return due.ts_ms[due.place == place] - START_MS


def test_a_lit_lamp_reports_every_five_minutes_at_a_phase_of_its_own() -> None:
    found = reporter(Scripted(()), 40)
    plan = found.plan(START_MS)
    every = [reports(found, plan, n) for n in range(40)]
    assert all(len(times) == 288 and set(np.diff(times)) == {5 * MINUTE_MS} for times in every)
    assert len({int(times[0]) for times in every}) > 35


def test_by_day_it_reports_once_an_hour() -> None:
    found = reporter(Scripted((), lit=always(0)), 40)
    plan = found.plan(START_MS)
    every = [reports(found, plan, n) for n in range(40)]
    assert all(len(times) == 24 and set(np.diff(times)) == {HOUR_MS} for times in every)
    assert len({int(times[0]) // (5 * MINUTE_MS) for times in every}) > 8


def test_heartbeats_of_stops_and_roofs_are_those_of_their_kinds() -> None:
    for kind, active, idle in ((STOP, 288, 96), (SOLAR, 288, 288)):
        for lit, count in ((1, active), (0, idle)):
            found = reporter(Scripted((), kind, lit=always(lit)))
            assert len(reports(found, found.plan(START_MS))) == count


def test_an_unexpected_change_is_told_within_a_minute_and_looked_at_for_twenty() -> None:
    dark = between(10 * HOUR_MS + 130_000, DAY_MS, 0.0, 40.0, row=3)
    found = reporter(Scripted((), courses={"power_w": dark}), 6)
    plan = found.plan(START_MS)
    times = reports(found, plan, 3)
    at = 10 * HOUR_MS + 130_000
    closer = times[(times >= at) & (times < at + (BURST_MINUTES + 1) * MINUTE_MS)]
    assert closer[0] - at < MINUTE_MS
    assert len(closer) == BURST_MINUTES + 1
    assert set(np.diff(closer)) == {MINUTE_MS}
    rest = np.setdiff1d(times, closer)
    assert set(np.diff(rest) % (5 * MINUTE_MS)) == {0}
    assert all(len(reports(found, plan, n)) == 288 for n in (0, 1, 2, 4, 5))


def test_a_commanded_change_is_told_once_and_what_it_brings_is_no_surprise() -> None:
    at = 16 * HOUR_MS + 70_000
    on = between(at, DAY_MS, 100.0, 0.0)

    def warm(rows: Ints, ts_ms: Ints) -> np.ndarray:
        lit_s = np.maximum(ts_ms - START_MS - at, 0) / 1000
        return np.where(lit_s > 0, 40 * (1 - 0.35 * np.exp(-lit_s / 120)), 0.5)

    model = Scripted((), courses={"level_commanded_pct": on, "power_w": warm}, lit=on)
    found = reporter(model)
    times = reports(found, found.plan(START_MS))
    after = times[times >= at]
    assert after[0] - at < MINUTE_MS
    assert len(after) <= 2 + (DAY_MS - at) // (5 * MINUTE_MS)


def test_who_becomes_idle_says_so_before_an_hour_of_silence() -> None:
    found = reporter(Scripted((), lit=between(4 * HOUR_MS, 5 * HOUR_MS, 1, 0)), 30)
    plan = found.plan(START_MS)
    for n in range(30):
        times = reports(found, plan, n)
        for at in (4 * HOUR_MS, 5 * HOUR_MS):
            assert times[times >= at][0] - at <= 5 * MINUTE_MS
        assert (times > 5 * HOUR_MS).sum() in {19, 20}


def test_noise_within_three_deadbands_is_no_event() -> None:
    def noisy(rows: Ints, ts_ms: Ints) -> np.ndarray:
        return 230 + 2.5 * np.sin(ts_ms / 61_000)

    found = reporter(Scripted((), courses={"voltage_v": noisy}))
    assert len(reports(found, found.plan(START_MS))) == 288


def test_a_short_event_between_two_heartbeats_is_seen_where_a_fault_begins() -> None:
    at = 9 * HOUR_MS + 5_000
    shock = between(at, at + 2 * MINUTE_MS, 3.0, 0.0)
    found = reporter(Scripted((), courses={"shock_g": shock}, lit=always(0)))
    edges = Moments(np.array([0]), np.array([START_MS + at]))
    times = reports(found, found.plan(START_MS, edges=edges))
    assert ((times >= at) & (times < at + MINUTE_MS)).sum() == 1


def test_without_power_there_is_silence_and_then_a_report_at_once() -> None:
    gone, back = 3 * HOUR_MS + 200_000, 5 * HOUR_MS + 17_000
    power = between(gone, back, 0, 1)
    found = reporter(Scripted((), power=power), 20)
    plan = found.plan(START_MS)
    assert plan.switching.up.tolist() == [False, True] * 20
    lost, speaks = plan.switching.ts_ms[::2] - START_MS, plan.switching.ts_ms[1::2] - START_MS
    assert (lost - gone == found.crew.gasp_ms).all()
    assert (speaks - back == found.crew.boot_ms).all()
    for n in range(20):
        times = reports(found, plan, n)
        assert not ((times >= lost[n]) & (times < speaks[n])).any()
        assert times[times >= speaks[n]][0] - speaks[n] < MINUTE_MS


def test_all_assets_of_a_device_fall_silent_together() -> None:
    power = between(HOUR_MS, 2 * HOUR_MS, 0, 1, row=0)
    found = reporter(Scripted((), power=power), 6, channels=3)
    plan = found.plan(START_MS)
    for n in range(6):
        times = reports(found, plan, n)
        assert ((times >= HOUR_MS) & (times < 2 * HOUR_MS)).any() == (n >= 3)
    assert len({tuple(reports(found, plan, n).tolist()) for n in range(3)}) == 1


def test_a_device_with_an_interval_of_its_own_keeps_to_it() -> None:
    dark = between(10 * HOUR_MS, DAY_MS, 0.0, 40.0)
    found = reporter(Scripted((), courses={"power_w": dark}), interval_s=3600)
    assert len(reports(found, found.plan(START_MS))) == 24


def test_a_device_reports_when_its_network_is_back() -> None:
    at = 7 * HOUR_MS + 1_234
    found = reporter(Scripted((), lit=always(0)))
    times = reports(found, found.plan(START_MS, returns=Moments(np.array([0]), np.array([START_MS + at]))))
    assert ((times >= at) & (times < at + MINUTE_MS)).any()


def test_a_closer_look_goes_on_past_midnight() -> None:
    at = DAY_MS - 6 * MINUTE_MS
    model = Scripted((), courses={"power_w": between(at, 2 * DAY_MS, 0.0, 40.0)}, lit=always(0))
    found = reporter(model)
    found.plan(START_MS)
    model.prepare(START_MS + DAY_MS, NOTHING)
    times = reports(found, found.plan(START_MS + DAY_MS)) - DAY_MS
    assert 12 <= (times < 18 * MINUTE_MS).sum() <= 18
    assert ((times > 22 * MINUTE_MS) & (times < 60 * MINUTE_MS)).sum() <= 1


def test_what_is_read_is_what_the_model_says_at_that_moment() -> None:
    def course(rows: Ints, ts_ms: Ints) -> np.ndarray:
        return rows * 1000.0 + (ts_ms - START_MS) / 60_000

    dark = between(10 * HOUR_MS, DAY_MS, 0.0, 40.0)
    found = reporter(Scripted((), courses={"illuminance_lx": course, "power_w": dark}), 3)
    plan = found.plan(START_MS)
    due, values = found.read(plan)
    at = found.model.kind.positions["illuminance_lx"]
    assert np.array_equal(values[at], course(due.place, due.ts_ms))
    assert np.array_equal(np.lexsort((due.ts_ms, due.place)), np.arange(len(due.place)))


def test_the_model_is_asked_little_more_than_its_heartbeats() -> None:
    model = Scripted((), lit=always(0))
    found = reporter(model, 10)
    found.read(found.plan(START_MS))
    assert model.asked == 10 * 288


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_course_of_power_agrees_with_a_slow_walk_along_the_minutes(data: st.DataObject) -> None:
    """The twin walks from minute to minute and asks for the power each time."""
    hours = sorted(data.draw(st.sets(st.integers(1, 23), min_size=0, max_size=6)))
    moments = [h * HOUR_MS + data.draw(st.integers(0, 50)) * MINUTE_MS + 30_000 for h in hours]
    first = data.draw(st.booleans())

    def power(rows: Ints, ts_ms: Ints) -> np.ndarray:
        turned = np.searchsorted(np.array(moments, np.int64), ts_ms - START_MS, "right")
        return (turned + first) % 2

    found = reporter(Scripted((), power=power), 3)
    plan = found.plan(START_MS)
    for n in range(3):
        twin = _walk(power, found.crew, n)
        assert reports(found, plan, n).tolist() == twin


def _walk(power: Course, crew: Crew, n: int) -> list[int]:
    """Reports of a lit lamp that loses power now and then, at whole seconds; some report once more when they do."""
    second_ms, minute, boot_ms, gasp_ms = (int(c[n]) for c in (crew.second_ms, crew.minute, crew.boot_ms, crew.gasp_ms))
    seconds = np.arange(86_401) * 1000
    on = (power(np.zeros(len(seconds), np.intp), START_MS + seconds) > 0).tolist()
    out: list[int] = []
    speaks = 0 if on[0] else None
    dies: int | None = None
    greeted = True
    asked = 0
    for m in range(1440):
        now = m * MINUTE_MS + second_ms
        while asked < now // 1000:
            asked += 1
            if on[asked] and not on[asked - 1]:
                speaks, greeted, dies = asked * 1000 + boot_ms, False, None
            if not on[asked] and on[asked - 1]:
                dies, greeted = asked * 1000 + gasp_ms, not gasp_ms
        if dies is not None and now >= dies:
            speaks = None
        if speaks is not None and now >= speaks and (m % 5 == minute or not greeted):
            out.append(now)
            greeted = True
    return out


def test_a_controller_with_a_capacitor_tells_of_the_loss_within_a_minute() -> None:
    gone = 3 * HOUR_MS + 200_000
    found = reporter(Scripted((), power=between(gone, DAY_MS, 0, 1)), 20)
    plan = found.plan(START_MS)
    after = [reports(found, plan, n) for n in range(20)]
    gasps = [times[times >= gone] for times in after]
    assert 0 < sum(len(times) for times in gasps) < 20
    for times, gasp_ms in zip(gasps, found.crew.gasp_ms.tolist(), strict=True):
        assert len(times) == (gasp_ms > 0)
        assert (times < gone + MINUTE_MS).all()


def test_habits_name_metrics_that_exist_and_noticing_knows_its_deadbands() -> None:
    for kind in (STOP, SOLAR):
        assert set(HABITS[kind.name].watched) <= set(kind.by_name)
    lamp = Scripted(()).kind
    before, after = np.array([100.0, 100.0, 10.0, np.nan]), np.array([108.0, 110.0, 17.0, 5.0])
    # max(2 W, 3 %) three times over is 9 W at 100 W and 6 W at 10 W.
    assert noticeable(lamp, "power_w", before, after).tolist() == [False, True, True, False]
    assert noticeable(lamp, "failure_flags", np.array([0.0]), np.array([4.0])).all()
    assert replace(HABITS["lamp"], commanded=()).watched == HABITS["lamp"].unexpected
