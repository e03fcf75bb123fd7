"""Trials of rules: what was proposed, how far its judging is, what it would have told."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kraj.store.connection import Connection

KEPT = timedelta(days=30)
SILENT_S_MAX = 30
"""A trial whose process says nothing for so long has gone with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """A trial; ``lost`` when its process has died."""

    rule_trial_id: int
    municipality_id: int
    municipality: str
    municipality_title: str
    proposal: dict[str, Any]
    state: str
    progress: float
    verdict: dict[str, Any] | None
    error: str | None
    who: str
    asked_at: datetime
    adopted_at: datetime | None
    lost: bool


async def add(connection: Connection, *, municipality_id: int, proposal: dict[str, Any], who: str, at: datetime) -> int:
    """Write a trial down; old ones of the municipality go."""
    await connection.execute(
        "DELETE FROM rule_trial WHERE municipality_id = %s AND asked_at < %s", [municipality_id, at - KEPT]
    )
    cursor = await connection.execute(
        "INSERT INTO rule_trial (municipality_id, proposal, who, asked_at) VALUES (%s, %s, %s, %s)"
        " RETURNING rule_trial_id",
        [municipality_id, Jsonb(proposal), who, at],
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def unfinished(connection: Connection, municipality_id: int) -> int:
    """How many trials of a municipality wait or run."""
    cursor = await connection.execute(
        "SELECT count(*) FROM rule_trial WHERE municipality_id = %s AND state IN ('waiting', 'running')"
        " AND heard_at > now() - make_interval(secs => %s)",
        [municipality_id, SILENT_S_MAX],
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def trial(connection: Connection, number: int) -> TrialRow | None:
    """One trial."""
    async with connection.cursor(row_factory=class_row(TrialRow)) as cursor:
        await cursor.execute(
            "SELECT t.rule_trial_id, t.municipality_id, m.name AS municipality, m.title AS municipality_title,"
            " t.proposal, t.state, t.progress, t.verdict, t.error, t.who, t.asked_at, t.adopted_at,"
            " t.state IN ('waiting', 'running') AND t.heard_at <= now() - make_interval(secs => %s) AS lost"
            " FROM rule_trial t JOIN municipality m USING (municipality_id) WHERE t.rule_trial_id = %s",
            [SILENT_S_MAX, number],
        )
        return await cursor.fetchone()


async def heard(connection: Connection, number: int, state: str, progress: float) -> None:
    """It is alive, and so far."""
    await connection.execute(
        "UPDATE rule_trial SET state = %s, progress = %s, heard_at = now() WHERE rule_trial_id = %s",
        [state, progress, number],
    )


async def finished(connection: Connection, number: int, verdict: dict[str, Any] | None, error: str | None) -> None:
    """It is over, with a verdict or with what was wrong."""
    await connection.execute(
        "UPDATE rule_trial SET state = %s, progress = CASE WHEN %s THEN 1 ELSE progress END, verdict = %s, error = %s"
        " WHERE rule_trial_id = %s",
        ["failed" if verdict is None else "done", verdict is not None, Jsonb(verdict), error, number],
    )


async def adopted(connection: Connection, number: int, at: datetime) -> bool:
    """Its proposal is switched on; False when it was before."""
    cursor = await connection.execute(
        "UPDATE rule_trial SET adopted_at = %s WHERE rule_trial_id = %s AND adopted_at IS NULL", [at, number]
    )
    return cursor.rowcount == 1
