"""What people keep of the rules: windows, overrides and rules of their own, as the principal may see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kraj.store.connection import Connection

LISTED_MAX = 500
"""Of one sort; a region that has more of them has to narrow its question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TownRow:
    """A municipality, and whether the principal may change the rules there."""

    municipality_id: int
    name: str
    title: str
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A group of assets of one municipality."""

    group_id: int
    municipality: str
    name: str
    assets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """A maintenance window; ``label`` is the asset's where it is about one, ``assets`` how many it is about."""

    maintenance_window_id: int
    municipality: str
    municipality_title: str
    scope_type: str
    scope_name: str
    label: str | None
    valid_from: datetime
    valid_to: datetime
    reason: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideRow:
    """A rule's other thresholds, or its being off, in a municipality or a group of it."""

    rule_override_id: int
    municipality: str
    municipality_title: str
    group_id: int | None
    group: str | None
    rule: str
    enabled: bool
    thresholds: dict[str, float]
    reason: str
    who: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRow:
    """A municipality's own rule, as TOML."""

    custom_rule_id: int
    municipality: str
    municipality_title: str
    name: str | None
    text: str
    enabled: bool
    who: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow:
    """What is off because it failed; ``municipality`` is None of the catalogue, ``writable``: may be retried."""

    rule: str
    municipality: str | None
    municipality_title: str | None
    at: datetime
    error: str
    writable: bool


_WINDOW = """
    SELECT w.maintenance_window_id, m.name AS municipality, m.title AS municipality_title, w.scope_type, w.scope_name,
           a.label, w.valid_from, w.valid_to, w.reason, w.who
    FROM maintenance_window w JOIN municipality m USING (municipality_id)
    LEFT JOIN asset a ON w.scope_type = 'asset' AND a.asset_id::text = w.scope_name
"""
_OVERRIDE = """
    SELECT o.rule_override_id, m.name AS municipality, m.title AS municipality_title, o.group_id, g.name AS group,
           o.rule, o.enabled, o.thresholds, o.reason, o.who, o.at
    FROM rule_override o JOIN municipality m USING (municipality_id) LEFT JOIN asset_group g USING (group_id)
"""
_CUSTOM = """
    SELECT c.custom_rule_id, m.name AS municipality, m.title AS municipality_title, c.name, c.text, c.enabled, c.who,
           c.at
    FROM custom_rule c JOIN municipality m USING (municipality_id)
"""


async def may(connection: Connection, right: str, municipality_id: int | None) -> bool:
    """Whether the principal has a right in a municipality; None is the region itself."""
    cursor = await connection.execute(
        "SELECT CASE WHEN %(town)s::integer IS NULL THEN kraj_region(%(right)s)"
        " ELSE %(town)s = ANY (kraj_municipalities(%(right)s)) END",
        {"town": municipality_id, "right": right},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def towns(connection: Connection) -> list[TownRow]:
    """The municipalities whose rules the principal may see."""
    async with connection.cursor(row_factory=class_row(TownRow)) as cursor:
        await cursor.execute(
            "SELECT municipality_id, name, title, municipality_id = ANY (kraj_municipalities('rules')) AS writable"
            " FROM municipality WHERE municipality_id = ANY (kraj_municipalities('read')) ORDER BY title"
        )
        return await cursor.fetchall()


async def groups(connection: Connection) -> list[GroupRow]:
    """Groups of assets, by municipality and name."""
    async with connection.cursor(row_factory=class_row(GroupRow)) as cursor:
        await cursor.execute(
            "SELECT g.group_id, m.name AS municipality, g.name,"
            " (SELECT count(*) FROM asset_group_member k WHERE k.group_id = g.group_id) AS assets"
            " FROM asset_group g JOIN municipality m USING (municipality_id) ORDER BY m.name, g.name LIMIT %s",
            [LISTED_MAX],
        )
        return await cursor.fetchall()


async def members(connection: Connection, group_id: int) -> frozenset[int]:
    """The assets of a group."""
    cursor = await connection.execute("SELECT asset_id FROM asset_group_member WHERE group_id = %s", [group_id])
    return frozenset(asset_id for (asset_id,) in await cursor.fetchall())


async def concerned(connection: Connection, municipality_id: int, scope_type: str, scope_name: str) -> int:
    """How many of the municipality's assets hang on what a window is about; 0 where there is no such thing."""
    condition, given = "true", [municipality_id]
    if scope_type == "asset":
        condition, given = "asset_id::text = %s", [municipality_id, scope_name]
    elif scope_type == "cabinet":
        condition = "(metadata->>'cabinet' = %s OR kind = 'cabinet' AND label = %s)"
        given = [municipality_id, scope_name, scope_name]
    elif scope_type != "municipality":
        condition, given = "metadata->>%s = %s", [municipality_id, scope_type, scope_name]
    statement = f"SELECT count(*) FROM asset WHERE municipality_id = %s AND {condition}"  # noqa: S608 - one of these
    row = await (await connection.execute(statement.encode(), given)).fetchone()
    return row[0] if row else 0


async def asset_by_label(connection: Connection, municipality_id: int, label: str) -> int | None:
    """The asset of a municipality that is called so, if exactly one is."""
    cursor = await connection.execute(
        "SELECT asset_id FROM asset WHERE municipality_id = %s AND lower(label) = lower(%s) LIMIT 2",
        [municipality_id, label],
    )
    found = await cursor.fetchall()
    return found[0][0] if len(found) == 1 else None


async def windows(
    connection: Connection, *, municipality: str | None, ended_before: datetime | None, after: int, limit: int
) -> list[WindowRow]:
    """Maintenance windows by number; ``ended_before`` leaves out those that were over by then."""
    return await _rows(
        connection,
        WindowRow,
        f"{_WINDOW} WHERE (%(town)s::text IS NULL OR m.name = %(town)s) AND w.maintenance_window_id > %(after)s"
        " AND (%(ended)s::timestamptz IS NULL OR w.valid_to > %(ended)s)"
        " ORDER BY w.maintenance_window_id LIMIT %(limit)s",
        {"town": municipality, "ended": ended_before, "after": after, "limit": limit},
    )


async def window(connection: Connection, number: int) -> WindowRow | None:
    """One maintenance window."""
    found = await _rows(connection, WindowRow, f"{_WINDOW} WHERE w.maintenance_window_id = %(n)s", {"n": number})
    return found[0] if found else None


async def write_window(
    connection: Connection,
    number: int | None,
    *,
    municipality_id: int,
    scope_type: str,
    scope_name: str,
    valid_from: datetime,
    valid_to: datetime,
    reason: str,
    who: str,
) -> int | None:
    """Add a window, or change the one of this number; its number, None when it is not there (or not theirs)."""
    fields = {
        "municipality_id": municipality_id,
        "scope_type": scope_type,
        "scope_name": scope_name,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "reason": reason,
        "who": who,
    }
    return await _written(connection, "maintenance_window", number, fields)


async def overrides(connection: Connection, *, municipality: str | None, after: int, limit: int) -> list[OverrideRow]:
    """Overrides by number."""
    return await _rows(
        connection,
        OverrideRow,
        f"{_OVERRIDE} WHERE (%(town)s::text IS NULL OR m.name = %(town)s) AND o.rule_override_id > %(after)s"
        " ORDER BY o.rule_override_id LIMIT %(limit)s",
        {"town": municipality, "after": after, "limit": limit},
    )


async def override(connection: Connection, number: int) -> OverrideRow | None:
    """One override."""
    found = await _rows(connection, OverrideRow, f"{_OVERRIDE} WHERE o.rule_override_id = %(n)s", {"n": number})
    return found[0] if found else None


async def put_override(
    connection: Connection,
    *,
    municipality_id: int,
    group_id: int | None,
    rule: str,
    enabled: bool,
    thresholds: Mapping[str, float],
    reason: str,
    who: str,
    at: datetime,
) -> int:
    """Say this of the rule in the municipality or group, whatever was said before; its number."""
    cursor = await connection.execute(
        "INSERT INTO rule_override (municipality_id, group_id, rule, enabled, thresholds, reason, who, at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (municipality_id, group_id, rule) DO UPDATE SET"
        " enabled = EXCLUDED.enabled, thresholds = EXCLUDED.thresholds, reason = EXCLUDED.reason,"
        " who = EXCLUDED.who, at = EXCLUDED.at RETURNING rule_override_id",
        [municipality_id, group_id, rule, enabled, Jsonb(dict(thresholds)), reason, who, at],
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def custom_rules(connection: Connection, *, municipality: str | None, after: int, limit: int) -> list[CustomRow]:
    """Own rules by number."""
    return await _rows(
        connection,
        CustomRow,
        f"{_CUSTOM} WHERE (%(town)s::text IS NULL OR m.name = %(town)s) AND c.custom_rule_id > %(after)s"
        " ORDER BY c.custom_rule_id LIMIT %(limit)s",
        {"town": municipality, "after": after, "limit": limit},
    )


async def custom_rule(connection: Connection, number: int) -> CustomRow | None:
    """One own rule."""
    found = await _rows(connection, CustomRow, f"{_CUSTOM} WHERE c.custom_rule_id = %(n)s", {"n": number})
    return found[0] if found else None


async def write_custom_rule(
    connection: Connection,
    number: int | None,
    *,
    municipality_id: int,
    name: str,
    text: str,
    enabled: bool,
    who: str,
    at: datetime,
) -> int | None:
    """Add a rule, or change the one of this number; raises ``psycopg.errors.UniqueViolation`` for a name in use."""
    fields = {
        "municipality_id": municipality_id,
        "name": name,
        "text": text,
        "enabled": enabled,
        "who": who,
        "at": at,
    }
    return await _written(connection, "custom_rule", number, fields)


async def switch_off(connection: Connection, number: int, *, who: str, at: datetime) -> bool:
    """Switch an own rule off; False when it is not there."""
    cursor = await connection.execute(
        "UPDATE custom_rule SET enabled = false, who = %s, at = %s WHERE custom_rule_id = %s", [who, at, number]
    )
    return cursor.rowcount == 1


async def failures(connection: Connection) -> list[FailureRow]:
    """What is off because it failed, by name."""
    return await _rows(
        connection,
        FailureRow,
        "SELECT f.rule, m.name AS municipality, m.title AS municipality_title, f.at, f.error,"
        " CASE WHEN f.municipality_id IS NULL THEN kraj_region('rules')"
        " ELSE f.municipality_id = ANY (kraj_municipalities('rules')) END AS writable"
        " FROM rule_failure f LEFT JOIN municipality m USING (municipality_id) ORDER BY f.rule LIMIT %(limit)s",
        {"limit": LISTED_MAX},
    )


async def try_again(connection: Connection, rule: str) -> bool:
    """Forget that a rule has failed, which has ingest ask it again; False when it is not there (or not theirs)."""
    return (await connection.execute("DELETE FROM rule_failure WHERE rule = %s", [rule])).rowcount == 1


async def drop(connection: Connection, table: str, number: int) -> bool:
    """Delete a window, an override or an own rule; False when it is not there."""
    statement = f"DELETE FROM {table} WHERE {table}_id = %s"  # noqa: S608 - the names of three tables
    return (await connection.execute(statement.encode(), [number])).rowcount == 1


async def _written(connection: Connection, table: str, number: int | None, fields: dict[str, Any]) -> int | None:
    names = ", ".join(fields)
    marks = ", ".join(f"%({name})s" for name in fields)
    if number is None:
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING {table}_id"  # noqa: S608
    else:
        fields = {**fields, "number": number}
        statement = (
            f"UPDATE {table} SET ({names}) = ROW ({marks}) WHERE {table}_id = %(number)s"  # noqa: S608
            f" RETURNING {table}_id"
        )
    row = await (await connection.execute(statement.encode(), fields)).fetchone()
    return row[0] if row else None


async def _rows(connection: Connection, row: type[Any], statement: str, given: dict[str, Any]) -> list[Any]:
    async with connection.cursor(row_factory=class_row(row)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()
