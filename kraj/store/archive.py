"""What archiving reads and changes: weeks of readings column by column, setting a week aside, terms of rollups."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from kraj.errors import ConfigurationError
from kraj.metrics import Kind
from kraj.store.copy import EPOCH_2000_MS, HEADER, TRAILER
from kraj.store.fixed import ARRAY_HEADER, WIRE
from kraj.store.kpi_days import TABLES
from kraj.store.schema import columns

Connection = psycopg.Connection[Any]
Values = NDArray[Any]

LOCK: Final = 0x61726368
"""Advisory lock: two archivers never work on one database at once."""
ROWS_MAX: Final = 100_000
"""Readings in memory at once, about: some ten megabytes."""
WAIT_MS: Final = 2000
"""How long we stand in the way of ingest, at most, until nobody reads the table."""
ASIDE: Final = "_set_aside"
WEEK: Final = timedelta(days=7)
_HERE: Final = ZoneInfo("Europe/Prague")
_EPOCH_US: Final = EPOCH_2000_MS * 1000
_FORMATS: Final = {**WIRE, "boolean": "u1"}
_KEPT: Final = {"15m": "quarter_days", "1h": "hour_days", "1d": "day_days"}
_AT_ONCE: Final = {"15m": timedelta(days=1), "1h": timedelta(days=7), "1d": timedelta(days=90)}
"""Of one municipality's rollups, so much goes in a transaction."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as stored, nothing rounded: times in microseconds since 1970; 0 where ``null``; shapes ``(n,)``."""

    values: Values
    null: NDArray[np.bool_]


Columns = Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class Week:
    """A partition of readings: a week that begins on a Monday, in UTC."""

    kind: Kind
    begins: date

    @property
    def ends(self) -> date:
        return self.begins + WEEK

    @property
    def table(self) -> str:
        return f"{self.kind.reading_table}_{self.begins:%Gw%V}"


@dataclass(frozen=True, slots=True)
class Owned:
    """A municipality's assets with readings in a week, and how many of each."""

    municipality_id: int
    name: str
    assets: tuple[tuple[int, int], ...]

    @property
    def rows(self) -> int:
        return sum(count for _, count in self.assets)


def lock(connection: Connection) -> None:
    """Take the archiver's lock for as long as the connection lives; ``ConfigurationError`` where it is taken."""
    if not _one(connection, "SELECT pg_try_advisory_lock(%s)", [LOCK]):
        raise ConfigurationError("another `kraj archive` is at work on this database; let it finish")


def raw_days(connection: Connection) -> int | None:
    """For how many days raw readings are kept; None is for ever."""
    return _one(connection, "SELECT raw_days FROM retention WHERE municipality_id IS NULL", [])


def weeks(connection: Connection, kind: Kind) -> list[Week]:
    """The weeks that are there, oldest first; none where TimescaleDB keeps them in chunks of its own."""
    rows = connection.execute(
        "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = to_regclass(%s)",
        [kind.reading_table],
    ).fetchall()
    stamps = sorted(name.rpartition("_")[2].partition("w") for (name,) in rows)
    return [Week(kind, date.fromisocalendar(int(year), int(week), 1)) for year, _, week in stamps]


def waits(connection: Connection, week: Week) -> bool:
    """Whether the week holds readings that are not rolled up yet."""
    return bool(
        _one(
            connection,
            "WITH waiting AS MATERIALIZED (SELECT b.batch_id FROM batch b LEFT JOIN rollup_done d USING (slot_id)"  # noqa: S608
            " WHERE b.batch_id > coalesce(d.batch_id, 0))"
            f" SELECT EXISTS (SELECT FROM {week.table} r WHERE r.batch_id >= (SELECT min(batch_id) FROM waiting)"
            " AND r.batch_id IN (SELECT batch_id FROM waiting))",
            [],
        )
    )


def owned(connection: Connection, week: Week) -> list[Owned]:
    """Whose readings the week holds."""
    rows = connection.execute(
        f"SELECT municipality_id, name, asset_id, count(*) FROM {week.table} LEFT JOIN municipality"  # noqa: S608
        " USING (municipality_id) GROUP BY 1, 2, 3 ORDER BY 1, 3".encode()
    ).fetchall()
    found: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for town, name, asset, count in rows:
        found.setdefault((town, name or f"former-{town}"), []).append((asset, count))
    return [Owned(town, name, tuple(assets)) for (town, name), assets in found.items()]


def fingerprint(connection: Connection, table: str) -> tuple[int, str]:
    """Rows of a table, and a number that hangs on the whole content of each, whatever their order."""
    query = f"SELECT count(*), coalesce(sum(hash_record_extended(t, 0)::numeric), 0)::text FROM {table} t"  # noqa: S608
    row = connection.execute(query.encode()).fetchone()
    return (0, "") if row is None else (row[0], row[1])


def rows(connection: Connection, week: Week, whose: Owned) -> Iterator[dict[str, Column]]:
    """A municipality's readings of a week by asset, time and number, in pieces."""
    for assets in _pieces(whose.assets):
        yield _fetch(connection, week, whose.municipality_id, assets)


def _pieces(assets: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    piece: list[int] = []
    size = 0
    for asset, count in assets:
        if piece and size + count > ROWS_MAX:
            yield piece
            piece, size = [], 0
        piece.append(asset)
        size += count
    if piece:
        yield piece


def _fetch(connection: Connection, week: Week, town: int, assets: list[int]) -> dict[str, Column]:
    """Each column in one piece: rows one by one cost ten times as much."""
    of = columns(week.kind)
    wanted = [f"array_agg(coalesce({c.name}, '0'))" for c in of[1:]]
    nulls = [f"array_agg({c.name} IS NULL)" for c in of if c.nullable]
    query = (
        f"SELECT array_agg(ts), {', '.join([*wanted, *nulls])} FROM (SELECT * FROM {week.table}"  # noqa: S608
        " WHERE municipality_id = %s AND asset_id = ANY (%s) OFFSET 0) AS r"
    )
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query.encode(), [town, assets])
        result = cursor.pgresult
        raw = [result.get_value(0, n) if result else None for n in range(len(wanted) + len(nulls) + 1)]
    values = {c.name: _elements(raw[n], c.sql) for n, c in enumerate(of)}
    none = np.zeros(len(values["ts"]), bool)
    masks = dict(
        zip((c.name for c in of if c.nullable), (_elements(r, "boolean") for r in raw[len(of) :]), strict=True)
    )
    order = np.lexsort((values["seq"], values["ts"], values["asset_id"]))
    return {name: Column(found[order], masks.get(name, none)[order]) for name, found in values.items()}


def _elements(raw: bytes | None, type_: str) -> Values:
    stored = np.frombuffer(raw or bytes(ARRAY_HEADER), [("n", ">i4"), ("value", _FORMATS[type_])], offset=ARRAY_HEADER)
    if type_ == "timestamptz":
        return stored["value"].astype(np.int64) + _EPOCH_US
    return stored["value"].astype(bool if type_ == "boolean" else stored["value"].dtype.newbyteorder("="))


def put(connection: Connection, week: Week, pieces: Iterator[Columns]) -> int:
    """Bring readings back into their week; how many were not there. Columns newer than the readings stay NULL."""
    new = 0
    connection.execute("SELECT ensure_partition(%s, %s)", [week.kind.name, week.begins])
    stage = f"stage_archive_{week.kind.name}"
    for piece in pieces:
        names = ", ".join(piece)
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(f"CREATE TEMP TABLE {stage} (LIKE {week.kind.reading_table}) ON COMMIT DROP".encode())
            with cursor.copy(f"COPY {stage} ({names}) FROM STDIN (FORMAT binary)".encode()) as stream:
                stream.write(_binary(week.kind, piece))
            new += cursor.execute(
                f"INSERT INTO {week.kind.reading_table} ({names}) SELECT {names} FROM {stage}"  # noqa: S608
                " ON CONFLICT DO NOTHING".encode()
            ).rowcount
            # In a database that is younger than the readings: no batch to come may bear their number.
            cursor.execute(
                "SELECT setval('batch_id_seq', %(n)s) FROM batch_id_seq WHERE last_value < %(n)s",
                {"n": int(piece["batch_id"].values.max(initial=1))},
            )
    return new


def _binary(kind: Kind, piece: Columns) -> bytes:
    """As ``copy.binary``, but of columns and masks of their own, so that NaN and NULL stay two things."""
    types = {column.name: column.sql for column in columns(kind)}
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for name in piece:
        fields += [(f"{name}:length", ">i4"), (name, _FORMATS[types[name]])]
    dtype = np.dtype(fields)
    stored = np.zeros(len(piece["ts"].values), dtype)
    stored["fields"] = len(piece)
    keep = np.ones((len(stored), dtype.itemsize), bool)
    offset = 2
    for name, column in piece.items():
        size = np.dtype(_FORMATS[types[name]]).itemsize
        stored[f"{name}:length"] = np.where(column.null, -1, size)
        stored[name] = column.values - _EPOCH_US if types[name] == "timestamptz" else column.values
        keep[column.null, offset + 4 : offset + 4 + size] = False
        offset += 4 + size
    return HEADER + stored.view(np.uint8).reshape(len(stored), dtype.itemsize)[keep].tobytes() + TRAILER


def set_aside(connection: Connection, week: Week) -> bool:
    """Take a week out of the table, so that nobody writes to it; False where somebody reads for long just now."""
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {WAIT_MS}".encode())
            connection.execute(f"ALTER TABLE {week.kind.reading_table} DETACH PARTITION {week.table}".encode())
            connection.execute(f"ALTER TABLE {week.table} RENAME TO {week.table}{ASIDE}".encode())
    except psycopg.errors.LockNotAvailable:
        return False
    return True


def drop_aside(connection: Connection, week: Week) -> None:
    """Drop for good what was set aside."""
    connection.execute(f"DROP TABLE {week.table}{ASIDE}".encode())


def put_back(connection: Connection, kind: Kind) -> int:
    """Put weeks back that were set aside and neither dropped nor found changed: a run was cut off. How many."""
    rows_ = connection.execute(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " AND relname ~ %s",
        [f"^{kind.reading_table}_[0-9]{{4}}w[0-9]{{2}}{ASIDE}$"],
    ).fetchall()
    for (table,) in rows_:
        year, _, week = table.removesuffix(ASIDE).rpartition("_")[2].partition("w")
        found = connection.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
            " AND NOT attisdropped",
            [table],
        ).fetchall()
        names = ", ".join(name for (name,) in found)
        with connection.transaction():
            connection.execute(
                "SELECT ensure_partition(%s, %s)", [kind.name, date.fromisocalendar(int(year), int(week), 1)]
            )
            connection.execute(
                f"INSERT INTO {kind.reading_table} ({names}) SELECT {names} FROM {table}"  # noqa: S608
                " ON CONFLICT DO NOTHING".encode()
            )
            connection.execute(f"DROP TABLE {table}".encode())
    return len(rows_)


def towns(connection: Connection) -> dict[str, int]:
    """The municipalities that are there."""
    return dict(connection.execute("SELECT name, municipality_id FROM municipality").fetchall())


def schema_version(connection: Connection) -> int:
    """The last migration."""
    return _one(connection, "SELECT max(number) FROM migration", []) or 0


def terms(connection: Connection, step: str) -> dict[int, int]:
    """For how many days rollups of a step are kept, by municipality; who is not there keeps them for ever."""
    days = _KEPT[step]
    found = connection.execute(
        f"SELECT m.municipality_id, CASE WHEN o.own IS NULL THEN r.{days} ELSE o.{days} END FROM municipality m"  # noqa: S608
        " LEFT JOIN (SELECT *, true AS own FROM retention) o USING (municipality_id)"
        " LEFT JOIN retention r ON r.municipality_id IS NULL".encode()
    ).fetchall()
    return {town: kept for town, kept in found if kept is not None}


def delete_rollups(connection: Connection, kind: Kind, step: str, at: datetime) -> int:
    """Delete rollups older than their municipality's term, a piece a transaction; how many rows."""
    gone = 0
    for table in (kind.rollup_table(step), kind.rollup_table(step, group=True)):
        for town, days in terms(connection, step).items():
            # From midnight on, so that a day goes as a whole.
            until = datetime.combine((at - timedelta(days=days)).astimezone(_HERE), time(), _HERE)
            oldest = f"SELECT min(bucket) FROM {table} WHERE municipality_id = %s AND bucket < %s"  # noqa: S608
            while first := _one(connection, oldest, [town, until]):
                gone += connection.execute(
                    f"DELETE FROM {table} WHERE municipality_id = %s AND bucket >= %s AND bucket < %s".encode(),  # noqa: S608
                    [town, first, min(until, first + _AT_ONCE[step])],
                ).rowcount
    return gone


def delete_days(connection: Connection, at: datetime) -> int:
    """Delete days of KPIs older than their municipality's term of days, a table a transaction; how many rows."""
    gone = 0
    for town, days in terms(connection, "1d").items():
        until = datetime.combine((at - timedelta(days=days)).astimezone(_HERE), time(), _HERE)
        for table in TABLES:
            gone += connection.execute(
                f"DELETE FROM {table} WHERE municipality_id = %s AND bucket < %s".encode(),  # noqa: S608
                [town, until],
            ).rowcount
    return gone


def room(connection: Connection, week: Week) -> int:
    """Bytes that the week's readings take, without indexes."""
    return _one(connection, "SELECT pg_table_size(%s::regclass)", [week.table]) or 0


def _one(connection: Connection, query: str, parameters: Sequence[Any]) -> Any:
    row = connection.execute(sql.SQL(query), parameters).fetchone()  # pyright: ignore[reportArgumentType]
    return row[0] if row else None
