"""Shade: on clear days the roof lacks energy from one direction of the sun, again and again."""

from collections.abc import Callable

import numpy as np

from kraj.metrics import Title
from kraj.readings import Floats
from kraj.units import Unit
from rules.inputs.solar.azimuths import BINS, CLEAR, POWER, centre_deg, energy_of
from rules.inputs.solar.days import DAY_H, day_of
from rules.inputs.solar.memory import whole
from rules.inputs.solar.rings import median, scatter
from rules.layer import Input, Layer
from rules.peers import PEERS_LEAST, peers

ARRAY = "solar_shade"
JUDGED = "solar_shade_day"
DEFICIT = 0.2
"""Of a bin, against the rest of the roof's own day. In full shade a bin lacks 0.7 or more, one module of ten 0.1."""
BIN_CLEAR_H = 0.15
"""Full-load hours of a clear sky below which a bin is not judged: the sun grazes the plane there, and roofs that face
30° apart have little in common."""
SCATTER_TIMES = 3
"""A deficit must stand out of what the peers differ by in this bin on this day."""
BINS_LEAST = 4
CHUNK = 4096
"""Roofs whose neighbours' bins are laid side by side at once: 7 MB."""


def _judge(layer: Layer) -> None:
    """Count for each roof and bin the clear days on end that lacked energy there; once a day."""
    state, day = layer.state, day_of(layer)
    streak = state.array(ARRAY, dtype=np.int16, fill=0, shape=(BINS,))
    judged = state.array(JUDGED)
    power, index = _bins(layer, day)
    lack, least = _lack(layer, index)
    lacks = lack > least
    known = ~np.isnan(lack) & layer.flag("clear_day")[:, None] & (judged[layer.slots] != day)[:, None]
    before = streak[layer.slots]
    now = np.where(known, np.where(lacks, before + 1, 0), before).astype(np.int16)
    state.put(ARRAY, layer.slots, now)
    state.put(JUDGED, layer.slots, day)
    layer.columns["shade_days"] = now.max(axis=1).astype(np.float64)
    place = now.argmax(axis=1)
    layer.columns["shade_azimuth_deg"] = np.where(now.max(axis=1) > 0, centre_deg(place), np.nan)
    shaded = (now > 0) & lacks
    lost = np.where(shaded, power * lack / np.maximum(1 - lack, 0.01), 0.0)
    layer.columns["shade_lost_w"] = np.nansum(lost, axis=1) / DAY_H


def _bins(layer: Layer, day: Floats) -> tuple[Floats, Floats]:
    """Energy of each bin and its share of clear-sky energy, NaN where that is little; shapes ``(n, BINS)``."""
    days = np.full(len(layer.members), np.nan)
    days[layer.slots] = day
    energy = energy_of(layer.state, whole(layer.state), days)
    power, clear = energy[:, POWER], energy[:, CLEAR]
    rated = layer.members.numbers["power_rated_w"][:, None]
    index = np.divide(power, clear, out=np.full(power.shape, np.nan), where=clear > BIN_CLEAR_H * rated)
    return power[layer.slots], index


def _lack(layer: Layer, index: Floats) -> tuple[Floats, Floats]:
    """Which share of a bin is missing, and how much must be to count.

    It is the ratio to the peers' bin against the median ratio of the day, so that a roof that is weak all day lacks
    nothing. NaN without five peers, and where few bins are known.
    """
    lack, least = np.full((2, len(layer), BINS), np.nan)
    theirs = peers(layer.members)
    for start in range(0, len(layer), CHUNK):
        rows = slice(start, start + CHUNK)
        slots = layer.slots[rows]
        around = np.where(theirs[slots][:, :, None] >= 0, index[theirs[slots]], np.nan)
        flat = np.moveaxis(around, 1, 2).reshape(-1, around.shape[1])
        each = median(flat, PEERS_LEAST)
        middle, spread = each.reshape(len(slots), BINS), scatter(flat, each).reshape(len(slots), BINS)
        ratio = np.divide(index[slots], middle, out=np.full(middle.shape, np.nan), where=middle > 0)
        lack[rows] = 1 - ratio / median(ratio, BINS_LEAST)[:, None]
        least[rows] = np.maximum(DEFICIT, SCATTER_TIMES * spread / np.where(middle > 0, middle, np.nan))
    return lack, least


def _column(name: str) -> Callable[[Layer], Floats]:
    def compute(layer: Layer) -> Floats:
        if name not in layer.columns:
            _judge(layer)
        return layer.columns[name]

    return compute


INPUTS = (
    Input(
        "shade_days",
        Unit.COUNT,
        Title(cs="Jasné dny po sobě se stínem z téhož směru", en="Clear days on end with shade from one direction"),
        _column("shade_days"),
        needs=("power_w", "tilt_deg", "azimuth_deg"),
    ),
    Input(
        "shade_azimuth_deg",
        Unit.DEGREE,
        Title(cs="Azimut slunce, při kterém je střecha ve stínu", en="Azimuth of the sun at which it is shaded"),
        _column("shade_azimuth_deg"),
    ),
    Input(
        "shade_lost_w",
        Unit.WATT,
        Title(cs="Ztráta stínem, průměr za den", en="Power lost to shade, mean of the day"),
        _column("shade_lost_w"),
    ),
)
