"""What people ask about alerts: what is near, what was before, what bends the rules, and a day's pictures."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from kraj.alerts import AlertChange, Scope, Severity, Step
from kraj.kinds import KINDS
from kraj.store import alerts, queries
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT, AT_MS, of_kind


@pytest.fixture
async def reader(
    owner: psycopg.Connection[Any], database_role_url: Callable[[str], str]
) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """The API's own connection, asking for somebody of the region: readings are seen through views alone."""
    owner.execute("INSERT INTO person (name, title, created_at) VALUES ('a@b.cz', 'Anna', now())")
    owner.execute("INSERT INTO membership (person_id, role, valid_from) SELECT person_id, 'viewer', now() FROM person")
    connection = await psycopg.AsyncConnection.connect(database_role_url("kraj_api"), autocommit=True)
    async with connection:
        await connection.execute("SELECT set_config('kraj.principal', '1', false)")
        yield connection


async def opened(desk: Desk, asset_id: int, rule: str, minute: int = 0, **more: Any) -> int:
    """An alert about one asset; its id."""
    change = AlertChange(
        key=f"{rule}@asset/1/{asset_id}@{minute}",
        step=more.pop("step", Step.OPENED),
        at_ms=AT_MS + minute * 60_000,
        rule=rule,
        scope=Scope(type="asset", name=str(asset_id), municipality_id=1),
        severity=Severity.MINOR,
        since_ms=AT_MS,
        asset_id=asset_id,
        municipality_id=1,
        **more,
    )
    async with desk.connection.transaction():
        await alerts.take(desk.connection, [change], 1)
    return desk.one("SELECT alert_id FROM alert WHERE key = %s", [change.key])[0]


async def row(desk: Desk, alert_id: int) -> queries.AlertRow:
    found = await queries.alert(desk.connection, alert_id)
    assert found is not None
    return found


async def test_around_are_open_causes_within_three_hundred_metres_the_nearest_first(desk: Desk) -> None:
    metres = 1 / 111_195
    for asset_id, north in ((1, 0), (2, 299), (3, 301)):
        desk.owner.execute(
            "UPDATE asset SET latitude = 49 + %s, longitude = 15 WHERE asset_id = %s", [north * metres, asset_id]
        )
    here = await row(desk, await opened(desk, 1, "lamp_out"))
    far, near = await opened(desk, 2, "lamp_out"), await opened(desk, 1, "voltage")
    await opened(desk, 3, "lamp_out")
    assert [found.alert_id for found in await queries.around(desk.connection, here)] == [near, far]
    desk.owner.execute("UPDATE asset SET latitude = 49, longitude = 15 + 299 / 111195.0 WHERE asset_id = 2")
    assert far in [found.alert_id for found in await queries.around(desk.connection, here)], "degrees are shorter there"
    desk.owner.execute("UPDATE alert SET state = 'closed' WHERE alert_id = %s", [far])
    assert [found.alert_id for found in await queries.around(desk.connection, here)] == [near]
    desk.owner.execute("UPDATE asset SET latitude = NULL WHERE asset_id = 1")
    assert await queries.around(desk.connection, await row(desk, here.alert_id)) == []


async def test_earlier_are_alerts_of_the_same_asset_newest_first(desk: Desk) -> None:
    first = await opened(desk, 1, "lamp_out", step=Step.RECORDED)
    second = await opened(desk, 1, "voltage", 5)
    await opened(desk, 2, "lamp_out")
    now = await row(desk, await opened(desk, 1, "lamp_out", 9))
    assert [found.alert_id for found in await queries.earlier(desk.connection, now, limit=9)] == [second, first]


async def test_mutes_overrides_and_failures_bend_the_rules_of_an_asset(desk: Desk) -> None:
    for until, asset_id in ((-1, 1), (9, 1), (2, 1), (5, 2)):
        at = AT + timedelta(days=until)
        desk.owner.execute(
            "INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at)"
            " VALUES (%s, 'lamp_out', %s, 'r', 'w', %s)",
            [asset_id, at, AT],
        )
    desk.owner.execute(
        "INSERT INTO asset_group (municipality_id, name) VALUES (1, 'centre');"
        "INSERT INTO asset_group_member SELECT group_id, 1 FROM asset_group;"
        "INSERT INTO rule_override (municipality_id, rule, enabled)"
        " VALUES (1, 'voltage', false), (1, 'cycling', false);"
        "INSERT INTO rule_override (municipality_id, group_id, rule, enabled) SELECT 1, group_id, 'cycling', true"
        " FROM asset_group;"
        "INSERT INTO rule_failure VALUES ('theft', now(), 'boom')"
    )
    bent = await queries.bent(desk.connection, 1, AT)
    assert {name: mute.valid_to for name, mute in bent.mutes.items()} == {"lamp_out": AT + timedelta(days=2)}, "newest"
    assert (bent.off, bent.failed) == ({"voltage"}, {"theft"}), "what is said of a group holds before its town"
    assert (await queries.bent(desk.connection, 2, AT)).off == {"voltage", "cycling"}
    desk.owner.execute(
        "INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at)"
        " VALUES (1, 'lamp_out', %(at)s, '', 'w', %(at)s)",
        {"at": AT},
    )
    assert (await queries.bent(desk.connection, 1, AT)).mutes == {}, "lifted, though an older one would last longer"


async def test_a_comment_moves_neither_the_repair_nor_the_end(desk: Desk) -> None:
    alert_id = await opened(desk, 1, "lamp_out")

    async def act(version: int, step: Step, state: Any, hours: int) -> queries.AlertRow:
        at = AT + timedelta(hours=hours)
        connection = desk.connection
        async with connection.transaction():
            await alerts.act(connection, alert_id, version=version, step=step, state=state, who="Jana", at=at)
        return await row(desk, alert_id)

    await act(1, Step.FIXED, "fixed", 1)
    assert (await act(2, Step.COMMENTED, "fixed", 2)).fixed_at == AT + timedelta(hours=1)
    await act(3, Step.CLOSED, "closed", 3)
    assert (await act(4, Step.COMMENTED, "closed", 4)).closed_at == AT + timedelta(hours=3)


async def test_energy_is_power_held_until_the_next_reading_and_cut_at_the_hours(
    desk: Desk, reader: psycopg.AsyncConnection[Any]
) -> None:
    hour_ms = 3_600_000
    start_ms = AT_MS // hour_ms * hour_ms
    start = AT + timedelta(milliseconds=start_ms - AT_MS)
    moments = [(1, start_ms + minute * 60_000, n) for n, minute in enumerate((30, 90, 105))]
    await desk.write(of_kind(moments, power_w=[100.0, 40.0, 0.0]))
    await desk.write(of_kind([(2, start_ms, 1)], power_w=[12.0]))
    end = start + timedelta(hours=6)
    found = await queries.hourly_wh(reader, KINDS["lamp"], "brno", start, end)
    held = {start: 50 + 12, start + timedelta(hours=1): 50 + 10 + 12, start + timedelta(hours=2): 12}
    assert {hour: round(wh, 6) for hour, wh in found.items() if wh} == held, "silence ends it after three heartbeats"
    assert await queries.hourly_wh(reader, KINDS["lamp"], "nowhere", start, end) == {}


async def test_losses_are_those_of_alerts_that_ended_in_the_time(desk: Desk) -> None:
    for asset_id, lost_wh in ((1, 100.0), (2, 50.0)):
        await opened(desk, asset_id, "day_burner", 10, step=Step.RECORDED, lost_wh=lost_wh)
    await opened(desk, 3, "day_burner", 5000, step=Step.RECORDED, lost_wh=7.0)
    await opened(desk, 1, "lamp_out")
    end = AT + timedelta(days=1)
    assert await queries.lost(desk.connection, "brno", AT, end) == [queries.Lost("day_burner", 2, 150.0)]


async def test_a_feeders_voltage_spans_all_its_lamps(desk: Desk, reader: psycopg.AsyncConnection[Any]) -> None:
    desk.owner.execute('UPDATE asset SET metadata = \'{"feeder": "RVO-01/1"}\' WHERE asset_id IN (1, 2)')
    await desk.write(of_kind([(n, AT_MS + n, 1) for n in (1, 2, 3)], voltage_v=[228.0, 232.0, 100.0]))
    assert await queries.feeders(reader, "brno") == [("RVO-01/1", 2)]
    end = AT + timedelta(hours=1)
    (span,) = await queries.feeder_voltage(reader, "brno", "RVO-01/1", AT, end, step_s=900)
    assert (span.low, span.mean, span.high, span.readings) == (228.0, 230.0, 232.0, 2)
