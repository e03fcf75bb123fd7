"""The frame that every model of a kind fits in: a day is prepared in arrays, then asked at any moments.

``prepare`` computes a day of all assets of a kind on a grid of five minutes (what has memory: counters, charge,
temperatures); ``at`` gives the readings of any assets at any moments of that day: live simulation asks a few rows a
second, scoring asks a day of everything at once. Both get the same numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kraj.metrics import Kind
from simulators.region import Asset

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Columns = dict[str, Floats]
"""One array of shape ``(k,)`` a metric; NaN is unknown, whole numbers and states are exact floats."""

DAY_MS = 86_400_000
GRID_MS = 300_000
GRID = DAY_MS // GRID_MS
"""Steps of a day's grid: 288; the grid's points are ``start_ms + i * GRID_MS`` for ``i`` in ``0 … GRID``, both ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A label: this cause holds on these assets from ``start_ms`` to ``end_ms``.

    ``cause`` is the name of the rule or correlated cause that must tell of it. ``scope`` is ``asset``, or what the
    cause is about (``feeder``, ``supply_area``, ``gateway``, ``site``), named ``name`` in ``municipality``.
    ``targets`` are the keys (``municipality/label``) of the assets that suffer. ``size`` is how bad, in the cause's own
    measure (0 to 1: a share; else documented at the cause).
    """

    cause: str
    scope: str
    municipality: str | None
    name: str
    targets: tuple[str, ...]
    start_ms: int
    end_ms: int
    size: float = 1.0


@dataclass(frozen=True)
class Effects:
    """Which faults act on the assets of one model: by cause, the rows with start, end (ms) and size, shape ``(f,)``."""

    by_cause: Mapping[str, tuple[Rows, Ints, Ints, Floats]]

    @staticmethod
    def of(faults: Sequence[Fault], assets: Sequence[Asset]) -> "Effects":
        place = {asset.key: row for row, asset in enumerate(assets)}
        found: dict[str, list[tuple[int, int, int, float]]] = {}
        for fault in faults:
            for target in fault.targets:
                if target in place:
                    found.setdefault(fault.cause, []).append((place[target], fault.start_ms, fault.end_ms, fault.size))
        return Effects(
            {
                cause: (
                    np.array([r for r, _, _, _ in rows], np.intp),
                    np.array([s for _, s, _, _ in rows], np.int64),
                    np.array([e for _, _, e, _ in rows], np.int64),
                    np.array([z for _, _, _, z in rows], np.float64),
                )
                for cause, rows in found.items()
            }
        )

    def size(self, cause: str, rows: Rows, ts_ms: Ints) -> Floats:
        """How strongly the cause acts on these assets at these moments, 0 where it does not; ``rows`` and ``ts_ms``
        broadcast, as ``(k,)`` with ``(k,)`` or ``(n, 1)`` with ``(n, t)``."""
        out = np.zeros(np.broadcast_shapes(np.shape(rows), np.shape(ts_ms)))
        for where, (_, size) in self._acting(cause, rows, ts_ms):
            out[where] = np.maximum(out[where], size)
        return out

    def since_ms(self, cause: str, rows: Rows, ts_ms: Ints) -> Floats:
        """Time since the cause began to act there; NaN where it does not."""
        shape = np.broadcast_shapes(np.shape(rows), np.shape(ts_ms))
        out = np.full(shape, np.nan)
        moments = np.broadcast_to(ts_ms, shape)
        for where, (start, _) in self._acting(cause, rows, ts_ms):
            out[where] = np.fmax(out[where], moments[where] - start)
        return out

    def _acting(
        self, cause: str, rows: Rows, ts_ms: Ints
    ) -> Iterator[tuple[tuple[NDArray[np.intp], ...], tuple[int, float]]]:
        """The places that each fault acts on, its beginning and size; only rows that it can touch are looked at."""
        if cause not in self.by_cause:
            return
        shape = np.broadcast_shapes(np.shape(rows), np.shape(ts_ms))
        touched = np.isin(rows, self.by_cause[cause][0])
        if not touched.any():
            return
        places = np.nonzero(np.broadcast_to(touched, shape))
        row, ts = np.broadcast_to(rows, shape)[places], np.broadcast_to(ts_ms, shape)[places]
        order = np.argsort(row, kind="stable")
        sorted_row = row[order]
        for one, start, end, size in zip(*(column.tolist() for column in self.by_cause[cause]), strict=True):
            mine = order[slice(*np.searchsorted(sorted_row, (one, one + 1)).tolist())]
            acts = mine[(ts[mine] >= start) & (ts[mine] < end)]
            yield tuple(axis[acts] for axis in places), (start, size)


class Model(Protocol):
    """How one kind behaves. Pure but for the random numbers of its own seed."""

    kind: Kind
    assets: tuple[Asset, ...]

    def prepare(self, start_ms: int, effects: Effects) -> None:
        """Compute the day from ``start_ms`` (a multiple of ``DAY_MS``). Days are asked for in order; a day out of order
        starts afresh from plausible values. Asking for the same day again (a fault was added) gives the same past."""
        ...

    def at(self, rows: Rows, ts_ms: Ints) -> Columns:
        """What these assets measure at these moments of the prepared day; shapes ``(k,)``. The same question gives the
        same answer: noise is a function of seed, asset and moment."""
        ...

    def powered(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Whether the asset's controller has power then: without it, it is silent and its will is published."""
        ...

    def active(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Whether it is lit, producing or in service, so that the shorter heartbeat holds."""
        ...


def noise(seed: int, rows: Rows, ts_ms: Ints, what: int) -> Floats:
    """Normal noise within three deviations, a pure function of its arguments, which broadcast.

    A counter-based generator (SplitMix64 finaliser, Steele et al. 2014) and the sum of four uniforms: months of noise
    without a state to carry.
    """
    shape = np.broadcast_shapes(np.shape(rows), np.shape(ts_ms))
    key = (np.asarray(rows).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(
        (seed * 0xBF58476D1CE4E5B9 + what * 0x94D049BB133111EB) % 2**64
    )
    state = np.broadcast_to(key ^ (np.asarray(ts_ms).astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)), shape)
    total = np.zeros(shape)
    for turn in range(2):
        mixed = state + np.uint64((turn + 1) * 0x9E3779B97F4A7C15 % 2**64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
        total += (mixed >> np.uint64(32)).astype(np.float64) + (mixed & np.uint64(0xFFFFFFFF)).astype(np.float64)
    return np.clip((total / 2**32 - 2.0) * np.sqrt(3.0), -3, 3)
