"""The views of KPIs, made from their declarations and put behind the wall."""

import hashlib
from collections.abc import Iterator
from typing import Any

import psycopg

from kraj.kpis import KPIS, Grain, Kpi

_EXTRA = {Grain.ASSET_DAY: (), Grain.ALERT: ("alert_id", "rule"), Grain.EAN_QUARTER: ("ean",)}


def columns(kpi: Kpi) -> tuple[str, ...]:
    """Of the view, in their order."""
    core = ("bucket", "day", "municipality_id", "asset_id", "group_id")
    return (*core, *_EXTRA[kpi.grain], "part", "whole", "covered", "due", kpi.name, "completeness")


def statement(kpi: Kpi, rows: str) -> str:
    """The SELECT of a KPI's view: these rows of it, the figure of each, and the wall."""
    figure = "k.part" if not kpi.ratio else "k.part / nullif(k.whole, 0)"
    scaled = figure if kpi.scale == 1 else f"{kpi.scale:g} * {figure}"
    extra = "".join(f"k.{name}, " for name in _EXTRA[kpi.grain])
    return f"""
SELECT k.bucket, (k.bucket AT TIME ZONE 'Europe/Prague')::date AS day, k.municipality_id, k.asset_id, k.group_id,
    {extra}k.part, k.whole, k.covered, k.due, {scaled} AS {kpi.name},
    CASE WHEN k.due > 0 THEN least(k.covered / k.due, 1) END::double precision AS completeness
FROM ({rows}
) k
WHERE k.municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[])
    OR k.asset_id = ANY ((SELECT kraj_assets('read'))::integer[])
    OR k.municipality_id IS NULL AND (SELECT kraj_region('read'))"""  # noqa: S608 - our own words


def make(connection: psycopg.Connection[Any]) -> list[str]:
    """Make the views that are not there as declared; their names. After the tables of rollups, as their owner."""
    made: list[str] = []
    for view, kpi, rows in _views():
        text = statement(kpi, rows)
        digest = hashlib.sha256(text.encode()).hexdigest()
        row = connection.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", [f"public.{view}"]).fetchone()
        if row is not None and row[0] == digest:
            continue
        for one in (
            f"DROP VIEW IF EXISTS {view}",
            f"CREATE VIEW {view} WITH (security_barrier) AS {text}",
            f"COMMENT ON VIEW {view} IS '{digest}'",
            f"GRANT SELECT ON {view} TO kraj_api, kraj_notify",
        ):
            connection.execute(one.encode())
        made.append(view)
    return made


def _views() -> Iterator[tuple[str, Kpi, str]]:
    for kpi in KPIS.values():
        yield kpi.view, kpi, kpi.rows
        if kpi.by_day:
            yield kpi.days_view, kpi, kpi.by_day
