"""A group whose members change is given the history of those that it has now, month by month, the newest first."""

import time
from datetime import UTC, datetime
from math import inf
from typing import Final

import numpy as np

from kraj.kinds import KINDS
from kraj.readings import DAY_MS
from kraj.rollups import STEPS
from kraj.store import regroup
from kraj.store import rollup as store
from rules.rollups import midnights

GROUPS_MAX: Final = 20
"""Of a transaction."""
MONTH_MS: Final = 31 * DAY_MS


def follow(connection: store.Connection, at: datetime, seconds_max: float = inf) -> bool:
    """Make anew what waits, for about so long; whether nothing is left."""
    ends = time.monotonic() + seconds_max
    tomorrow = _moment(int(midnights(now_ms := int(at.timestamp() * 1000), now_ms)[-1]))
    while found := regroup.waiting(connection, tomorrow, GROUPS_MAX):
        if time.monotonic() > ends:
            return False
        end = np.array([int(before.timestamp() * 1000) for _, before in found])
        begin = np.array([int(midnights(ms - MONTH_MS, ms)[0]) for ms in end.tolist()])
        spans = store.AssetSpans(np.array([group for group, _ in found]), begin, end)
        with connection.transaction():
            for kind in KINDS.values():
                for step in STEPS:
                    store.replace_groups(connection, kind, step, spans)
            regroup.done(connection, spans.asset.tolist(), [_moment(ms) for ms in begin.tolist()])
    return True


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
