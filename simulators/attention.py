"""What somebody has just told something by hand reports more often for a while: people stand beneath and wait."""

import heapq
from collections.abc import Iterator, Mapping

import numpy as np

from simulators.agenda import Due
from simulators.physics.frame import Model

AFTER_MS = (1_000, *range(10_000, 80_000, 10_000))
"""So long after it was told; the grid of minutes goes on besides."""


class Attention:
    """Who is to report besides the day's plan."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models
        self._waiting: list[tuple[int, str, int]] = []

    def draw(self, kind: str, row: int, now_ms: int) -> None:
        """This asset was told something by hand."""
        for after_ms in AFTER_MS:
            heapq.heappush(self._waiting, (now_ms + after_ms, kind, row))

    def due(self, now_ms: int) -> Iterator[Due]:
        """Who reports now; without power nobody does."""
        found: dict[str, set[int]] = {}
        while self._waiting and self._waiting[0][0] <= now_ms:
            _, kind, row = heapq.heappop(self._waiting)
            found.setdefault(kind, set()).add(row)
        for kind, listed in found.items():
            rows = np.array(sorted(listed), np.intp)
            rows = rows[self._models[kind].powered(rows, np.full(len(rows), now_ms))]
            if len(rows):
                yield Due(kind, rows, np.full(len(rows), now_ms))
