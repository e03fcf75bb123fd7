"""What rolling up reads and writes: what is new, readings and rollups of spans of assets, groups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import psycopg

from kraj.metrics import Kind, Metric, Rollup
from kraj.readings import Floats, Ints
from kraj.rollups import CORE, GROUP_CORE, group_columns, summed, value_columns
from kraj.store.fixed import elements, encode, never_null
from kraj.units import Unit

Connection = psycopg.Connection[Any]

LOCK: Final = 0x726F6C6C
"""Advisory lock of the job: two of them never work on one database at once."""
FETCHED: Final = 8
"""Readings of a counter that are looked up where none is near: one, and some that tell whether it is to be believed."""
WIDE_MAX: Final = 16
"""Columns of one array: the server makes none of more than a gigabyte."""
_READING = ("integer", "integer", "timestamptz", "bigint")
_QUARTER = "date_bin('15 minutes', ts, '2000-01-01 00:00Z')"


@dataclass(frozen=True, slots=True)
class AssetSpans:
    """From when to when (Unix milliseconds) of which assets; shapes ``(w,)``."""

    asset: Ints
    begin_ms: Ints
    end_ms: Ints

    def __len__(self) -> int:
        return len(self.asset)

    @property
    def parameters(self) -> dict[str, Any]:
        """For ``_SPANS``; the outer bounds let whole partitions be left out."""
        return {
            "assets": _literal(self.asset),
            "begins": _literal(self.begin_ms),
            "ends": _literal(self.end_ms),
            "low": _at(int(self.begin_ms.min())),
            "high": _at(int(self.end_ms.max())),
        }


def _literal(numbers_: Ints) -> str:
    """An array as PostgreSQL writes it; a hundred times faster than number by number."""
    return "{" + ",".join(map(str, numbers_.tolist())) + "}"


@dataclass(frozen=True, slots=True)
class Stored:
    """Readings by asset, time and number; shapes ``(n,)`` and ``(n, metrics)``, NaN where unknown."""

    asset: Ints
    town: Ints
    ts_ms: Ints
    seq: Ints
    values: Floats


_SPANS = (
    "(SELECT a, timestamptz 'epoch' + b * interval '1 ms' AS b, timestamptz 'epoch' + e * interval '1 ms' AS e"
    " FROM unnest(%(assets)s::integer[], %(begins)s::bigint[], %(ends)s::bigint[]) AS w (a, b, e)) AS w"
)


def lock(connection: Connection) -> bool:
    """Take the job's lock for as long as the connection lives; False where somebody else has it."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
    return bool(row and row[0])


def waiting(connection: Connection, readings_max: int) -> tuple[dict[int, tuple[int, int]], datetime | None]:
    """By slot: after which batch up to which one to roll up next, about so many readings at once; and until when was
    rolled up. What a slot has written is known a second or two later (``slot.latest_batch_id``)."""
    rows = connection.execute(
        "SELECT s.slot_id, coalesce(d.batch_id, 0), s.latest_batch_id, d.at FROM slot s LEFT JOIN rollup_done d USING"
        " (slot_id)"
    ).fetchall()
    found: dict[int, tuple[int, int]] = {}
    for slot_id, done, newest, _ in rows:
        if newest > done:
            row = connection.execute(
                "SELECT max(batch_id) FROM (SELECT batch_id, sum(committed) OVER (ORDER BY batch_id) - committed AS n"
                " FROM batch WHERE slot_id = %s AND batch_id > %s AND batch_id <= %s) AS b WHERE n < %s",
                [slot_id, done, newest, readings_max],
            ).fetchone()
            found[slot_id] = done, row[0] if row and row[0] else newest
    return found, max((at for *_, at in rows if at is not None), default=None)


def done(connection: Connection, slots: dict[int, tuple[int, int]], at: datetime) -> None:
    """Remember up to which batches, and that it was done as of a moment."""
    for slot_id, (_, newest) in slots.items():
        connection.execute(
            "INSERT INTO rollup_done VALUES (%s, %s, %s) ON CONFLICT (slot_id) DO UPDATE"
            " SET batch_id = excluded.batch_id, at = greatest(rollup_done.at, excluded.at)",
            [slot_id, newest, at],
        )


def moment(connection: Connection, at: datetime) -> None:
    """Remember that nothing held on beyond what is rolled up."""
    connection.execute("UPDATE rollup_done SET at = greatest(at, %s)", [at])


def left(connection: Connection) -> tuple[int, int, datetime | None]:
    """How many readings in how many batches wait to be rolled up, and when the first of them was committed."""
    row = connection.execute(
        "SELECT coalesce(sum(b.committed), 0)::bigint, count(*), min(b.committed_at)"
        " FROM slot s LEFT JOIN rollup_done d USING (slot_id) JOIN batch b ON b.slot_id = s.slot_id"
        " AND b.batch_id > coalesce(d.batch_id, 0) AND b.batch_id <= s.latest_batch_id"
    ).fetchone()
    return (row[0], row[1], row[2]) if row else (0, 0, None)


def committed(connection: Connection, slots: dict[int, tuple[int, int]]) -> int:
    """How many readings these batches have brought."""
    total = 0
    for slot_id, bounds in slots.items():
        row = connection.execute(
            "SELECT coalesce(sum(committed), 0)::bigint FROM batch WHERE slot_id = %s AND batch_id > %s"
            " AND batch_id <= %s",
            [slot_id, *bounds],
        ).fetchone()
        total += row[0] if row else 0
    return total


def new_quarters(connection: Connection, kind: Kind, after: int, until: int) -> tuple[Ints, Ints]:
    """Asset and quarter (Unix milliseconds) of what the batches have brought, in order."""
    asset, quarter = _fetch(
        connection,
        f"SELECT DISTINCT asset_id, {_QUARTER} FROM {kind.reading_table}"  # noqa: S608
        " WHERE batch_id > %(after)s AND batch_id <= %(until)s",
        {"after": after, "until": until},
        ["integer", "timestamptz"],
    )
    order = np.lexsort((quarter, asset))
    return asset[order], quarter[order]


def heard_since(connection: Connection, kind: Kind, since: datetime) -> Ints:
    """Assets whose newest reading is not older."""
    cursor = connection.execute(
        f"SELECT asset_id FROM {kind.latest_table} WHERE ts >= %s ORDER BY 1".encode(),  # noqa: S608
        [since],
    )
    return np.array([number for (number,) in cursor.fetchall()], np.int64)


def traits(connection: Connection, assets: Ints) -> tuple[Floats, Floats]:
    """Rated power and own interval of reporting of each asset, NaN where not told; shapes ``(n,)``."""
    _, rated_w, interval_s = _fetch(
        connection,
        "SELECT a, coalesce((metadata ->> 'power_rated_w')::double precision, 'NaN'),"
        " coalesce((metadata ->> 'report_interval_s')::double precision, 'NaN')"
        " FROM unnest(%(assets)s::integer[]) WITH ORDINALITY AS w (a, n) LEFT JOIN asset ON asset_id = a ORDER BY n",
        {"assets": _literal(assets)},
        ["integer", "double precision", "double precision"],
    )
    return rated_w, interval_s


def _reading_columns(kind: Kind) -> tuple[str, list[str]]:
    """Their names, and the types of the metrics."""
    pairs = [never_null(m.name, m.type.sql) for m in kind.metrics]
    names = ", ".join(["asset_id", "municipality_id", "ts", "seq", *(expression for expression, _ in pairs)])
    return names, [sql for _, sql in pairs]


def readings(connection: Connection, kind: Kind, spans: AssetSpans) -> Stored:
    """All readings of the spans."""
    names, types = _reading_columns(kind)
    if not len(spans):
        return _nothing(kind)
    return _stored(
        _wide(
            connection,
            f"SELECT r.* FROM {_SPANS} CROSS JOIN LATERAL (SELECT {names} FROM {kind.reading_table}"  # noqa: S608
            " WHERE asset_id = w.a AND ts >= w.b AND ts < w.e AND ts >= %(low)s AND ts < %(high)s OFFSET 0) AS r",
            spans.parameters,
            _READING,
            types,
        )
    )


def nearest(
    connection: Connection,
    kind: Kind,
    metric: Metric | None,
    spans: AssetSpans,
    *,
    before: bool = True,
    count: int = FETCHED,
) -> Stored:
    """The few last readings before each span's beginning (or first ones from its end on, where not ``before``), but
    within the span's other end, that say anything of a counter; of all where ``metric`` is None."""
    names, types = _reading_columns(kind)
    if not len(spans):
        return _nothing(kind)
    says = "" if metric is None else f" AND {metric.name} {'>=' if metric.unit is Unit.COUNT else '>'} 0"
    order = "DESC" if before else "ASC"
    return _stored(
        _wide(
            connection,
            f"SELECT r.* FROM {_SPANS} CROSS JOIN LATERAL (SELECT {names} FROM {kind.reading_table}"  # noqa: S608
            f" WHERE asset_id = w.a AND ts >= w.b AND ts < w.e AND ts >= %(low)s AND ts < %(high)s{says}"
            f" ORDER BY ts {order}, seq {order} LIMIT {count}) AS r",
            spans.parameters,
            _READING,
            types,
        )
    )


def together(kind: Kind, parts: Iterable[Stored]) -> Stored:
    """Several answers in order, each reading once."""
    listed = [part for part in parts if len(part.asset)] or [_nothing(kind)]
    if len(listed) == 1 and _in_order(listed[0]):
        return listed[0]
    asset, town, ts, seq, values = (
        np.concatenate([getattr(part, name) for part in listed]) for name in ("asset", "town", "ts_ms", "seq", "values")
    )
    order = np.lexsort((seq, ts, asset))
    asset, town, ts, seq, values = asset[order], town[order], ts[order], seq[order], values[order]
    if len(listed) > 1:
        once = np.ones(len(asset), bool)
        once[1:] = (np.diff(asset) != 0) | (np.diff(ts) != 0) | (np.diff(seq) != 0)
        asset, town, ts, seq, values = asset[once], town[once], ts[once], seq[once], values[once]
    return Stored(asset, town, ts, seq, values)


def _in_order(stored: Stored) -> bool:
    asset, ts, seq = np.diff(stored.asset), np.diff(stored.ts_ms), np.diff(stored.seq)
    return bool(((asset > 0) | (asset == 0) & ((ts > 0) | (ts == 0) & (seq > 0))).all())


def _stored(found: tuple[list[Any], Floats]) -> Stored:
    (asset, town, ts, seq), values = found
    return Stored(asset, town, ts, seq, values)


def _nothing(kind: Kind) -> Stored:
    none = np.zeros(0, np.int64)
    return Stored(none, none, none, none, np.zeros((0, len(kind.metrics))))


Rows = tuple[Ints, Ints, Ints, Ints, Floats, Floats]
"""Bucket (Unix milliseconds), asset, municipality, readings, covered seconds and values of rollups."""


def rollups(connection: Connection, kind: Kind, step: str, spans: AssetSpans) -> Rows:
    """The rollups of the spans, by asset, bucket and municipality."""
    if not len(spans):
        none = np.zeros(0, np.int64)
        return none, none, none, none, np.zeros(0), np.zeros((0, len(value_columns(kind))))
    pairs = [never_null(column.name, column.sql) for column in value_columns(kind)]
    names = ", ".join([*(column.name for column in CORE), *(expression for expression, _ in pairs)])
    (bucket, asset, town, counted, covered), values = _wide(
        connection,
        f"SELECT r.* FROM {_SPANS} CROSS JOIN LATERAL (SELECT {names} FROM {kind.rollup_table(step)}"  # noqa: S608
        " WHERE asset_id = w.a AND bucket >= w.b AND bucket < w.e AND bucket >= %(low)s AND bucket < %(high)s"
        " OFFSET 0) AS r",
        spans.parameters,
        [column.sql for column in CORE],
        [sql for _, sql in pairs],
    )
    order = np.lexsort((town, bucket, asset))
    return bucket[order], asset[order], town[order], counted[order], covered[order], values[order]


def replace(connection: Connection, kind: Kind, step: str, spans: AssetSpans, rows: Rows) -> None:
    """Put these rollups in the place of all that are stored of the spans."""
    table = kind.rollup_table(step)
    bounds, which = np.unique(np.stack([spans.begin_ms, spans.end_ms], axis=1), axis=0, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    parts = np.split(spans.asset[order], np.cumsum(np.bincount(which.ravel()))[:-1])
    with connection.cursor() as cursor:
        cursor.executemany(
            f"DELETE FROM {table} WHERE asset_id = ANY (%s::integer[]) AND bucket >= %s AND bucket < %s".encode(),  # noqa: S608
            [(_literal(p), _at(b), _at(e)) for p, (b, e) in zip(parts, bounds.tolist(), strict=True)],
        )
    *core, values = rows
    if not len(core[0]):
        return
    given: list[tuple[str, Any]] = [(column.sql, part) for column, part in zip(CORE, core, strict=True)]
    given += [(column.sql, values[:, n]) for n, column in enumerate(value_columns(kind))]
    names = ", ".join(column.name for column in (*CORE, *value_columns(kind)))
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)".encode()) as c:
        c.write(encode(given))


def make_partitions(connection: Connection, kind: Kind, spans: AssetSpans) -> None:
    """Those of all steps into which rollups of the spans may fall; nobody who reads waits for it."""
    low, high = _at(int(spans.begin_ms.min())) - timedelta(days=1), _at(int(spans.end_ms.max()))
    months = {(low.year, low.month)}
    while (month := max(months)) < (high.year, high.month):
        months.add((month[0] + month[1] // 12, month[1] % 12 + 1))
    years = {(year, 1) for year, _ in months}
    for step, firsts in (("15m", months), ("1h", years), ("1d", years)):
        for year, month in sorted(firsts):
            first = date(year, month, 1)
            connection.execute("SELECT ensure_rollup_partition(%s, %s, %s)", [kind.name, step, first])


def members(connection: Connection) -> tuple[Ints, Ints]:
    """Assets with the groups that they are in now, by asset; shapes ``(n,)``."""
    asset, group = _fetch(
        connection, "SELECT asset_id, group_id FROM asset_group_member ORDER BY 1", {}, ["integer", "integer"]
    )
    return asset, group


def replace_groups(connection: Connection, kind: Kind, step: str, spans: AssetSpans) -> None:
    """Make the rollups of groups anew; ``spans`` has groups in the place of assets.

    Members are those of now; an asset counts for as long as it was the group's municipality's.
    """
    table, values = kind.rollup_table(step, group=True), group_columns(kind)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"DELETE FROM {table} WHERE group_id = %s AND bucket >= %s AND bucket < %s".encode(),  # noqa: S608
            [
                (group, _at(begin), _at(end))
                for group, begin, end in zip(
                    spans.asset.tolist(), spans.begin_ms.tolist(), spans.end_ms.tolist(), strict=True
                )
            ],
        )
    names = ", ".join(column.name for column in (*GROUP_CORE, *values))
    connection.execute(
        (
            f"INSERT INTO {table} ({names}) SELECT r.bucket, sum(r.covered_s::double precision), g.group_id,"  # noqa: S608
            f" g.municipality_id, count(*), {', '.join(_grouped(c.name, c.part, c.metric) for c in values if c.metric)}"
            f" FROM {_SPANS} JOIN asset_group g ON g.group_id = w.a JOIN asset_group_member m ON m.group_id = w.a"
            f" CROSS JOIN LATERAL (SELECT * FROM {kind.rollup_table(step)} WHERE asset_id = m.asset_id"
            " AND bucket >= w.b AND bucket < w.e AND bucket >= %(low)s AND bucket < %(high)s OFFSET 0) AS r"
            " WHERE r.municipality_id = g.municipality_id GROUP BY g.group_id, g.municipality_id, r.bucket"
        ).encode(),
        spans.parameters,
    )


def _grouped(name: str, part: str, metric: Metric) -> str:
    if part:
        return f"{part.removeprefix('_')}(r.{name})"
    if metric.rolled is Rollup.BITS:
        return f"bit_or(r.{name})"
    if metric.rolled is Rollup.INCREASE:  # what is booked on silent days is nobody's measurement
        return f"sum(r.{name}::double precision) FILTER (WHERE r.covered_s > 0)"
    if summed(metric):
        return f"sum(r.{name}::double precision)"
    return f"sum(r.{name} * r.covered_s) / nullif(sum(r.covered_s) FILTER (WHERE r.{name} IS NOT NULL), 0)"


def _fetch(connection: Connection, query: str, parameters: dict[str, Any], types: Sequence[str]) -> list[Any]:
    """The columns of an answer without NULLs, each in one piece: rows one by one cost ten times as much."""
    return _wide(connection, query, parameters, types, ())[0]


def _wide(
    connection: Connection, query: str, parameters: dict[str, Any], core: Sequence[str], wide: Sequence[str]
) -> tuple[list[Any], Floats]:
    """The first columns of an answer as ``_fetch`` gives them, and those of the types ``wide`` behind them as numbers,
    ``(n, wide)``: put together by type, a row at a time, they cost half as much as column by column."""
    places: dict[str, list[int]] = {}
    for place, sql in enumerate(wide):
        places.setdefault(sql, []).append(place)
    parts = [(sql, found[n : n + WIDE_MAX]) for sql, found in places.items() for n in range(0, len(found), WIDE_MAX)]
    names = [f"c{n}" for n in range(len(core) + len(wide))]
    arrays = [f"array_agg({name})" for name in names[: len(core)]]
    for _, part in parts:
        row = ", ".join(names[len(core) + place] for place in part)
        arrays.append(f"array_agg({row if len(part) == 1 else f'ARRAY[{row}]'})")
    with connection.cursor(binary=True) as cursor:
        statement = f"SELECT {', '.join(arrays)} FROM ({query}) AS q ({', '.join(names)})"  # noqa: S608
        cursor.execute(statement.encode(), parameters)
        result = cursor.pgresult
        raw = [result.get_value(0, n) if result else None for n in range(len(arrays))]
    columns = [elements(one, sql) for one, sql in zip(raw, core, strict=False)]
    values = np.empty((len(columns[0]), len(wide)))
    for one, (sql, part) in zip(raw[len(core) :], parts, strict=True):
        values[:, part] = elements(one, sql, len(part)).reshape(len(values), len(part))
    return columns, values


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
