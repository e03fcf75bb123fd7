"""A live day in pieces: what is due and who comes and goes, each once and in order."""

import numpy as np

from simulators.agenda import Agenda, Turn
from simulators.physics.frame import DAY_MS, Fault
from simulators.roster import RECONNECT_MS, Duty, Roster
from simulators.world import World
from tests.simulators.scripted import HOUR_MS, MINUTE_MS, START_MS, Scripted, between, lamps

BUILT = lamps(6, channels=2)
"""Three devices with two lamps each."""


def duty(*faults: Fault) -> Duty:
    power = between(2 * HOUR_MS, 3 * HOUR_MS, 0, 1, row=2)
    roster = Roster(World(BUILT, [Scripted(BUILT.assets, power=power)]), faults, START_MS, boot=3)
    return roster.day(START_MS)


def cut(start_h: float, end_h: float) -> Fault:
    start, end = (START_MS + int(h * HOUR_MS) for h in (start_h, end_h))
    return Fault(
        cause="comms_lost", scope="asset", municipality="obec", name="VO-0004",
        targets=(BUILT.assets[4].key,), start_ms=start, end_ms=end,
    )  # fmt: skip


def test_taken_in_pieces_of_any_size_the_day_is_the_same() -> None:
    whole = Agenda(duty())
    expected = {
        (int(r), int(t)) for due in whole.due(START_MS + DAY_MS) for r, t in zip(due.rows, due.ts_ms, strict=True)
    }
    assert len(expected) == 6 * 288 - 2 * 12 + 2
    for step_ms in (7 * MINUTE_MS, 3 * HOUR_MS):
        pieces, seen = Agenda(duty()), list[tuple[int, int]]()
        for now in range(START_MS, START_MS + DAY_MS + step_ms, step_ms):
            assert pieces.next_ms() <= START_MS + DAY_MS
            for due in pieces.due(now):
                assert (due.ts_ms <= now).all()
                assert (np.diff(due.ts_ms) >= 0).all()
                seen += zip(due.rows.tolist(), due.ts_ms.tolist(), strict=True)
        assert len(seen) == len(expected)
        assert set(seen) == expected


def test_a_loss_of_power_is_a_loss_a_cut_a_restart_and_a_return_of_the_whole_device() -> None:
    agenda = Agenda(duty())
    events = list(agenda.happened(START_MS + DAY_MS))
    assert [e.turn for e in events] == [Turn.LOSE, Turn.CUT, Turn.RESTART, Turn.BACK]
    assert {e.device for e in events} == {1}
    lose, cut_, restart, back = (e.ts_ms - START_MS for e in events)
    assert lose == 2 * HOUR_MS
    assert cut_ == lose + 90_000
    assert 3 * HOUR_MS + 4_000 <= restart == back < 3 * HOUR_MS + 20_000
    assert not list(agenda.happened(START_MS + DAY_MS))


def test_a_lost_network_restarts_nobody() -> None:
    events = [e for e in Agenda(duty(cut(5, 6))).happened(START_MS + DAY_MS) if e.device == 2]
    assert [e.turn for e in events] == [Turn.LOSE, Turn.CUT, Turn.BACK]
    late = events[-1].ts_ms - START_MS - 6 * HOUR_MS
    assert RECONNECT_MS[0] <= late < RECONNECT_MS[1]


def test_who_starts_in_the_middle_of_a_day_begins_there_and_knows_who_is_away() -> None:
    agenda = Agenda(duty(cut(1, 20)))
    now = START_MS + int(2.5 * HOUR_MS)
    assert agenda.skip(now) == {1, 2}
    first = [due.ts_ms[0] for due in agenda.due(now + 10 * MINUTE_MS)]
    assert min(first) >= now
    turns = [(e.device, e.turn) for e in agenda.happened(START_MS + DAY_MS)]
    assert turns == [(1, Turn.RESTART), (1, Turn.BACK), (2, Turn.BACK)]


def test_what_comes_next_is_known_so_that_nobody_looks_in_vain() -> None:
    agenda = Agenda(duty())
    now = START_MS
    for _ in range(200):
        ahead = agenda.next_ms()
        assert ahead >= now
        assert not list(agenda.due(ahead - 1))
        assert not list(agenda.happened(ahead - 1))
        now = ahead
        assert sum(len(d.rows) for d in agenda.due(now)) + len(list(agenda.happened(now))) > 0


def test_a_gap_over_midnight_is_ended_on_the_next_day() -> None:
    roster = Roster(World(BUILT, [Scripted(BUILT.assets)]), [cut(23, 25)], START_MS, boot=3)
    first = list(Agenda(roster.day(START_MS)).happened(START_MS + 2 * DAY_MS))
    second = list(Agenda(roster.day(START_MS + DAY_MS)).happened(START_MS + 2 * DAY_MS))
    assert [e.turn for e in first] == [Turn.LOSE, Turn.CUT]
    assert [e.turn for e in second] == [Turn.BACK]
