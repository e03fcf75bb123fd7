"""A rule that fails stays off, and told of, until somebody lets it be tried again; through restarts as well."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ingest.counters import Counters
from ingest.judge import Judge
from kraj.alerts import AlertChange, Scope, Severity, Step
from kraj.store import alerts
from kraj.store.connection import Connection
from rules import catalogue
from rules.rule import Rule

BEGIN = datetime(2026, 11, 2, 8, tzinfo=UTC)
TEXT = """
[typo]
kind = "lamp"
when = "pover_w > 3"
severity = "minor"
title = "x"
"""
MENDED = TEXT.replace("pover_w", "power_w")


class Desk:
    """One slot's judge on a real database, a minute a step; ``start`` is a new process."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.at = BEGIN
        self.batch_id = 0
        self.judge = Judge(Counters())

    async def start(self) -> None:
        self.judge = Judge(Counters())
        await self.judge.resume(self.connection, 0, self.at)

    async def step(self) -> list[str]:
        """A batch without readings; the steps of alerts that it brings."""
        self.at += timedelta(minutes=1)
        self.batch_id += 1
        changes = self.judge.step(self.batch_id, [], [], self.at)
        async with self.connection.transaction():
            await self.connection.execute("INSERT INTO batch VALUES (%s, 0, %s, 0, 0, 0)", [self.batch_id, self.at])
            await alerts.take(self.connection, changes, self.batch_id)
        self.judge.settle(committed=True)
        self.judge.note_failures()
        return [change.step for change in changes]

    async def asked(self, statement: str) -> list[Any]:
        return [row[0] for row in await (await self.connection.execute(statement.encode())).fetchall()]

    async def shown(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Which alerts are active, what the outbox holds, and which rules pages show as off."""
        return (
            await self.asked("SELECT active FROM alert ORDER BY alert_id"),
            await self.asked("SELECT step FROM outbox ORDER BY outbox_id"),
            await self.asked("SELECT rule FROM rule_failure"),
        )


@pytest.fixture
async def desk(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    running(monkeypatch, TEXT)
    connection: Connection = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    async with connection:
        await connection.execute("INSERT INTO slot (slot_id, name) OVERRIDING SYSTEM VALUE VALUES (0, 'slot_0')")
        desk = Desk(connection)
        await desk.start()
        assert await desk.step() == ["opened"]
        yield desk


def running(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The catalogue of this version."""
    rules: list[Rule] = list(catalogue.parse(text, "x"))
    monkeypatch.setattr(catalogue, "load", lambda: rules)


@pytest.mark.parametrize("checkpoint", [True, False])
async def test_a_failed_rule_is_still_told_of_after_a_restart(desk: Desk, checkpoint: bool) -> None:
    if checkpoint:
        await desk.judge.checkpoint(desk.connection)
    for _ in range(2):
        await desk.start()
        assert await desk.shown() == ([True], ["opened"], ["typo"])
    assert await desk.step() == [], "nobody is told twice"
    assert await desk.shown() == ([True], ["opened"], ["typo"])


async def test_it_is_tried_again_when_its_row_goes_and_told_anew_if_it_fails_again(desk: Desk) -> None:
    await desk.connection.execute("DELETE FROM rule_failure")
    assert await desk.step() == [], "nothing changes before ingest has looked"
    await desk.judge.reload(desk.connection, desk.at)
    assert await desk.step() == ["cleared", "opened"]
    assert await desk.shown() == ([False, True], ["opened", "opened"], ["typo"])
    await desk.judge.reload(desk.connection, desk.at)
    assert await desk.step() == [], "until the next one tries"


@pytest.mark.parametrize("checkpoint", [True, False])
async def test_who_tries_again_while_ingest_is_down_is_heard_when_it_starts(desk: Desk, checkpoint: bool) -> None:
    if checkpoint:
        await desk.judge.checkpoint(desk.connection)
    await desk.connection.execute("DELETE FROM rule_failure")
    await desk.start()
    assert (await desk.shown())[0] == [True], "ended by the step that says so, and once"
    assert await desk.step() == ["cleared", "opened"]
    assert await desk.asked("SELECT step FROM alert_event ORDER BY alert_id, alert_event_id") == [
        "opened",
        "cleared",
        "opened",
    ]


async def test_a_version_that_mends_the_rule_ends_its_failure(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    await desk.judge.checkpoint(desk.connection)
    running(monkeypatch, MENDED)
    await desk.start()
    assert await desk.step() == ["cleared"]
    assert await desk.shown() == ([False], ["opened"], [])


@pytest.mark.parametrize(("slot_id", "active"), [(0, False), (1, True)])
async def test_a_restart_ends_what_its_own_slot_no_longer_tells_of(desk: Desk, slot_id: int, active: bool) -> None:
    """What another slot tells of rests on readings that this one has never seen."""
    await desk.connection.execute("INSERT INTO slot (slot_id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'slot_1')")
    await desk.connection.execute("INSERT INTO batch VALUES (100, %s, %s, 0, 0, 0)", [slot_id, desk.at])
    opened = AlertChange(
        key="door_open@x",
        step=Step.OPENED,
        at_ms=round(desk.at.timestamp() * 1000),
        since_ms=0,
        rule="door_open",
        scope=Scope(type="region", name="region", municipality_id=None),
        severity=Severity.MAJOR,
    )
    async with desk.connection.transaction():
        assert await alerts.take(desk.connection, [opened], 100) == 1
    await desk.start()
    assert (await desk.shown())[0] == [True, active]
