"""The USB ports of stops: who charges there, and shorts that trip a port until it is latched off."""

import numpy as np

from kraj.kinds import STOP
from simulators.physics.battery import USB_OFF
from simulators.physics.frame import DAY_MS, Columns, Effects, Floats, Ints, Rows
from simulators.physics.passengers import PORTS, Passengers
from simulators.physics.wander import trait

USB_V, USB_EFFICIENCY = 5.0, 0.9
TWO_PORTS_SHARE = 0.6
TRIP_EVERY_MS, TRIPS = 600_000, 3
"""A shorted port trips so often, then is latched off."""
CAUSE = "usb_overcurrent"
"""Its size is the port."""

WHAT_PORTS, WHAT_FAULTS = 271, 272

_STATE = {name: float(code) for code, name in enumerate(STOP.by_name["usb1_state"].states)}


class Ports:
    """The ports of all stops: two or four each."""

    def __init__(self, seed: int, ids: Ints, people: Passengers) -> None:
        self._seed, self._ids, self._people = seed, ids, people
        self._count = np.where(trait(seed, ids, WHAT_PORTS) < TWO_PORTS_SHARE, 2, PORTS)
        self._faults = self.fresh()
        self._trips: list[tuple[int, int, int]] = []

    def fresh(self) -> Floats:
        """Counters of ports that have been there for years; shape ``(PORTS, n)``."""
        return np.floor(np.array([trait(self._seed, self._ids, WHAT_FAULTS + port, 0, 4) for port in range(PORTS)]))

    def prepare(self, start_ms: int, faults: Floats, effects: Effects) -> Floats:
        """Begin a day with these counters; gives those of its end."""
        self._faults = faults
        self._trips = []
        for row, start, end, size in _listed(effects):
            trips = range(start, min(end, start + TRIPS * TRIP_EVERY_MS), TRIP_EVERY_MS)
            self._trips += [(row, int(size) - 1, trip) for trip in trips if start_ms <= trip < start_ms + DAY_MS]
        later = faults.copy()
        for row, port, _ in self._trips:
            later[port, row] += 1
        return later

    def charging_a(self, rows: Rows, ts_ms: Ints) -> Floats:
        """What the ports of each stop would give; shape ``(PORTS, *broadcast)``."""
        shape = np.broadcast_shapes(rows.shape, ts_ms.shape)
        exists = np.arange(PORTS).reshape(PORTS, *(1 for _ in shape)) < self._count[rows]
        return self._people.charging_a(rows, ts_ms) * exists

    def columns(self, rows: Rows, ts_ms: Ints, shed: Floats, effects: Effects) -> tuple[Floats, Columns]:
        """Amperes ``(PORTS, k)``, and what each port reports; ports that a stop does not have stay unknown."""
        current = np.where(shed >= USB_OFF, 0.0, self.charging_a(rows, ts_ms))
        faulty, since = effects.size(CAUSE, rows, ts_ms), effects.since_ms(CAUSE, rows, ts_ms)
        latched = np.where(since >= (TRIPS - 1) * TRIP_EVERY_MS, _STATE["latched_off"], _STATE["overcurrent"])
        out: Columns = {}
        for port in range(PORTS):
            exists = np.where(port < self._count[rows], 1.0, np.nan)
            shorted = faulty == port + 1
            current[port] = np.where(shorted, 0.0, current[port])
            in_use = np.where(current[port] > 0, _STATE["charging"], _STATE["idle"])
            state = np.select([shorted, shed >= USB_OFF], [latched, _STATE["off"]], in_use)
            out[f"usb{port + 1}_current_a"] = current[port] * exists
            out[f"usb{port + 1}_state"] = state * exists
            out[f"usb{port + 1}_faults"] = self._count_of(port, rows, ts_ms) * exists
        return current, out

    def _count_of(self, port: int, rows: Rows, ts_ms: Ints) -> Floats:
        count = self._faults[port][rows]
        for row, which, trip in self._trips:
            if which == port:
                count = count + ((rows == row) & (ts_ms >= trip))
        return count


def _listed(effects: Effects) -> list[tuple[int, int, int, float]]:
    """Row, start, end and size of each short."""
    if CAUSE not in effects.by_cause:
        return []
    rows, starts, ends, sizes = effects.by_cause[CAUSE]
    return list(zip(rows.tolist(), starts.tolist(), ends.tolist(), sizes.tolist(), strict=True))
