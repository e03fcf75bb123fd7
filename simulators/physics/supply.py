"""Who has power: contactors that follow dusk and dawn or what they were told, and outages of all kinds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.asset import Asset
from simulators.physics.frame import Effects, Ints, Mask, Rows
from simulators.physics.program import Nights
from simulators.physics.told import PROGRAM, Told
from simulators.physics.wander import identities

OUTAGES = ("feeder_outage", "phase_lost", "cabinet_outage", "grid_outage", "circuit_unlit")
"""Causes that take the power of a lamp."""
STUCK = ("contactor_stuck", "circuit_day_burning")
"""Causes that leave a switched circuit under voltage by day."""
CONTACTOR_OPEN = 2.0
"""Size of ``feeder_outage`` and ``circuit_unlit`` where the contactor does not close; else it is a fuse."""


@dataclass(frozen=True)
class Contactors:
    """When contactors are closed: from dusk to dawn by each one's photocell, or as it was ``told``: a program or an
    order of any level above 0 closes it."""

    nights: Nights
    told: Told

    def closed(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Whether those of ``rows`` are closed; shapes broadcast."""
        dark = self.nights.lit(rows, ts_ms)
        if not self.told.any:
            return dark
        row, ts = (np.broadcast_to(part, dark.shape).ravel() for part in (rows, ts_ms))
        order = np.argsort(row, kind="stable")
        cell = dark.ravel()[order]
        by_cell, reason = np.where(cell, 100.0, 0.0), np.full(len(order), PROGRAM)
        right = np.zeros(len(order), np.int64)
        level, _ = self.told.commanded(by_cell, reason, row[order], ts[order], right, right > 0, cell)
        out = np.empty(len(order), np.bool_)
        out[order] = level > 0
        return out.reshape(dark.shape)


def contactors(seed: int, cabinets: Sequence[Asset], start_ms: int, told: Told) -> Contactors:
    """The contactors of these cabinets, if they are ones that switch, on the day from ``start_ms``."""
    nights = Nights.of(
        seed,
        identities([c.key for c in cabinets]),
        np.array([c.latitude for c in cabinets], np.float64),
        np.array([c.longitude for c in cabinets], np.float64),
        start_ms,
        np.zeros(len(cabinets), np.bool_),
    )
    return Contactors(nights, told.now())


@dataclass(frozen=True)
class Supply:
    """The supply of some lamps: the ``contactors``, of which ``circuit`` tells each lamp's; only ``switched`` ones
    hang on theirs. ``effects`` are those on the lamps."""

    contactors: Contactors
    circuit: Rows
    switched: Mask
    effects: Effects

    def on(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Whether there is voltage; shapes broadcast."""
        live = ~self.switched[rows] | (
            self.contactors.closed(self.circuit[rows], ts_ms) if self.switched.any() else False
        )
        for cause in STUCK:
            live = live | (self.effects.size(cause, rows, ts_ms) > 0)
        for cause in OUTAGES:
            live = live & ~(self.effects.size(cause, rows, ts_ms) > 0)
        return live

    def events(self, start_ms: int) -> list[tuple[Rows, Ints]]:
        """When contactors may close and open on the day from ``start_ms``; faults tell their own moments."""
        rows = np.flatnonzero(self.switched)
        circuit = self.circuit[rows]
        nights = self.contactors.nights
        found = [(rows, moments[circuit]) for moments in (*nights.dusk_ms, *nights.dawn_ms)]
        for cabinet, moments in self.contactors.told.events(start_ms) if len(rows) else ():
            behind = rows[circuit == cabinet[0]]  # each of them is of one cabinet
            found.append((np.repeat(behind, len(moments)), np.tile(moments, len(behind))))
        return found
