"""The views ``open_*`` behind open data, made from the declarations in ``kraj/opendata``; and the rows of data sets."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import psycopg

from kraj.opendata import DATASETS, Dataset

Connection = psycopg.Connection[Any]

ROWS_AT_ONCE: Final = 5000
"""Rows in memory at a time."""
DAYS: Final = """
SELECT count(*)::integer AS days FROM kpi_day WHERE until >=
    ((bucket AT TIME ZONE 'Europe/Prague')::date + 1)::timestamp AT TIME ZONE 'Europe/Prague' + interval '3 hours'"""
"""How many days are over and worked out (kpi_days.Day.over): when there are more, files of days are old."""
VIEWS: Final = {one.view_name: one.view for one in DATASETS.values() if one.view is not None} | {"open_days": DAYS}


def make(connection: Connection) -> list[str]:
    """Make the views anew when one is not as declared; their names. After tables of rollups and what they build on.

    They read with the owner's rights, past the wall: what they hold is for everybody.
    """
    digest = hashlib.sha256(repr(VIEWS).encode()).hexdigest()
    first = next(iter(VIEWS))
    found = connection.execute(f"SELECT obj_description(to_regclass('public.{first}'), 'pg_class')".encode()).fetchone()
    if found is not None and found[0] == digest:
        return []
    for name, text in VIEWS.items():
        connection.execute(f"DROP VIEW IF EXISTS {name}".encode())
        connection.execute(f"CREATE VIEW {name} WITH (security_barrier) AS {text}".encode())
        connection.execute(f"GRANT SELECT ON {name} TO kraj_api".encode())
    connection.execute(f"COMMENT ON VIEW {first} IS '{digest}'".encode())
    return list(VIEWS)


def towns(connection: Connection) -> list[str]:
    """Names of the municipalities that are published."""
    return [name for (name,) in connection.execute("SELECT name FROM public_town ORDER BY name").fetchall()]


def days(connection: Connection) -> int:
    """How many days are over and worked out."""
    row = connection.execute("SELECT days FROM open_days").fetchone()
    return row[0] if row else 0


def rows(connection: Connection, of: Dataset, at: datetime) -> Iterator[list[tuple[Any, ...]]]:
    """Of a data set as of a region's time, in pieces of ``ROWS_AT_ONCE``; within a transaction."""
    with connection.cursor(name="opendata") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(of.rows.encode(), {"at": at})
        while piece := cursor.fetchmany(ROWS_AT_ONCE):
            yield piece
