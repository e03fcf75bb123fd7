"""What waits for a person of a town hall, counted in one statement as this person sees it, and the lists behind it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg.rows import class_row, dict_row

Connection = psycopg.AsyncConnection[Any]

SOON: Final = timedelta(days=14)
"""Grants that end within this are worth a look, and imports that old are forgotten."""
FAILED_BACK: Final = timedelta(days=45)
"""Reports that could not be sent, of the last month's run."""

_COUNTS: Final = {
    "unregistered": "(SELECT count(*) FROM unknown WHERE NOT source = ANY ((SELECT names FROM known)::text[]))",
    "unregistered_readings": "(SELECT coalesce(sum(times), 0) FROM unknown"
    " WHERE NOT source = ANY ((SELECT names FROM known)::text[]))",
    "not_installed": "(SELECT coalesce(sum(times), 0) FROM quarantine"
    " WHERE reason = 'not_installed' AND taken_at IS NULL)",
    "never_heard": "(SELECT count(*) FROM device WHERE state IN ('registered', 'provisioned'))",
    "codes": "(SELECT count(*) FROM enrolment_code WHERE used_at IS NULL AND expires_at > %(at)s)",
    "imports": """(SELECT count(*) FROM import i WHERE i.state = 'preview' AND i.rows_wrong > 0
        AND i.uploaded_at > %(at)s - %(soon)s AND NOT EXISTS (
            SELECT FROM import later WHERE later.import_id > i.import_id AND later.file_name = i.file_name))""",
    "requests": "(SELECT count(*) FROM service_request WHERE status = 'open' AND parent_id IS NULL)",
    "grants": """(SELECT count(*) FROM access_grant WHERE valid_from <= clock_timestamp()
        AND valid_to > clock_timestamp() AND valid_to < clock_timestamp() + %(soon)s
        AND municipality_id = ANY ((SELECT kraj_municipalities('people'))::integer[]))""",
    # A line of versions with days between them, or one of a whole town that has run out; as /tariffs shows it.
    "tariffs": """(SELECT count(*) FROM (
        SELECT FROM (SELECT municipality_id, asset_id, group_id, direction, valid_until,
                lead(valid_from) OVER (PARTITION BY municipality_id, asset_id, group_id, direction ORDER BY valid_from)
                AS following FROM tariff WHERE withdrawn_at IS NULL) AS version
        WHERE valid_until + 1 < following OR following IS NULL AND asset_id IS NULL AND group_id IS NULL
            AND valid_until < (%(at)s AT TIME ZONE 'Europe/Prague')::date
        GROUP BY municipality_id, asset_id, group_id, direction) AS line)""",
    "reports": "(SELECT count(*) FROM report_run WHERE state = 'given_up' AND planned_at > %(at)s - %(failed)s)",
}
_NEEDS: Final = {
    "unregistered": ("register",),
    "unregistered_readings": ("register",),
    "not_installed": ("register",),
    "never_heard": ("register",),
    "codes": ("register",),
    "imports": ("register",),
    "requests": ("read",),
    "grants": ("people",),
    "tariffs": ("register", "control"),
    "reports": ("rules",),
}
_UNKNOWN: Final = """
    WITH unknown AS MATERIALIZED (
        SELECT source, split_part(topic, '/', 2) AS town, sum(times) AS times FROM quarantine
        WHERE reason = 'unknown_device' AND taken_at IS NULL AND municipality_id IS NULL GROUP BY 1, 2
    ), known AS MATERIALIZED (SELECT registered_names(array_agg(source)) AS names FROM unknown)
"""
# What a town needs before it runs: the only one in which who asks registers and manages people.
_TOWN: Final = """
    SELECT m.municipality_id, m.name, m.title, m.published,
        EXISTS (SELECT FROM device d WHERE d.municipality_id = m.municipality_id) AS device,
        EXISTS (SELECT FROM membership s WHERE s.municipality_id = m.municipality_id
                AND s.person_id <> kraj_principal()) AS colleague,
        EXISTS (SELECT FROM notification_target t WHERE t.municipality_id = m.municipality_id
                OR t.person_id = kraj_principal()) AS target
    FROM municipality m WHERE cardinality(kraj_municipalities('people')) = 1
        AND m.municipality_id = ANY (kraj_municipalities('people'))
        AND m.municipality_id = ANY (kraj_municipalities('register'))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTown:
    """The one town that somebody manages, and which of its first steps are done."""

    municipality_id: int
    name: str
    title: str
    published: bool
    device: bool
    colleague: bool
    target: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietDevice:
    """A device that was never heard; ``expires_at`` is the end of a code that it has not used."""

    name: str
    state: str
    municipality: str
    municipality_title: str
    label: str | None
    asset_id: int | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long data of a municipality are kept, in days; None is for ever."""

    name: str
    title: str
    published: bool
    version: int
    assets: int
    raw_days: int | None
    quarter_days: int | None
    hour_days: int | None
    day_days: int | None


async def waiting(connection: Connection, rights: Collection[str], at: datetime) -> dict[str, int]:
    """How much of what waits, by name; only what these rights allow to do something about."""
    wanted = [name for name, needed in _NEEDS.items() if any(right in rights for right in needed)]
    if not wanted:
        return {}
    begin = _UNKNOWN if "unregistered" in wanted else ""
    statement = begin + "SELECT " + ", ".join(f"{_COUNTS[name]}::bigint AS {name}" for name in wanted)
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement.encode(), {"at": at, "soon": SOON, "failed": FAILED_BACK})
        return await cursor.fetchone() or {}


async def new_town(connection: Connection) -> NewTown | None:
    """Where the first steps may be due: None for who manages several towns, or none."""
    async with connection.cursor(row_factory=class_row(NewTown)) as cursor:
        await cursor.execute(_TOWN)
        return await cursor.fetchone()


_DEVICES: Final = """
    SELECT d.name, d.state, m.name AS municipality, m.title AS municipality_title, a.label, a.asset_id,
        (SELECT max(c.expires_at) FROM enrolment_code c
         WHERE c.device_id = d.device_id AND c.used_at IS NULL) AS expires_at
    FROM device d JOIN municipality m USING (municipality_id)
    LEFT JOIN LATERAL (SELECT a.label, a.asset_id FROM installed i JOIN asset a USING (asset_id)
        WHERE i.device_id = d.device_id AND i.valid_to IS NULL ORDER BY i.channel LIMIT 1) a ON true
    WHERE {which} ORDER BY d.name LIMIT %(limit)s
"""
_NEVER_HEARD: Final = "d.state IN ('registered', 'provisioned') AND d.name > %(after)s"
_OF_IMPORT: Final = """ AND d.device_id IN (
    SELECT r.device_id FROM import_row r WHERE r.import_id = %(import)s AND NOT r.undone)"""


async def quiet_devices(
    connection: Connection, *, after: str, limit: int, import_id: int | None = None
) -> list[QuietDevice]:
    """Devices that were registered and never heard, by name, behind ``after``; all, or those of an import."""
    which = _NEVER_HEARD if import_id is None else _NEVER_HEARD + _OF_IMPORT
    return await _devices(connection, which, {"after": after, "limit": limit, "import": import_id})


async def named(connection: Connection, names: Sequence[str]) -> list[QuietDevice]:
    """These devices, heard or not."""
    return await _devices(connection, "d.name = ANY (%(names)s)", {"names": list(names), "limit": len(names)})


async def _devices(connection: Connection, which: str, given: Mapping[str, Any]) -> list[QuietDevice]:
    async with connection.cursor(row_factory=class_row(QuietDevice)) as cursor:
        await cursor.execute(_DEVICES.format(which=which).encode(), given)
        return await cursor.fetchall()


async def towns(connection: Connection) -> list[Kept]:
    """The municipalities that the principal may read, with how long their data are kept."""
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(
            """
            SELECT m.name, m.title, m.published, m.version,
                (SELECT count(*) FROM asset a
                 WHERE a.municipality_id = m.municipality_id AND a.retired_at IS NULL) AS assets,
                region.raw_days, kept.quarter_days, kept.hour_days, kept.day_days
            FROM municipality m LEFT JOIN retention own ON own.municipality_id = m.municipality_id
            LEFT JOIN retention region ON region.municipality_id IS NULL
            LEFT JOIN retention kept ON kept.municipality_id IS NOT DISTINCT FROM own.municipality_id
            WHERE m.municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[]) ORDER BY m.title, m.name
            """
        )
        return await cursor.fetchall()
