"""The job that rolls readings up: what is new since the last time, in one transaction with how far it has come."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
import psycopg

from kraj.errors import ConfigurationError, UnavailableError
from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric
from kraj.readings import FUTURE_MINUTES_MAX, Floats, Ints, Mask
from kraj.rollups import STEPS, value_columns
from kraj.store import regroup
from kraj.store import rollup as store
from kraj.store.rollup import AssetSpans, Stored
from rules.counted import GAP_MS_MAX, Seen, Spans, changed, counted, counters, most_per_h, next_to, said
from rules.rollups import HOUR_MS, QUARTER_MS, Rolled, coarser, day_ms, hold_ms, quarters
from stack import rollup_groups
from stack.rollup_ahead import ahead
from stack.rollup_spans import merged, outside, some, whole_units, within

READINGS_MAX: Final = 500_000
"""New readings of a transaction, about: some seconds of work, and a gigabyte of memory at most."""
ROWS_MAX: Final = 50_000
"""Rollups that are made at once, or read for it: a part is written while the next one is read."""
ROWS_A_SPAN: Final = 28
"""The rest of its hour and of its day."""
MARGIN_MS: Final = 45 * 60_000
"""Readings around a span that are read with it: what puts a counter in doubt lies within half an hour."""
DOUBTFUL: Final = 6
BRIDGED_MS: Final = 12 * HOUR_MS
FUTURE_MS: Final = FUTURE_MINUTES_MAX * 60_000
HELD_MS_MAX: Final = 24 * HOUR_MS
"""However rarely a device reports of itself."""

Say = Callable[[float, int], None]
"""Is told the share of the readings that are done, and how many those are."""


@dataclass(slots=True)
class Figures:
    """What a round has done."""

    readings: int = 0
    quarters: int = 0


def catch_up(url: str, at: datetime, say: Say = lambda share, readings: None) -> int:
    """Roll up all that waits, as of ``at``; the number of quarters of an hour that were made. ``url`` is of the role
    ``kraj_rollup``. Raises ``ConfigurationError`` where another job is at work."""
    try:
        with psycopg.connect(url, autocommit=True) as connection, psycopg.connect(url, autocommit=True) as reader:
            if not store.lock(connection):
                raise ConfigurationError("another rollup is at work on this database; stop it, or let it do this")
            prepare(connection)
            prepare(reader)
            made = rounds(connection, reader, at, say)
            rollup_groups.follow(connection, at)
            return made
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error


def prepare(connection: store.Connection) -> None:
    """Spans are looked up one by one: whatever the statistics say, nothing is worth reading whole."""
    for setting in ("enable_hashjoin", "enable_mergejoin"):
        connection.execute(f"SET {setting} = off".encode())


def rounds(
    connection: store.Connection,
    reader: store.Connection,
    at: datetime,
    say: Say = lambda share, readings: None,
    stopped: Callable[[], bool] = lambda: False,
) -> int:
    """Transactions until nothing waits, or one is told to stop; the number of quarters of an hour made. ``reader`` is a
    second connection, in autocommit: readings are read there, which this job never writes."""
    made = done = 0
    regroup.notice(connection)
    for kind in KINDS.values():
        connection.execute("SELECT summarize_batches(%s)", [kind.name])
    left, _, _ = store.left(connection)
    while True:
        slots, until = store.waiting(connection, READINGS_MAX)
        figures = _round(connection, reader, slots, until, at)
        made += figures.quarters
        if not slots or stopped():
            return made
        done += figures.readings
        say(min(1.0, done / left) if left else 1.0, done)


def _round(
    connection: store.Connection,
    reader: store.Connection,
    slots: dict[int, tuple[int, int]],
    until: datetime | None,
    at: datetime,
) -> Figures:
    figures = Figures()
    with connection.transaction():
        now_ms = int(at.timestamp() * 1000)
        wanted: list[tuple[Kind, AssetSpans]] = []
        for kind in KINDS.values():
            asset, quarter = _new(connection, kind, slots)
            if until is not None:
                asset, quarter = _held_on(connection, kind, (asset, quarter), int(until.timestamp() * 1000), now_ms)
            wanted.append((kind, merged(asset, quarter, quarter + QUARTER_MS)))
        figures.quarters = _roll(connection, reader, wanted, now_ms)
        figures.readings = store.committed(connection, slots)
        store.done(connection, slots, at)
        store.moment(connection, at)
    return figures


def _new(connection: store.Connection, kind: Kind, slots: dict[int, tuple[int, int]]) -> tuple[Ints, Ints]:
    if not slots:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    after, until = min(low for low, _ in slots.values()), max(high for _, high in slots.values())
    return store.new_quarters(connection, kind, after, until)


def _held_on(
    connection: store.Connection, kind: Kind, found: tuple[Ints, Ints], until_ms: int, now_ms: int
) -> tuple[Ints, Ints]:
    """With the quarters that have begun since the last time: values go on there for whom nothing new has come."""
    began = np.arange(until_ms // QUARTER_MS + 1, now_ms // QUARTER_MS + 1) * QUARTER_MS
    began = began[-(HELD_MS_MAX // QUARTER_MS) :]
    if not len(began):
        return found
    longest = 3000 * max(kind.heartbeat_s, kind.heartbeat_idle_s)
    assets = store.heard_since(connection, kind, _moment(until_ms - longest))
    return (
        np.concatenate([found[0], np.repeat(assets, len(began))]),
        np.concatenate([found[1], np.tile(began, len(assets))]),
    )


def _roll(
    connection: store.Connection, reader: store.Connection, wanted: list[tuple[Kind, AssetSpans]], now_ms: int
) -> int:
    """Make all rollups anew that hang on readings of these spans; the number of quarters made."""
    made = 0
    touched: dict[str, list[AssetSpans]] = {}
    slices = [(kind, part) for kind, spans in wanted for part in _parts(spans)]
    for kind, found, whole in ahead(lambda one: (one[0], *_quarters(reader, *one, now_ms)), slices):
        _keep(connection, kind, found, whole)
        made += len(found.row)
        touched.setdefault(kind.name, []).append(whole)
    for name, parts in touched.items():
        _groups(connection, KINDS[name], parts)
    return made


def _parts(spans: AssetSpans) -> list[AssetSpans]:
    """In the order of assets, each of which is worked out in one piece."""
    size = np.cumsum((spans.end_ms - spans.begin_ms) // QUARTER_MS + ROWS_A_SPAN)
    part = size[np.searchsorted(spans.asset, spans.asset)] // ROWS_MAX if len(spans) else size
    return [some(spans, part == number) for number in np.unique(part)]


def _groups(connection: store.Connection, kind: Kind, parts: list[AssetSpans]) -> None:
    asset, group = store.members(connection)
    whole = AssetSpans(*(np.concatenate([getattr(p, n) for p in parts]) for n in ("asset", "begin_ms", "end_ms")))
    first = np.searchsorted(asset, whole.asset)
    count = np.searchsorted(asset, whole.asset, "right") - first
    if count.any():
        place: Ints = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
        theirs = merged(group[place], np.repeat(whole.begin_ms, count), np.repeat(whole.end_ms, count))
        for step in STEPS:
            store.replace_groups(connection, kind, step, theirs if step == "15m" else whole_units(theirs, step))


def _keep(connection: store.Connection, kind: Kind, found: Rolled, whole: AssetSpans) -> None:
    """Write the quarters of the spans, and make their hours and days.

    What was just made is not read again: only what else lies within its hours and days.
    """
    store.make_partitions(connection, kind, whole)
    store.replace(connection, kind, "15m", whole, _rows(found))
    inner = whole
    for step, finer in (("1h", "15m"), ("1d", "1h")):
        wider = whole_units(whole, step)
        found = _both(found, Rolled(*store.rollups(connection, kind, finer, outside(wider, inner))))
        begins = found.bucket_ms // HOUR_MS * HOUR_MS if step == "1h" else day_ms(found.bucket_ms)
        found, inner = _as_stored(kind, coarser(kind, found, begins)), wider
        store.replace(connection, kind, step, wider, _rows(found))


def _both(one: Rolled, other: Rolled) -> Rolled:
    if not len(other.row):
        return one
    names = ("bucket_ms", "row", "town", "readings", "covered_s", "values")
    all_ = Rolled(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names))
    return all_.take(np.lexsort((all_.town, all_.bucket_ms, all_.row)))


def _as_stored(kind: Kind, found: Rolled) -> Rolled:
    """As it would be read back: single precision where columns have no more."""
    values = found.values.copy()
    for place, column in enumerate(value_columns(kind)):
        if column.sql == "real":
            values[:, place] = values[:, place].astype(np.float32)
    covered_s = found.covered_s.astype(np.float32).astype(np.float64)
    return Rolled(found.bucket_ms, found.row, found.town, found.readings, covered_s, values)


@dataclass(frozen=True, slots=True)
class _Estate:
    """The assets of a slice, and what is known of them; ``row`` of a reading is the asset's place here."""

    kind: Kind
    asset: Ints
    rated_w: Floats
    interval_s: Floats
    most: Floats

    def seen(self, stored: Stored) -> Seen:
        row = np.searchsorted(self.asset, stored.asset)
        hold = hold_ms(self.kind, stored.values, self.rated_w[row], self.interval_s[row])
        return Seen(row, stored.town, stored.ts_ms, stored.values, np.minimum(hold, HELD_MS_MAX))

    def rows(self, spans: AssetSpans) -> Spans:
        return Spans(np.searchsorted(self.asset, spans.asset), spans.begin_ms, spans.end_ms)


def _quarters(connection: store.Connection, kind: Kind, spans: AssetSpans, now_ms: int) -> tuple[Rolled, AssetSpans]:
    """The quarters of the spans and of what hangs on them, and from when to when that is."""
    assets = np.unique(spans.asset)
    rated_w, interval_s = store.traits(connection, assets)
    estate = _Estate(kind, assets, rated_w, interval_s, most_per_h(kind, rated_w))
    none, nowhere = store.together(kind, []), merged(*[np.zeros(0, np.int64)] * 3)
    stored, near = _load(connection, estate, spans, np.ones(len(assets), np.int64), now_ms, (none, nowhere))
    wider, least, again = _reach(estate, estate.seen(stored), spans, near, now_ms)
    if again.any():
        part, had = (some(s, np.isin(s.asset, assets[again])) for s in (wider, near))
        stored, _ = _load(connection, estate, part, least, now_ms, (stored, had))
    seen = estate.seen(stored)
    found = quarters(kind, seen, estate.rows(wider), estate.most)
    return replace(_as_stored(kind, found), row=assets[found.row]), wider


def _reach(
    estate: _Estate, seen: Seen, spans: AssetSpans, near: AssetSpans, now_ms: int
) -> tuple[AssetSpans, Ints, Mask]:
    """Which quarters may change when readings of the spans are new; of each asset, on how many readings around the
    spans its counters hang, and whether more must be read than was. Of ``near`` all was read."""
    rows = estate.rows(spans)
    back, ahead = rows.begin_ms, np.maximum(rows.end_ms, _held_until(seen, rows, now_ms))
    least = np.ones(len(estate.asset), np.int64)
    for place, metric in enumerate(counters(estate.kind)):
        value = seen.values[:, estate.kind.positions[metric.name]]
        found = counted(seen, value, metric, estate.most[:, place])
        begin, end = changed(seen, found, np.flatnonzero(said(metric, value)), rows)
        back, ahead = np.minimum(back, begin), np.maximum(ahead, end)
        least[~found.smooth] = store.FETCHED
    back, ahead = back // QUARTER_MS * QUARTER_MS, -(-ahead // QUARTER_MS) * QUARTER_MS
    moved, on = back < rows.begin_ms, (ahead > rows.end_ms) & ~_newest(rows.end_ms, now_ms)
    again = (back < rows.begin_ms - QUARTER_MS) | (on & (ahead > rows.end_ms + QUARTER_MS)) | (least[rows.row] > 1)
    there = AssetSpans(spans.asset, back, ahead)
    place = within(near, spans)
    around = near.begin_ms[place], near.end_ms[place]
    for metric in (None, *counters(estate.kind)):
        before, behind = _lacks(estate, seen, metric, there, around, least)
        again |= (moved & before) | (on & behind)
    assets = np.zeros(len(estate.asset), bool)
    assets[rows.row[again]] = True
    return merged(spans.asset, back, ahead), least, assets


def _newest(end_ms: Ints, now_ms: int) -> Mask:
    """Where nothing can have come behind what is read around such ends."""
    return end_ms + MARGIN_MS > now_ms + FUTURE_MS


def _held_until(seen: Seen, rows: Spans, now_ms: int) -> Ints:
    """Until when values go on behind each span: to the next reading, or as long as the last ones before count."""
    if not len(seen.row):
        return rows.end_ms
    until = seen.ts_ms + seen.hold_ms
    base = min(int(seen.ts_ms.min()), int(rows.begin_ms.min()))
    axis = max(int(until.max()), int(rows.end_ms.max())) - base + 1
    key = seen.row * axis + seen.ts_ms - base
    longest = np.maximum.accumulate(seen.row * axis + until - base)  # of the asset's readings so far
    place = np.searchsorted(key, rows.row * axis + rows.end_ms - base)
    last = np.maximum(place - 1, 0)
    end = np.where((place > 0) & (seen.row[last] == rows.row), longest[last] - rows.row * axis + base, rows.end_ms)
    after = np.minimum(place, len(key) - 1)
    follows = (place < len(key)) & (seen.row[after] == rows.row)
    end = np.where(follows, np.minimum(end, seen.ts_ms[after]), end)
    return np.minimum(end, max(now_ms // QUARTER_MS * QUARTER_MS + QUARTER_MS, int(rows.end_ms.max())))


def _load(  # noqa: PLR0917 - all that it hangs on
    connection: store.Connection,
    estate: _Estate,
    spans: AssetSpans,
    least: Ints,
    now_ms: int,
    had: tuple[Stored, AssetSpans],
) -> tuple[Stored, AssetSpans]:
    """The readings of the spans and around them: as far as values hold and counters hang on them; and the spans of
    which all was read. ``had`` is what was read before, and of which spans all, none of them beyond these."""
    kind = estate.kind
    # Where a counter is in doubt, what puts it in doubt may itself be in doubt.
    margin = np.where(least[np.searchsorted(estate.asset, spans.asset)] > 1, DOUBTFUL * MARGIN_MS, MARGIN_MS)
    # What lies between spans that are near each other is read as well: looking each side up would cost more.
    near = merged(spans.asset, spans.begin_ms - margin - BRIDGED_MS // 2, spans.end_ms + margin + BRIDGED_MS // 2)
    near = AssetSpans(near.asset, near.begin_ms + BRIDGED_MS // 2, near.end_ms - BRIDGED_MS // 2)
    place = within(near, spans)
    since, until = near.begin_ms[place], near.end_ms[place]
    found = store.together(kind, [had[0], store.readings(connection, kind, outside(near, had[1]))])
    lacking, _ = _lacks(estate, estate.seen(found), None, spans, (since, until), least)
    last = store.nearest(connection, kind, None, _between(spans, lacking, spans.begin_ms - GAP_MS_MAX, since), count=1)
    last = store.together(kind, [last])
    before, _ = next_to(estate.seen(last), np.arange(len(last.asset)), estate.rows(spans).row, since)
    since = np.where(lacking & (before >= 0), before, since)
    found = store.together(kind, [found, last])
    seen, parts = estate.seen(found), [found]
    for metric in counters(kind):
        before, behind = _lacks(estate, seen, metric, spans, (since, until), least)
        for rows, begin, end in (
            (before, spans.begin_ms - GAP_MS_MAX, since),
            (behind & ~_newest(spans.end_ms, now_ms), until, spans.end_ms + GAP_MS_MAX),
        ):
            far = _between(spans, rows, begin, end)
            parts.append(store.nearest(connection, kind, metric, far, before=rows is before))
    return store.together(kind, parts), near


def _lacks(  # noqa: PLR0917 - all that it hangs on
    estate: _Estate, seen: Seen, metric: Metric | None, spans: AssetSpans, around: tuple[Ints, Ints], least: Ints
) -> tuple[Mask, Mask]:
    """Before and behind which spans too few readings that say something of a counter (or anything: None) were read,
    though one inside asks for it. ``around`` is from when to when all of them were read."""
    rows, (since, until) = estate.rows(spans), around
    if not len(seen.row):
        none = np.zeros(len(spans), bool)
        return none | (metric is None), none
    says = np.ones(len(seen.row), bool)
    if metric is not None:
        says = said(metric, seen.values[:, estate.kind.positions[metric.name]])
    base = min(int(seen.ts_ms.min()), int(since.min()), int(rows.begin_ms.min()))
    axis = max(int(seen.ts_ms.max()), int(until.max()), int(rows.end_ms.max())) - base + 2
    key = seen.row[says] * axis + seen.ts_ms[says] - base

    def up_to(ms: Ints) -> Ints:
        return np.searchsorted(key, rows.row * axis + ms - base)

    before, behind = up_to(rows.begin_ms + 1) - up_to(since), up_to(until) - up_to(rows.end_ms)
    if metric is None:
        return before < 1, behind < 0
    asked = up_to(until) > up_to(since)
    return asked & (before < least[rows.row]), asked & (behind < least[rows.row])


def _between(spans: AssetSpans, rows: Mask, begin_ms: Ints, end_ms: Ints) -> AssetSpans:
    return AssetSpans(spans.asset[rows], begin_ms[rows], end_ms[rows])


def _rows(found: Rolled) -> store.Rows:
    return found.bucket_ms, found.row, found.town, found.readings, found.covered_s, found.values


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
