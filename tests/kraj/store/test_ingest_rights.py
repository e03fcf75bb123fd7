"""Whoever has stolen ingest's role gives no orders, darkens no street and energises nothing under a lock."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors

from kraj.dimming import read
from kraj.store import dimming
from rules.dimming import desired, sun_table, zone
from tests.kraj.store.desk import Desk

NOW = datetime.now(UTC).replace(microsecond=0)
FLOOR, NORTH, EAST = 50, 49.2, 16.6
TRAIN = {"level_pct": 90, "neighbours": 1}
WRITTEN: dict[str, Any] = {
    "plans": [
        {"holidays": True, "steps": [{"at": "23:00", "level_pct": 80}]},
        {"dates": [f"{NOW.year}-12-31"], "steps": []},
        {"steps": [{"at": "22:00", "level_pct": 50}]},
    ],
    "sensor": TRAIN,
}
Document = dict[str, Any]


def compiled(year: int, north: float = NORTH) -> Document:
    return desired(read(WRITTEN, FLOOR), FLOOR, north, EAST, date(year, 6, 1))


@pytest.fixture
async def street(desk: Desk, database_url: str) -> Desk:
    """Segment 1 (lamps 1 and 2, with a light train) keeps program 1, which all of it has; 2 (lamp 3) keeps 2."""
    desk.owner.execute(
        "UPDATE asset SET latitude = 49.2, longitude = 16.6;"
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'A', 'segment'), (1, 'B', 'segment');"
        "INSERT INTO asset_group_member (group_id, asset_id) VALUES (1, 1), (1, 2), (2, 3)"
    )
    desk.owner.execute(
        "INSERT INTO dimming_program (municipality_id, name, document, changed_at, who)"
        " VALUES (1, 'Noc', %s, now(), 'eva'), (1, 'Jas', '{}', now(), 'eva')",
        [json.dumps(WRITTEN)],
    )
    async with await psycopg.AsyncConnection[Any].connect(database_url) as owner:
        for number, document in ((1, compiled(NOW.year)), (2, {**compiled(NOW.year), "floor_pct": 100})):
            assert await dimming.compiled(owner, 1, document) == number
            await owner.execute(
                "INSERT INTO lighting_segment (group_id, municipality_id, dimming_program_id, lamp_program_id,"
                " changed_at, who) VALUES (%(n)s, 1, %(n)s, %(n)s, now(), 'eva')",
                {"n": number},
            )
            rollout = await dimming.begin_rollout(
                owner, municipality_id=1, group_id=number, lamp_program_id=number, share_pct=100,
                failures_max_pct=5, who="eva", at=NOW,
            )  # fmt: skip
            await dimming.set_rollout(owner, rollout, "done", error=None, at=NOW)
    return desk


async def refused(desk: Desk, statement: str, kind: type[psycopg.Error] = errors.InsufficientPrivilege) -> None:
    with pytest.raises(kind):
        await desk.connection.execute(statement.encode())


async def asked(desk: Desk, statement: str, *given: Any) -> Any:
    row = await (await desk.connection.execute(statement.encode(), given)).fetchone()
    assert row is not None
    return row[0]


async def compile_segment(desk: Desk, document: Document) -> Any:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return await asked(desk, "SELECT compile_segment(1, %s, %s)", text, NOW)


async def test_neither_an_order_nor_a_command_nor_a_program_is_written(street: Desk) -> None:
    command = (
        'INSERT INTO command (municipality_id, device_id, asset_id, "do", level_pct, reason, until, requested_at,'
        " next_at, who) VALUES (1, 1, 1, 'set_level', 0, '%s', now() + interval '1 h', now(), now(), 'eva')"
    )
    order = (
        "INSERT INTO lighting_order (kind, level_pct, valid_from, valid_until, reason, who, created_at)"
        " VALUES ('emergency', 100, now(), now() + interval '1 h', 'x', 'eva', now())"
    )
    for statement in (
        *(command % reason for reason in ("manual", "emergency", "sensor")),
        order,
        "INSERT INTO lamp_program (municipality_id, digest, document) VALUES (1, sha256('x'), '{}')",
        "UPDATE lamp_program SET document = '{}'",
        "UPDATE dimming_program SET document = '{}'",
        "UPDATE lighting_segment SET lamp_program_id = 2",
        "UPDATE lighting_segment SET who = 'eva'",
        "UPDATE lighting_segment SET designed_class = NULL",
        "INSERT INTO rollout (municipality_id, group_id, lamp_program_id, started_at, changed_at, who)"
        " VALUES (1, 1, 2, now(), now(), 'eva')",
        "UPDATE rollout SET lamp_program_id = 2",
        "UPDATE desired SET interval_s = 86400",
        "UPDATE segment_compiled SET looked_at = now()",
        "SELECT locked_assets()",
        "SELECT keeps_its_segments()",
    ):
        await refused(street, statement)


async def test_a_program_follows_the_calendar_and_its_lamps_and_is_handed_out_in_steps(street: Desk) -> None:
    assert await compile_segment(street, compiled(NOW.year)) is None, "it is as it was"
    number = await compile_segment(street, compiled(NOW.year + 1, NORTH + 0.1))
    assert street.rows(
        "SELECT s.lamp_program_id, s.who, r.lamp_program_id, r.share_pct, r.failures_max_pct, r.state, r.stage"
        " FROM lighting_segment s JOIN rollout r USING (group_id) WHERE group_id = 1 ORDER BY rollout_id DESC LIMIT 1"
    ) == [(number, "kraj", number, dimming.SHARE_PCT, 5, "running", 1)]
    assert await compile_segment(street, compiled(NOW.year + 2)) is None, "a rollout goes on"
    await refused(street, f"UPDATE desired SET programs = '{{\"0\": {number}}}' WHERE device_id = 3")
    await street.connection.execute(f"UPDATE desired SET programs = '{{\"0\": {number}}}' WHERE device_id = 1".encode())


def darker(document: Document) -> None:
    document["plans"][2]["steps"][0][2] = 0


def below_its_class(document: Document) -> None:
    document["floor_pct"] = 0


def later(document: Document) -> None:
    document["sun"]["set"] = [minute + 60 for minute in document["sun"]["set"]]


def never_dark(document: Document) -> None:
    document["sun"]["rise"][200] = 32_001


def short_year(document: Document) -> None:
    document["sun"]["rise"] = document["sun"]["rise"][:365]


def summer_time_for_ever(document: Document) -> None:
    document["zone"] = [entry for entry in document["zone"] if entry[1] == 120]


def another_hour(document: Document) -> None:
    document["zone"] = [[at, 0] for at, _ in document["zone"]]


def a_holiday_less(document: Document) -> None:
    del document["plans"][0]["dates"][20]


def every_day_a_holiday(document: Document) -> None:
    document["plans"][0]["dates"] += [(NOW.year + 7) * 10_000 + 101 + n for n in range(28)]


def another_date(document: Document) -> None:
    document["plans"][1]["dates"] = [(NOW.year + 1) * 10_000 + 101]


def a_plan_less(document: Document) -> None:
    del document["plans"][2]


def deaf(document: Document) -> None:
    del document["sensor"]


def no_sun(document: Document) -> None:
    del document["sun"]


FORGERIES: list[Callable[[Document], None]] = [
    darker, below_its_class, later, never_dark, short_year, summer_time_for_ever, another_hour, a_holiday_less,
    every_day_a_holiday, another_date, a_plan_less, deaf, no_sun,
]  # fmt: skip


async def test_a_program_that_is_another_or_darker_is_refused(street: Desk) -> None:
    taken: list[str] = []
    documents = {"of last year": compiled(NOW.year - 1), "of the equator": compiled(NOW.year + 1, 0.0)}
    for forge in FORGERIES:
        documents[forge.__name__] = deepcopy(compiled(NOW.year + 1))
        forge(documents[forge.__name__])
    for name, document in documents.items():
        try:
            await compile_segment(street, document)
            taken.append(name)
        except errors.CheckViolation:
            continue
    assert taken == []
    assert street.rows("SELECT lamp_program_id FROM lighting_segment ORDER BY group_id") == [(1,), (2,)]


async def test_a_device_keeps_what_its_lamps_segment_follows_and_versions_only_grow(street: Desk) -> None:
    for change in ("programs = '{\"0\": 2}'", "programs = '{}'", "version = 0", "programs = programs || '{\"1\": 1}'"):
        await refused(street, f"UPDATE desired SET {change} WHERE device_id = 1")
    street.owner.execute("DELETE FROM desired WHERE device_id = 2")
    given = (
        "INSERT INTO desired (device_id, municipality_id, programs, changed_at, who)"
        " VALUES (2, 1, '{\"0\": %s}', now(), '')"
    )
    await refused(street, given % 2)
    await street.connection.execute((given % 1).encode())


async def test_what_was_ended_does_not_begin_again(street: Desk) -> None:
    street.owner.execute("UPDATE rollout SET state = 'stopped' WHERE group_id = 1")
    assert await compile_segment(street, compiled(NOW.year + 1)) is None, "a person stopped it"
    await refused(street, "UPDATE rollout SET state = 'running' WHERE group_id = 1")
    for state in ("accepted", "sent", "refused", "expired", "superseded"):
        street.owner.execute(
            'INSERT INTO command (municipality_id, device_id, asset_id, "do", level_pct, reason, until, requested_at,'
            " next_at, who, state, settled_at) VALUES (1, 1, 1, 'set_level', 100, 'manual', now() + interval '1 h',"
            " now(), now(), 'eva', %s, %s)",
            [state, None if state in ("accepted", "sent") else NOW],
        )
        await refused(street, f"UPDATE command SET state = 'requested', settled_at = NULL WHERE state = '{state}'")
        if state != "sent":
            await refused(street, f"UPDATE command SET state = 'sent', settled_at = NULL WHERE state = '{state}'")


async def test_lamps_rise_for_a_train_only_and_never_under_a_lock(street: Desk) -> None:
    async def raised(level: int = 90, seconds: float = 120, at: datetime = NOW) -> int:
        given = ([1, 2, 3], level, timedelta(seconds=seconds), timedelta(0), "L1", at)
        return await asked(street, "SELECT raise_lamps(%s, %s, %s, %s, %s, %s)", *given)

    assert [await raised(level) for level in (0, 89, 100)] == [0, 0, 0], "the program's level only"
    with pytest.raises(errors.CheckViolation):
        await raised(seconds=301)
    with pytest.raises(errors.CheckViolation):
        await raised(at=NOW + timedelta(days=2))
    street.owner.execute(
        'UPDATE asset SET metadata = \'{"feeder": "F"}\' WHERE asset_id = 2;'
        "INSERT INTO safety_lock (municipality_id, attribute, value, holder_title, reason, since)"
        " VALUES (1, 'feeder', 'F', 'Četa', 'stožár', now())"
    )
    assert await raised() == 1
    assert street.rows('SELECT asset_id, "do", level_pct, reason, who, order_id FROM command') == [
        (1, "set_level", 90, "sensor", "kraj", None)
    ]
    street.owner.execute(
        "UPDATE safety_lock SET released_at = now(); UPDATE asset SET kind = 'cabinet' WHERE asset_id = 2"
    )
    assert await raised() == 1, "no lamp"


def test_every_place_of_the_republic_has_its_sun_and_every_year_its_clock(database15_url: str) -> None:
    """On the oldest PostgreSQL, too."""
    with psycopg.connect(database15_url) as owner:
        for year, north, east in [(2026, 48.55, 14.3), (2027, 51.06, 14.3), (2028, 50.2, 12.09), (2031, 49.5, 18.86)]:
            rise, sets = sun_table(north, east, year)
            [row] = owner.execute(
                "SELECT sun_is_true(%(sun)s, %(north)s, %(east)s), sun_is_true(%(sun)s, %(north)s, %(east)s + 9),"
                " zone_is_true(%(zone)s), sun_is_true(%(turned)s, %(north)s, %(east)s)",
                {
                    "sun": json.dumps({"rise": rise, "set": sets}),
                    "turned": json.dumps({"rise": rise[183:] + rise[:183], "set": sets[183:] + sets[:183]}),
                    "zone": json.dumps(zone(year)),
                    "north": north,
                    "east": east,
                },
            ).fetchall()
            assert row == (True, False, True, False), (year, north, east)
