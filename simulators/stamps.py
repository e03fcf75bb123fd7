"""What devices know of themselves besides their sensors: their clock, and since when and how often they run."""

from collections.abc import Sequence

import numpy as np

from kraj.kinds import LAMP
from simulators.asset import Region
from simulators.physics.frame import Columns, Fault, Floats, Ints, Rows
from simulators.presence import Day
from simulators.radio import Clocks, Radio

CLOCK_CAUSE = "clock_drift"
"""The fault of a clock; its size is how many seconds it is ahead."""
RESET = "power_on"
"""The cause that devices give for a start: in this region they start when power comes."""
_RESET_CODE = LAMP.by_name["reset_cause"].states.index(RESET)


class Stamps:
    """The clocks of all devices of a region."""

    def __init__(self, region: Region, faults: Sequence[Fault], radio: Radio) -> None:
        self._clocks = Clocks(radio, region.seed, [device.name for device in region.devices])
        self._has_clock = np.array([device.clock for device in region.devices])
        place = {i.asset.key: n for n, device in enumerate(region.devices) for i in device.installed}
        self._faults = [
            (place[target], fault.start_ms, fault.end_ms, fault.size * 1000)
            for fault in faults
            if fault.cause == CLOCK_CAUSE
            for target in fault.targets
        ]

    def off_ms(self, device: Rows, ts_ms: Ints) -> Floats:
        """How far the clocks are ahead at these moments, shape ``(n,)``; 0 without a clock: then ingest stamps."""
        out = self._clocks.offset_ms(device, ts_ms)
        first, last = (int(ts_ms.min()), int(ts_ms.max())) if len(ts_ms) else (0, 0)
        for one, start, end, size_ms in self._faults:
            if start <= last and end > first:
                out[(device == one) & (ts_ms >= start) & (ts_ms < end)] += size_ms
        out[~self._has_clock[device]] = 0.0
        return np.round(out)

    def health(self, device: Rows, ts_ms: Ints, presence: Day) -> Columns:
        """The metrics that devices fill in themselves; who has no clock cannot tell how far it is off."""
        _, booted_ms = presence.boots(device, ts_ms)
        off_ms = self.off_ms(device, ts_ms)
        return {
            "clock_offset_s": np.where(self._has_clock[device], off_ms / 1000, np.nan),
            "uptime_s": ((ts_ms - booted_ms) // 1000).astype(np.float64),
            "reset_cause": np.full(len(device), float(_RESET_CODE)),
        }
