"""Who has power: contactors that follow dusk and dawn, and the outages of feeders, phases, cabinets and the grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.asset import Asset
from simulators.physics.frame import Effects, Ints, Mask, Rows
from simulators.physics.program import Nights
from simulators.physics.wander import identities

OUTAGES = ("feeder_outage", "phase_lost", "cabinet_outage", "grid_outage", "circuit_unlit")
"""Causes that take the power of a lamp."""
STUCK = ("contactor_stuck", "circuit_day_burning")
"""Causes that leave a switched circuit under voltage by day."""
CONTACTOR_OPEN = 2.0
"""Size of ``feeder_outage`` and ``circuit_unlit`` where the contactor does not close; else it is a fuse."""


def contactors(seed: int, cabinets: Sequence[Asset], start_ms: int) -> Nights:
    """From when to when the contactor of each cabinet is closed on the day from ``start_ms``, if it is one that
    switches; each has a photocell."""
    return Nights.of(
        seed,
        identities([c.key for c in cabinets]),
        np.array([c.latitude for c in cabinets], np.float64),
        np.array([c.longitude for c in cabinets], np.float64),
        start_ms,
        np.zeros(len(cabinets), np.bool_),
    )


@dataclass(frozen=True)
class Supply:
    """The supply of some lamps: ``closed`` of the contactors, of which ``circuit`` tells each lamp's; only
    ``switched`` ones hang on theirs. ``effects`` are those on the lamps."""

    closed: Nights
    circuit: Rows
    switched: Mask
    effects: Effects

    def on(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Whether there is voltage; shapes broadcast."""
        live = ~self.switched[rows] | (self.closed.lit(self.circuit[rows], ts_ms) if self.switched.any() else False)
        for cause in STUCK:
            live = live | (self.effects.size(cause, rows, ts_ms) > 0)
        for cause in OUTAGES:
            live = live & ~(self.effects.size(cause, rows, ts_ms) > 0)
        return live

    def events(self) -> list[tuple[Rows, Ints]]:
        """When contactors close and open; faults tell their own moments."""
        rows = np.flatnonzero(self.switched)
        circuit = self.circuit[rows]
        return [(rows, moments[circuit]) for moments in (*self.closed.dusk_ms, *self.closed.dawn_ms)]
