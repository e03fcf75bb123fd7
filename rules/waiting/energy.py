"""How many days a stop's battery lasts: its charge, what it feeds, and what a weak sun gives in each month."""

import numpy as np

from kraj.readings import Floats, Ints
from rules.layer import Layer

WEAK_YIELD = (0.80, 1.30, 1.85, 2.35, 2.45, 2.50, 2.55, 2.50, 2.10, 1.40, 0.80, 0.65)
"""Of a panel at 60° to the south, kWh a day for each kWp, January to December: what nine of ten spells of five days
reach in Czechia. December is stops.md's 0.65, half of the 1.35 of the planning tools' mean December; other months are
their means (PVGIS: 1.6, 2.4, 3.3, 4.0, 4.1, 4.1, 4.2, 4.2, 3.6, 2.6, 1.6 until November) times 0.5 in winter to 0.6 in
summer, when dull weather does not last as long."""
EFFICIENCY = 0.95
"""Of a LiFePO4 battery on the way out, with its wires."""
LOAD_S = 86_400.0
"""The load is a mean over about a day: light by night, passengers by day."""
SURE_S = 6 * 3600.0
"""Of load must have been seen before its mean tells of a day."""
MEAN_W, SEEN_S = range(2)
SPAN_MS, SPANS = 6 * 3_600_000, 5
"""The lowest autonomy is looked for in this and the last four quarters of a day: in a whole one at least."""


def track(layer: Layer) -> None:
    """Move the mean load on, in the state ``load_mean``: its value and for how long it has been watched."""
    state, slots = layer.state, layer.slots
    before = state.array("load_mean", fill=0.0, shape=(2,))[slots]
    load = layer.column("load_power_w")
    rows = np.flatnonzero(~np.isnan(load))
    if len(rows):
        state.put("load_mean", slots[rows], moved(before[rows], load[rows], layer.gap_s[rows]), before[rows])
    known = state.array("autonomy_lows", shape=(1 + SPANS,))[slots]
    state.put("autonomy_lows", slots, lows(known, layer.ts_ms, layer.column("autonomy_days")), known)


def moved(mean: Floats, load_w: Floats, gap_s: Floats) -> Floats:
    """A mean (shape ``(n, 2)``: watts, seconds) after a load that held since the reading before: exponential, and plain
    until a day has been seen."""
    gap = np.nan_to_num(np.minimum(gap_s, LOAD_S), nan=1.0)
    seen = np.minimum(mean[:, SEEN_S] + gap, LOAD_S)
    return np.stack([mean[:, MEAN_W] + gap / seen * (load_w - mean[:, MEAN_W]), seen], axis=1)


def lows(known: Floats, ts_ms: Ints, days: Floats) -> Floats:
    """The lowest values of the last spans of time, newest first, behind the newest's number; ``(n, 1 + SPANS)``."""
    number = (ts_ms // SPAN_MS).astype(np.float64)
    later = np.nan_to_num(number - known[:, 0], nan=SPANS).clip(0, SPANS).astype(np.intp)[:, None]
    place = np.arange(SPANS)
    kept = np.take_along_axis(known[:, 1:], np.maximum(place - later, 0), axis=1)
    spans = np.where(place < later, np.nan, kept)
    spans[:, 0] = np.fmin(spans[:, 0], days)
    return np.concatenate([number[:, None], spans], axis=1)


def autonomy_lowest_days(layer: Layer) -> Floats:
    """The lowest autonomy within a day and a quarter: its charge swings with the sun."""
    return np.fmin.reduce(layer.state.array("autonomy_lows", shape=(1 + SPANS,))[layer.slots, 1:], axis=1)


def autonomy_days(layer: Layer) -> Floats:
    """Days until the least charge at the present mean load in weak sun; infinite where the sun suffices, unknown in the
    first hours."""
    mean = layer.state.array("load_mean", fill=0.0, shape=(2,))[layer.slots]
    health = layer.column("battery_soh_pct")
    left_wh = stored_wh(
        layer.column("battery_soc_pct") - layer.column("battery_soc_min_pct"),
        layer.column("battery_capacity_wh"),
        np.where(np.isnan(health), 100.0, health),
    )
    needs_w = mean[:, MEAN_W] - weak_sun_w(layer.ts_ms, layer.column("power_rated_w"))
    days = np.divide(left_wh, 24 * needs_w, out=np.full(len(layer), np.inf), where=needs_w > 0)
    return np.where((mean[:, SEEN_S] < SURE_S) | np.isnan(left_wh), np.nan, days)


def stored_wh(above_least_pct: Floats, capacity_wh: Floats, health_pct: Floats) -> Floats:
    """What a battery gives before it is down to its least charge; never less than nothing."""
    return np.maximum(above_least_pct, 0.0) / 100 * capacity_wh * health_pct / 100 * EFFICIENCY


def weak_sun_w(ts_ms: Ints, peak_w: Floats) -> Floats:
    """The panel's mean power over a day in weak sun; 0 without a panel."""
    month = ts_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64) % 12
    return np.array(WEAK_YIELD)[month] * np.nan_to_num(peak_w) / 24
