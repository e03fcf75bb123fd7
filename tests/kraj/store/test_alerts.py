"""What the engine says of an alert is taken once, in order, and tells the outbox exactly what people must hear."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from kraj.alerts import AlertChange, AlertState, Scope, Severity, Step
from kraj.assets import DeviceStatus
from kraj.store import alerts, judged
from kraj.store.batch import EventRow
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT, AT_MS, of_kind


def change(step: Step, minute: int = 0, **more: Any) -> AlertChange:
    """A step of the dark lamp 1, some minutes after ``AT``."""
    known: dict[str, Any] = {
        "key": "lamp_out@asset/1/1@1",
        "rule": "lamp_out",
        "scope": Scope(type="asset", name="1", municipality_id=1),
        "severity": Severity.MAJOR,
        "since_ms": AT_MS - 600_000,
        "asset_id": 1,
    }
    return AlertChange(step=step, at_ms=AT_MS + minute * 60_000, **{**known, **more})


async def take(desk: Desk, *changes: AlertChange, batch_id: int = 1) -> int:
    async with desk.connection.transaction():
        return await alerts.take(desk.connection, changes, batch_id)


def states(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT key, state, active, notify, severity, times_raised FROM alert ORDER BY alert_id")


def outbox(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT a.key, o.step FROM outbox o JOIN alert a USING (alert_id) ORDER BY outbox_id")


KEY = "lamp_out@asset/1/1@1"


async def test_an_alert_opens_once_and_is_told_once_however_often_it_is_replayed(desk: Desk) -> None:
    opened = change(Step.OPENED, notify=True, evidence={"power_w": 0.4})
    assert await take(desk, opened) == 1
    assert await take(desk, opened, batch_id=2) == 0
    assert states(desk) == [(KEY, "open", True, True, "major", 1)]
    assert outbox(desk) == [(KEY, "opened")]
    assert desk.one("SELECT step, who, detail->>'power_w', batch_id FROM alert_event") == (
        "opened",
        "telemetry",
        "0.4",
        1,
    )


async def test_what_a_parent_may_explain_is_told_when_the_window_closes(desk: Desk) -> None:
    await take(desk, change(Step.OPENED))
    assert outbox(desk) == []
    await take(desk, change(Step.CHANGED, 10, notify=True))
    assert outbox(desk) == [(KEY, "opened")]
    await take(desk, change(Step.CHANGED, 11, notify=True))
    assert outbox(desk) == [(KEY, "opened")], "a change without a worse severity is nobody's message"
    await take(desk, change(Step.CHANGED, 12, notify=True, severity=Severity.CRITICAL))
    assert outbox(desk) == [(KEY, "opened"), (KEY, "changed")]


async def test_a_child_stands_under_its_parent_and_is_not_told(desk: Desk) -> None:
    feeder = Scope(type="feeder", name="RVO-01/1", municipality_id=1)
    parent = change(
        Step.OPENED, 1, key="feeder_outage@f@1", rule="feeder_outage", scope=feeder, asset_id=None, notify=True
    )
    await take(desk, change(Step.OPENED), parent, change(Step.ATTACHED, 1, parent="feeder_outage@f@1"))
    assert desk.one("SELECT c.notify, p.key FROM alert c JOIN alert p ON p.alert_id = c.parent_id") == (
        False,
        "feeder_outage@f@1",
    )
    assert outbox(desk) == [("feeder_outage@f@1", "opened")]
    await take(desk, change(Step.DETACHED, 30, notify=True))
    assert outbox(desk)[1:] == [(KEY, "opened")]
    assert desk.one("SELECT parent_id FROM alert WHERE key = %s", [KEY]) == (None,)


async def test_a_cleared_alert_that_comes_back_is_the_same_alert(desk: Desk) -> None:
    await take(desk, change(Step.OPENED, notify=True), change(Step.CLEARED, 20, lost_wh=12.5))
    assert desk.one("SELECT active, state, lost_wh, cleared_at FROM alert") == (
        False,
        "open",
        12.5,
        AT + timedelta(minutes=20),
    )
    await take(desk, change(Step.RAISED_AGAIN, 25, notify=True))
    assert states(desk) == [(KEY, "open", True, True, "major", 2)]
    assert outbox(desk) == [(KEY, "opened")], "nobody has closed it: people know"
    await take(desk, change(Step.CLEARED, 30))
    desk.owner.execute("UPDATE alert SET state = 'closed', closed_at = now()")
    await take(desk, change(Step.RAISED_AGAIN, 35, notify=True))
    assert states(desk) == [(KEY, "open", True, True, "major", 3)]
    assert outbox(desk) == [(KEY, "opened"), (KEY, "raised_again")]


async def test_one_cause_has_one_active_alert_whatever_its_key(desk: Desk) -> None:
    """After a restart without a checkpoint the same cause may have begun a moment earlier: it is the same alert."""
    await take(desk, change(Step.OPENED, notify=True))
    await take(desk, change(Step.OPENED, 40, key="lamp_out@asset/1/1@2", notify=True), batch_id=9)
    assert desk.rows("SELECT key FROM alert") == [("lamp_out@asset/1/1@2",)]
    await take(desk, change(Step.CLEARED, 50, key="lamp_out@asset/1/1@2"))
    assert desk.one("SELECT active FROM alert") == (False,)
    other = change(Step.OPENED, 60, key="lamp_out@asset/1/2@1", scope=Scope(type="asset", name="2", municipality_id=1))
    assert await take(desk, other) == 1
    assert desk.one("SELECT count(*) FROM alert") == (2,)


async def test_what_was_over_before_it_came_is_history_and_no_message(desk: Desk) -> None:
    await take(desk, change(Step.RECORDED, evidence={"power_w": 0.0}, notify=True))
    assert states(desk) == [(KEY, "closed", False, False, "major", 1)]
    assert outbox(desk) == []


async def test_steps_of_an_unknown_alert_change_nothing(desk: Desk) -> None:
    assert await take(desk, change(Step.CLEARED), change(Step.CHANGED, notify=True)) == 0
    assert states(desk) == []


async def test_a_change_that_breaks_rolls_back_with_its_transaction(desk: Desk) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await take(desk, change(Step.OPENED), replace(change(Step.OPENED, 1, key="k2", rule="x"), severity="awful"))  # pyright: ignore[reportArgumentType]
    assert states(desk) == []


async def test_active_keys_are_those_whose_symptom_holds(desk: Desk) -> None:
    await take(desk, change(Step.OPENED))
    assert await alerts.active_keys(desk.connection, desk.slot_id) == {KEY: ("lamp_out", "asset", "1", 1)}
    await take(desk, change(Step.CLEARED, 5))
    assert await alerts.active_keys(desk.connection, desk.slot_id) == {}


async def test_history_replays_as_it_was_committed(desk: Desk) -> None:
    status = EventRow(1, 1, "status", b'{"online": false, "boot": 3, "reset": "power_on"}', 0)
    first = of_kind([(1, AT_MS, 1), (2, AT_MS, 1)], power_w=[40.5, 41.0], level_commanded_pct=[60.0, float("nan")])
    await desk.write(first, events=[status])
    await desk.write(of_kind([(1, AT_MS + 1000, 2)], power_w=[0.5]))
    found = [one async for one in judged.replay(desk.connection, desk.slot_id, 0)]
    assert [len(one.readings[0]) for one in found] == [2, 1]
    again = found[0].readings[0]
    order = again.asset_id.argsort()
    assert again.asset_id[order].tolist() == [1, 2]
    assert again.ts_ms[order].tolist() == [AT_MS, AT_MS]
    power = again.kind.positions["power_w"]
    assert again.values[order, power].tolist() == [40.5, 41.0]
    assert str(again.values[order, again.kind.positions["level_commanded_pct"]].tolist()) == "[60.0, nan]"
    assert found[0].statuses == [DeviceStatus(device_id=1, online=False, ts_ms=AT_MS, boot=3, reset="power_on")]
    later = [one async for one in judged.replay(desk.connection, desk.slot_id, found[0].batch_id)]
    assert [one.readings[0].ts_ms.tolist() for one in later] == [[AT_MS + 1000]]


async def test_a_checkpoint_is_replaced_by_the_next(desk: Desk) -> None:
    assert await judged.load_checkpoint(desk.connection, desk.slot_id) is None
    for batch_id in (5, 9):
        await judged.save_checkpoint(desk.connection, desk.slot_id, batch_id, AT, b"state %d" % batch_id)
    assert await judged.load_checkpoint(desk.connection, desk.slot_id) == (9, b"state 9")


async def test_what_bends_the_rules_raises_the_registry_version_and_is_read(desk: Desk) -> None:
    before = await judged.read(desk.connection, AT)
    assert [row.label for row in before.assets] == ["L1", "L2", "L3"]
    assert [row.device_id for row in before.assets] == [1, 2, 3]
    desk.owner.execute(
        "INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at) VALUES (2, 'voltage', %s, 'x', 'jana', %s)",
        [AT + timedelta(days=1), AT],
    )
    desk.owner.execute(
        "INSERT INTO maintenance_window (municipality_id, scope_type, scope_name, valid_from, valid_to, reason, who)"
        " VALUES (1, 'feeder', 'RVO-01/1', %s, %s, 'x', 'jana')",
        [AT, AT + timedelta(hours=2)],
    )
    desk.owner.execute(
        "INSERT INTO asset_group (municipality_id, name) VALUES (1, 'náměstí');"
        "INSERT INTO asset_group_member VALUES (1, 3);"
    )
    desk.owner.execute(
        "INSERT INTO rule_override (municipality_id, group_id, rule, thresholds)"
        " VALUES (1, 1, 'lamp_out', '{\"a\": 2}')"
    )
    after = await judged.read(desk.connection, AT)
    assert after.version > before.version
    assert {(w.scope.type, w.scope.name, w.rule) for w in after.windows} == {
        ("asset", "2", "voltage"),
        ("feeder", "RVO-01/1", None),
    }
    assert after.overrides[0].asset_ids == frozenset({3})
    assert after.overrides[0].thresholds == {"a": 2}
    assert (await judged.read(desk.connection, AT + timedelta(days=2))).windows == ()


async def test_a_mute_lasts_until_the_next_one_of_its_asset_and_rule_begins(desk: Desk) -> None:
    muted = [("voltage", 0, 72), ("voltage", 1, 48), ("voltage", 2, 2), ("voltage", 4, 24), ("voltage", 4, 12)]
    for rule, begin, end in [*muted, ("lamp_out", 0, 9)]:
        desk.owner.execute(
            "INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at) VALUES (2, %s, %s, 'x', 'jana', %s)",
            [rule, AT + timedelta(hours=end), AT + timedelta(hours=begin)],
        )
    found = [w for w in (await judged.read(desk.connection, AT - timedelta(days=1))).windows if w.rule == "voltage"]
    spans = [((w.from_ms - AT.timestamp() * 1000) / 3.6e6, (w.to_ms - AT.timestamp() * 1000) / 3.6e6) for w in found]
    assert sorted(spans) == [(0, 1), (1, 2), (4, 12)], "lifted at 2 h; the newest of one moment holds"


async def test_telemetry_verifies_or_reopens_once_what_is_fixed_and_leaves_what_somebody_has_closed(desk: Desk) -> None:
    await take(desk, change(Step.OPENED, notify=True))
    number = desk.one("SELECT alert_id FROM alert")[0]
    fixed = AT + timedelta(minutes=20, microseconds=123_456)

    async def act(step: Step, state: AlertState) -> None:
        version = desk.one("SELECT version FROM alert")[0]
        await alerts.act(desk.connection, number, version=version, step=step, state=state, who="jana", at=fixed)

    assert await judged.repairs(desk.connection) == []
    await take(desk, change(Step.REOPENED, 19))
    assert desk.one("SELECT state FROM alert") == ("open",), "nobody has called it fixed"
    await act(Step.FIXED, AlertState.FIXED)
    (repair,) = await judged.repairs(desk.connection)
    assert (repair.key, repair.rule, repair.scope.name) == (KEY, "lamp_out", "1")
    proving = replace(change(Step.PROVING), at_ms=repair.fixed_ms)
    assert [await take(desk, proving, batch_id=4), await take(desk, proving, batch_id=5)] == [1, 0]
    assert await judged.repairs(desk.connection) == [], "told with batch 4"
    await take(desk, change(Step.REOPENED, 22, evidence={"power_w": 0.4}))
    assert desk.one("SELECT state, active, closed_at FROM alert") == ("open", True, None)
    assert outbox(desk) == [(KEY, "opened"), (KEY, "reopened")]
    fixed += timedelta(minutes=10)
    await act(Step.FIXED, AlertState.FIXED)
    assert [r.fixed_ms for r in await judged.repairs(desk.connection)] == [repair.fixed_ms + 600_000]
    for _ in range(2):
        await take(desk, change(Step.CLEARED, 35), change(Step.VERIFIED, 35, evidence={"power_w": 58.0}))
    assert desk.one("SELECT state, active, closed_at FROM alert") == ("closed", False, AT + timedelta(minutes=35))
    assert desk.rows("SELECT detail->>'power_w' FROM alert_event WHERE step = 'verified'") == [("58.0",)]
    await take(desk, change(Step.RAISED_AGAIN, 40, notify=True))
    await act(Step.FALSE_ALARM, AlertState.CLOSED)
    await take(desk, change(Step.VERIFIED, 50))
    assert len(desk.rows("SELECT FROM alert_event WHERE step = 'verified'")) == 1


def test_a_role_may_do_only_its_part(desk: Desk, database_role_url: Callable[[str], str]) -> None:
    """The API cannot say what telemetry says; ingest cannot say what people say."""
    with psycopg.connect(database_role_url("kraj_api"), autocommit=True) as api:
        for statement in (
            "UPDATE alert SET active = false",
            "DELETE FROM alert_event",
            "SELECT url FROM notification_target",
            "SELECT take_alert_changes('[]', 1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                api.execute(statement.encode())
    with psycopg.connect(database_role_url("kraj_ingest"), autocommit=True) as ingest:
        for statement in (
            "DELETE FROM alert",
            "SELECT url FROM notification_target",
            "UPDATE alert_event SET note = 'x'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                ingest.execute(statement.encode())
