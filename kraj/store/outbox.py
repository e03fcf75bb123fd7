"""What waits to be told: outbox rows, whom there is to tell, deliveries and their fate, and alerts that time moves on.

All of it within the caller's transaction; rows in hand are locked and those in another worker's hands are skipped, so
that two workers never send the same message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time

from psycopg.rows import class_row

from kraj.alerts import Severity, Step
from kraj.store.connection import Connection

WAITING_MAX = 500
"""Outbox rows planned in one transaction: a storm over a region comes in slices."""
DIGEST_MAX = 100
"""Alerts in one digest; what is beyond goes into the next one."""
MOVED_MAX = 1000
"""Alerts that time may move on, looked at in one round; those that have waited longest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An outbox row that is not planned yet, with its alert as it is now.

    ``escalations`` counts how often the alert was passed on since people were first told, this row included.
    """

    outbox_id: int
    alert_id: int
    step: str
    at: datetime
    municipality_id: int | None
    asset_id: int | None
    severity: str
    state: str
    active: bool
    notify: bool
    escalations: int
    concerns: list[int]
    """Of an alert across municipalities, those whose alerts hang on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """Where messages can go, without the address. ``municipality_id`` None is the region's operator."""

    target_id: int
    municipality_id: int | None
    name: str
    severity_min: str
    quiet_from: time | None
    quiet_to: time | None
    digest_at: time | None
    language: str
    enabled: bool = True
    exports: bool = False
    """An Alertmanager: it is posted what is open, and no messages."""
    person_id: int | None = None
    """Whose own browser it is; it hears of alerts that its person may work on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCallRow:
    """Somebody's turn: the first by ``place`` is called first, the next one ``escalate_after_min`` later."""

    municipality_id: int | None
    target_id: int
    place: int
    valid_from: datetime
    valid_to: datetime
    escalate_after_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A message that shall go to a target, not before ``due_at``; with ``digest`` together with others."""

    outbox_id: int
    target_id: int
    due_at: datetime
    digest: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A delivery in hand. ``at``: when it happened; ``wanted_at``: when it should have gone out at first."""

    delivery_id: int
    alert_id: int
    step: str
    at: datetime
    digest: bool
    attempts: int
    wanted_at: datetime
    state: str
    active: bool
    notify: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a message goes; ``url`` is apprise's and secret. ``secrets`` sign a webhook, the newest first."""

    name: str
    language: str
    url: str = field(repr=False)
    secrets: list[str] = field(default_factory=list[str], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """An alert that time may move on. ``told_at`` is when people were last told of it first hand, ``escalations`` how
    often it was passed on since."""

    alert_id: int
    version: int
    rule: str
    municipality_id: int | None
    severity: str
    state: str
    active: bool
    notify: bool
    changed_at: datetime
    cleared_at: datetime | None
    fixed_at: datetime | None
    told_at: datetime | None
    escalations: int


async def waiting(connection: Connection) -> list[Waiting]:
    """The oldest rows that nobody has planned, locked until the transaction ends."""
    async with connection.cursor(row_factory=class_row(Waiting)) as cursor:
        await cursor.execute(
            """
            SELECT o.outbox_id, o.alert_id, o.step, o.at, a.municipality_id, a.asset_id, a.severity, a.state, a.active,
                   a.notify,
                   (SELECT count(*) FROM outbox e WHERE e.alert_id = o.alert_id AND e.step = 'escalated'
                    AND e.at <= o.at AND e.at >= (SELECT max(t.at) FROM outbox t WHERE t.alert_id = o.alert_id
                                                  AND t.step <> 'escalated' AND t.at <= o.at)) AS escalations,
                   CASE WHEN a.municipality_id IS NOT NULL THEN '{}' ELSE
                       ARRAY(SELECT DISTINCT c.municipality_id FROM alert c
                             WHERE c.parent_id = a.alert_id AND c.municipality_id IS NOT NULL) END AS concerns
            FROM outbox o JOIN alert a USING (alert_id)
            WHERE o.done_at IS NULL ORDER BY o.outbox_id LIMIT %s FOR UPDATE OF o SKIP LOCKED
            """,
            [WAITING_MAX],
        )
        return await cursor.fetchall()


async def targets(connection: Connection) -> list[TargetRow]:
    """All targets, the region's first."""
    async with connection.cursor(row_factory=class_row(TargetRow)) as cursor:
        await cursor.execute(
            "SELECT target_id, municipality_id, name, severity_min, quiet_from, quiet_to, digest_at, language, enabled,"
            " url ~ '^alertmanagers?://' AS exports, person_id FROM notification_target"
            " ORDER BY municipality_id NULLS FIRST, name"
        )
        return await cursor.fetchall()


async def on_call(connection: Connection, at: datetime) -> list[OnCallRow]:
    """Whose turn it is or will be, first the first; a turn that is over is not told."""
    async with connection.cursor(row_factory=class_row(OnCallRow)) as cursor:
        await cursor.execute(
            "SELECT c.municipality_id, c.target_id, c.place, c.valid_from, c.valid_to, c.escalate_after_min"
            " FROM on_call c JOIN notification_target t USING (target_id)"
            " WHERE c.valid_to > %s AND t.enabled ORDER BY c.municipality_id, c.place, c.on_call_id",
            [at],
        )
        return await cursor.fetchall()


async def plan(connection: Connection, planned: Sequence[Planned]) -> None:
    """Write deliveries; one that is planned already stays as it is."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO delivery (outbox_id, target_id, due_at, wanted_at, digest) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [(p.outbox_id, p.target_id, p.due_at, p.due_at, p.digest) for p in planned],
        )


async def done(connection: Connection, outbox_ids: Sequence[int], at: datetime) -> None:
    """All deliveries of these rows are planned."""
    await connection.execute("UPDATE outbox SET done_at = %s WHERE outbox_id = ANY(%s)", [at, list(outbox_ids)])


async def due_targets(connection: Connection, at: datetime) -> list[int]:
    """Targets for which something is due."""
    cursor = await connection.execute(
        "SELECT target_id FROM delivery WHERE sent_at IS NULL AND given_up_at IS NULL AND due_at <= %s"
        " GROUP BY target_id ORDER BY min(due_at)",
        [at],
    )
    return [target_id async for (target_id,) in cursor]


async def next_message(connection: Connection, target_id: int, at: datetime) -> list[Due]:
    """The deliveries that are the target's next message, locked: one, or all that are due for the digest."""
    first = await _due(connection, target_id, at, "true", 1)
    if not first or not first[0].digest:
        return first
    return await _due(connection, target_id, at, "d.digest", DIGEST_MAX)


async def _due(connection: Connection, target_id: int, at: datetime, condition: str, limit: int) -> list[Due]:
    async with connection.cursor(row_factory=class_row(Due)) as cursor:
        await cursor.execute(
            f"""
            SELECT d.delivery_id, o.alert_id, o.step, o.at, d.digest, d.attempts, d.wanted_at,
                   a.state, a.active, a.notify
            FROM delivery d JOIN outbox o USING (outbox_id) JOIN alert a USING (alert_id)
            WHERE d.target_id = %s AND d.sent_at IS NULL AND d.given_up_at IS NULL AND d.due_at <= %s AND {condition}
            ORDER BY d.due_at, d.delivery_id LIMIT %s FOR UPDATE OF d SKIP LOCKED
            """.encode(),  # noqa: S608 - the condition is one of the two above
            [target_id, at, limit],
        )
        return await cursor.fetchall()


async def address(connection: Connection, target_id: int) -> Address | None:
    """Where a target's messages go; None when it is switched off or not there."""
    async with connection.cursor(row_factory=class_row(Address)) as cursor:
        await cursor.execute(
            "SELECT name, language, url, array_remove(ARRAY[webhook_secret, CASE WHEN webhook_before_until >"
            " clock_timestamp() THEN webhook_secret_before END], NULL) AS secrets"
            " FROM notification_target WHERE target_id = %s AND enabled",
            [target_id],
        )
        return await cursor.fetchone()


async def sent(connection: Connection, delivery_ids: Sequence[int], at: datetime) -> None:
    """The message is with the service that carries it."""
    await connection.execute(
        "UPDATE delivery SET sent_at = %s, attempts = attempts + 1, error = NULL WHERE delivery_id = ANY(%s)",
        [at, list(delivery_ids)],
    )


async def failed(connection: Connection, delivery_ids: Sequence[int], error: str, due_at: datetime) -> None:
    """It could not be sent; it is tried again at ``due_at``."""
    await connection.execute(
        "UPDATE delivery SET attempts = attempts + 1, error = %s, due_at = %s WHERE delivery_id = ANY(%s)",
        [error, due_at, list(delivery_ids)],
    )


async def given_up(connection: Connection, delivery_ids: Sequence[int], error: str, at: datetime) -> None:
    """It is not tried again: it failed for too long, or there is nothing to tell any more."""
    await connection.execute(
        "UPDATE delivery SET given_up_at = %s, error = %s WHERE delivery_id = ANY(%s)", [at, error, list(delivery_ids)]
    )


async def hold_back(connection: Connection, target_id: int, until: datetime) -> None:
    """A target does not answer: what else waits for it waits, too, instead of trying one by one."""
    await connection.execute(
        "UPDATE delivery SET due_at = %(until)s WHERE target_id = %(target)s AND sent_at IS NULL"
        " AND given_up_at IS NULL AND due_at < %(until)s",
        {"target": target_id, "until": until},
    )


async def moving(connection: Connection) -> list[Moving]:
    """Alerts that are not closed and for which time means something."""
    async with connection.cursor(row_factory=class_row(Moving)) as cursor:
        await cursor.execute(
            """
            SELECT a.alert_id, a.version, a.rule, a.municipality_id, a.severity, a.state, a.active, a.notify,
                   a.changed_at, a.cleared_at, a.fixed_at, told.at AS told_at,
                   (SELECT count(*) FROM outbox e WHERE e.alert_id = a.alert_id AND e.step = 'escalated'
                    AND e.at >= told.at) AS escalations
            FROM alert a CROSS JOIN LATERAL (
                SELECT max(t.at) AS at FROM outbox t WHERE t.alert_id = a.alert_id AND t.step <> 'escalated'
            ) AS told
            WHERE a.state <> 'closed' AND (a.state = 'fixed' OR NOT a.active
                                           OR (a.severity IN ('critical', 'major') AND a.state = 'open' AND a.notify))
            ORDER BY a.changed_at, a.alert_id LIMIT %s
            """,
            [MOVED_MAX],
        )
        return await cursor.fetchall()


async def tell(connection: Connection, alert_id: int, step: Step, at: datetime) -> None:
    """People must hear of this step."""
    await connection.execute(
        "INSERT INTO outbox (alert_id, step, at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", [alert_id, str(step), at]
    )


async def add_target(
    connection: Connection,
    *,
    name: str,
    url: str,
    municipality: str | None,
    severity_min: Severity,
    quiet: tuple[time, time] | None,
    digest_at: time | None,
    language: str,
    webhook_secret: str | None = None,
) -> int | None:
    """Add a target, or change the one of this name; returns its id, None when there is no such municipality."""
    row = await (
        await connection.execute(
            """
            INSERT INTO notification_target
                (municipality_id, name, url, severity_min, quiet_from, quiet_to, digest_at, language, webhook_secret)
            SELECT m.municipality_id, %(name)s, %(url)s, %(severity_min)s, %(from)s, %(to)s, %(digest)s, %(language)s,
                   %(secret)s
            FROM (SELECT municipality_id FROM municipality WHERE name = %(municipality)s
                  UNION ALL SELECT NULL WHERE %(municipality)s::text IS NULL) AS m
            ON CONFLICT (municipality_id, name) DO UPDATE SET
                url = EXCLUDED.url, severity_min = EXCLUDED.severity_min, quiet_from = EXCLUDED.quiet_from,
                quiet_to = EXCLUDED.quiet_to, digest_at = EXCLUDED.digest_at, language = EXCLUDED.language,
                webhook_secret = EXCLUDED.webhook_secret, enabled = true
            RETURNING target_id
            """,
            {
                "name": name,
                "url": url,
                "municipality": municipality,
                "severity_min": str(severity_min),
                "from": quiet[0] if quiet else None,
                "to": quiet[1] if quiet else None,
                "digest": digest_at,
                "language": language,
                "secret": webhook_secret,
            },
        )
    ).fetchone()
    return row[0] if row else None


async def add_on_call(
    connection: Connection,
    name: str,
    *,
    place: int,
    valid_from: datetime,
    valid_to: datetime,
    escalate_after_min: int,
) -> int:
    """Put the target of this name on call for its municipality; returns how many there are of the name (1 is right)."""
    async with connection.transaction():
        cursor = await connection.execute(
            "SELECT target_id, municipality_id FROM notification_target WHERE name = %s", [name]
        )
        found = await cursor.fetchall()
        if len(found) == 1:
            await connection.execute(
                "INSERT INTO on_call (municipality_id, target_id, place, valid_from, valid_to, escalate_after_min)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [found[0][1], found[0][0], place, valid_from, valid_to, escalate_after_min],
            )
    return len(found)


async def exported(connection: Connection, target: TargetRow, since: datetime, limit: int) -> list[int]:
    """The alerts that an Alertmanager is posted: causes of its municipality that are open, or were closed lately."""
    cursor = await connection.execute(
        "SELECT alert_id FROM alert WHERE parent_id IS NULL AND notify AND (state <> 'closed' OR closed_at > %(since)s)"
        " AND (%(town)s::integer IS NULL OR municipality_id = %(town)s)"
        " AND array_position(%(ranks)s::text[], severity) >= array_position(%(ranks)s::text[], %(least)s)"
        " ORDER BY changed_at DESC, alert_id DESC LIMIT %(limit)s",
        {
            "since": since,
            "town": target.municipality_id,
            "ranks": [str(severity) for severity in Severity],
            "least": target.severity_min,
            "limit": limit,
        },
    )
    return [alert_id async for (alert_id,) in cursor]


async def own_rules(connection: Connection) -> list[str]:
    """The municipalities' own rules, as TOML."""
    cursor = await connection.execute("SELECT text FROM custom_rule WHERE enabled ORDER BY custom_rule_id")
    return [text async for (text,) in cursor]


async def municipalities(connection: Connection) -> dict[int, str]:
    """Municipality id → its name."""
    cursor = await connection.execute("SELECT municipality_id, name FROM municipality")
    return dict(await cursor.fetchall())
