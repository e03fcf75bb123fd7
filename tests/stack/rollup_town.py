"""A town's readings for the tests of rollups: written as ingest does, in batches, and all rollups read back."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg

from kraj.kinds import KINDS, LAMP
from kraj.metrics import Kind
from kraj.readings import Readings
from kraj.rollups import STEPS
from kraj.store import copy
from kraj.store.partitions import weeks

MINUTE_MS = 60_000
BASE_MS = 1_792_800_000_000
"""2026-10-24, some days before clocks go back."""


def at(ms: int) -> datetime:
    """Unix milliseconds as a time."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def lamps(
    rows: Iterable[tuple[int, int, dict[str, float]]], *, kind: Kind = LAMP, town: int = 1, seq: int = 0
) -> Readings:
    """Readings from asset, Unix milliseconds and what is known."""
    listed = list(rows)
    values = np.full((len(listed), len(kind.metrics)), np.nan)
    for row, (_, _, known) in enumerate(listed):
        for name, value in known.items():
            values[row, kind.positions[name]] = value
    whole = np.zeros(len(listed), np.int64)
    ts = np.array([ms for _, ms, _ in listed], np.int64)
    asset = np.array([number for number, _, _ in listed], np.int64)
    # An owner's own number makes readings of one moment apart.
    return Readings(kind, asset, whole + town, ts, whole + seq, whole - 1, values, whole, np.arange(len(listed)))


class Town:
    """A database with assets 1 to 6: lamps in a group of the first of two municipalities, and one slot."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.batch = 0
        self.ask("INSERT INTO municipality (name, title) VALUES ('brno', 'Brno'), ('zlin', 'Zlín')")
        self.ask(
            "INSERT INTO asset (municipality_id, kind, label, metadata) SELECT 1, 'lamp', 'L' || n,"
            """ '{"power_rated_w": 50}' FROM generate_series(1, 6) n"""
        )
        self.ask("INSERT INTO asset_group (municipality_id, name) VALUES (1, 'Street')")
        self.ask("INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE asset_id < 4")
        self.ask("INSERT INTO slot (name) VALUES ('slot_0')")

    def ask(self, query: str, given: Sequence[Any] = ()) -> list[Any]:
        cursor = self.connection.execute(query.encode(), given or None, prepare=False)
        return cursor.fetchall() if cursor.description else []

    def write(self, *parts: Readings) -> None:
        """One batch; readings that are there already are left out, as ingest does."""
        self.batch += 1
        count = 0
        for part in parts:
            for week in weeks(part.ts_ms):
                self.ask("SELECT ensure_partition(%s, %s)", [part.kind.name, week])
            table = part.kind.reading_table
            self.ask(f"CREATE TEMP TABLE IF NOT EXISTS stage_{table} (LIKE {table}); TRUNCATE stage_{table}")
            with self.connection.cursor() as cursor, cursor.copy(copy.statement(part.kind, f"stage_{table}")) as stream:
                stream.write(copy.binary(part, self.batch))
            new = self.ask(f"INSERT INTO {table} SELECT * FROM stage_{table} ON CONFLICT DO NOTHING RETURNING 1")
            self.ask(
                f"INSERT INTO {part.kind.latest_table} SELECT DISTINCT ON (asset_id) * FROM {table}"
                " ORDER BY asset_id, ts DESC ON CONFLICT (asset_id) DO UPDATE SET ts = excluded.ts"
            )
            count += len(new)
        self.ask("INSERT INTO batch VALUES (%s, 1, '2026-11-01', %s, 0, 0)", [self.batch, count])
        self.ask("UPDATE slot SET latest_batch_id = %s", [self.batch])

    def rolled(self, *kinds: Kind) -> dict[str, list[Any]]:
        """All that is rolled up, by table."""
        return {
            kind.rollup_table(step, group=group): self.ask(
                f"SELECT * FROM {kind.rollup_table(step, group=group)}"
                f" ORDER BY {'group_id' if group else 'asset_id'}, bucket, municipality_id"
            )
            for kind in (kinds or KINDS.values())
            for step in STEPS
            for group in (False, True)
        }

    def forget(self) -> None:
        """As if nothing had ever been rolled up."""
        for kind in KINDS.values():
            for step in STEPS:
                self.ask(f"TRUNCATE {kind.rollup_table(step)}, {kind.rollup_table(step, group=True)}")
        self.ask("DELETE FROM rollup_done")


def of_town(readings: Readings, town: int, rows: Any) -> Readings:
    """The readings, some of them another municipality's."""
    owner = readings.municipality_id.copy()
    owner[rows] = town
    return replace(readings, municipality_id=owner)


def differences(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> list[Any]:
    """What is not the same in both, but for the last digits of single precision."""
    found: list[Any] = []
    for table in one:
        if [row[:4] for row in one[table]] != [row[:4] for row in other[table]]:
            found.append((table, len(one[table]), len(other[table])))
            continue
        for mine, theirs in zip(one[table], other[table], strict=True):
            unlike = [pair for pair in zip(mine[4:], theirs[4:], strict=True) if not _alike(*pair)]
            found += [(table, mine[:4], unlike)] if unlike else []
    return found


def _alike(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 1e-4 + 1e-5 * abs(other)
