"""What every device tells about itself: clock, radio, uptime, and why it started."""

from collections.abc import Mapping

import numpy as np

from simulators.asset import Region
from simulators.physics.frame import Columns, Floats, Ints, Rows
from simulators.physics.traces import traces
from simulators.physics.wander import identities, trait

RSSI_DBM = (-105.0, -62.0)
CLOCK_S = 1.5
"""Ordinary clocks are set every few hours and are off by less."""
POWER_ON = 0.0

WHAT_RSSI, WHAT_CLOCK, WHAT_MOMENT = 221, 222, 223


class Health:
    """The devices behind the assets of one model."""

    def __init__(self, region: Region, kind: str) -> None:
        placed = [(i.asset.key, d.clock) for d in region.devices for i in d.installed if i.asset.kind == kind]
        self._seed = region.seed
        self._ids = identities([key for key, _ in placed])
        self._rssi = trait(region.seed, self._ids, WHAT_RSSI, *RSSI_DBM)
        own = trait(region.seed, self._ids, WHAT_CLOCK, -CLOCK_S, CLOCK_S)
        # A device without a clock cannot know how far off it is.
        self._offset = np.where(np.array([clock for _, clock in placed], np.bool_), own, np.nan)

    def columns(self, rows: Rows, ts_ms: Ints, booted_ms: Ints, ahead_s: Floats) -> Columns:
        """Shapes ``(k,)``; ``ahead_s`` is what a fault adds to the clock."""
        radio, clock = traces(self._seed, self._ids[rows], ts_ms, WHAT_MOMENT)[:2]
        return {
            "clock_offset_s": self._offset[rows] + 0.05 * clock + ahead_s,
            "rssi_dbm": np.round(self._rssi[rows] + 2 * radio),
            "uptime_s": np.floor(np.maximum(ts_ms - booted_ms, 0) / 1000),
            "reset_cause": np.full(len(ts_ms), POWER_ON),
        }


def merged(*parts: Mapping[str, Floats]) -> Columns:
    """All columns of a reading."""
    return {name: column for part in parts for name, column in part.items()}
