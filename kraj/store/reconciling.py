"""What our meters, the distributor's quarter-hours and the invoices say of a metering point's days, side by side."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import psycopg

from kraj.kinds import KINDS
from kraj.meters import COUNTERS, OURS_COMPLETE, Comparison, Invoice, Point, Side, billed, compare, midnight, quarters
from kraj.store.rollup_schema import booked_view
from kraj.tariffs import DAY, Direction

Connection = psycopg.AsyncConnection[Any]
Days = tuple[date, date]
SEES_MOST: Final = ("solar", "cabinet", "lamp")
"""Where several kinds hang on a point, the first of these counts: it sees what the others take."""
NOTHING: Final = Side(None, 0.0)
WANTED: Final = (
    "SELECT s.n, d.day::date AS day, a.asset_id FROM unnest(%(firsts)s::date[], %(lasts)s::date[]) WITH ORDINALITY"
    " AS s(first, last, n) CROSS JOIN LATERAL generate_series(s.first, s.last, interval '1 day') AS d(day)"
    " JOIN metering_point_asset l ON l.ean = %(ean)s AND d.day::date BETWEEN l.valid_from AND"
    " coalesce(l.valid_until, 'infinity') JOIN asset a ON a.asset_id = l.asset_id OR l.group_id IS NOT NULL AND EXISTS"
    " (SELECT FROM asset_group_member m WHERE m.group_id = l.group_id AND m.asset_id = a.asset_id)"
    " AND a.municipality_id = l.municipality_id"
)

# Each asset once a day, whether it is linked itself or through a group. A counter that goes on behind silent days tells
# what all of them took: they are ``bridged`` where it was heard within the span before and behind them, and so is the
# rest of the days around.
HELD: Final = (
    "WITH wanted AS (SELECT DISTINCT w.n, w.day, w.asset_id FROM ({wanted}) w JOIN asset a USING (asset_id)"
    " WHERE a.kind = %(kind)s), days AS (SELECT w.n, w.day, w.asset_id, sum(r.{counter}) AS wh,"
    " coalesce(sum(r.covered_s), 0) AS covered_s,"
    " extract(epoch FROM (w.day + 1)::timestamp AT TIME ZONE 'Europe/Prague'"
    " - w.day::timestamp AT TIME ZONE 'Europe/Prague') AS day_s"
    " FROM wanted w LEFT JOIN {booked} r ON r.asset_id = w.asset_id"
    " AND r.bucket = w.day::timestamp AT TIME ZONE 'Europe/Prague' GROUP BY 1, 2, 3),"
    " held AS (SELECT *, covered_s = 0 AND wh IS NOT NULL AND max(covered_s) OVER (PARTITION BY n, asset_id"
    " ORDER BY day) > 0 AND max(covered_s) OVER (PARTITION BY n, asset_id ORDER BY day DESC) > 0 AS bridged FROM days),"
    " known AS (SELECT *, CASE WHEN bridged OR lag(bridged) OVER one OR lead(bridged) OVER one THEN day_s"
    " ELSE covered_s END AS known_s FROM held WINDOW one AS (PARTITION BY n, asset_id ORDER BY day))"
    " SELECT n, sum(wh)::float, count(*), count(wh), count(DISTINCT day), sum(covered_s) / sum(day_s),"
    " sum(known_s) / sum(day_s) FROM known GROUP BY n"
)


async def compared(
    connection: Connection, point: Point, direction: Direction, spans: Sequence[Days], invoices: Sequence[Invoice]
) -> list[Comparison]:
    """One comparison a span, in the spans' order; a side without all of its data has no figure."""
    counted = [one for one in invoices if one.direction == direction and one.withdrawn_at is None]
    ours = await _ours(connection, point.ean, direction, spans)
    theirs = await _theirs(connection, point.ean, direction, spans)
    return [
        compare(days, ours[n], theirs[n], billed(counted, *days), point.difference_pct_max)
        for n, days in enumerate(spans)
    ]


async def _theirs(connection: Connection, ean: str, direction: Direction, spans: Sequence[Days]) -> list[Side]:
    cursor = await connection.execute(
        f"SELECT s.n, sum(d.{direction}_known)::integer, sum(d.{direction}_wh)"  # noqa: S608 - one of two words
        " FROM unnest(%s::timestamptz[], %s::timestamptz[]) WITH ORDINALITY AS s(first, next, n)"
        " JOIN meter_day d ON d.ean = %s AND d.bucket >= s.first AND d.bucket < s.next GROUP BY 1".encode(),
        [[midnight(first) for first, _ in spans], [midnight(last + DAY) for _, last in spans], ean],
    )
    found = {row[0]: row[1:] for row in await cursor.fetchall()}
    sides: list[Side] = []
    for n, days in enumerate(spans, 1):
        count, total = found.get(n, (0, None))
        whole = quarters(*days)
        sides.append(Side(float(total) / 1000 if count == whole else None, count / whole))
    return sides


async def _ours(connection: Connection, ean: str, direction: Direction, spans: Sequence[Days]) -> list[Side]:
    given = {"ean": ean, "firsts": [first for first, _ in spans], "lasts": [last for _, last in spans]}
    kinds = f"SELECT DISTINCT a.kind FROM ({WANTED}) w JOIN asset a USING (asset_id)"  # noqa: S608
    cursor = await connection.execute(kinds.encode(), given)
    there = {row[0] for row in await cursor.fetchall()}
    kind = next((kind for kind in SEES_MOST if kind in there and kind in COUNTERS[direction]), None)
    if kind is None or not await _rolled_up(connection, kind):
        return [NOTHING] * len(spans)
    statement = HELD.format(wanted=WANTED, counter=COUNTERS[direction][kind], booked=booked_view(KINDS[kind]))
    cursor = await connection.execute(statement.encode(), {**given, "kind": kind})
    found = {row[0]: row[1:] for row in await cursor.fetchall()}
    sides: list[Side] = []
    for n, (first, last) in enumerate(spans, 1):
        wh, wanted, there_are, days, covered, known = found.get(n, (None, 0, 0, 0, 0.0, 0.0))
        share = days / ((last - first).days + 1)
        whole = wanted and there_are == wanted and float(known) * share >= OURS_COMPLETE
        sides.append(Side(wh / 1000 if whole else None, min(1.0, float(covered)) * share))
    return sides


async def _rolled_up(connection: Connection, kind: str) -> bool:
    cursor = await connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"public.{booked_view(KINDS[kind])}"])
    row = await cursor.fetchone()
    return bool(row and row[0])
