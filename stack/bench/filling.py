"""Readings of a measured town, written in batches of one slot as ingest writes them, and what is said on the way."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
import psycopg

from kraj.readings import Ints, Readings
from kraj.store import copy
from kraj.store.partitions import weeks
from stack.bench import queries_town as towns
from stack.bench.queries_town import Sending, Town

SEED: Final = 1
Say = Callable[[str], None]


class Filling:
    """Batches of the one slot, as ingest writes them; ``written`` readings so far."""

    def __init__(self, owner: psycopg.Connection[Any]) -> None:
        self._owner = owner
        self._batch = 0
        self.written = 0
        owner.execute("INSERT INTO slot (name) VALUES ('slot_0')")

    def year(self, town: Town, sending: Mapping[str, Sending], until: datetime, say: Say) -> None:
        """Day by day."""
        until_ms = int(until.timestamp() * 1000)
        tell = progress(say, "written")
        for number, day_ms in enumerate(towns.days(town), 1):
            self.write([one.day(day_ms, until_ms) for one in sending.values()])
            tell(number / town.days, self.written)

    def write(self, parts: list[Readings]) -> None:
        """One batch, and what is newest of each asset."""
        self._batch += 1
        count = 0
        for part in parts:
            if not len(part):
                continue
            kind = part.kind
            for week in weeks(part.ts_ms):
                self._owner.execute("SELECT ensure_partition(%s, %s)", [kind.name, week])
            with self._owner.cursor() as cursor:
                with cursor.copy(copy.statement(kind, kind.reading_table)) as stream:
                    stream.write(copy.binary(part, self._batch))
                self._newest(cursor, part)
            count += len(part)
        self._owner.execute("INSERT INTO batch VALUES (%s, 1, now(), %s, 0, 0)", [self._batch, count])
        self._owner.execute("UPDATE slot SET latest_batch_id = %s", [self._batch])
        self.written += count

    def _newest(self, cursor: psycopg.Cursor[Any], part: Readings) -> None:
        last: dict[int, int] = {asset: row for row, asset in enumerate(part.asset_id.tolist())}
        newest = part.take(_rows(last))
        table = part.kind.latest_table
        cursor.execute(f"DELETE FROM {table} WHERE asset_id = ANY (%s)".encode(), [list(last)])  # noqa: S608 - kinds
        with cursor.copy(copy.statement(part.kind, table)) as stream:
            stream.write(copy.binary(newest, self._batch))


def _rows(last: Mapping[int, int]) -> Ints:
    return np.fromiter(last.values(), np.int64, len(last))


def progress(say: Say, what: str) -> Callable[[float, int], None]:
    """Says each tenth once."""
    told = [0]

    def tell(share: float, readings: int) -> None:
        if int(share * 10) > told[0]:
            told[0] = int(share * 10)
            say(f"{what}: {10 * told[0]} % ({readings:,} readings)")

    return tell
