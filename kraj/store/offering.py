"""Campaigns of firmware as the dispatcher goes on with them: blocks for the broker, offers for devices, the next stage.

Whoever dispatches asks each second. An offer that nobody answers is told again by itself; what comes of it is what the
device's status says (``settle``), or its event ``update_failed``, which the database notes where it is stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from psycopg.rows import class_row

from kraj import firmware_blocks
from kraj.store.connection import Connection
from kraj.store.dispatching import SENDING
from kraj.store.queries.firmware import CAMPAIGN, CampaignRow

AGAIN_S, AGAIN_S_MAX = 600, 3600
"""An offer that was not answered is told again after this time, doubling; and after this at most."""
OUTCOME_S_MAX = 48 * 3600
"""A lamp without power by day loads at night, and tries at the next dusk."""
WATCHED = timedelta(days=3)
"""What comes of a campaign that is over is still noted for so long."""
PUBLISHED_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Kept:
    """A release whose bytes the broker is to keep, or to forget."""

    release_id: int
    digest: str
    head: bytes
    container: bytes


@dataclass(frozen=True, slots=True)
class Offer:
    """An update to tell a device of; ``sending`` is False where it may not be told anything now."""

    command_id: UUID
    municipality: str
    device: str
    release: str
    version: int
    sending: bool


async def unpublished(connection: Connection) -> list[Kept]:
    """Releases that the broker does not keep yet."""
    return await _kept(connection, "r.withdrawn_at IS NULL AND k.published_at IS NULL")


async def doubted(connection: Connection, now: datetime) -> list[int]:
    """Releases that a device could not take since the broker got them: what lies there may be somebody else's."""
    cursor = await connection.execute(
        "SELECT k.release_id FROM firmware_container k JOIN firmware_release r USING (release_id)"
        " WHERE k.published_at IS NOT NULL AND r.withdrawn_at IS NULL AND EXISTS (SELECT FROM firmware_campaign c"
        " JOIN firmware_update u USING (campaign_id) WHERE c.release_id = k.release_id"
        " AND (c.state IN ('running', 'paused') OR c.changed_at > %s)"
        " AND u.state = 'failed' AND u.error = 'update_failed' AND u.changed_at > k.published_at)",
        [now - WATCHED],
    )
    return [release_id for (release_id,) in await cursor.fetchall()]


async def renew(connection: Connection, release_ids: Sequence[int]) -> None:
    """Have the broker given all of these releases again."""
    await connection.execute(
        "UPDATE firmware_container SET published_at = NULL WHERE release_id = ANY (%s)", [list(release_ids)]
    )


async def to_clear(connection: Connection) -> list[Kept]:
    """Withdrawn releases of which the broker may keep something."""
    return await _kept(connection, "r.withdrawn_at IS NOT NULL AND k.cleared_at IS NULL")


async def published(connection: Connection, release_id: int, now: datetime) -> None:
    """The broker keeps all of it."""
    await connection.execute("UPDATE firmware_container SET published_at = %s WHERE release_id = %s", [now, release_id])


async def cleared(connection: Connection, release_id: int, now: datetime) -> None:
    """The broker keeps nothing of it any more."""
    await connection.execute("UPDATE firmware_container SET cleared_at = %s WHERE release_id = %s", [now, release_id])


async def claim(
    connection: Connection, now: datetime, limit: int, state: Literal["offered", "accepted"] = "offered"
) -> list[Offer]:
    """Take offers that are due; each is due again later unless something comes of it by then.

    Those that were ``accepted`` are told again by the same number: a device that is at it knows that, and one that has
    lost its power meanwhile begins anew. What it answers changes nothing.
    """
    statement = f"""
        WITH found AS MATERIALIZED (
            SELECT u.campaign_id, u.device_id, r.digest, r.release_version
            FROM firmware_update u JOIN firmware_campaign c USING (campaign_id)
            JOIN firmware_release r USING (release_id) JOIN firmware_container k USING (release_id)
            WHERE u.state = '{state}' AND u.next_at <= %(now)s AND c.state = 'running' AND r.withdrawn_at IS NULL
                AND r.expires_at > %(now)s AND k.published_at IS NOT NULL
            ORDER BY u.next_at, u.place LIMIT %(limit)s FOR UPDATE OF u SKIP LOCKED
        )
        UPDATE firmware_update u SET attempts = least(u.attempts + 1, 30000),
            sent_at = CASE WHEN {SENDING} THEN coalesce(u.sent_at, %(now)s) ELSE u.sent_at END,
            next_at = %(now)s + make_interval(secs => least({AGAIN_S} * 2 ^ least(u.attempts, 10), {AGAIN_S_MAX}))
        FROM found JOIN device d USING (device_id) JOIN municipality m ON m.municipality_id = d.municipality_id
        WHERE u.campaign_id = found.campaign_id AND u.device_id = found.device_id
        RETURNING u.command_id, m.name AS municipality, d.name AS device, found.digest AS release,
                  found.release_version AS version, {SENDING} AS sending
    """  # noqa: S608 - constants of ours
    async with connection.cursor(row_factory=class_row(Offer)) as cursor:
        await cursor.execute(statement.encode(), {"now": now, "limit": limit})
        return await cursor.fetchall()


async def again(connection: Connection, offers: Sequence[UUID], now: datetime) -> None:
    """The broker was lost before it had these: they are due at once."""
    await connection.execute(
        "UPDATE firmware_update SET next_at = %s WHERE command_id = ANY (%s) AND state IN ('offered', 'accepted')",
        [now, list(offers)],
    )


async def settle(connection: Connection, now: datetime) -> int:
    """Hold what devices say that they run against what they were offered; how many of them have come further.

    The truth is the newest status: who was thought to have failed and runs it, runs it.
    """
    watched = (
        "(SELECT c.campaign_id, r.name FROM firmware_campaign c JOIN firmware_release r USING (release_id)"
        " WHERE c.state IN ('running', 'paused') OR c.changed_at > %(since)s) AS c"
    )
    given = {"now": now, "since": now - WATCHED, "late": now - timedelta(seconds=OUTCOME_S_MAX)}
    changed = 0
    for assignments, states, condition in (
        (
            "'running', error = NULL",
            "'offered', 'accepted', 'failed', 'rolled_back'",
            "s.firmware = c.name AND s.changed_at > CASE WHEN u.state IN ('failed', 'rolled_back') THEN u.changed_at"
            " ELSE coalesce(u.sent_at, u.changed_at) END",
        ),
        ("'rolled_back'", "'running'", "s.firmware <> c.name AND s.online AND s.changed_at > u.changed_at"),
        ("'failed', error = 'no_outcome'", "'accepted'", "u.accepted_at <= %(late)s"),
    ):
        cursor = await connection.execute(
            (
                # Rows that somebody holds are looked at next time: so nobody waits in a ring.
                f"UPDATE firmware_update SET state = {assignments}, changed_at = %(now)s WHERE command_id IN ("  # noqa: S608 - constants of ours
                f"SELECT u.command_id FROM firmware_update u JOIN {watched} USING (campaign_id)"
                f" LEFT JOIN device_status s USING (device_id) WHERE u.state IN ({states}) AND {condition}"
                " FOR UPDATE OF u SKIP LOCKED)"
            ).encode(),
            given,
        )
        changed += cursor.rowcount
    return changed


async def step(connection: Connection, now: datetime) -> int:
    """Take every campaign's next step, if it is time; how many that changed. In a transaction."""
    async with connection.cursor(row_factory=class_row(CampaignRow)) as cursor:
        await cursor.execute(f"{CAMPAIGN} WHERE c.state = 'running' ORDER BY 1 FOR UPDATE OF c SKIP LOCKED".encode())
        found: list[CampaignRow] = await cursor.fetchall()
    changed = 0
    for row in found:
        after = _next(row, now)
        if after is None:
            continue
        state, stage, error = after
        await connection.execute(
            "UPDATE firmware_campaign SET state = %s, stage = %s, error = %s, changed_at = %s WHERE campaign_id = %s",
            [state, stage, error, now, row.campaign_id],
        )
        if stage > row.stage:
            await offer_rest(connection, row.campaign_id, now)
        changed += 1
    return changed


def _next(row: CampaignRow, now: datetime) -> tuple[str, int, str | None] | None:
    """State, stage and error that follow; None where nothing does yet."""
    failed = row.failed + row.rolled_back
    given = row.devices - row.waiting - row.cancelled
    if (failed - row.failures_before) * 100 > row.failures_max_pct * given:
        return "paused", row.stage, f"{failed} of {given} devices failed"
    if row.expires_at <= now and row.waiting + row.offered:
        return "paused", row.stage, "the release has expired"
    answering = row.offered - row.silent + row.accepted  # those without power by day will at dusk
    if answering or (row.last_at is not None and row.last_at > now - timedelta(minutes=row.soak_min)):
        return None  # who has just begun to run it may still go back
    if row.stage == 1:
        return ("running", 2, None) if row.running else None  # of a share that is silent nothing is known
    # Who is silent is told on, until the release expires: a lamp that was dark for a week takes it on its first night.
    if row.waiting or row.silent:
        return None
    return "done", 2, f"{failed} of {given} devices failed" if failed else None


def offered(one: Offer) -> dict[str, Any]:
    """The body of the command that offers an update."""
    return {"id": str(one.command_id), "do": "update", "release": one.release, "version": one.version}


def messages(kept: Kept) -> list[tuple[str, bytes]]:
    """Topics and payloads of a release, the head last: who sees it finds all the rest."""
    container = kept.container
    found = [
        (firmware_blocks.block_topic(kept.digest, number), firmware_blocks.block(container, number))
        for number in range(firmware_blocks.blocks(len(container)))
    ]
    return [*found, (firmware_blocks.manifest_topic(kept.digest), kept.head)]


async def _kept(connection: Connection, condition: str) -> list[Kept]:
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(
            (
                "SELECT r.release_id, r.digest, r.head, k.container FROM firmware_release r"  # noqa: S608 - constants of ours
                f" JOIN firmware_container k USING (release_id) WHERE {condition} ORDER BY 1 LIMIT {PUBLISHED_AT_ONCE}"
            ).encode()
        )
        return await cursor.fetchall()


async def offer_rest(connection: Connection, number: int, at: datetime) -> None:
    """Offer it to those who wait."""
    await connection.execute(
        "UPDATE firmware_update SET state = 'offered', next_at = %(at)s, changed_at = %(at)s"
        " WHERE campaign_id = %(number)s AND state = 'waiting'",
        {"at": at, "number": number},
    )
