"""What can befall a roof: the causes that the model of roofs knows, how bad each can be, and which act on a day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulators.asset import Asset
from simulators.physics.frame import DAY_MS, Effects, Fault, Floats, Ints, Rows
from simulators.physics.weather import Weather

SIZES: Mapping[str, tuple[float, float]] = {
    "inverter_fault": (1.0, 1.0),
    "zero_output": (1.0, 1.0),
    "no_start": (1.0, 1.0),
    "string_open": (1.0, 1.0),
    "partial_loss": (0.10, 0.35),
    "peer_underperformance": (0.25, 0.60),
    "shading": (0.8, 1.0),
    "voltage_derating": (0.5, 1.0),
    "isolation": (0.7, 1.0),
    "irradiance_sensor": (0.25, 0.6),
    "site_outage": (1.0, 1.0),
    "grid_outage": (1.0, 1.0),
    "snow": (0.7, 1.0),
}
"""What ``Fault.size`` may be for each cause, from the least that is worth an alert to the worst.

- ``inverter_fault``, ``zero_output``, ``no_start``, ``site_outage``, ``grid_outage``: all or nothing. ``no_start``
  bites at the first wake-up after its start. ``site_outage`` and ``grid_outage`` take the controller's power too.
- ``string_open``: how many strings are open, a whole number. A roof with one string then gives nothing.
- ``partial_loss``: share of the power lost.
- ``peer_underperformance``: share of the light lost once the soiling has grown, over ten days.
- ``shading``: share of the beam that a new obstacle takes while the sun is behind it.
- ``voltage_derating``: 0 lifts the middle of the area's voltage to 247 V, 1 to 253 V, most of it at any hour. P(U)
  lowers power from 249.6 V on: in full sun about half of the rating is left at 0.5 and a fifth at 1; a dull day loses
  nothing.
- ``isolation``: share of the resistance lost; from about 0.97 on the inverter refuses with a ground fault.
- ``irradiance_sensor`` (only where ``roofs.has_sensor``): below 1 the share that it shows too little; 1: it stands
  still; above 1: W/m² that it shows too much, at night too.
- ``snow``: share of the modules under it. Snow comes with the weather; this adds to it.

``solar_comms_lost`` is the radio's: the roof goes on as ever.
"""
NO_GRID = ("site_outage", "grid_outage")


@dataclass(frozen=True)
class Acting:
    """The effects that can matter on one day; a cause that does not act costs nothing."""

    effects: Effects

    @staticmethod
    def on(effects: Effects, start_ms: int) -> "Acting":
        """Those that act on the day from ``start_ms`` or the day before it."""
        kept: dict[str, tuple[Rows, Ints, Ints, Floats]] = {}
        for cause, (rows, start, end, size) in effects.by_cause.items():
            near = (start < start_ms + 2 * DAY_MS) & (end > start_ms - DAY_MS)
            if near.any():
                kept[cause] = (rows[near], start[near], end[near], size[near])
        return Acting(Effects(kept))

    def size(self, cause: str, rows: Rows, ts_ms: Ints) -> Floats:
        """As ``Effects.size``; without any, a single 0 that broadcasts."""
        return self.effects.size(cause, rows, ts_ms) if cause in self.effects.by_cause else np.zeros(())

    def since_ms(self, cause: str, rows: Rows, ts_ms: Ints) -> Floats:
        """As ``Effects.since_ms``; without any, a single NaN that broadcasts."""
        return self.effects.since_ms(cause, rows, ts_ms) if cause in self.effects.by_cause else np.full((), np.nan)


HEALTHY = Acting(Effects({}))


def snow_faults(weather: Weather, roofs: Sequence[Asset], start_ms: int, days: int) -> tuple[Fault, ...]:
    """Labels for the snow that the weather brings: one for the whole region each time its roofs lie under it."""
    targets = tuple(asset.key for asset in roofs)
    return tuple(
        Fault(
            cause="snow",
            scope="region",
            municipality=None,
            name="snow",
            targets=targets,
            start_ms=from_ms,
            end_ms=to_ms,
            size=0.0,
        )
        for from_ms, to_ms in weather.snow_spans(start_ms, days)
    )
