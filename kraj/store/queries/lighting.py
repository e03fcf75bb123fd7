"""Programs, segments, rollouts and what lamps keep, as the principal may see them; pages go by key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import class_row

from kraj.commands import Desired
from kraj.store.queries.registry import folded

Connection = psycopg.AsyncConnection[Any]

LISTED_MAX = 500
LAMPS_MAX = 20_000
"""Of one segment: a town; a preview adds up each of them."""
SWITCHES: Final = "(a.kind = 'lamp' OR a.kind = 'cabinet' AND (a.metadata->>'feeder_switched') IN ('1', '1.0', 'true'))"
"""What gives light when told: lamps, and contactors of cabinets whose feeders are switched; ``a`` is the asset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRow:
    """A program as people wrote it, and how many segments follow it."""

    dimming_program_id: int
    municipality_id: int
    municipality: str
    municipality_title: str
    name: str
    document: dict[str, Any]
    version: int
    changed_at: datetime
    who: str
    segments: int
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """A segment and how its lamps are now; ``version`` 0: nobody has told of its light yet.

    ``controlled`` have a controller, ``told`` have something to keep; ``applied`` of these keep just that, ``failed``
    said that they cannot.
    """

    group_id: int
    municipality_id: int
    municipality: str
    municipality_title: str
    name: str
    designed_class: str | None
    permitted_class: str | None
    dimming_program_id: int | None
    program: str | None
    lamp_program_id: int | None
    version: int
    changed_at: datetime | None
    who: str | None
    reason: str | None
    lamps: int
    controlled: int
    told: int
    applied: int
    failed: int
    heard: int
    lit: int
    power_w: float | None
    rollout_id: int | None
    writable: bool
    workable: bool
    """Light now may be ordered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRow:
    """How far a program has come among a segment's devices."""

    rollout_id: int
    municipality_id: int
    municipality: str
    group_id: int
    group: str
    lamp_program_id: int
    share_pct: int
    failures_max_pct: int
    state: str
    stage: int
    started_at: datetime
    changed_at: datetime
    who: str
    error: str | None
    devices: int
    given: int
    applied: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TownRow:
    """A municipality that the principal sees, and whether they control its light."""

    name: str
    title: str
    controls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LampRow:
    """A lamp of a segment, as far as a program hangs on it."""

    asset_id: int
    latitude: float | None
    longitude: float | None
    metadata: dict[str, Any]
    gain_low: float | None = None
    gain_full: float | None = None
    learnt_w: float | None = None
    """What the rules have learnt of it (``rules.lighting.power.Gain``), at which rated power."""


_PROGRAM = """
    SELECT p.dimming_program_id, p.municipality_id, m.name AS municipality, m.title AS municipality_title, p.name,
           p.document, p.version, p.changed_at, p.who,
           (SELECT count(*) FROM lighting_segment s
            WHERE s.dimming_program_id = p.dimming_program_id)::integer AS segments,
           p.municipality_id = ANY ((SELECT kraj_municipalities('control'))::integer[]) AS writable
    FROM dimming_program p JOIN municipality m USING (municipality_id)
"""
_SEGMENT = """
    SELECT g.group_id, g.municipality_id, m.name AS municipality, m.title AS municipality_title, g.name,
           s.designed_class, s.permitted_class, s.dimming_program_id, p.name AS program, s.lamp_program_id,
           coalesce(s.version, 0) AS version, s.changed_at, s.who, s.reason, now.*,
           (SELECT r.rollout_id FROM rollout r WHERE r.group_id = g.group_id
            AND r.state IN ('running', 'paused')) AS rollout_id,
           g.municipality_id = ANY ((SELECT kraj_municipalities('control'))::integer[]) AS writable,
           g.municipality_id = ANY ((SELECT kraj_municipalities('act'))::integer[])
           OR g.municipality_id = ANY ((SELECT kraj_municipalities('control'))::integer[])
           OR g.group_id IN (SELECT k.group_id FROM kraj_grants('act') k) AS workable
    FROM asset_group g JOIN municipality m USING (municipality_id)
    LEFT JOIN lighting_segment s ON s.group_id = g.group_id
    LEFT JOIN dimming_program p ON p.dimming_program_id = s.dimming_program_id
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS lamps, count(i.device_id)::integer AS controlled,
               count(d.device_id)::integer AS told,
               count(*) FILTER (WHERE d.reported_version = d.version)::integer AS applied,
               count(*) FILTER (WHERE d.reported_error IS NOT NULL
                                AND d.reported_version IS DISTINCT FROM d.version)::integer AS failed,
               count(l.asset_id)::integer AS heard,
               count(*) FILTER (WHERE coalesce(l.level_effective_pct > 0, l.power_w > 5))::integer AS lit,
               sum(l.power_w)::double precision AS power_w
        FROM asset_group_member k JOIN asset a ON a.asset_id = k.asset_id
        LEFT JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
        LEFT JOIN desired d ON d.device_id = i.device_id
        LEFT JOIN seen_latest_lamp l ON l.asset_id = a.asset_id
        WHERE k.group_id = g.group_id AND a.retired_at IS NULL AND a.kind = 'lamp') AS now
    WHERE g.kind = 'segment'
"""
# The devices of a segment, with the program that each is to keep for the channel in question.
MEMBERS = f"""
    SELECT i.device_id, i.channel, a.municipality_id, d.programs, d.version, d.reported_version, d.reported_error,
           row_number() OVER (ORDER BY md5(a.asset_id::text)) AS place, count(*) OVER () AS n
    FROM asset_group_member k JOIN asset a ON a.asset_id = k.asset_id AND a.retired_at IS NULL AND {SWITCHES}
    JOIN installed i ON i.asset_id = a.asset_id AND i.valid_to IS NULL
    JOIN device v ON v.device_id = i.device_id AND v.state <> 'decommissioned'
    LEFT JOIN desired d ON d.device_id = i.device_id
    WHERE k.group_id = %(group)s
"""  # noqa: S608 - a constant of ours
_ROLLOUT = f"""
    SELECT r.rollout_id, r.municipality_id, m.name AS municipality, r.group_id, g.name AS group, r.lamp_program_id,
           r.share_pct, r.failures_max_pct, r.state, r.stage, r.started_at, r.changed_at, r.who, r.error, of.*
    FROM rollout r JOIN municipality m USING (municipality_id) JOIN asset_group g ON g.group_id = r.group_id
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS devices, count(*) FILTER (WHERE has)::integer AS given,
               count(*) FILTER (WHERE has AND reported_version = version)::integer AS applied,
               count(*) FILTER (WHERE has AND reported_error IS NOT NULL
                                AND coalesce(reported_version, 0) < version)::integer AS failed
        FROM (SELECT x.*, (x.programs->>x.channel::text)::integer IS NOT DISTINCT FROM r.lamp_program_id AS has
              FROM ({MEMBERS.replace("%(group)s", "r.group_id")}) AS x) AS y) AS of
"""  # noqa: S608 - a constant of ours
_DESIRED = """
    SELECT d.device_id, v.name AS device, m.name AS municipality, d.version, d.programs, d.interval_s, d.changed_at,
           d.who, d.reason, d.sent_version, d.sent_at, d.reported_version, d.reported_at, d.reported_error,
           d.outgrown_version
    FROM desired d JOIN device v USING (device_id) JOIN municipality m ON m.municipality_id = d.municipality_id
"""


async def programs(connection: Connection, *, municipality: str | None, after: int, limit: int) -> list[ProgramRow]:
    """Programs by number."""
    where = f"{_PROGRAM} WHERE p.dimming_program_id > %(after)s"
    where += " AND m.name = %(town)s" if municipality is not None else ""
    given = {"after": after, "limit": limit, "town": municipality}
    return await _rows(connection, ProgramRow, f"{where} ORDER BY 1 LIMIT %(limit)s", given)


async def program(connection: Connection, number: int) -> ProgramRow | None:
    """One program."""
    found = await _rows(connection, ProgramRow, f"{_PROGRAM} WHERE p.dimming_program_id = %(n)s", {"n": number})
    return found[0] if found else None


async def segments(
    connection: Connection, *, municipality: str | None = None, program: int | None = None, after: int, limit: int
) -> list[SegmentRow]:
    """Segments by number; of a municipality, or those that follow a program."""
    where = f"{_SEGMENT} AND g.group_id > %(after)s"
    where += " AND m.name = %(town)s" if municipality is not None else ""
    where += " AND s.dimming_program_id = %(program)s" if program is not None else ""
    given = {"after": after, "limit": limit, "town": municipality, "program": program}
    return await _rows(connection, SegmentRow, f"{where} ORDER BY g.group_id LIMIT %(limit)s", given)


async def segment(connection: Connection, group_id: int) -> SegmentRow | None:
    """One segment."""
    found = await _rows(connection, SegmentRow, f"{_SEGMENT} AND g.group_id = %(n)s", {"n": group_id})
    return found[0] if found else None


async def lamps(connection: Connection, group_id: int) -> list[LampRow]:
    """The lamps of a group, ``LAMPS_MAX`` of them at most."""
    return await _rows(
        connection,
        LampRow,
        "SELECT a.asset_id, a.latitude, a.longitude, a.metadata, c.gain_low, c.gain_full, c.rated_w AS learnt_w"
        " FROM asset_group_member k JOIN asset a USING (asset_id) LEFT JOIN lamp_curve c USING (asset_id)"
        " WHERE k.group_id = %(group)s AND a.kind = 'lamp' AND a.retired_at IS NULL ORDER BY 1 LIMIT %(most)s",
        {"group": group_id, "most": LAMPS_MAX},
    )


async def middle(connection: Connection, municipality_id: int) -> tuple[float, float] | None:
    """Where a municipality's assets are in the mean, north and east."""
    row = await _row(
        connection,
        "SELECT avg(latitude), avg(longitude) FROM asset WHERE municipality_id = %s AND retired_at IS NULL",
        [municipality_id],
    )
    return None if row[0] is None or row[1] is None else (row[0], row[1])


async def towns(connection: Connection) -> list[TownRow]:
    """Municipalities by title, as far as the principal sees what is theirs."""
    statement = (
        "SELECT name, title, municipality_id = ANY (kraj_municipalities('control')) AS controls FROM municipality"
        " WHERE municipality_id = ANY (kraj_municipalities('read'))"
    )
    return sorted(await _rows(connection, TownRow, statement, {}), key=lambda row: folded(row.title))


async def may(
    connection: Connection, right: str, *, municipality_id: int | None, group_id: int | None, asset_id: int | None
) -> bool:
    """Whether the principal has a right to an asset, a group, a municipality or (all None) the region itself."""
    row = await _row(
        connection,
        "SELECT CASE WHEN %(town)s::integer IS NULL THEN kraj_region(%(right)s)"
        " ELSE coalesce(%(town)s = ANY (kraj_municipalities(%(right)s)), false)"
        " OR coalesce(%(asset)s::integer = ANY (kraj_assets(%(right)s)), false)"
        " OR %(group)s::integer IN (SELECT g.group_id FROM kraj_grants(%(right)s) g WHERE g.group_id IS NOT NULL) END",
        {"right": right, "town": municipality_id, "group": group_id, "asset": asset_id},
    )
    return bool(row[0])


async def spans(connection: Connection, group_id: int, right: str) -> bool:
    """Whether a group holds assets to which the principal has no such right, as they are another municipality's."""
    row = await _row(
        connection,
        "SELECT EXISTS (SELECT FROM asset_group_member k LEFT JOIN asset a USING (asset_id)"
        " WHERE k.group_id = %(group)s"
        " AND (a.asset_id IS NULL OR NOT (a.municipality_id = ANY ((SELECT kraj_municipalities(%(right)s))::integer[])"
        " OR a.asset_id = ANY ((SELECT kraj_assets(%(right)s))::integer[]))))",
        {"group": group_id, "right": right},
    )
    return bool(row[0])


def switches(kind: str, metadata: Mapping[str, Any]) -> bool:
    """Whether an asset gives light when told, as far as its kind goes; ``SWITCHES`` of one that is known."""
    return kind == "lamp" or (
        kind == "cabinet" and str(metadata.get("feeder_switched")) in ("1", "1.0", "true", "True")
    )


async def classes(connection: Connection, asset_id: int) -> list[tuple[str | None, str | None]]:
    """The designed class of the segments that an asset is in, and the lowest that is permitted."""
    cursor = await connection.execute(
        "SELECT designed_class, permitted_class FROM lighting_segment JOIN asset_group_member USING (group_id)"
        " WHERE asset_id = %s ORDER BY group_id LIMIT 5",
        [asset_id],
    )
    return [(designed, permitted) async for designed, permitted in cursor]


async def town_of(
    connection: Connection, *, municipality: str | None, group_id: int | None, asset_id: int | None
) -> tuple[int, str, bool] | None:
    """Whose an asset or a group is, or which municipality that is: its number, its title, and whether it is retired."""
    statement, given = "SELECT municipality_id, title, false FROM municipality WHERE name = %s", municipality or ""
    if group_id is not None:
        statement = (
            "SELECT municipality_id, m.title, false FROM asset_group JOIN municipality m USING (municipality_id)"
            " WHERE group_id = %s"
        )
        given = str(group_id)
    elif asset_id is not None:
        statement = (
            "SELECT municipality_id, m.title, retired_at IS NOT NULL FROM asset JOIN municipality m"
            " USING (municipality_id) WHERE asset_id = %s"
        )
        given = str(asset_id)
    return await (await connection.execute(statement.encode(), [given])).fetchone()


async def lamp_program(connection: Connection, number: int) -> dict[str, Any] | None:
    """What the lamps of a compiled program keep."""
    cursor = await connection.execute("SELECT document FROM lamp_program WHERE lamp_program_id = %s", [number])
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def desired(
    connection: Connection,
    *,
    municipality: str | None = None,
    group_id: int | None = None,
    behind: bool = False,
    device: str | None = None,
    after: int = 0,
    limit: int = LISTED_MAX,
) -> list[Desired]:
    """What devices are to keep and do, by the device's number; ``behind``: those that do not say that they do."""
    where = f"{_DESIRED} WHERE d.device_id > %(after)s"
    where += " AND m.name = %(town)s" if municipality is not None else ""
    where += " AND v.name = %(device)s" if device is not None else ""
    where += " AND d.reported_version IS DISTINCT FROM d.version" if behind else ""
    if group_id is not None:
        where += (
            " AND EXISTS (SELECT FROM installed i JOIN asset_group_member k USING (asset_id) WHERE"
            " i.device_id = d.device_id AND i.valid_to IS NULL AND k.group_id = %(group)s)"
        )
    given = {"after": after, "limit": limit, "town": municipality, "device": device, "group": group_id}
    return await _rows(connection, Desired, f"{where} ORDER BY d.device_id LIMIT %(limit)s", given)


async def rollouts(
    connection: Connection,
    *,
    municipality: str | None = None,
    group_id: int | None = None,
    after: int = 2**31 - 1,
    limit: int = LISTED_MAX,
) -> list[RolloutRow]:
    """Rollouts, newest first."""
    where = f"{_ROLLOUT} WHERE r.rollout_id < %(after)s"
    where += " AND m.name = %(town)s" if municipality is not None else ""
    where += " AND r.group_id = %(group)s" if group_id is not None else ""
    given = {"after": after, "limit": limit, "town": municipality, "group": group_id}
    return await _rows(connection, RolloutRow, f"{where} ORDER BY r.rollout_id DESC LIMIT %(limit)s", given)


async def rollout(connection: Connection, number: int) -> RolloutRow | None:
    """One rollout."""
    found = await _rows(connection, RolloutRow, f"{_ROLLOUT} WHERE r.rollout_id = %(n)s", {"n": number})
    return found[0] if found else None


async def running(connection: Connection) -> list[RolloutRow]:
    """Rollouts that go on, locked for whoever takes their next step; those that somebody steps now are left out."""
    return await _rows(
        connection, RolloutRow, f"{_ROLLOUT} WHERE r.state = 'running' ORDER BY 1 FOR UPDATE OF r SKIP LOCKED", {}
    )


async def _rows(connection: Connection, row: type[Any], statement: str, given: Mapping[str, Any]) -> list[Any]:
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()


async def _row(connection: Connection, statement: str, given: Any) -> Any:
    row = await (await connection.execute(statement.encode(), given)).fetchone()
    if row is None:
        raise psycopg.DataError("the database gave no row")
    return row
