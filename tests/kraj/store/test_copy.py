"""The binary COPY stream: PostgreSQL reads from it what psycopg would have written row by row."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kraj.kinds import KINDS
from kraj.readings import Readings
from kraj.store import copy
from kraj.store.schema import Column, columns
from tests.kraj.store.samples import AT_MS, KIND_READINGS, of_kind

TYPES = {"timestamptz": "timestamptz", "bigint": "int8", "integer": "int4", "smallint": "int2", "real": "float4",
         "boolean": "bool"}  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def tables(owner: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """For each kind a table that is written at once and one that is written row by row."""
    for kind in KINDS.values():
        owner.execute(f"CREATE TEMP TABLE fast_{kind.name} (LIKE {kind.reading_table})".encode())
        owner.execute(f"CREATE TEMP TABLE slow_{kind.name} (LIKE {kind.reading_table})".encode())
    return owner


def slow_value(readings: Readings, row: int, column: Column, batch_id: int) -> object:
    match column.name:
        case "ts":
            return EPOCH + timedelta(milliseconds=int(readings.ts_ms[row]))
        case "batch_id":
            return batch_id
        case "boot":
            return None if readings.boot[row] < 0 else int(readings.boot[row])
        case "seq" | "implausible" | "asset_id" | "municipality_id":
            return int(getattr(readings, column.name)[row])
        case _:
            pass
    value = float(readings.values[row, [m.name for m in readings.kind.metrics].index(column.name)])
    if math.isnan(value):
        return None
    return {"boolean": bool, "real": float}.get(column.sql, int)(value)


def write_rows(connection: psycopg.Connection[Any], readings: Readings, batch_id: int) -> None:
    with connection.cursor().copy(copy.statement(readings.kind, f"slow_{readings.kind.name}")) as out:
        out.set_types([TYPES[column.sql] for column in columns(readings.kind)])
        for row in range(len(readings)):
            out.write_row([slow_value(readings, row, column, batch_id) for column in columns(readings.kind)])


@given(readings=KIND_READINGS, batch_id=st.integers(0, 2**63 - 1))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_the_stream_says_what_psycopg_says_row_by_row(
    tables: psycopg.Connection[Any], readings: Readings, batch_id: int
) -> None:
    name = readings.kind.name
    tables.execute(f"TRUNCATE fast_{name}, slow_{name}".encode())
    with tables.cursor().copy(copy.statement(readings.kind, f"fast_{name}")) as out:
        out.write(copy.binary(readings, batch_id))
    write_rows(tables, readings, batch_id)
    fast, slow = (
        tables.execute(f"SELECT * FROM {table}_{name} ORDER BY ctid".encode()).fetchall() for table in ("fast", "slow")
    )
    assert len(fast) == len(readings)
    assert fast == slow


def test_no_rows_are_a_header_and_a_trailer() -> None:
    assert copy.binary(of_kind([]), 1) == copy.HEADER + copy.TRAILER


def test_each_row_may_have_a_batch_of_its_own(tables: psycopg.Connection[Any]) -> None:
    readings = of_kind([(1, AT_MS, 1), (2, AT_MS, 1)])
    with tables.cursor().copy(copy.statement(readings.kind, "fast_lamp")) as out:
        out.write(copy.binary(readings, np.array([5, 6], np.int64)))
    assert tables.execute("SELECT asset_id, batch_id FROM fast_lamp ORDER BY 1").fetchall() == [(1, 5), (2, 6)]


def test_the_limits_of_every_metric_survive(tables: psycopg.Connection[Any]) -> None:
    for kind in KINDS.values():
        limits = {metric.name: metric.possible for metric in kind.metrics}
        readings = of_kind([(1, AT_MS, 1), (2, AT_MS, 1)], kind, **limits)
        with tables.cursor().copy(copy.statement(kind, f"fast_{kind.name}")) as out:
            out.write(copy.binary(readings, 1))
        found = tables.execute(
            f"SELECT {', '.join(f'to_jsonb({m.name})::text' for m in kind.metrics)} FROM fast_{kind.name}"
            " ORDER BY asset_id".encode()
        ).fetchall()
        for side, row in enumerate(found):
            stored = [float({"true": "1", "false": "0"}.get(text) or text) for text in row]
            assert stored == pytest.approx([metric.possible[side] for metric in kind.metrics], rel=1e-6)
