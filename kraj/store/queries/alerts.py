"""Alerts as people read them: by cause, newest first, each with its children, its history and what it was about."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal

import psycopg
from psycopg.rows import class_row

from kraj.alerts import Severity
from kraj.distance import EARTH_M
from kraj.store.queries.registry import folded, folded_sql, literally

Connection = psycopg.AsyncConnection[Any]
CHILDREN_MAX = 500
EVENTS_MAX = 500
NEAR_M = 300.0
"""How far a crew walks to do another one while it is there (lighting.md)."""
AROUND_MAX = 50
MUTES_MAX = 200
NOWHERE_MM = 2**62
"""How far away, in the order of distance, is what has no place."""
Box = tuple[float, float, float, float]
"""South, west, north, east in degrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFilter:
    """Which alerts: of a municipality (its name), a rule, an asset, at least of a severity.

    ``closed`` False gives those that are not closed, True those that are, None all. ``causes`` leaves out those that
    another alert explains. ``text`` is looked for in label, street, feeder, cabinet and name of the group; ``whose``
    asks for those of ``me`` (a name as the history has it) and of the principal's teams, or for nobody's.
    """

    municipality: str | None = None
    rule: str | None = None
    asset_id: int | None = None
    severity_min: Severity = Severity.INFO
    closed: bool | None = False
    causes: bool = True
    kind: str | None = None
    text: str | None = None
    whose: Literal["mine", "unassigned"] | None = None
    me: str = ""
    area: Box | None = None
    alert_ids: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """An alert with its place and how many others it explains (``children``, of which ``children_active`` still hold).

    ``asset_id`` is where to go; ``evidence`` the values and thresholds that fired.
    """

    alert_id: int
    key: str
    rule: str
    scope_type: str
    scope_name: str
    severity: str
    state: str
    active: bool
    notify: bool
    parent_id: int | None
    assignee: str | None
    since: datetime
    opened_at: datetime
    changed_at: datetime
    cleared_at: datetime | None
    fixed_at: datetime | None
    closed_at: datetime | None
    evidence: dict[str, Any]
    cause: str | None
    lost_wh: float | None
    times_raised: int
    version: int
    municipality: str | None
    municipality_title: str | None
    asset_id: int | None
    kind: str | None
    label: str | None
    latitude: float | None
    longitude: float | None
    metadata: dict[str, Any] | None
    children: int
    children_active: int
    spare_part: str | None = None
    away_mm: int | None = None
    """From where one asked, where the list is by distance; ``NOWHERE_MM`` without a place."""

    @property
    def away_m(self) -> float | None:
        return None if self.away_mm is None or self.away_mm >= NOWHERE_MM else self.away_mm / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """An open cause on a map."""

    alert_id: int
    rule: str
    severity: str
    municipality: str | None
    scope_type: str
    scope_name: str
    kind: str | None
    label: str | None
    feeder: str | None
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEventRow:
    """One step of an alert's life."""

    at: datetime
    step: str
    who: str
    note: str | None
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteRow:
    """One rule silenced on one asset until a moment."""

    rule: str
    valid_to: datetime
    reason: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bent:
    """What bends the rules on one asset: mutes by rule (the one that lasts longest), rules switched off and
    failed rules."""

    mutes: dict[str, MuteRow]
    off: frozenset[str]
    failed: frozenset[str]


_COLUMNS = """
    SELECT a.alert_id, a.key, a.rule, a.scope_type, a.scope_name, a.severity, a.state, a.active, a.notify, a.parent_id,
           a.assignee, a.since, a.opened_at, a.changed_at, a.cleared_at, a.fixed_at, a.closed_at, a.evidence, a.cause,
           a.lost_wh, a.times_raised, a.version, m.name AS municipality, m.title AS municipality_title, s.asset_id,
           s.kind, s.label, s.latitude, s.longitude, s.metadata,
           (SELECT count(*) FROM alert c WHERE c.parent_id = a.alert_id) AS children,
           (SELECT count(*) FROM alert c WHERE c.parent_id = a.alert_id AND c.active) AS children_active, a.spare_part
"""
_FROM = """
    FROM alert a
    LEFT JOIN municipality m ON m.municipality_id = a.municipality_id
    LEFT JOIN asset s ON s.asset_id = a.asset_id
"""
_SELECT = _COLUMNS + _FROM
_AWAY_MM = f"""
    CASE WHEN s.latitude IS NULL OR s.longitude IS NULL THEN {NOWHERE_MM} ELSE
    round(2000 * {EARTH_M} * asin(least(1, sqrt(sin(radians(s.latitude - %(near_lat)s) / 2) ^ 2
        + cos(radians(%(near_lat)s)) * cos(radians(s.latitude)) * sin(radians(s.longitude - %(near_lon)s) / 2) ^ 2)
    )))::bigint END
"""
_SPOT = """
    SELECT a.alert_id, a.rule, a.severity, m.name AS municipality, a.scope_type, a.scope_name, s.kind, s.label,
           coalesce(s.metadata->>'feeder', s.metadata->>'cabinet') AS feeder, s.latitude, s.longitude
"""
# Whoever took an alert over has it until it is given to somebody.
_MINE = """
    (a.assignee = ANY (ARRAY[%(me)s::text] || (SELECT coalesce(array_agg(t.name), '{}') FROM team t
        JOIN team_member k USING (team_id) WHERE k.person_id = kraj_principal()))
     OR a.assignee IS NULL AND a.state <> 'open' AND %(me)s = (SELECT e.who FROM alert_event e
        WHERE e.alert_id = a.alert_id AND e.step = 'acknowledged' ORDER BY e.alert_event_id DESC LIMIT 1))
"""
_TEXTS = ("s.label", "s.metadata->>'street'", "s.metadata->>'feeder'", "s.metadata->>'cabinet'", "a.scope_name")


_EARLIER = """
    WHERE a.alert_id <> %(alert_id)s
      AND (a.asset_id = %(asset_id)s
           OR (a.scope_type, a.scope_name) = (%(type)s, %(name)s)
              AND a.municipality_id IS NOT DISTINCT FROM
                  (SELECT this.municipality_id FROM alert this WHERE this.alert_id = %(alert_id)s))
    ORDER BY a.opened_at DESC, a.alert_id DESC LIMIT %(limit)s
"""


async def alerts(
    connection: Connection, which: AlertFilter, *, before: tuple[datetime, int] | None, limit: int
) -> list[AlertRow]:
    """The newest first; ``before`` is the (time of opening, id) of the last row of the page before."""
    conditions, parameters = _where(which)
    parameters["limit"] = limit
    if before is not None:
        conditions.append("(a.opened_at, a.alert_id) < (%(before_at)s, %(before_id)s)")
        parameters |= {"before_at": before[0], "before_id": before[1]}
    statement = f"{_SELECT} WHERE {' AND '.join(conditions)} ORDER BY a.opened_at DESC, a.alert_id DESC LIMIT %(limit)s"
    return await _rows(connection, statement, parameters)


async def nearest(
    connection: Connection,
    which: AlertFilter,
    near: tuple[float, float],
    *,
    beyond: tuple[int, int] | None,
    limit: int,
) -> list[AlertRow]:
    """The nearest to a (latitude, longitude) first, with ``away_mm``; what has no place comes last.

    ``beyond`` is the (``away_mm``, id) of the last row of the page before.
    """
    conditions, parameters = _where(which)
    parameters |= {"limit": limit, "near_lat": near[0], "near_lon": near[1]}
    if beyond is not None:
        conditions.append(f"({_AWAY_MM}, a.alert_id) > (%(beyond_mm)s, %(beyond_id)s)")
        parameters |= {"beyond_mm": beyond[0], "beyond_id": beyond[1]}
    statement = (
        f"{_COLUMNS}, {_AWAY_MM} AS away_mm {_FROM} WHERE {' AND '.join(conditions)}"
        " ORDER BY away_mm, a.alert_id LIMIT %(limit)s"
    )
    return await _rows(connection, statement, parameters)


async def spots(connection: Connection, which: AlertFilter, *, limit: int) -> list[Spot]:
    """Where the alerts are, the worst and newest first; those without a place are left out."""
    conditions, parameters = _where(which)
    conditions.append("s.latitude IS NOT NULL AND s.longitude IS NOT NULL")
    statement = (
        f"{_SPOT} {_FROM} WHERE {' AND '.join(conditions)} ORDER BY array_position(%(ranks)s::text[], a.severity) DESC,"
        " a.opened_at DESC, a.alert_id DESC LIMIT %(limit)s"
    )
    async with connection.cursor(row_factory=class_row(Spot)) as cursor:
        await cursor.execute(statement.encode(), {**parameters, "limit": limit})
        return await cursor.fetchall()


def _where(which: AlertFilter) -> tuple[list[str], dict[str, Any]]:
    """The conditions that apply, and no others: PostgreSQL plans each anew."""
    conditions = [
        "array_position(%(ranks)s::text[], a.severity) >= array_position(%(ranks)s::text[], %(severity_min)s)"
    ]
    parameters: dict[str, Any] = {
        "ranks": [str(severity) for severity in Severity],
        "severity_min": str(which.severity_min),
    }
    if which.closed is not None:
        conditions.append("a.state = 'closed'" if which.closed else "a.state <> 'closed'")
    if which.causes:
        conditions.append("a.parent_id IS NULL")
    for name, column in (
        ("municipality", "m.name"),
        ("rule", "a.rule"),
        ("asset_id", "a.asset_id"),
        ("kind", "s.kind"),
    ):
        value = getattr(which, name)
        if value is not None:
            conditions.append(f"{column} = %({name})s")
            parameters[name] = value
    if which.text is not None:
        conditions.append(_text_condition())
        parameters["text"] = f"%{literally(folded(which.text))}%"
    if which.whose == "mine":
        conditions.append(_MINE)
        parameters["me"] = which.me
    elif which.whose == "unassigned":
        conditions.append("a.assignee IS NULL AND a.state = 'open'")
    if which.area is not None:
        conditions.append("s.latitude BETWEEN %(south)s AND %(north)s AND s.longitude BETWEEN %(west)s AND %(east)s")
        parameters |= dict(zip(("south", "west", "north", "east"), which.area, strict=True))
    if which.alert_ids is not None:
        conditions.append("a.alert_id = ANY (%(alert_ids)s)")
        parameters["alert_ids"] = list(which.alert_ids)
    return conditions, parameters


@cache
def _text_condition() -> str:
    return "(" + " OR ".join(f"{folded_sql(column)} LIKE %(text)s" for column in _TEXTS) + ")"


async def alert(connection: Connection, alert_id: int) -> AlertRow | None:
    """One alert."""
    found = await _rows(connection, f"{_SELECT} WHERE a.alert_id = %(alert_id)s", {"alert_id": alert_id})
    return found[0] if found else None


async def children(connection: Connection, alert_id: int) -> list[AlertRow]:
    """What an alert explains, at most ``CHILDREN_MAX``."""
    statement = (
        f"{_SELECT} WHERE a.parent_id = %(alert_id)s ORDER BY a.active DESC, a.opened_at, a.alert_id LIMIT %(limit)s"
    )
    return await _rows(connection, statement, {"alert_id": alert_id, "limit": CHILDREN_MAX})


async def events(connection: Connection, alert_id: int) -> list[AlertEventRow]:
    """An alert's life, oldest first; of a longer one the last ``EVENTS_MAX`` steps."""
    async with connection.cursor(row_factory=class_row(AlertEventRow)) as cursor:
        await cursor.execute(
            "SELECT at, step, who, note, detail FROM (SELECT * FROM alert_event WHERE alert_id = %s"
            " ORDER BY alert_event_id DESC LIMIT %s) AS last ORDER BY alert_event_id",
            [alert_id, EVENTS_MAX],
        )
        return await cursor.fetchall()


async def around(connection: Connection, row: AlertRow, *, limit: int = AROUND_MAX) -> list[AlertRow]:
    """Other causes that are not closed within ``NEAR_M`` of where to go, the nearest first; none without a place."""
    if row.latitude is None or row.longitude is None:
        return []
    # On the scale of some hundred metres the Earth is flat; a degree of latitude has 111,195 m.
    squared = "((s.latitude - %(lat)s) ^ 2 + ((s.longitude - %(lon)s) * cos(radians(%(lat)s))) ^ 2)"
    statement = (
        f"{_SELECT} WHERE a.state <> 'closed' AND a.alert_id <> %(alert_id)s AND a.parent_id IS NULL"
        f" AND s.latitude BETWEEN %(lat)s - %(reach)s AND %(lat)s + %(reach)s"
        f" AND {squared} <= %(reach)s ^ 2 ORDER BY {squared}, a.alert_id LIMIT %(limit)s"
    )
    parameters = {
        "lat": row.latitude,
        "lon": row.longitude,
        "reach": NEAR_M / 111_195,
        "alert_id": row.alert_id,
        "limit": limit,
    }
    return await _rows(connection, statement, parameters)


async def earlier(connection: Connection, row: AlertRow, *, limit: int = AROUND_MAX) -> list[AlertRow]:
    """What else was wrong with the same asset (or the same group), the newest first."""
    parameters = {
        "alert_id": row.alert_id,
        "asset_id": row.asset_id,
        "type": row.scope_type,
        "name": row.scope_name,
        "limit": limit,
    }
    return await _rows(connection, f"{_SELECT} {_EARLIER}", parameters)


async def bent(connection: Connection, asset_id: int, at: datetime) -> Bent:
    """What people, and failures, have done to the rules of an asset at a moment."""
    async with connection.cursor(row_factory=class_row(MuteRow)) as cursor:
        await cursor.execute(
            "SELECT * FROM (SELECT DISTINCT ON (rule) rule, valid_to, reason, who FROM rule_mute WHERE asset_id = %s"
            " ORDER BY rule, rule_mute_id DESC) AS newest WHERE valid_to > %s LIMIT %s",
            [asset_id, at, MUTES_MAX],
        )
        mutes = {row.rule: row for row in await cursor.fetchall()}
    # What is said of a group holds before what is said of the whole municipality.
    off = await connection.execute(
        "SELECT rule FROM (SELECT DISTINCT ON (o.rule) o.rule, o.enabled FROM rule_override o"
        " JOIN asset a USING (municipality_id)"
        " WHERE a.asset_id = %(asset_id)s AND (o.group_id IS NULL OR EXISTS (SELECT FROM asset_group_member g"
        "  WHERE g.group_id = o.group_id AND g.asset_id = a.asset_id))"
        " ORDER BY o.rule, o.group_id IS NULL, o.group_id DESC) AS last WHERE NOT enabled",
        {"asset_id": asset_id},
    )
    switched = frozenset(rule for (rule,) in await off.fetchall())
    failed = await connection.execute("SELECT rule FROM rule_failure")
    return Bent(mutes=mutes, off=switched, failed=frozenset(rule for (rule,) in await failed.fetchall()))


async def counts(connection: Connection) -> dict[str, int]:
    """How many causes are open, by severity."""
    cursor = await connection.execute(
        "SELECT severity, count(*) FROM alert WHERE state <> 'closed' AND parent_id IS NULL GROUP BY severity"
    )
    return {severity: count async for severity, count in cursor}


async def _rows(connection: Connection, statement: str, parameters: dict[str, Any]) -> list[AlertRow]:
    async with connection.cursor(row_factory=class_row(AlertRow)) as cursor:
        await cursor.execute(statement.encode(), parameters)
        return await cursor.fetchall()
