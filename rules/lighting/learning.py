"""What a lamp ought to take, learnt from its own ordinary hours; kept in the state ``power_curve``."""

import numpy as np

from kraj.readings import Floats, Mask
from rules.layer import Layer
from rules.lighting import switching
from rules.lighting.circuit import LIVE_V
from rules.lighting.power import (
    COMMISSION_H,
    GAIN_SPAN,
    NEAR_SHARE,
    OUT_W,
    Gain,
    Luminaire,
    curve_w,
    deviates,
    dimming,
    expected_w,
    learnt,
    replaced,
)

HOUR_MS = 3_600_000
YOUNG_H = 200
"""A lamp known for fewer hours may have been learnt while it was ill: what is near the registry's power is believed."""
LOW, FULL, ANCHOR, HOURS, ASTRAY, RATED = range(6)
"""Fields of ``power_curve``, all 0 at first: the gain, whether the lamp is astray, and the rated power it was learnt
for."""


def made(layer: Layer) -> Luminaire:
    """What the registry says of the layer's lamps; shape ``(1,)`` where that is the same of all."""
    names = ("power_rated_w", "power_min_w", "power_standby_w", "level_min_pct")
    columns = (layer.column(name) for name in names)
    return Luminaire(*(column[:1] if column.strides == (0,) else column for column in columns))


def expected(layer: Layer, level_pct: Floats) -> Floats:
    """What the layer's lamps ought to take at these levels."""
    return expected_w(made(layer), _gain(_known(layer)), level_pct)


def full_w(layer: Layer) -> Floats:
    """What they ought to take at full level."""
    return layer.column("power_rated_w") * (1 + _gain(_known(layer)).full)


def track(layer: Layer) -> None:
    """Once a lit hour, a settled lamp is an example of what it ought to take: not while it is astray, which it is from
    where its power deviates to where it is near again."""
    state = layer.state
    hour = layer.ts_ms // HOUR_MS
    known = state.array("learnt_hour", dtype=np.int64, fill=0)[layer.slots]
    rows = np.flatnonzero((known != hour) & (layer.column("level_commanded_pct") > 0))
    if not len(rows):
        return
    lit = layer.part(rows)
    settled = switching.since_s(state, lit.slots, lit.ts_ms, lit.column("uptime_s")) >= switching.SETTLE_S
    rows = rows[settled & (lit.column("voltage_v") >= LIVE_V) & (lit.column("power_w") >= OUT_W)]
    if len(rows):
        state.put("learnt_hour", layer.slots[rows], hour[rows], known[rows])
        _learn(layer.part(rows))


def _learn(layer: Layer) -> None:
    state, slots = layer.state, layer.slots
    level, power = layer.column("level_commanded_pct"), layer.column("power_w")
    lamp, before = made(layer), _curve(layer)
    # Where the registry has changed, what was learnt was of another lamp.
    curve = np.where(((before[:, RATED] != 0) & (before[:, RATED] != lamp.rated_w))[:, None], 0.0, before)
    new = state.array("lamp_replaced", fill=0.0)[slots] == 1
    by_registry = power / curve_w(lamp, dimming(level, lamp.level_min_pct)) - 1
    astray = _astray(lamp, _gain(curve), level, power, curve[:, ASTRAY])
    back = astray & (curve[:, HOURS] < YOUNG_H) & (np.abs(by_registry) < NEAR_SHARE)
    curve[back, HOURS] = 0
    gain = _gain(curve)
    taught, as_is = learnt(lamp, gain, level, power), replaced(lamp, level, power)
    # While it is being commissioned the registry's power is what is in doubt, and not the lamp.
    ordinary = (gain.hours < COMMISSION_H) | ~astray
    teaches = ordinary & (np.abs(by_registry - gain.anchor) <= GAIN_SPAN * (1 + gain.anchor))
    for field, plain, fresh in (
        (LOW, taught.low, as_is.low),
        (FULL, taught.full, as_is.full),
        (ANCHOR, taught.anchor, as_is.anchor),
        (HOURS, taught.hours, as_is.hours),
    ):
        curve[:, field] = np.where(new, fresh, np.where(teaches, plain, curve[:, field]))
    curve[:, ASTRAY] = _astray(lamp, _gain(curve), level, power, astray & ~new)
    curve[:, RATED] = np.nan_to_num(lamp.rated_w)
    state.put("power_curve", slots, curve, before)
    if new.any():
        state.put("lamp_replaced", slots[new], 0.0)


def _astray(lamp: Luminaire, gain: Gain, level_pct: Floats, power_w: Floats, before: Floats | Mask) -> Mask:
    usual = expected_w(lamp, gain, level_pct)
    near = np.abs(power_w - usual) < NEAR_SHARE * usual
    return deviates(power_w, usual) | ((before == 1) & ~near)


def _known(layer: Layer) -> Floats:
    """``_curve``, looked up once a layer; after ``track`` only."""
    found = layer.columns.get("power_curve")
    if found is None:
        found = layer.columns["power_curve"] = _curve(layer)
    return found


def _curve(layer: Layer) -> Floats:
    return layer.state.array("power_curve", fill=0.0, shape=(6,)).take(layer.slots, axis=0)


def _gain(curve: Floats) -> Gain:
    return Gain(curve[:, LOW], curve[:, FULL], curve[:, ANCHOR], curve[:, HOURS])
