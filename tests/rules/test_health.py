"""What every kind's rules may speak of: the sun, the clock on the wall, silence, neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj import sun
from kraj.assets import DeviceStatus
from kraj.kinds import KINDS
from kraj.readings import Floats
from rules.estate import Estate
from rules.inputs import daylight, health, of_kind
from rules.layer import Layer
from rules.state import State
from tests.rules.world import MINUTE_MS, NAN, START_MS, asset

PRAGUE = ZoneInfo("Europe/Prague")
YEAR_MS = 365 * 24 * 60 * MINUTE_MS


def layer_of(estate: Estate, ts: Sequence[int], kind: str = "lamp", **others: Any) -> Layer:
    """Each lamp at its moment, with nothing measured."""
    count = len(ts)
    states = {name: State(len(members)) for name, members in estate.members.items()}
    given_values: dict[str, Any] = {"now_ms": int(ts[-1]), "values": np.empty((0, count)), "states": states}
    return Layer(
        kind=KINDS[kind],
        estate=estate,
        slots=np.arange(count),
        ts_ms=np.array(ts),
        gap_s=np.full(count, 300.0),
        inputs=of_kind(kind).by_name,
        **(given_values | others),
    )


@given(
    st.integers(START_MS, START_MS + 3 * YEAR_MS), st.sampled_from([1, 5 * MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS])
)
@settings(deadline=None)
def test_the_suns_elevation_is_that_of_its_tables(start: int, step: int) -> None:
    estate = Estate.of(1, [asset(n) for n in (1, 900, 3800)])
    found = layer_of(estate, [start, start + step, start + 2 * step]).column("sun_elevation_deg")
    wanted = [sun.elevation_deg(start + n * step, 49.5, 15 + i / 1000) for n, i in enumerate((1, 900, 3800))]
    np.testing.assert_allclose(found, np.array(wanted), atol=0.005)


@given(st.lists(st.integers(0, 4 * YEAR_MS), min_size=1, max_size=4))
def test_local_minutes_are_those_of_clocks_in_prague(moments: list[int]) -> None:
    ts = [START_MS + moment for moment in moments]
    local = [datetime.fromtimestamp(t / 1000, UTC).astimezone(PRAGUE) for t in ts]
    wanted = [d.hour * 60 + d.minute + d.second / 60 + d.microsecond / 6e7 for d in local]
    estate = Estate.of(1, [asset(n + 1) for n in range(len(ts))])
    np.testing.assert_allclose(layer_of(estate, ts).column("local_minute"), wanted)


@pytest.mark.parametrize("change", ["2027-03-28T01:00", "2027-10-31T01:00"])
def test_clocks_change_at_one_in_the_morning_by_utc(change: str) -> None:
    ms = int(datetime.fromisoformat(change).replace(tzinfo=UTC).timestamp() * 1000)
    before, after = daylight.offset_ms(np.array([ms - 1, ms])) // daylight.HOUR_MS
    assert {int(before), int(after)} == {1, 2}


def test_a_clock_is_right_unless_it_is_known_to_be_wrong() -> None:
    estate = Estate.of(1, [asset(n) for n in range(1, 6)])
    layer = layer_of(estate, [START_MS] * 4 + [START_MS + 61_000], now_ms=START_MS)
    layer.columns["clock_offset_s"] = np.array([NAN, 59, -61, 86400, 0])
    assert layer.column("clock_ok").tolist() == [1, 1, 0, 0, 0]


def test_a_start_is_told_by_uptime_and_else_by_the_status() -> None:
    estate = Estate.of(1, [asset(1), asset(2), asset(3)])
    layer = layer_of(estate, [START_MS] * 3)
    boots = [DeviceStatus(device_id=d, online=True, ts_ms=START_MS - 9000, reset="power_on") for d in (1001, 1002)]
    health.note_statuses(estate, layer.states, boots, START_MS)
    layer.columns["uptime_s"] = np.array([5.0, NAN, NAN])
    np.testing.assert_array_equal(layer.column("since_boot_s"), [5, 9, NAN])


def test_of_several_statuses_the_last_one_holds() -> None:
    estate = Estate.of(1, [asset(1), asset(2)])
    layer = layer_of(estate, [START_MS, START_MS])
    said = [(1001, True), (1002, False), (1001, False), (1002, True), (99, True)]
    statuses = [DeviceStatus(device_id=d, online=online, ts_ms=START_MS) for d, online in said]
    health.note_statuses(estate, layer.states, statuses, START_MS)
    assert layer.column("online").tolist() == [0, 1]


def test_the_heartbeat_is_that_which_held_before_the_reading() -> None:
    estate = Estate.of(1, [asset(1), asset(2, report_interval_s=900), asset(3)])
    levels = [[100.0, 100.0, NAN], [0.0, 0.0, 0.0], [100.0, 100.0, 100.0]]
    layer = layer_of(estate, [START_MS] * 3)
    found: list[list[float]] = []
    for level in levels:
        layer.columns = {"level_commanded_pct": np.array(level)}
        health.track(layer, of_kind("lamp").active)
        found.append(layer.column("heartbeat_s").tolist())
    assert found == [[300, 900, 3600], [300, 900, 3600], [3600, 900, 3600]]
    layer.columns = {}
    assert layer.column("heartbeat_s").tolist() == [300, 900, 300]  # by time: what is expected now


@pytest.mark.parametrize(("hour", "expected"), [(0, [300, 300]), (2, [300, 300]), (6, [300, 3600]), (12, [300, 3600])])
def test_what_was_lit_and_is_silent_since_dawn_may_be_off(hour: int, expected: list[float]) -> None:
    """Its word of that may be lost: only who has just been heard of is known to burn by day."""
    estate = Estate.of(1, [asset(1, latitude=49.4, longitude=15.6), asset(2, latitude=49.4, longitude=15.6)])
    midnight_ms = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp() * 1000)
    now_ms = midnight_ms + hour * 3_600_000
    layer = layer_of(estate, [now_ms] * 2)
    health.heard_ms(layer.state)
    layer.state.put("heard_ms", np.array([0, 1]), np.array([layer.attentive_ms - 60_000, layer.attentive_ms - 900_000]))
    layer.state.array("heartbeat_s")
    layer.state.put("heartbeat_s", np.array([0, 1]), np.array([300.0, 300.0]))
    assert layer.column("heartbeat_s").tolist() == expected


GROUP = st.sampled_from(["A", "B", None])
MEMBER = st.tuples(
    st.sampled_from(["lamp", "cabinet", "stop"]),
    st.fixed_dictionaries(dict.fromkeys(("feeder", "gateway", "cabinet", "site"), GROUP)),
    st.integers(1, 2),
    st.sampled_from([None, 0, 400, 460, 5000]),
    st.sampled_from([None, 2001, 2002]),
    st.booleans(),
)


Member = tuple[str, dict[str, str | None], int, int | None, int | None, bool]
"""Kind, groups, municipality, how long it has been silent (s), a controller that it shares, and whether it rests."""


def together(one: Member, other: Member) -> bool:
    """On one site, or if neither is on one, behind one controller."""
    sites = one[1]["site"], other[1]["site"]
    if sites != (None, None):
        return sites[0] == sites[1] and one[2] == other[2]
    return one[4] is not None and one[4] == other[4]


def expected(members: Sequence[Member], me: int) -> float:
    """Half of the others on the feeder and behind the gateway; else the next larger group that has others."""

    def other(n: int, m: Member) -> bool:
        return n != me and not together(members[me], m)

    def alive(same: Callable[[Member], bool]) -> float:
        due = [m for n, m in enumerate(members) if other(n, m) and same(m) and not m[5]]
        heard = [m[3] <= 450 for m in due if m[3] is not None]
        return sum(heard) / len(heard) if heard else NAN

    kind, groups, town = members[me][:3]

    def share(name: str) -> float:
        name_of_mine = "RVO" if kind == "cabinet" and name == "cabinet" else groups[name]
        regional = name == "gateway"

        def same(other: Member) -> bool:
            theirs = "RVO" if other[0] == "cabinet" and name == "cabinet" else other[1][name]
            return name_of_mine is not None and theirs == name_of_mine and (regional or other[2] == town)

        return alive(same)

    close = [s for s in (share("feeder"), share("gateway")) if s == s]  # noqa: PLR0124
    if close:
        return float(min(close) >= 0.5)
    for far in (share("cabinet"), alive(lambda m: m[2] == town), alive(lambda m: True)):
        if far == far:  # noqa: PLR0124
            return float(far >= 0.5)
    return NAN


@given(st.lists(MEMBER, min_size=1, max_size=9))
@settings(deadline=None)
def test_neighbours_are_alive_if_half_of_the_others_are_heard_of(members: list[Any]) -> None:
    rows = [
        asset(n + 1, kind, town, label="RVO" if kind == "cabinet" else str(n), **{k: v for k, v in groups.items() if v})
        for n, (kind, groups, town, *_) in enumerate(members)
    ]
    rows = [replace(row, device_id=member[4] or row.device_id) for row, member in zip(rows, members, strict=True)]
    estate = Estate.of(1, rows)
    states = {name: State(len(m)) for name, m in estate.members.items()}
    for n, (kind, _, _, silent_s, _, rests) in enumerate(members):
        health.heard_ms(states[kind])
        states[kind].array(health.RESTS, fill=0.0)
        states[kind].put(health.RESTS, estate.members[kind].slots(np.array([n + 1])), float(rests))
        if silent_s is not None:
            slot = estate.members[kind].slots(np.array([n + 1]))
            states[kind].array("heartbeat_s")
            states[kind].put("heartbeat_s", slot, 300.0)
            states[kind].put("heard_ms", slot, START_MS - silent_s * 1000)
    for kind in ("lamp", "cabinet", "stop"):
        count = len(estate.members[kind])
        layer = layer_of(estate, [START_MS] * count or [0], kind, states=states, now_ms=START_MS, attentive_ms=START_MS)
        layer.slots = np.arange(count)
        if count:
            found: Floats = layer.column("neighbours_alive")
            mine = [n for n, member in enumerate(members) if member[0] == kind]
            np.testing.assert_array_equal(found, [expected(members, n) for n in mine])
