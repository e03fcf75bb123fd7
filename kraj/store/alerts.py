"""Alerts in the database: the engine's steps taken in the transaction of the readings that caused them."""

import json
from collections.abc import Sequence
from datetime import datetime

from kraj.alerts import AlertChange, AlertState, Step
from kraj.service_requests import REPORT_RULE
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


async def active_keys(connection: Connection, slot_id: int) -> dict[str, tuple[str, str, str, int | None]]:
    """Key of each alert whose symptom holds, as far as the database knows, with rule, scope type, scope name and
    municipality: those that the slot's batches spoke of last, or of which nobody knows whose spoke. Not of what people
    report, which telemetry neither raises nor ends."""
    cursor = await connection.execute(
        "SELECT key, rule, scope_type, scope_name, municipality_id FROM alert a WHERE active AND rule <> %(report)s"
        " AND coalesce((SELECT b.slot_id FROM alert_event e JOIN batch b USING (batch_id)"
        " WHERE e.alert_id = a.alert_id AND e.who = 'telemetry' ORDER BY e.alert_event_id DESC LIMIT 1),"
        " %(slot)s) = %(slot)s",
        {"report": REPORT_RULE, "slot": slot_id},
    )
    return {key: (rule, type_, name, owner) async for key, rule, type_, name, owner in cursor}


async def end(connection: Connection, keys: Sequence[str], at: datetime, batch_id: int) -> None:
    """Alerts that nothing supports any more after a restart: the asset is gone, or the rule is."""
    if keys:
        await connection.execute(
            "WITH ended AS (UPDATE alert SET active = false, cleared_at = %(at)s, changed_at = %(at)s,"
            " version = version + 1 WHERE key = ANY(%(keys)s) AND active RETURNING alert_id)"
            " INSERT INTO alert_event (alert_id, at, step, who, note, batch_id)"
            " SELECT alert_id, %(at)s, 'cleared', 'telemetry', 'unsupported', %(batch)s FROM ended"
            " ON CONFLICT DO NOTHING",
            {"keys": list(keys), "at": at, "batch": batch_id},
        )


class StaleError(Exception):
    """Somebody else has changed the alert meanwhile, or it is not there."""


async def act(
    connection: Connection,
    alert_id: int,
    *,
    version: int,
    step: Step,
    state: AlertState,
    who: str,
    at: datetime,
    note: str | None = None,
    assignee: str | None = None,
    cause: str | None = None,
    spare_part: str | None = None,
) -> None:
    """Write what a person (or time) did to an alert: its new state and the event, within the open transaction.

    Which step may follow which is for ``rules.life`` to say. Raises ``StaleError`` when ``version`` is not the alert's.
    """
    cursor = await connection.execute(
        "UPDATE alert SET state = %(state)s, changed_at = %(at)s, version = version + 1,"
        " assignee = coalesce(%(assignee)s, assignee), cause = coalesce(%(cause)s, cause),"
        " spare_part = coalesce(%(spare_part)s, spare_part),"
        " fixed_at = CASE WHEN %(state)s = 'fixed' AND state <> 'fixed' THEN %(at)s ELSE fixed_at END,"
        " closed_at = CASE WHEN %(state)s = 'closed' THEN coalesce(closed_at, %(at)s::timestamptz) END"
        " WHERE alert_id = %(alert_id)s AND version = %(version)s",
        {
            "alert_id": alert_id,
            "version": version,
            "state": str(state),
            "at": at,
            "assignee": assignee,
            "cause": cause,
            "spare_part": spare_part,
        },
    )
    if cursor.rowcount != 1:
        raise StaleError
    told = {"assignee": assignee, "cause": cause, "spare_part": spare_part}
    detail = {name: value for name, value in told.items() if value is not None}
    await connection.execute(
        "INSERT INTO alert_event (alert_id, at, step, who, note, detail) VALUES (%s, %s, %s, %s, %s, %s)",
        [alert_id, at, str(step), who, note, json.dumps(detail, ensure_ascii=False)],
    )


async def mute(
    connection: Connection, asset_id: int, rule: str, *, until: datetime, reason: str, who: str, at: datetime
) -> None:
    """Silence one rule on one asset until a moment; the rules read it at once.

    What was said of the two before ends here: a moment that is over by ``at`` lets the rule speak again.
    """
    await connection.execute(
        "INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at) VALUES (%s, %s, %s, %s, %s, %s)",
        [asset_id, rule, until, reason, who, at],
    )
