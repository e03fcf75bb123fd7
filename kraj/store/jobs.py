"""Work that takes longer than a request: how far it is, and what came of it. Each person sees its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """A job as it stands."""

    job_id: int
    kind: str
    state: str
    progress_pct: int
    result: str | None
    problem: dict[str, Any] | None
    started_at: datetime
    heard_at: datetime


async def start(connection: Connection, person_id: int, kind: str, at: datetime) -> int:
    """A new job, running."""
    cursor = await connection.execute(
        "INSERT INTO job (person_id, kind, started_at, heard_at) VALUES (%s, %s, %s, %s) RETURNING job_id",
        [person_id, kind, at, at],
    )
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("INSERT returned nothing")
    return row[0]


async def tell(connection: Connection, job_id: int, progress_pct: int, at: datetime) -> None:
    """How far it is."""
    await connection.execute(
        "UPDATE job SET progress_pct = %s, heard_at = %s WHERE job_id = %s AND state = 'running'",
        [progress_pct, at, job_id],
    )


async def end(
    connection: Connection, job_id: int, at: datetime, *, result: str | None, problem: Mapping[str, Any] | None = None
) -> None:
    """It is done, with the address of its result; or it failed, with the problem."""
    state = "done" if problem is None else "failed"
    await connection.execute(
        "UPDATE job SET state = %s, result = %s, problem = %s, heard_at = %s,"
        " progress_pct = CASE WHEN %s = 'done' THEN 100 ELSE progress_pct END WHERE job_id = %s",
        [state, result, None if problem is None else Jsonb(dict(problem)), at, state, job_id],
    )


async def get(connection: Connection, job_id: int) -> JobRow | None:
    """A job of the principal."""
    async with connection.cursor(row_factory=class_row(JobRow)) as cursor:
        await cursor.execute(
            "SELECT job_id, kind, state, progress_pct, result, problem, started_at, heard_at FROM job"
            " WHERE job_id = %s",
            [job_id],
        )
        return await cursor.fetchone()
