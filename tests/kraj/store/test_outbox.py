"""What waits to be told is planned once, locked while it is in hand, and remembers its fate."""

from collections.abc import AsyncIterator, Callable
from datetime import time, timedelta
from typing import Any

import psycopg
import pytest

from kraj.alerts import AlertChange, Scope, Severity, Step
from kraj.store import alerts, outbox
from kraj.store.connection import Connection
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT, AT_MS

LATER = AT + timedelta(hours=1)


@pytest.fixture
async def notify(desk: Desk, database_role_url: Callable[[str], str]) -> AsyncIterator[Connection]:
    """A connection of the worker; two alerts wait, the second one is a minor."""
    async with desk.connection.transaction():
        await alerts.take(desk.connection, [_opened(1, Severity.CRITICAL), _opened(2, Severity.MINOR)], 1)
    url = database_role_url("kraj_notify")
    async with await psycopg.AsyncConnection[Any].connect(url, autocommit=True) as connection:
        yield connection


def _opened(asset: int, severity: Severity) -> AlertChange:
    return AlertChange(
        key=f"lamp_out@asset/1/{asset}@1",
        step=Step.OPENED,
        at_ms=AT_MS,
        rule="lamp_out",
        scope=Scope(type="asset", name=str(asset), municipality_id=1),
        severity=severity,
        since_ms=AT_MS,
        asset_id=asset,
        municipality_id=1,
        notify=True,
    )


async def target(desk: Desk, name: str = "dispatch", town: str | None = "brno") -> int:
    """Added by the owner, as `kraj notify add` does."""
    url = desk.owner.info.dsn + f" password={desk.owner.info.password}"
    async with await psycopg.AsyncConnection[Any].connect(url, autocommit=True) as owner:
        found = await outbox.add_target(
            owner,
            name=name,
            url=f"json://{name}",
            municipality=town,
            severity_min=Severity.MINOR,
            quiet=(time(22), time(6)),
            digest_at=time(7),
            language="cs",
        )
    assert found is not None
    return found


async def planned(desk: Desk, notify: Connection, *, digest: bool) -> int:
    target_id = await target(desk)
    rows = await outbox.waiting(notify)
    await outbox.plan(
        notify,
        [outbox.Planned(outbox_id=r.outbox_id, target_id=target_id, due_at=LATER, digest=digest) for r in rows],
    )
    await outbox.done(notify, [r.outbox_id for r in rows], AT)
    return target_id


async def test_what_one_worker_has_in_hand_another_one_passes_over(
    notify: Connection, database_role_url: Callable[[str], str]
) -> None:
    url = database_role_url("kraj_notify")
    async with await psycopg.AsyncConnection[Any].connect(url, autocommit=True) as other:
        async with notify.transaction():
            assert [(row.alert_id, row.severity) for row in await outbox.waiting(notify)] == [
                (1, "critical"),
                (2, "minor"),
            ]
            assert await outbox.waiting(other) == []
        assert len(await outbox.waiting(other)) == 2


async def test_a_delivery_is_planned_once_and_is_due_at_its_time(desk: Desk, notify: Connection) -> None:
    target_id = await planned(desk, notify, digest=False)
    await outbox.plan(notify, [outbox.Planned(outbox_id=1, target_id=target_id, due_at=AT, digest=True)])
    assert await outbox.waiting(notify) == []
    assert await outbox.due_targets(notify, LATER - timedelta(seconds=1)) == []
    assert await outbox.due_targets(notify, LATER) == [target_id]
    (due,) = await outbox.next_message(notify, target_id, LATER)
    assert (due.alert_id, due.digest, due.attempts, due.wanted_at) == (1, False, 0, LATER)


async def test_a_digest_is_one_message(desk: Desk, notify: Connection) -> None:
    target_id = await planned(desk, notify, digest=True)
    assert [due.alert_id for due in await outbox.next_message(notify, target_id, LATER)] == [1, 2]


async def test_what_failed_waits_with_the_rest_of_its_target_and_keeps_its_error(
    desk: Desk, notify: Connection
) -> None:
    target_id = await planned(desk, notify, digest=False)
    (first,) = await outbox.next_message(notify, target_id, LATER)
    again = LATER + timedelta(seconds=30)
    await outbox.failed(notify, [first.delivery_id], "503", again)
    await outbox.hold_back(notify, target_id, again)
    assert await outbox.due_targets(notify, LATER) == []
    (first,) = await outbox.next_message(notify, target_id, again)
    assert (first.alert_id, first.attempts, first.wanted_at) == (1, 1, LATER)
    await outbox.sent(notify, [first.delivery_id], again)
    (second,) = await outbox.next_message(notify, target_id, again)
    await outbox.given_up(notify, [second.delivery_id], "gone", again)
    assert await outbox.due_targets(notify, again) == []
    assert desk.rows("SELECT attempts, error, sent_at, given_up_at FROM delivery ORDER BY delivery_id") == [
        (2, None, again, None),
        (0, "gone", None, again),
    ]


async def test_escalations_are_counted_since_people_were_last_told_first_hand(desk: Desk, notify: Connection) -> None:
    for minute, step in ((15, Step.ESCALATED), (30, Step.ESCALATED), (40, Step.REOPENED), (55, Step.ESCALATED)):
        await outbox.tell(notify, 1, step, AT + timedelta(minutes=minute))
    rows = [row for row in await outbox.waiting(notify) if row.alert_id == 1]
    assert [(row.step, row.escalations) for row in rows] == [
        ("opened", 0),
        ("escalated", 1),
        ("escalated", 2),
        ("reopened", 0),
        ("escalated", 1),
    ]
    (moving,) = await outbox.moving(notify)
    assert (moving.alert_id, moving.told_at, moving.escalations) == (1, AT + timedelta(minutes=40), 1)


async def test_a_target_of_a_known_name_is_changed_also_the_operators(desk: Desk, notify: Connection) -> None:
    assert await target(desk) == await target(desk)
    assert await target(desk, town=None) == await target(desk, town=None)
    found = await outbox.targets(notify)
    assert [(row.name, row.municipality_id, row.quiet_from, row.digest_at) for row in found] == [
        ("dispatch", None, time(22), time(7)),
        ("dispatch", 1, time(22), time(7)),
    ]
    assert all("url" not in type(row).__slots__ for row in found)
    address = await outbox.address(notify, found[0].target_id)
    assert address is not None
    assert address.url == "json://dispatch"
    assert "json" not in repr(address)


async def test_a_town_that_is_not_there_has_no_target(desk: Desk) -> None:
    with pytest.raises(AssertionError):
        await target(desk, town="nowhere")
    assert desk.one("SELECT count(*) FROM notification_target") == (0,)


async def test_who_is_on_call_is_told_in_order_until_the_turn_is_over(desk: Desk, notify: Connection) -> None:
    second, first = await target(desk, "second"), await target(desk, "first")
    for target_id, place, days in ((second, 2, 7), (first, 1, 7), (second, 1, 1)):
        desk.owner.execute(
            "INSERT INTO on_call (municipality_id, target_id, place, valid_from, valid_to) VALUES (1, %s, %s, %s, %s)",
            [target_id, place, AT, AT + timedelta(days=days)],
        )
    found = await outbox.on_call(notify, AT + timedelta(days=2))
    assert [(row.target_id, row.place) for row in found] == [(first, 1), (second, 2)]
