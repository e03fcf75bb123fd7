"""The oracle of alerts: everything that was committed judged once more from the beginning, and compared."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from kraj.alerts import Step
from kraj.readings import as_stored
from kraj.store import judged
from kraj.store.connection import Connection
from rules import catalogue
from rules.estate import Estate
from rules.watch import Watch


@dataclass(frozen=True, slots=True)
class Recount:
    """``alerts`` that history gives; names of those that the database lacks, and of causes told more than once."""

    alerts: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]


def recount(url: str) -> Recount:
    """Judge all batches of the first slot, up to the last reading, in the order of their commits."""
    return asyncio.run(_recount(url))


async def _recount(url: str) -> Recount:
    connection: Connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection:
        found = await judged.read(connection, datetime.fromtimestamp(0, UTC))
        watch = Watch(Estate.of(found.version, found.assets, found.windows, found.overrides), catalogue.load())
        expected: set[tuple[str, str]] = set()
        row = await (
            await connection.execute(
                "SELECT slot_id, max(batch_id) FROM batch WHERE committed > 0 GROUP BY 1 ORDER BY 1 LIMIT 1"
            )
        ).fetchone()
        slot_id, last = row or (1, 0)
        async for batch in judged.replay(connection, slot_id, 0):
            if batch.batch_id > last:  # the devices' farewell: whether its silence is still judged is a matter of time
                break
            now_ms = round(batch.at.timestamp() * 1000)
            # Silence depends on when ingest itself was there, which history does not tell: left out on both sides.
            for change in watch.step([as_stored(r) for r in batch.readings], batch.statuses, now_ms, attentive=False):
                if change.step is Step.OPENED:
                    expected.add((change.rule, f"{change.scope.type}/{change.scope.name}"))
            watch.commit()
        by_time = {rule.name for rule in catalogue.load() if rule.per == "time"}
        rows = await (
            await connection.execute(
                "SELECT rule, scope_type || '/' || scope_name, count(*), max(told) FROM alert LEFT JOIN"
                " (SELECT alert_id, count(*) AS told FROM outbox WHERE step = 'opened' GROUP BY 1) o USING (alert_id)"
                " GROUP BY 1, 2"
            )
        ).fetchall()
    stored = {(rule, scope) for rule, scope, _, _ in rows}
    return Recount(
        alerts=len(expected),
        lost=tuple(sorted(f"{rule}@{scope}" for rule, scope in expected - stored if rule not in by_time)),
        doubled=tuple(f"{rule}@{scope}" for rule, scope, count, told in rows if count > 1 or (told or 0) > 1),
    )
