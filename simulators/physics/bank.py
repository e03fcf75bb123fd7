"""What is lasting in lamps, as arrays: of those that report themselves, and of those that only a meter knows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.asset import Asset
from simulators.physics.frame import Floats, Ints, Mask, Rows
from simulators.physics.program import ALWAYS_FULL, PROGRAMS
from simulators.physics.wander import identities, trait

CLO_SHARE = 0.25
"""Of the feeders: their lamps hold their light output constant over the years."""
BEND = (0.04, 0.14)
"""LEDs give less light per watt at full current: the square's part in the curve from light to watts, by make."""

WHAT_CLO, WHAT_BEND, WHAT_PROGRAM = 202, 203, 205


@dataclass(frozen=True)
class Bank:
    """What is lasting in ``n`` lamps, arrays of shape ``(n,)``; ``circuit`` is the row of the cabinet, -1 for none."""

    ids: Ints
    latitude: Floats
    longitude: Floats
    rated_w: Floats
    min_w: Floats
    standby_w: Floats
    level_min_pct: Floats
    program: Rows
    part_night: Mask
    switched: Mask
    circuit: Rows
    phase: Ints
    clo: Mask
    bend: Floats
    linear: Mask

    def __len__(self) -> int:
        return len(self.ids)

    @staticmethod
    def of(seed: int, lamps: Sequence[Asset], circuit: Rows) -> "Bank":
        """Lamps that report themselves; one feeder has one program, one make its own curve."""

        def column(name: str, absent: float = 0.0) -> Floats:
            return np.array([lamp.number(name, absent) for lamp in lamps], np.float64)

        feeders = _feeders(lamps)
        makes = identities([lamp.word("lamp_model") or "" for lamp in lamps])
        return Bank(
            identities([lamp.key for lamp in lamps]),
            np.array([lamp.latitude for lamp in lamps]),
            np.array([lamp.longitude for lamp in lamps]),
            column("power_rated_w"),
            column("power_min_w"),
            column("power_standby_w"),
            column("level_min_pct", 10.0),
            program_of(seed, lamps),
            column("part_night") > 0,
            column("feeder_switched") > 0,
            circuit,
            column("phase", 1.0).astype(np.int64),
            trait(seed, feeders, WHAT_CLO) < CLO_SHARE,
            trait(seed, makes, WHAT_BEND, *BEND),
            column("dimming_linear") > 0,
        )

    @staticmethod
    def unmetered(seed: int, cabinets: Sequence[Asset]) -> "Bank":
        """Lamps without controllers: lit at full while their contactor is closed, or by a photocell where the feeder
        is permanent. Together they make up what the cabinet carries beyond the lamps that report themselves."""
        counts = np.array([int(c.number("lamps_unmetered")) for c in cabinets], np.intp)
        circuit = np.repeat(np.arange(len(cabinets)), counts)
        number = np.arange(len(circuit)) - np.searchsorted(circuit, circuit)
        keys = [f"{cabinets[c].key}/{n}" for c, n in zip(circuit.tolist(), number.tolist(), strict=True)]
        ids = identities(keys)
        rated = np.array([c.number("power_rated_w") / max(c.number("lamps"), 1.0) for c in cabinets])[circuit]
        none = np.zeros(len(ids), np.bool_)
        return Bank(
            ids,
            np.array([c.latitude for c in cabinets])[circuit],
            np.array([c.longitude for c in cabinets])[circuit],
            rated,
            0.15 * rated,
            np.zeros(len(ids)),
            np.full(len(ids), 10.0),
            np.full(len(ids), ALWAYS_FULL),
            none,
            np.array([c.number("lamps") == c.number("lamps_unmetered") for c in cabinets])[circuit],
            circuit,
            number % 3 + 1,
            none,
            trait(seed, ids, WHAT_BEND, *BEND),
            none,
        )


def program_of(seed: int, lamps: Sequence[Asset]) -> Rows:
    """Which of ``PROGRAMS`` runs on each lamp: one for a whole feeder; shape ``(n,)``."""
    return (trait(seed, _feeders(lamps), WHAT_PROGRAM) * len(PROGRAMS)).astype(np.intp)


def is_dimmed(seed: int, lamps: Sequence[Asset]) -> Mask:
    """Which lamps have a program with more levels than one."""
    return program_of(seed, lamps) != ALWAYS_FULL


def _feeders(lamps: Sequence[Asset]) -> Ints:
    return identities([f"{lamp.municipality}/{lamp.word('feeder') or lamp.label}" for lamp in lamps])
