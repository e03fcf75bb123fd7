"""Weekly partitions of the reading tables: made before the transaction that needs them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import numpy as np

from kraj.kinds import KINDS
from kraj.readings import DAY_MS, Ints, Readings
from kraj.store.connection import Connection


class Partitions:
    """Makes partitions on one connection and remembers which are there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._there: set[tuple[str, date]] = set()

    def forget(self) -> None:
        """Somebody may have dropped what was there."""
        self._there.clear()

    async def make(self, batches: Iterable[Readings]) -> None:
        """Those that the readings need; each in its own transaction."""
        await self._make({(readings.kind.name, week) for readings in batches for week in weeks(readings.ts_ms)})

    async def make_ahead(self, at: datetime) -> None:
        """This week's and the next week's, so that no batch has to wait for one."""
        (monday,) = weeks(np.array([int(at.astimezone(UTC).timestamp() * 1000)], np.int64))
        await self._make({(kind, week) for kind in KINDS for week in (monday, monday + timedelta(days=7))})

    async def _make(self, wanted: set[tuple[str, date]]) -> None:
        for kind, week in sorted(wanted - self._there):
            await self._connection.execute("SELECT ensure_partition(%s, %s)", [kind, week])
            self._there.add((kind, week))


def weeks(ts_ms: Ints) -> set[date]:
    """The Mondays (UTC) of the weeks that the times fall into."""
    day = ts_ms // DAY_MS
    mondays = np.unique(day - (day + 3) % 7)  # 1970-01-01 was a Thursday
    return {date(1970, 1, 1) + timedelta(days=int(monday)) for monday in mondays}
