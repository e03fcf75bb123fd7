"""What the lamps behind each cabinet say of themselves, summed for the cabinet; refreshed on ticks."""

import numpy as np

from kraj.readings import Floats, Ints
from rules.estate import Estate
from rules.inputs.health import newest_ms
from rules.layer import Layer
from rules.lighting.circuit import cabinet_slots

FRESH_HEARTBEATS = 2.5
"""A lamp's last power holds until its next report, which may be lost once."""
HEARD_SHARE = 0.95
"""Of the lamps that must be heard of for a sum; the others are taken to be like them."""
LOSS_SHARE = 0.03
"""Of the lamps' power, in cables and terminals: 3 % is what a feeder is designed for (ČSN 33 2000-5-52: 3 % voltage
drop for lighting)."""
OWN_W = 20.0
"""The cabinet's own controller, modem and heater."""


def refresh(layer: Layer) -> None:
    """Put by cabinet ``lamps_power_w``, NaN where too few are heard of."""
    lamps, size = layer.states["lamp"], layer.state.size
    cabinet = cabinet_slots(layer.estate)
    here = np.flatnonzero(cabinet >= 0)
    where, power = cabinet[here], lamps.array("power_last_w")[here]
    heartbeat_ms = 1000 * lamps.array("heartbeat_s")[here]
    fresh = layer.now_ms - newest_ms(lamps)[here] <= FRESH_HEARTBEATS * heartbeat_ms
    fresh &= ~np.isnan(power)
    count = np.bincount(where, minlength=size)
    heard = np.bincount(where[fresh], minlength=size)
    watts = np.bincount(where[fresh], power[fresh], minlength=size)
    enough = (heard > 0) & (heard >= HEARD_SHARE * count)
    total = np.divide(watts * count, heard, out=np.full(size, np.nan), where=enough)
    put_changed(layer, "lamps_power_w", np.where(count == 0, 0.0, total))


def behind(estate: Estate) -> Ints:
    """How many lamps that report themselves hang on each cabinet, shape ``(cabinets,)``; counted once an estate."""
    cabinets = estate.members["cabinet"]
    if "lamps_behind" not in cabinets.kept:
        cabinet = cabinet_slots(estate)
        cabinets.kept["lamps_behind"] = np.bincount(cabinet[cabinet >= 0], minlength=len(cabinets))
    return cabinets.kept["lamps_behind"]


def unaccounted_w(layer: Layer) -> Floats:
    """What the meter shows beyond the lamps, the losses and the cabinet's own; unknown where lamps have no controllers
    and may be lit, or are not heard of."""
    lamps_w = layer.state.array("lamps_power_w")[layer.slots]
    left = layer.column("power_w") - (1 + LOSS_SHARE) * lamps_w - OWN_W
    return np.where((layer.column("lamps_unmetered") > 0) & (layer.column("sun_elevation_deg") < 0), np.nan, left)


def put_changed(layer: Layer, name: str, values: Floats) -> None:
    """Keep a value of every slot in the state."""
    before = layer.state.array(name)
    changed = np.flatnonzero((values != before) & ~(np.isnan(values) & np.isnan(before)))
    if len(changed):
        layer.state.put(name, changed, values[changed])
