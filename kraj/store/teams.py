"""Teams, and whom a municipality lets at its assets: a person, a team or the region; the wall judges each statement."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamRow:
    """A team and who is in it, as far as the principal may see them."""

    team_id: int
    municipality: str | None
    name: str
    members: list[int]
    ended_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """Whom a municipality lets at its assets."""

    grant_id: int
    municipality: str
    person_id: int | None
    team_id: int | None
    to_region: bool
    group_id: int | None
    rights: list[str]
    valid_from: datetime
    valid_to: datetime | None
    who: str
    reason: str
    version: int


_TEAM = (
    "SELECT t.team_id, o.name AS municipality, t.name, t.ended_at, t.version,"
    " ARRAY(SELECT person_id FROM team_member tm WHERE tm.team_id = t.team_id ORDER BY 1) AS members"
    " FROM team t LEFT JOIN municipality o USING (municipality_id)"
)
_GRANT = (
    "SELECT grant_id, o.name AS municipality, person_id, team_id, to_region, group_id, rights, g.valid_from,"
    " g.valid_to, who, reason, g.version FROM access_grant g JOIN municipality o USING (municipality_id)"
)


async def teams(connection: Connection, *, after: int = 0, limit: int) -> list[TeamRow]:
    """Teams by id."""
    async with connection.cursor(row_factory=class_row(TeamRow)) as cursor:
        await cursor.execute(f"{_TEAM} WHERE t.team_id > %s ORDER BY t.team_id LIMIT %s".encode(), [after, limit])
        return await cursor.fetchall()


async def team(connection: Connection, team_id: int) -> TeamRow | None:
    """One of them."""
    async with connection.cursor(row_factory=class_row(TeamRow)) as cursor:
        await cursor.execute(f"{_TEAM} WHERE t.team_id = %s".encode(), [team_id])
        return await cursor.fetchone()


async def add_team(connection: Connection, municipality_id: int | None, name: str, members: list[int]) -> int:
    """A new team. Raises psycopg's ``UniqueViolation`` when the name is taken."""
    cursor = await connection.execute(
        "INSERT INTO team (municipality_id, name) VALUES (%s, %s) RETURNING team_id", [municipality_id, name]
    )
    team_id: int = (await cursor.fetchall())[0][0]
    await connection.execute(
        "INSERT INTO team_member (team_id, person_id) SELECT %s, unnest(%s::integer[])", [team_id, members]
    )
    return team_id


async def change_members(
    connection: Connection, team_id: int, version: int, *, add: Collection[int], remove: Collection[int]
) -> bool:
    """Put people in and take people out; False when somebody was faster, or the team has ended."""
    cursor = await connection.execute(
        "UPDATE team SET version = version + 1 WHERE team_id = %s AND version = %s AND ended_at IS NULL",
        [team_id, version],
    )
    if cursor.rowcount != 1:
        return False
    await connection.execute(
        "DELETE FROM team_member WHERE team_id = %s AND person_id = ANY (%s)", [team_id, list(remove)]
    )
    await connection.execute(
        "INSERT INTO team_member (team_id, person_id) SELECT %s, unnest(%s::integer[]) ON CONFLICT DO NOTHING",
        [team_id, list(add)],
    )
    return True


async def end_team(connection: Connection, team_id: int, version: int) -> bool:
    """Nobody is in it any more, so that whatever it was granted ends."""
    cursor = await connection.execute(
        "UPDATE team SET ended_at = clock_timestamp(), version = version + 1"
        " WHERE team_id = %s AND version = %s AND ended_at IS NULL",
        [team_id, version],
    )
    await connection.execute("DELETE FROM team_member WHERE team_id = %s", [team_id])
    return cursor.rowcount == 1


async def grants(connection: Connection, *, after: int = 0, limit: int) -> list[GrantRow]:
    """Grants by id: of the principal's municipalities, and to itself."""
    async with connection.cursor(row_factory=class_row(GrantRow)) as cursor:
        await cursor.execute(f"{_GRANT} WHERE grant_id > %s ORDER BY grant_id LIMIT %s".encode(), [after, limit])
        return await cursor.fetchall()


async def grant(connection: Connection, grant_id: int) -> GrantRow | None:
    """One of them."""
    async with connection.cursor(row_factory=class_row(GrantRow)) as cursor:
        await cursor.execute(f"{_GRANT} WHERE grant_id = %s".encode(), [grant_id])
        return await cursor.fetchone()


async def add_grant(
    connection: Connection,
    municipality_id: int,
    *,
    person_id: int | None,
    team_id: int | None,
    group_id: int | None,
    rights: list[str],
    valid_from: datetime | None,
    valid_to: datetime | None,
    who: str,
    reason: str,
) -> int:
    """Let a person, a team or (neither) the region at the municipality's assets, or at those of a group."""
    cursor = await connection.execute(
        "INSERT INTO access_grant (municipality_id, person_id, team_id, to_region, group_id, rights, valid_from,"
        " valid_to, who, reason) VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, clock_timestamp()), %s, %s, %s)"
        " RETURNING grant_id",
        [
            municipality_id,
            person_id,
            team_id,
            person_id is None and team_id is None,
            group_id,
            rights,
            valid_from,
            valid_to,
            who,
            reason,
        ],
    )
    return (await cursor.fetchall())[0][0]


async def end_grant(connection: Connection, grant_id: int, version: int) -> bool:
    """End a grant now; False when somebody has changed it, or it is over."""
    cursor = await connection.execute(
        "UPDATE access_grant SET valid_to = greatest(clock_timestamp(), valid_from + interval '1 microsecond'),"
        " version = version + 1 WHERE grant_id = %s AND version = %s"
        " AND (valid_to IS NULL OR valid_to > clock_timestamp())",
        [grant_id, version],
    )
    return cursor.rowcount == 1


async def group_of(connection: Connection, municipality_id: int, group_id: int) -> bool:
    """Whether a group is the municipality's own."""
    row = await (
        await connection.execute(
            "SELECT FROM asset_group WHERE group_id = %s AND municipality_id = %s", [group_id, municipality_id]
        )
    ).fetchone()
    return row is not None
