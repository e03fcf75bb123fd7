"""Releases of firmware, campaigns and what came of them at each device, as people ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A public key of the region; ``place`` 1 or 2."""

    key_number: str
    place: int


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release as it is kept; ``published_at``: since when devices can get it."""

    release_id: int
    digest: str
    product: str
    release_version: int
    name: str
    runtime: str
    expires_at: datetime
    key_number: str
    files: int
    size_bytes: int
    uploaded_at: datetime
    who: str
    withdrawn_at: datetime | None
    published_at: datetime | None
    campaigns: int
    running: int
    """Devices whose status says that they run it, of those that one may see."""


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign and how far its devices are; of these, what one may see."""

    campaign_id: int
    release_id: int
    release: str
    release_name: str
    release_version: int
    expires_at: datetime
    withdrawn: bool
    municipality_id: int | None
    municipality: str | None
    municipality_title: str | None
    group_id: int | None
    group: str | None
    kind: str | None
    share_pct: int
    failures_max_pct: int
    soak_min: int
    state: str
    stage: int
    started_at: datetime
    changed_at: datetime
    who: str
    reason: str
    error: str | None
    failures_before: int
    """So many had failed when a person said that it goes on all the same."""
    devices: int
    waiting: int
    offered: int
    silent: int
    """Of those offered: told again for some three days, and no word; nobody waits for them."""
    accepted: int
    running: int
    failed: int
    rolled_back: int
    cancelled: int
    last_at: datetime | None
    """When the newest of those that run it came to run it."""


@dataclass(frozen=True, slots=True)
class UpdateRow:
    """A device's part in a campaign; ``firmware``: what it says that it runs."""

    device_id: int
    device: str
    municipality: str
    state: str
    attempts: int
    sent_at: datetime | None
    accepted_at: datetime | None
    changed_at: datetime
    firmware_before: str | None
    firmware: str | None
    error: str | None


_RELEASE = """
    SELECT r.release_id, r.digest, r.product, r.release_version, r.name, r.runtime, r.expires_at, r.key_number, r.files,
           r.size_bytes, r.uploaded_at, r.who, r.withdrawn_at,
           CASE WHEN r.withdrawn_at IS NULL THEN k.published_at END AS published_at,
           (SELECT count(*) FROM firmware_campaign c WHERE c.release_id = r.release_id)::integer AS campaigns,
           (SELECT count(*) FROM device_status s WHERE s.firmware = r.name)::integer AS running
    FROM firmware_release r JOIN firmware_container k USING (release_id)
"""
SILENT_ATTEMPTS = 72
"""An offer is told again each hour at last: by then it is some three days old."""
CAMPAIGN = f"""
    SELECT c.campaign_id, c.release_id, r.digest AS release, r.name AS release_name, r.release_version, r.expires_at,
           r.withdrawn_at IS NOT NULL AS withdrawn, c.municipality_id, m.name AS municipality,
           m.title AS municipality_title, c.group_id, g.name AS "group", c.kind, c.share_pct, c.failures_max_pct,
           c.soak_min, c.state, c.stage, c.started_at, c.changed_at, c.who, c.reason, c.error, c.failures_before, n.*
    FROM firmware_campaign c JOIN firmware_release r USING (release_id) LEFT JOIN municipality m USING (municipality_id)
    LEFT JOIN asset_group g ON g.group_id = c.group_id
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS devices, count(*) FILTER (WHERE u.state = 'waiting')::integer AS waiting,
               count(*) FILTER (WHERE u.state = 'offered')::integer AS offered,
               count(*) FILTER (WHERE u.state = 'offered' AND u.attempts >= {SILENT_ATTEMPTS})::integer AS silent,
               count(*) FILTER (WHERE u.state = 'accepted')::integer AS accepted,
               count(*) FILTER (WHERE u.state = 'running')::integer AS running,
               count(*) FILTER (WHERE u.state = 'failed')::integer AS failed,
               count(*) FILTER (WHERE u.state = 'rolled_back')::integer AS rolled_back,
               count(*) FILTER (WHERE u.state = 'cancelled')::integer AS cancelled,
               max(u.changed_at) FILTER (WHERE u.state = 'running') AS last_at
        FROM firmware_update u WHERE u.campaign_id = c.campaign_id) AS n
"""  # noqa: S608 - constants of ours
_UPDATE = """
    SELECT u.device_id, d.name AS device, m.name AS municipality, u.state, u.attempts, u.sent_at, u.accepted_at,
           u.changed_at, u.firmware_before, s.firmware, u.error
    FROM firmware_update u JOIN device d USING (device_id) JOIN municipality m ON m.municipality_id = u.municipality_id
    LEFT JOIN device_status s ON s.device_id = u.device_id
"""


async def keys(connection: Connection) -> list[KeyRow]:
    """Which keys the region trusts."""
    return await _many(connection, KeyRow, "SELECT key_number, place FROM firmware_key ORDER BY place", {})


async def public_keys(connection: Connection) -> list[bytes]:
    """Their 32 bytes."""
    cursor = await connection.execute("SELECT public FROM firmware_key ORDER BY place")
    return [bytes(public) async for (public,) in cursor]


async def releases(connection: Connection, *, before: int, limit: int) -> list[ReleaseRow]:
    """Releases, newest first."""
    return await _many(
        connection,
        ReleaseRow,
        f"{_RELEASE} WHERE r.release_id < %(before)s ORDER BY r.release_id DESC LIMIT %(limit)s",
        {"before": before, "limit": limit},
    )


async def release(connection: Connection, digest: str) -> ReleaseRow | None:
    """The release of this digest."""
    found = await _many(connection, ReleaseRow, f"{_RELEASE} WHERE r.digest = %(digest)s", {"digest": digest})
    return found[0] if found else None


async def campaigns(
    connection: Connection, *, municipality: str | None = None, release: str | None = None, before: int, limit: int
) -> list[CampaignRow]:
    """Campaigns, newest first."""
    where = f"{CAMPAIGN} WHERE c.campaign_id < %(before)s"
    where += " AND m.name = %(town)s" if municipality is not None else ""
    where += " AND r.digest = %(release)s" if release is not None else ""
    given = {"before": before, "limit": limit, "town": municipality, "release": release}
    return await _many(connection, CampaignRow, f"{where} ORDER BY c.campaign_id DESC LIMIT %(limit)s", given)


async def campaign(connection: Connection, number: int) -> CampaignRow | None:
    """One campaign."""
    found = await _many(connection, CampaignRow, f"{CAMPAIGN} WHERE c.campaign_id = %(n)s", {"n": number})
    return found[0] if found else None


async def updates(
    connection: Connection, number: int, *, state: str | None = None, after: int = 0, limit: int = 100
) -> list[UpdateRow]:
    """The devices of a campaign, by their number."""
    where = f"{_UPDATE} WHERE u.campaign_id = %(n)s AND u.device_id > %(after)s"
    where += " AND u.state = %(state)s" if state is not None else ""
    given = {"n": number, "after": after, "state": state, "limit": limit}
    return await _many(connection, UpdateRow, f"{where} ORDER BY u.device_id LIMIT %(limit)s", given)


async def _many(connection: Connection, row: type[Any], statement: str, given: Mapping[str, Any]) -> list[Any]:
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()
