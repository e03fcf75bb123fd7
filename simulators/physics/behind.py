"""Which lamps hang behind which cabinet, and what they take together at any moment."""

from collections.abc import Iterator

import numpy as np

from simulators.physics.frame import Floats, Ints, Rows
from simulators.physics.lamp import LampModel, power_factor
from simulators.physics.lighting import Lamps

LOOKED_AT_MAX = 400_000
"""Lamps times moments in hand at once: some tens of megabytes."""


class Behind:
    """Which lamps of a bank hang behind which cabinet: ``lamp`` and ``circuit`` in order of circuit."""

    def __init__(self, lamps: Lamps, lamp: Rows, circuit: Rows, first: Rows, count: Rows) -> None:
        self.lamps, self.lamp, self.circuit, self._first, self._count = lamps, lamp, circuit, first, count

    @staticmethod
    def of(lamps: Lamps, cabinets: int) -> "Behind":
        circuit = lamps.bank.circuit
        order = np.argsort(circuit, kind="stable")
        order = order[circuit[order] >= 0]
        first = np.searchsorted(circuit[order], np.arange(cabinets))
        last = np.searchsorted(circuit[order], np.arange(cabinets), "right")
        return Behind(lamps, order, circuit[order], first, last - first)

    def pairs(self) -> Iterator[tuple[Rows, Rows]]:
        """Lamps and their cabinets, some at a time."""
        for start in range(0, len(self.lamp), 4096):
            yield self.lamp[start : start + 4096], self.circuit[start : start + 4096]

    def add(self, rows: Rows, ts_ms: Ints, watts: Floats, vars_: Floats) -> None:
        """Add what the lamps take at these moments to the phases of each row; ``(k, 3)``."""
        count = self._count[rows]
        ends = np.cumsum(count)
        begin = 0
        while begin < len(rows):
            end = int(np.searchsorted(ends, (ends[begin - 1] if begin else 0) + LOOKED_AT_MAX))
            end = max(end, begin + 1)
            self._add(slice(begin, end), rows, ts_ms, watts, vars_)
            begin = end

    def _add(self, part: slice, rows: Rows, ts_ms: Ints, watts: Floats, vars_: Floats) -> None:
        count = self._count[rows[part]]
        query = np.repeat(np.arange(len(rows))[part], count)
        if not len(query):
            return
        within = np.arange(len(query)) - np.repeat(np.cumsum(count) - count, count)
        lamp = self.lamp[self._first[rows[query]] + within]
        moments = ts_ms[query]
        event = self.lamps.line.find(lamp, moments)
        power = self.lamps.power_w(event, lamp, moments)
        factor = power_factor(self.lamps.effective_pct(event, moments), self.lamps.target_pct[event] > 0)
        place = query * 3 + self.lamps.bank.phase[lamp] - 1
        watts += np.bincount(place, power, minlength=watts.size).reshape(watts.shape)
        vars_ += np.bincount(place, power * tangent(factor), minlength=vars_.size).reshape(vars_.shape)


def companions(lamps: LampModel, cabinets: int) -> Rows:
    """The first lamp of each cabinet's first feeder, -1 for none: lamps without controllers share its feeder."""
    out = np.full(cabinets, -1, np.intp)
    circuit = lamps.lamps.bank.circuit
    for row in range(len(circuit) - 1, -1, -1):
        if circuit[row] >= 0 and str(lamps.assets[row].word("feeder")).endswith("/1"):
            out[circuit[row]] = row
    return out


def tangent(factor: Floats) -> Floats:
    """Reactive over active power."""
    return np.sqrt(1 / factor**2 - 1)
