"""Readings of one asset: the newest, pages of them, the same as CSV, and a metric in even steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from kraj.kinds import KINDS
from kraj.metrics import BITS_MAX, Kind, Metric, Type

Connection = psycopg.AsyncConnection[Any]

Value = float | int | bool | str | list[str]
"""A metric's value for people: states are words, flags are lists of words."""


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One reading; ``values`` holds what is known, ``implausible`` the names of flagged metrics."""

    ts: datetime
    seq: int
    boot: int | None
    values: dict[str, Value]
    implausible: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Which readings of an asset: ``from_ts`` ≤ time < ``to_ts`` and behind ``after`` (time, seq)."""

    asset_id: int
    from_ts: datetime
    to_ts: datetime | None = None
    after: tuple[datetime, int] | None = None

    @property
    def where(self) -> sql.Composed:
        parts = [sql.SQL("WHERE asset_id = %(asset_id)s AND ts >= %(from_ts)s")]
        if self.to_ts is not None:
            parts.append(sql.SQL("ts < %(to_ts)s"))
        if self.after is not None:
            # The first condition alone lets PostgreSQL leave partitions out.
            parts.append(sql.SQL("ts >= %(after_ts)s AND (ts, seq) > (%(after_ts)s, %(after_seq)s)"))
        return sql.SQL(" AND ").join(parts)

    @property
    def parameters(self) -> dict[str, Any]:
        after_ts, after_seq = self.after or (None, None)
        return {
            "asset_id": self.asset_id,
            "from_ts": self.from_ts,
            "to_ts": self.to_ts,
            "after_ts": after_ts,
            "after_seq": after_seq,
        }


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a time series: its beginning, and the lowest, mean and highest value."""

    ts: datetime
    low: float
    mean: float
    high: float
    readings: int


@cache
def _latest_statement(name: str) -> bytes:
    kind = KINDS[name]
    columns, view = _reading_columns(kind, kind.metrics), sql.Identifier(kind.latest_view)
    return sql.SQL("SELECT {} FROM {} WHERE asset_id = %s").format(columns, view).as_bytes()


async def latest(connection: Connection, kind: Kind, asset_id: int) -> ReadingRow | None:
    """The newest reading of an asset."""
    row = await (await connection.execute(_latest_statement(kind.name), [asset_id])).fetchone()
    return None if row is None else _reading(kind.metrics, row)


async def readings(
    connection: Connection, kind: Kind, metrics: Sequence[Metric], stretch: Stretch, *, limit: int
) -> list[ReadingRow]:
    """Readings by (time, seq)."""
    statement = sql.SQL("SELECT {} FROM {} {} ORDER BY ts, seq LIMIT %(limit)s").format(
        _reading_columns(kind, metrics), sql.Identifier(kind.reading_view), stretch.where
    )
    cursor = await connection.execute(statement, {**stretch.parameters, "limit": limit})
    return [_reading(metrics, row) for row in await cursor.fetchall()]


async def readings_csv(
    connection: Connection, kind: Kind, metrics: Sequence[Metric], stretch: Stretch, *, limit: int
) -> tuple[bytes, tuple[datetime, int] | None]:
    """The same as CSV with a header, and the last (time, seq) when there is more.

    PostgreSQL writes the CSV, ten times faster than Python would, and prints floats as short as they are. The
    answer is whole in memory (``limit`` bounds it), so that a slow reader does not hold a connection. The connection's
    transaction is a snapshot, so that both statements see the same readings.
    """
    key = sql.SQL("SELECT ts, seq FROM {} {} ORDER BY ts, seq OFFSET %(last)s LIMIT 2").format(
        sql.Identifier(kind.reading_view), stretch.where
    )
    columns = [
        sql.SQL("""to_char(ts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ts, seq, boot"""),
        *(sql.SQL("{} AS {}").format(_printed(metric), sql.Identifier(metric.name)) for metric in metrics),
        sql.SQL("{} AS implausible").format(_bits("implausible", [m.name for m in kind.metrics])),
    ]
    statement = sql.SQL(
        "COPY (SELECT {} FROM {} {} ORDER BY ts, seq LIMIT %(limit)s) TO STDOUT (FORMAT csv, HEADER)"
    ).format(sql.SQL(", ").join(columns), sql.Identifier(kind.reading_view), stretch.where)
    found = await (await connection.execute(key, {**stretch.parameters, "last": limit - 1})).fetchall()
    chunks: list[bytes] = []
    async with connection.cursor().copy(statement, {**stretch.parameters, "limit": limit}) as out:
        async for chunk in out:
            chunks.append(bytes(chunk))  # noqa: PERF401  # an async comprehension would hide the type
    return b"".join(chunks), (found[0] if len(found) == 2 else None)


async def series(
    connection: Connection, kind: Kind, metric: Metric, stretch: Stretch, *, step_s: int, origin: datetime
) -> list[Span]:
    """A numeric metric in steps of ``step_s``; steps without a value are left out."""
    statement = sql.SQL(
        "SELECT date_bin(make_interval(secs => %(step)s), ts, %(origin)s) AS ts, min({0})::float8 AS low,"
        " avg({0})::float8 AS mean, max({0})::float8 AS high, count({0}) AS readings"
        " FROM {1} {2} AND {0} IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).format(sql.Identifier(metric.name), sql.Identifier(kind.reading_view), stretch.where)
    async with connection.cursor(row_factory=class_row(Span)) as cursor:
        await cursor.execute(statement, {**stretch.parameters, "step": step_s, "origin": origin})
        return await cursor.fetchall()


def shown(metric: Metric) -> sql.Composable:
    """A metric as people read it: words for states and flags."""
    if metric.type is Type.STATE:
        return sql.SQL("({}::text[])[{} + 1]").format(sql.Literal(list(metric.states)), sql.Identifier(metric.name))
    if metric.type is Type.FLAGS:
        return _bits(metric.name, metric.bits)
    return sql.Identifier(metric.name)


def _printed(metric: Metric) -> sql.Composable:
    """The same for CSV, where PostgreSQL would write ``t`` and ``f``."""
    return sql.SQL("{}::text").format(shown(metric)) if metric.type is Type.BOOLEAN else shown(metric)


def _bits(column: str, names: Sequence[str]) -> sql.Composed:
    """The names of the bits that are set, joined by spaces, ``bit_7`` for one without a name; NULL if the column is."""
    bits = [*names, *(f"bit_{n}" for n in range(len(names), BITS_MAX))]
    cases = sql.SQL(", ").join(
        sql.SQL("CASE WHEN {}::bigint & {} <> 0 THEN {} END").format(
            sql.Identifier(column), sql.Literal(1 << n), sql.Literal(name)
        )
        for n, name in enumerate(bits)
    )
    # Nearly always nothing is set, and then nothing is looked at.
    return sql.SQL("CASE {0} WHEN 0 THEN '' ELSE CASE WHEN {0} IS NOT NULL THEN concat_ws(' ', {1}) END END").format(
        sql.Identifier(column), cases
    )


def _reading_columns(kind: Kind, metrics: Sequence[Metric]) -> sql.Composed:
    flagged = _bits("implausible", [m.name for m in kind.metrics])
    return sql.SQL(", ").join([sql.SQL("ts, seq, boot"), flagged, *map(shown, metrics)])


def _reading(metrics: Sequence[Metric], row: Sequence[Any]) -> ReadingRow:
    ts, seq, boot, flagged, *values = row
    known = {
        metric.name: value.split() if metric.type is Type.FLAGS else value
        for metric, value in zip(metrics, values, strict=True)
        if value is not None
    }
    return ReadingRow(ts, seq, boot, known, flagged.split())
