"""Pictures of a municipality's day: energy by the hour, what faults lost, and the voltage along a feeder."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.store.queries.history import Span

Connection = psycopg.AsyncConnection[Any]

FEEDERS_MAX = 1000
RULES_MAX = 200
HEARTBEATS_HELD = 3
"""A reading holds until the next one, but no longer than silence takes to be one."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What the alerts of one rule lost, in watt-hours, and how many they were."""

    rule: str
    alerts: int
    lost_wh: float


async def hourly_wh(
    connection: Connection, kind: Kind, municipality: str, from_ts: datetime, to_ts: datetime
) -> dict[datetime, float]:
    """Energy by the beginning of each hour, from ``power_w`` held until the next reading; hours without any are absent.

    Power and not the counter: a counter that is read once an hour cannot be shared out among hours.
    """
    statement = sql.SQL("""
        WITH held AS (
            SELECT r.power_w, greatest(r.ts, %(from)s) AS begins,
                   least(lead(r.ts) OVER (PARTITION BY r.asset_id ORDER BY r.ts, r.seq),
                         r.ts + make_interval(secs => %(held)s), %(to)s) AS ends
            FROM {} r
            WHERE r.asset_id = ANY(ARRAY(SELECT a.asset_id FROM asset a JOIN municipality m USING (municipality_id)
                                         WHERE m.name = %(municipality)s AND a.kind = %(kind)s))
              AND r.ts >= %(from)s - make_interval(secs => %(held)s) AND r.ts < %(to)s)
        SELECT hour, sum(power_w * extract(epoch FROM least(ends, hour + interval '1 h') - greatest(begins, hour))
                         / 3600)::float8
        FROM held CROSS JOIN LATERAL generate_series(date_trunc('hour', begins), ends, interval '1 h') AS hour
        WHERE ends > begins AND hour < ends AND power_w IS NOT NULL
        GROUP BY hour ORDER BY hour
    """).format(sql.Identifier(kind.reading_view))
    parameters = {
        "municipality": municipality,
        "kind": kind.name,
        "from": from_ts,
        "to": to_ts,
        "held": HEARTBEATS_HELD * max(kind.heartbeat_s, kind.heartbeat_idle_s),
    }
    cursor = await connection.execute(statement, parameters)
    return {hour: watt_hours async for hour, watt_hours in cursor}


async def lost(connection: Connection, municipality: str, from_ts: datetime, to_ts: datetime) -> list[Lost]:
    """What the alerts that ended in this time lost, by rule, the most first."""
    async with connection.cursor(row_factory=class_row(Lost)) as cursor:
        await cursor.execute(
            "SELECT a.rule, count(*) AS alerts, sum(a.lost_wh) AS lost_wh FROM alert a"
            " JOIN municipality m USING (municipality_id)"
            " WHERE m.name = %s AND a.cleared_at >= %s AND a.cleared_at < %s AND a.lost_wh IS NOT NULL"
            " GROUP BY a.rule ORDER BY lost_wh DESC, a.rule LIMIT %s",
            [municipality, from_ts, to_ts, RULES_MAX],
        )
        return await cursor.fetchall()


async def feeders(connection: Connection, municipality: str) -> list[tuple[str, int]]:
    """The feeders of a municipality by name, with the number of their lamps."""
    cursor = await connection.execute(
        "SELECT a.metadata->>'feeder' AS feeder, count(*) FROM asset a JOIN municipality m USING (municipality_id)"
        " WHERE m.name = %s AND a.kind = 'lamp' AND a.metadata->>'feeder' <> '' GROUP BY 1 ORDER BY 1 LIMIT %s",
        [municipality, FEEDERS_MAX],
    )
    return [(name, count) async for name, count in cursor]


async def feeder_voltage(
    connection: Connection, municipality: str, feeder: str, from_ts: datetime, to_ts: datetime, *, step_s: int
) -> list[Span]:
    """The lowest, mean and highest voltage of a feeder's lamps in steps of ``step_s``; empty steps are left out."""
    statement = sql.SQL(
        "SELECT date_bin(make_interval(secs => %(step)s), ts, %(from)s) AS ts, min(voltage_v)::float8 AS low,"
        " avg(voltage_v)::float8 AS mean, max(voltage_v)::float8 AS high, count(voltage_v) AS readings FROM {}"
        " WHERE asset_id = ANY(ARRAY(SELECT a.asset_id FROM asset a JOIN municipality m USING (municipality_id)"
        "  WHERE m.name = %(municipality)s AND a.kind = 'lamp' AND a.metadata->>'feeder' = %(feeder)s))"
        " AND ts >= %(from)s AND ts < %(to)s AND voltage_v IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).format(sql.Identifier(KINDS["lamp"].reading_view))
    async with connection.cursor(row_factory=class_row(Span)) as cursor:
        await cursor.execute(
            statement,
            {"municipality": municipality, "feeder": feeder, "from": from_ts, "to": to_ts, "step": step_s},
        )
        return await cursor.fetchall()
