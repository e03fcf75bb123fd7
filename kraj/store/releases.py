"""Releases of firmware and campaigns, in the caller's transaction; ``kraj.store.offering`` is the dispatcher's part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from kraj.firmware_release import Release, key_number
from kraj.store.offering import offer_rest
from kraj.store.queries.firmware import ReleaseRow

Connection = psycopg.AsyncConnection[Any]

KEYS_MAX = 2
TARGETS_S_MAX = 60
"""A campaign for the region writes a row for each of a hundred thousand devices."""
REPLACED, STOPPED, WITHDRAWN = "replaced", "stopped", "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whom a campaign is for: a group, a municipality, or (both None) the region; of a kind, or all."""

    municipality_id: int | None = None
    group_id: int | None = None
    kind: str | None = None


# Our own devices that stand somewhere in the scope, whom one may control, and that do not run it yet.
_TARGET = """
    SELECT DISTINCT ON (i.device_id) i.device_id, a.municipality_id, s.firmware
    FROM asset a JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
    JOIN device d ON d.device_id = i.device_id AND d.state IN ('registered', 'provisioned', 'active')
    LEFT JOIN device_status s ON s.device_id = i.device_id
    WHERE a.retired_at IS NULL AND a.municipality_id = ANY ((SELECT kraj_municipalities('control'))::integer[])
        AND NOT EXISTS (SELECT FROM foreign_device f WHERE f.device_id = i.device_id)
        AND s.firmware IS DISTINCT FROM %(name)s
"""


async def trust(connection: Connection, keys: Sequence[bytes]) -> None:
    """Replace the region's public keys (32 bytes each, two at most); as the owner."""
    if not 1 <= len(keys) <= KEYS_MAX:
        raise ValueError("a region has one key, or two")
    await connection.execute("DELETE FROM firmware_key WHERE public <> ALL (%s)", [list(keys)])
    for key in keys:
        await connection.execute(
            "INSERT INTO firmware_key (key_number, place, public) SELECT %s, min(p), %s FROM generate_series(1, 2) AS p"
            " WHERE p NOT IN (SELECT place FROM firmware_key) HAVING count(*) > 0 ON CONFLICT (key_number) DO NOTHING",
            [key_number(key), key],
        )


async def add(connection: Connection, release: Release, *, who: str, at: datetime) -> bool:
    """Keep a release that was checked; False where it is kept already.

    Raises psycopg's ``UniqueViolation`` where another one has its version or its name.
    """
    manifest = release.manifest
    cursor = await connection.execute(
        "INSERT INTO firmware_release (digest, product, release_version, name, runtime, expires_at, key_number, files,"
        " size_bytes, head, uploaded_at, who) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (digest) DO NOTHING RETURNING release_id",
        [
            release.digest,
            manifest.product,
            manifest.version,
            manifest.name,
            manifest.runtime,
            datetime.fromtimestamp(manifest.expires, UTC),
            manifest.key,
            len(release.files),
            len(release.container),
            release.head,
            at,
            who,
        ],
    )
    made = await cursor.fetchone()
    if made is None:
        return False
    await connection.execute(
        "INSERT INTO firmware_container (release_id, container) VALUES (%s, %s)", [made[0], release.container]
    )
    return True


async def withdraw(connection: Connection, release_id: int, *, by: int, at: datetime) -> bool:
    """Offer a release to nobody any more and stop its campaigns; False where it is withdrawn, or one may not."""
    cursor = await connection.execute(
        "UPDATE firmware_release SET withdrawn_at = %s, withdrawn_by = %s"
        " WHERE release_id = %s AND withdrawn_at IS NULL",
        [at, by, release_id],
    )
    if cursor.rowcount != 1:
        return False
    found = await connection.execute(
        "UPDATE firmware_campaign SET state = 'stopped', error = %s, changed_at = %s"
        " WHERE release_id = %s AND state IN ('running', 'paused') RETURNING campaign_id",
        [WITHDRAWN, at, release_id],
    )
    for (number,) in await found.fetchall():
        await _cancel(connection, number, WITHDRAWN, at)
    return True


async def begin(
    connection: Connection,
    found: ReleaseRow,
    scope: Scope,
    *,
    share_pct: int,
    failures_max_pct: int,
    soak_min: int,
    who: str,
    reason: str,
    at: datetime,
) -> tuple[int, int]:
    """Begin to hand a release out: the campaign's number, and how many devices it is for.

    Devices of which an older campaign still wants something follow this one; those that run the release are left out.
    """
    await connection.execute(f"SET LOCAL statement_timeout = '{TARGETS_S_MAX}s'".encode())
    given = {
        "release": found.release_id,
        "name": found.name,
        "town": scope.municipality_id,
        "group": scope.group_id,
        "kind": scope.kind,
        "share": share_pct,
        "failures": failures_max_pct,
        "soak": soak_min,
        "who": who,
        "reason": reason,
        "at": at,
    }
    [number] = await _one(
        connection,
        "INSERT INTO firmware_campaign (release_id, municipality_id, group_id, kind, share_pct, failures_max_pct,"
        " soak_min, stage, started_at, changed_at, who, reason) VALUES (%(release)s, %(town)s, %(group)s, %(kind)s,"
        " %(share)s, %(failures)s, %(soak)s, %(stage)s, %(at)s, %(at)s, %(who)s, %(reason)s) RETURNING campaign_id",
        given | {"stage": 2 if share_pct == 100 else 1},
    )
    given["number"] = number
    target = _TARGET
    target += " AND a.municipality_id = %(town)s" if scope.municipality_id is not None else ""
    target += " AND a.kind = %(kind)s" if scope.kind is not None else ""
    if scope.group_id is not None:
        target += " AND a.asset_id IN (SELECT asset_id FROM asset_group_member WHERE group_id = %(group)s)"
    target += " ORDER BY i.device_id, a.municipality_id"
    await connection.execute(
        (
            "UPDATE firmware_update u SET state = 'cancelled', error = '" + REPLACED + "', changed_at = %(at)s FROM"  # noqa: S608 - constants of ours
            " (SELECT o.command_id FROM firmware_update o WHERE o.state IN ('waiting', 'offered', 'accepted')"
            f" AND o.device_id IN (SELECT t.device_id FROM ({target}) AS t) ORDER BY o.device_id FOR UPDATE) AS older"
            " WHERE u.command_id = older.command_id"
        ).encode(),
        given,
    )
    cursor = await connection.execute(
        (
            "INSERT INTO firmware_update (campaign_id, device_id, municipality_id, place, state, next_at, changed_at,"  # noqa: S608 - constants of ours
            " firmware_before) SELECT %(number)s, device_id, municipality_id, place,"
            " CASE WHEN place <= ceil(n * %(share)s / 100.0) THEN 'offered' ELSE 'waiting' END, %(at)s, %(at)s,"
            " firmware"
            " FROM (SELECT t.*, row_number() OVER (ORDER BY md5(device_id || '/' || %(number)s)) AS place,"
            f" count(*) OVER () AS n FROM ({target}) AS t) AS placed"
        ).encode(),
        given,
    )
    return number, cursor.rowcount


async def set_state(connection: Connection, number: int, state: str, at: datetime) -> bool:
    """Pause, resume or stop a campaign that is not over; False where it is, or one may not."""
    cursor = await connection.execute(
        "UPDATE firmware_campaign SET state = %s, error = NULL, changed_at = %s WHERE campaign_id = %s"
        " AND state IN ('running', 'paused')",
        [state, at, number],
    )
    if cursor.rowcount == 1 and state == "stopped":
        await _cancel(connection, number, STOPPED, at)
    return cursor.rowcount == 1


async def go_on(connection: Connection, number: int, at: datetime) -> bool:
    """To all devices, whatever the first ones said; failures from now on count as before."""
    cursor = await connection.execute(
        "UPDATE firmware_campaign SET state = 'running', stage = 2, error = NULL, changed_at = %s, failures_before ="
        " (SELECT count(*) FROM firmware_update u WHERE u.campaign_id = firmware_campaign.campaign_id"
        " AND u.state IN ('failed', 'rolled_back')) WHERE campaign_id = %s AND state IN ('running', 'paused')",
        [at, number],
    )
    if cursor.rowcount == 1:
        await offer_rest(connection, number, at)
    return cursor.rowcount == 1


async def _cancel(connection: Connection, number: int, error: str, at: datetime) -> None:
    """What a device has accepted it tries, and what comes of it is noted."""
    await connection.execute(
        "UPDATE firmware_update u SET state = 'cancelled', error = %s, changed_at = %s FROM (SELECT command_id"
        " FROM firmware_update WHERE campaign_id = %s AND state IN ('waiting', 'offered') ORDER BY device_id"
        " FOR UPDATE) AS mine WHERE u.command_id = mine.command_id",
        [error, at, number],
    )


async def _one(connection: Connection, statement: str, given: Mapping[str, Any]) -> Any:
    row = await (await connection.execute(statement.encode(), given)).fetchone()
    if row is None:
        raise psycopg.DataError("the database gave no row")
    return row
