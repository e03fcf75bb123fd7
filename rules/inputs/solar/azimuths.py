"""Energy by the sun's azimuth, today and the day before: shade comes from the same direction every clear day."""

import numpy as np

from kraj.readings import DAY_MS, Floats, Ints
from rules.estate import Slots
from rules.inputs.solar.memory import Field, Memory
from rules.layer import Layer
from rules.state import State

ARRAY = "solar_azimuths"
FROM_DEG, WIDTH_DEG, BINS = 75.0, 15.0, 14
"""From east-northeast to west-northwest, an hour of the sun's way each; outside the sun is low, and so is the roof's
share of the day."""
LOW_DEG = 10.0
"""Below that everybody's horizon shades, and the clear sky is least certain."""
HOLD_S = 900.0
"""A reading counts until the next, for at most three heartbeats."""
POWER, CLEAR = 0, 1


def track(layer: Layer, memory: Memory) -> None:
    """Add what was produced since the last reading to the bin where the sun stands now."""
    state = layer.state
    energy = _array(state)
    today = solar_day(layer.ts_ms, layer.members.longitude[layer.slots])
    _turn(layer, memory, energy, today)
    power, clear = layer.column("power_w"), layer.column("clear_power_w")
    rows = np.flatnonzero(
        (layer.column("sun_elevation_deg") > LOW_DEG) & (layer.gap_s <= HOLD_S) & ~np.isnan(power + clear)
    )
    if not len(rows):
        return
    slots = layer.slots[rows]
    place = np.floor((layer.column("sun_azimuth_deg")[rows] - FROM_DEG) / WIDTH_DEG).astype(np.intp)
    inside = (place >= 0) & (place < BINS)
    rows, slots, place = rows[inside], slots[inside], place[inside]
    added = np.stack([np.maximum(power[rows], 0), clear[rows]], axis=1) * layer.gap_s[rows, None] / 3600
    before = energy[slots, 0, :, place]
    state.put(ARRAY, (slots, 0, slice(None), place), before + added, before)


def _turn(layer: Layer, memory: Memory, energy: Floats, today: Floats) -> None:
    """Where a day has begun, today's energy becomes the day before's."""
    rows = np.flatnonzero(today != memory[Field.DAY])
    if len(rows):
        slots = layer.slots[rows]
        layer.state.put(ARRAY, (slots, 1), energy[slots, 0])
        layer.state.put(ARRAY, (slots, 0), 0.0)
        memory[Field.DAY_BEFORE][rows] = memory[Field.DAY][rows]
        memory[Field.DAY][rows] = today[rows]


def energy_of(state: State, memory: Floats, day: Floats) -> Floats:
    """What was produced on a solar day and what a clear sky would have given, Wh, shape ``(slots, 2, BINS)``; NaN for
    roofs that were not heard of on that day. ``memory`` is that of all slots."""
    energy = _array(state)
    now = (memory[:, Field.DAY] == day)[:, None, None]
    before = (memory[:, Field.DAY_BEFORE] == day)[:, None, None]
    return np.where(now, energy[:, 0], np.where(before, energy[:, 1], np.nan))


def solar_day(ts_ms: Ints | Floats, longitude: Floats) -> Floats:
    """The day by mean solar time: midnight is when the sun is lowest. Places without a longitude are taken at 15°."""
    return np.floor(ts_ms / DAY_MS + np.where(np.isnan(longitude), 15.0, longitude) / 360)


def centre_deg(place: Slots) -> Floats:
    """The azimuth in the middle of a bin."""
    return FROM_DEG + WIDTH_DEG * (place.astype(np.float64) + 0.5)


def _array(state: State) -> Floats:
    return state.array(ARRAY, fill=0.0, shape=(2, 2, BINS))
