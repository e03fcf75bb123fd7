"""SQL of KPIs for panels, made from their declarations: sums are divided once, and completeness stands beside them."""

from collections.abc import Sequence
from typing import Literal

from dashboards import sql
from kraj.kpis import Grain, Kpi

By = Literal["asset", "municipality", "site", "ean"]
DAYS = (
    "bucket >= date_trunc('day', $__timeFrom()::timestamptz, 'Europe/Prague')"
    " AND bucket <= least($__timeTo()::timestamptz, now())"
)
"""Whole days of Prague that the dashboard's time range touches, as KPIs are worked out by days."""
COMPLETE = "CASE WHEN sum(due) > 0 THEN least(sum(covered::double precision) / sum(due::double precision), 1) END"
ROWS_MAX = 200
_STEPPED = (
    "date_trunc(CASE '${step}' WHEN '1d' THEN 'day' WHEN '1h' THEN 'hour' ELSE 'minute' END, bucket, 'Europe/Prague')"
)
_SUBJECTS: dict[By, tuple[str, str, str]] = {
    "asset": ("asset_id", "asset_id", "label"),
    "municipality": ("municipality_id", "municipality_id", "title"),
    "site": ("site", "site", "site"),
    "ean": ("ean", "ean", "point"),
}
"""Column of the view, of the list of subjects, and the subject's name there."""
_SITES = (
    " JOIN (SELECT asset_id AS number, coalesce(metadata->>'site', label) AS site FROM seen_asset) AS s"
    " ON s.number = asset_id"
)


def value(kpi: Kpi) -> str:
    """The figure of many rows of the KPI's view; NULL where nothing is known."""
    figure = "sum(part) / nullif(sum(whole), 0)" if kpi.ratio else "sum(part)"
    return figure if kpi.scale == 1 else f"{kpi.scale:g} * {figure}"


def figure(kpi: Kpi, where: str, name: str, known: str) -> str:
    """The figure of the time range, and what share of it is known (0 to 1)."""
    return f"""
SELECT {value(kpi)} AS {sql.quoted(name)}, {COMPLETE} AS {sql.quoted(known)}
FROM {kpi.days_view} WHERE {where} AND {DAYS}
"""  # noqa: S608


def by_time(kpi: Kpi, where: str, name: str, known: str) -> str:
    """The figure day by day, and what share is known of each; of quarter-hours by the step that suits the range."""
    if kpi.grain is Grain.EAN_QUARTER:
        # The planner reads one of the two: which one stands in the statement.
        return f"""
SELECT {_STEPPED} AS "time", {value(kpi)} AS {sql.quoted(name)}
FROM {kpi.view} WHERE '${{step}}' <> '1d' AND {where} AND {DAYS} AND part IS NOT NULL GROUP BY 1
UNION ALL
SELECT bucket, {value(kpi)} FROM {kpi.days_view} WHERE '${{step}}' = '1d' AND {where} AND {DAYS} GROUP BY 1 ORDER BY 1
"""  # noqa: S608
    return f"""
SELECT bucket AS "time", {value(kpi)} AS {sql.quoted(name)}, {COMPLETE} AS {sql.quoted(known)}
FROM {kpi.view} WHERE {where} AND {DAYS} GROUP BY bucket ORDER BY bucket
"""  # noqa: S608


def known_by_day(kpi: Kpi, where: str, known: str) -> str:
    """What share of quarter-hours is known, day by day."""
    return f"""
SELECT bucket AS "time", {COMPLETE} AS {sql.quoted(known)}
FROM {kpi.days_view} WHERE {where} AND {DAYS} GROUP BY bucket ORDER BY bucket
"""  # noqa: S608


def by_subject(kpis: Sequence[Kpi], where: str, by: By, subjects: str) -> str:
    """A row a subject: ``name``, ``id``, and for each KPI its figure ``v0`` and completeness ``c0``, ``v1``, ...

    ``subjects`` selects them, with the columns that ``by`` needs; those without any row show nothing known.
    """
    of_view, of_subject, name = _SUBJECTS[by]
    found = "".join(f", k{n}.value AS v{n}, k{n}.known AS c{n}" for n in range(len(kpis)))
    joins = "".join(
        f"""
LEFT JOIN (SELECT {of_view} AS id, {value(kpi)} AS value, {COMPLETE} AS known
           FROM {kpi.days_view}{_SITES * (by == "site")}
           WHERE {where} AND {DAYS} GROUP BY 1) AS k{n} ON k{n}.id = of.{of_subject}"""  # noqa: S608
        for n, kpi in enumerate(kpis)
    )
    return f"""
SELECT of.{name} AS "name"{found}, of.{of_subject} AS "id" FROM ({subjects}) AS of{joins}
ORDER BY v0 NULLS LAST, 1 LIMIT {ROWS_MAX}
"""  # noqa: S608


def by_fault(kpis: Sequence[Kpi], where: str) -> str:
    """A row a fault, the dearest first: ``day``, ``rule``, ``where``, figures and completeness, ``alert_id``."""
    first, *others = kpis
    found = "".join(f", k{n}.{kpi.name} AS v{n}, k{n}.completeness AS c{n}" for n, kpi in enumerate(kpis))
    # Of the faults that are shown alone: what is looked up for each costs more than to find it.
    joins = "".join(
        f" LEFT JOIN LATERAL (SELECT * FROM {kpi.view} AS k WHERE k.alert_id = k0.alert_id OFFSET 0) AS k{n} ON true"  # noqa: S608
        for n, kpi in enumerate(others, 1)
    )
    return f"""
SELECT k0.bucket AS "day", k0.rule AS "rule", a.label AS "where"{found}, k0.alert_id, k0.asset_id
FROM (SELECT * FROM {first.view} WHERE {where} AND {DAYS} ORDER BY {first.name} DESC NULLS LAST LIMIT {ROWS_MAX}) AS k0
LEFT JOIN (SELECT asset_id, label FROM seen_asset) AS a ON a.asset_id = k0.asset_id{joins}
ORDER BY v0 DESC NULLS LAST
"""  # noqa: S608
