"""The views behind open data: assets of published towns, and the quarter-hours of their public metrics."""

import hashlib
from typing import Any

import psycopg

from kraj.kinds import KINDS
from kraj.metrics import Kind

THING = "public_thing"


def quarter_view(kind: Kind) -> str:
    """Of a kind: bucket, asset_id, covered_s and each public metric as in ``rollup_<kind>_15m``."""
    return f"public_quarter_{kind.name}"


def views() -> dict[str, str]:
    """SELECTs by the name of the view.

    A rollup belongs to the town that owned the asset then, and is shown only while that town is published too.
    """
    found = {
        THING: """
SELECT a.asset_id, a.kind, a.label, a.latitude, a.longitude, m.municipality_id, m.name AS municipality,
    m.title AS municipality_title,
    (SELECT min(i.valid_from) FROM installed i WHERE i.asset_id = a.asset_id) AS since
FROM asset a JOIN municipality m ON m.municipality_id = a.municipality_id AND m.published
WHERE a.retired_at IS NULL"""
    }
    for kind in KINDS.values():
        metrics = ", ".join(metric.name for metric in kind.public)
        found[quarter_view(kind)] = (
            f"SELECT bucket, asset_id, covered_s, {metrics} FROM {kind.rollup_table('15m')}"  # noqa: S608 - our words
            " WHERE municipality_id = ANY"
            " ((SELECT array_agg(municipality_id) FROM municipality WHERE published)::integer[])"
        )
    return found


def make(connection: psycopg.Connection[Any]) -> list[str]:
    """Make the views anew when one is not as declared; their names. After the tables of rollups, as their owner.

    They read with the owner's rights, past the wall: what they hold is for everybody. They are no barriers, because
    behind one PostgreSQL cannot take the newest quarter-hour from the index and sorts years; nobody but our own
    statements asks them, and their functions tell nothing.
    """
    declared = views()
    digest = hashlib.sha256("".join(declared.values()).encode()).hexdigest()
    found = connection.execute(f"SELECT obj_description(to_regclass('public.{THING}'), 'pg_class')".encode()).fetchone()
    if found is not None and found[0] == digest:
        return []
    for name, text in declared.items():
        connection.execute(f"DROP VIEW IF EXISTS {name}".encode())
        connection.execute(f"CREATE VIEW {name} AS {text}".encode())
        connection.execute(f"GRANT SELECT ON {name} TO kraj_api".encode())
    connection.execute(f"COMMENT ON VIEW {THING} IS '{digest}'".encode())
    return list(declared)
