"""Alerts in the database: the engine's steps taken in the transaction of the readings that caused them."""

import json
from collections.abc import Sequence

from kraj.alerts import AlertChange
from kraj.store.connection import Connection

CHANGES_PER_CALL = 2000
"""A storm over a whole region comes in slices: one parameter of some MB at most."""


async def take(connection: Connection, changes: Sequence[AlertChange], batch_id: int) -> int:
    """Write the steps within the open transaction, in order; returns how many are new (the others were there)."""
    taken = 0
    for start in range(0, len(changes), CHANGES_PER_CALL):
        body = parameter(changes[start : start + CHANGES_PER_CALL])
        cursor = await connection.execute("SELECT take_alert_changes(%s::jsonb, %s)", [body, batch_id])
        row = await cursor.fetchone()
        taken += row[0] if row else 0
    return taken


def parameter(changes: Sequence[AlertChange]) -> str:
    """The steps as ``take_alert_changes`` reads them."""
    return json.dumps(
        [
            {
                "key": change.key,
                "step": change.step,
                "at_ms": change.at_ms,
                "since_ms": change.since_ms,
                "rule": change.rule,
                "scope_type": change.scope.type,
                "scope_name": change.scope.name,
                "municipality_id": change.scope.municipality_id,
                "asset_id": change.asset_id,
                "severity": change.severity,
                "parent": change.parent,
                "notify": change.notify,
                "evidence": dict(change.evidence),
                "lost_wh": change.lost_wh,
            }
            for change in changes
        ],
        ensure_ascii=False,
        allow_nan=False,
    )


async def active_keys(connection: Connection) -> dict[str, tuple[str, str, str, int | None]]:
    """Key of each alert whose symptom holds, as far as the database knows, with rule, scope type, scope name and
    municipality."""
    cursor = await connection.execute(
        "SELECT key, rule, scope_type, scope_name, municipality_id FROM alert WHERE active"
    )
    return {key: (rule, type_, name, owner) async for key, rule, type_, name, owner in cursor}


async def note_failure(connection: Connection, rule: str, error: str) -> None:
    """A rule that raised is off until somebody has looked; remembered so that the page can say so."""
    await connection.execute(
        "INSERT INTO rule_failure (rule, at, error) VALUES (%s, now(), %s)"
        " ON CONFLICT (rule) DO UPDATE SET at = EXCLUDED.at, error = EXCLUDED.error",
        [rule, error[:2000]],
    )
