"""What the API and reports read of KPIs: figures by period and subject; and series of rollups, with what they cover."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, Literal

import psycopg
from psycopg.rows import class_row

from kraj.kpis import Grain, Kpi
from kraj.metrics import Kind, Metric, Rollup, Type

Connection = psycopg.AsyncConnection[Any]

Per = Literal["day", "month", "all"]
By = Literal["all", "municipality", "group", "asset", "ean", "rule"]
Step = Literal["15m", "1h", "1d"]
STEPS: Final[dict[str, str]] = {"15m": "15 minutes", "1h": "1 hour", "1d": "1 day"}
_PERIODS: Final = {
    "day": "k.day",
    "month": "date_trunc('month', k.day)::date",
    "all": "%(first)s::date",
}
_SUBJECTS: Final = {
    "all": "''",
    "municipality": "(SELECT t.name FROM municipality t WHERE t.municipality_id = k.municipality_id)",
    "group": "coalesce(g.group_id::text, '')",
    "asset": "coalesce(k.asset_id::text, '')",
    "ean": "k.ean",
    "rule": "k.rule",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Days of Prague from ``first`` to before ``end``, of whom; None: all that the principal sees."""

    first: date
    end: date
    municipality: str | None = None
    group_id: int | None = None
    asset_id: int | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A KPI of a period and a subject (a number or name in text; empty: all together); None where nothing is known."""

    period: date
    subject: str
    value: float | None
    completeness: float | None


def subjects(kpi: Kpi) -> tuple[By, ...]:
    """By what a KPI can be told apart."""
    if kpi.grain is Grain.EAN_QUARTER:
        return ("all", "municipality", "ean")
    return ("all", "municipality", "group", "asset", *(("rule",) if kpi.grain is Grain.ALERT else ()))


async def figures(
    connection: Connection,
    kpi: Kpi,
    which: Which,
    *,
    per: Per = "all",
    by: By = "all",
    after: tuple[date, str] | None = None,
    limit: int,
) -> list[Figure]:
    """By period and subject, behind ``after``; periods of which nothing was due are left out. Of a group its members of
    today."""
    where = _where(which)
    more = " JOIN asset_group_member g ON g.asset_id = k.asset_id" if by == "group" else ""
    value = "f.part" if not kpi.ratio else "f.part / nullif(f.whole, 0)"
    statement = f"""
        SELECT f.period, f.subject, ({kpi.scale} * {value})::double precision AS value,
            CASE WHEN f.due > 0 THEN least(f.covered / f.due, 1) END::double precision AS completeness
        FROM (SELECT {_PERIODS[per]} AS period, {_SUBJECTS[by]} COLLATE "C" AS subject, sum(k.part) AS part,
                sum(k.whole) AS whole, sum(k.covered::double precision) AS covered, sum(k.due::double precision) AS due
              FROM {kpi.days_view} k{more} WHERE {" AND ".join(where)} GROUP BY 1, 2) f
        {"WHERE (f.period, f.subject) > (%(period)s, %(subject)s)" if after else ""}
        ORDER BY 1, 2 LIMIT %(limit)s
    """  # noqa: S608 - names of ours
    given = {
        **_given(which),
        "period": after and after[0],
        "subject": after and after[1],
        "limit": limit,
    }
    async with connection.cursor(row_factory=class_row(Figure)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()


def _where(which: Which) -> list[str]:
    """Conditions on a view ``k``."""
    where = ["k.bucket >= %(first)s::timestamp AT TIME ZONE 'Europe/Prague'"]
    where.append("k.bucket < %(end)s::timestamp AT TIME ZONE 'Europe/Prague'")
    if which.municipality is not None:
        where.append("k.municipality_id = (SELECT t.municipality_id FROM municipality t WHERE t.name = %(town)s)")
    if which.group_id is not None:
        where.append("k.asset_id IN (SELECT i.asset_id FROM asset_group_member i WHERE i.group_id = %(group)s)")
    if which.asset_id is not None:
        where.append("k.asset_id = %(asset)s")
    return where


def _given(which: Which) -> dict[str, Any]:
    """Their parameters."""
    return {
        "first": which.first,
        "end": which.end,
        "town": which.municipality,
        "group": which.group_id,
        "asset": which.asset_id,
    }


@dataclass(frozen=True, slots=True)
class Lowest:
    """An asset and its figure of the days that were asked for."""

    asset_id: int
    label: str
    value: float
    completeness: float | None


async def lowest(connection: Connection, kpi: Kpi, which: Which, *, limit: int) -> list[Lowest]:
    """Assets of which a share is less than whole, the lowest first."""
    statement = f"""
        SELECT f.asset_id, a.label, f.value, f.completeness FROM (
            SELECT k.asset_id, ({kpi.scale} * sum(k.part) / nullif(sum(k.whole), 0))::double precision AS value,
                least(sum(k.covered::double precision) / nullif(sum(k.due::double precision), 0), 1) AS completeness
            FROM {kpi.view} k WHERE {" AND ".join(_where(which))} GROUP BY 1) f
        JOIN asset a USING (asset_id) WHERE f.value < {kpi.scale} ORDER BY 3, 2 LIMIT %(limit)s
    """  # noqa: S608 - names of ours
    async with connection.cursor(row_factory=class_row(Lowest)) as cursor:
        await cursor.execute(statement.encode(), _given(which) | {"limit": limit})
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class Fault:
    """An alert with how long it took to find, and to repair (None: it lasts), in hours."""

    alert_id: int
    rule: str
    place: str
    detect_h: float
    repair_h: float | None


async def faults(connection: Connection, which: Which, *, limit: int) -> list[Fault]:
    """What was found in these days and called somebody; first what lasts, then by how long the repair took."""
    detect, repair = "fault_time_to_detect_h", "fault_time_to_repair_h"
    statement = f"""
        SELECT k.alert_id, k.rule, coalesce(a.label, l.scope_name) AS place, k.{detect} AS detect_h,
            r.{repair} AS repair_h
        FROM kpi_{detect} k JOIN alert l ON l.alert_id = k.alert_id LEFT JOIN kpi_{repair} r ON r.alert_id = k.alert_id
        LEFT JOIN asset a ON a.asset_id = k.asset_id
        WHERE {" AND ".join(_where(which))} ORDER BY 5 DESC NULLS FIRST, k.bucket DESC, 1 LIMIT %(limit)s
    """  # noqa: S608 - names of ours
    async with connection.cursor(row_factory=class_row(Fault)) as cursor:
        await cursor.execute(statement.encode(), _given(which) | {"limit": limit})
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class Bucket:
    """A metric over a quarter of an hour, an hour or a day: a state is a code, bits are a mask; None: not known."""

    bucket: datetime
    value: float | None
    low: float | None
    high: float | None
    completeness: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Of which asset or group, in which steps, from when to before when, behind ``after``."""

    step: Step
    from_ts: datetime
    to_ts: datetime
    asset_id: int | None = None
    group_id: int | None = None
    after: datetime | None = None


async def series(connection: Connection, kind: Kind, metric: Metric, span: Span, *, limit: int) -> list[Bucket]:
    """Buckets by time; those without any reading are left out. Of an asset that changed hands within one, what each of
    its owners may see is one bucket, told by who saw more of it."""
    group = span.group_id is not None
    ends = f"(r.bucket AT TIME ZONE 'Europe/Prague' + interval '{STEPS[span.step]}') AT TIME ZONE 'Europe/Prague'"
    length = f"extract(epoch FROM {ends} - r.bucket)" if span.step == "1d" else {"15m": "900", "1h": "3600"}[span.step]
    members = "1"
    if group:
        members = (
            "(SELECT greatest(count(*), 1) FROM asset_group_member m JOIN asset a USING (asset_id)"
            " WHERE m.group_id = r.group_id AND a.kind = %(kind)s)"
        )
    low, high = (f"r.{metric.name}{end}" if metric.extremes else "NULL" for end in ("_min", "_max"))
    statement = f"""
        SELECT DISTINCT ON (r.bucket) r.bucket, r.{metric.name}::double precision AS value,
            {low}::double precision AS low, {high}::double precision AS high,
            least(r.covered_s / ({length} * {members}), 1)::double precision AS completeness
        FROM seen_{kind.rollup_table(span.step, group=group)} r
        WHERE r.{"group_id" if group else "asset_id"} = %(number)s AND r.bucket >= %(from)s AND r.bucket < %(to)s
            {"AND r.bucket > %(after)s" if span.after else ""}
        ORDER BY r.bucket, r.covered_s DESC LIMIT %(limit)s
    """  # noqa: S608 - names of ours
    given = {
        "number": span.group_id if group else span.asset_id,
        "kind": kind.name,
        "from": span.from_ts,
        "to": span.to_ts,
        "after": span.after,
        "limit": limit,
    }
    async with connection.cursor(row_factory=class_row(Bucket)) as cursor:
        await cursor.execute(statement.encode(), given)
        return await cursor.fetchall()


def shown(metric: Metric, value: float | None) -> float | str | list[str] | None:
    """A bucket's value for people: states are words, bits are lists of words."""
    if value is None:
        return None
    if metric.type is Type.STATE:
        return metric.states[int(value)] if int(value) < len(metric.states) else None
    if metric.type is Type.FLAGS:
        return [bit for n, bit in enumerate(metric.bits) if int(value) >> n & 1]
    return value


def names(kind: Kind, *, group: bool) -> Sequence[str]:
    """Metrics of which there are series; the last state of a group means nothing."""
    return [metric.name for metric in kind.metrics if not (group and metric.rolled is Rollup.LAST)]
