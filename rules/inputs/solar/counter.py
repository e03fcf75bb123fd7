"""The lifetime energy as it can be believed: without zeros at wake-up, jumps and resets."""

import numpy as np

from kraj.metrics import Title
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.estate import Slots
from rules.inputs import tracked
from rules.inputs.solar.light import table
from rules.inputs.solar.memory import Field, Memory
from rules.layer import Input, Layer
from rules.photovoltaics.clear import clear_light, power_w

RATE_MAX = 1.3
"""Of the rating: nothing counts faster (solar.md)."""
SLACK_WH = 1.0
"""A counter may fall by one count between two readings of it (solar.md), and rounds."""
EPOCH_MS = 30 * 60_000
"""So long a counter must stay with its new values before they are believed."""
LONG_GAP_S = 1800.0
GAP_STEPS = 8
"""Points at which the clear sky over a gap is looked at: for "something or nothing" that is plenty."""


def track(layer: Layer, memory: Memory) -> None:
    """``energy_sound_wh`` goes on from the first value by what was produced, whatever the inverter's counter does.

    A value is believed if it lies between one count below the last believed one and what the rating allows since.
    Others are in doubt: if for ``EPOCH_MS`` they go on from each other, rise, and the roof produces, a new epoch
    begins, and what they rose by is counted.
    """
    value, ts = layer.column("energy_wh"), layer.ts_ms.astype(np.float64)
    rated = table(layer).roofs.rated_w[layer.slots]
    said = value > 0  # a counter reads 0 at wake-up
    before = memory[Field.SOUND_WH].copy()

    first = said & np.isnan(memory[Field.COUNTER_WH])
    memory.where(first, Field.SOUND_WH, value)
    step = value - memory[Field.COUNTER_WH]
    most = _most(rated, ts - memory[Field.COUNTER_MS])
    believed = said & ~first & (step >= -SLACK_WH) & ~(step > most)
    counted = believed & (step > 0)
    memory.where(counted, Field.SOUND_WH, memory[Field.SOUND_WH] + step)
    doubted = said & ~first & ~believed
    settled = np.zeros(len(layer), np.bool_)
    if doubted.any():
        settled = _doubt(layer, memory, doubted, value, rated)
    memory.where(first | counted | settled, Field.COUNTER_WH, value)
    memory.where(first | counted | settled, Field.COUNTER_MS, ts)
    memory.where(first | believed | settled, Field.DOUBT_FIRST_WH, np.nan)

    layer.columns["energy_sound_wh"] = memory[Field.SOUND_WH].copy()
    layer.columns["gap_yield_pct"] = _gap_yield_pct(layer, memory[Field.SOUND_WH] - before, ~doubted & said)


def _doubt(layer: Layer, memory: Memory, doubted: Mask, value: Floats, rated: Floats) -> Mask:
    """Move the doubts on; where they have lasted, count them and say so."""
    ts = layer.ts_ms.astype(np.float64)
    step = value - memory[Field.DOUBT_LAST_WH]
    goes_on = (step >= -SLACK_WH) & ~(step > _most(rated, ts - memory[Field.DOUBT_LAST_MS]))
    anew = doubted & ~(goes_on & ~np.isnan(memory[Field.DOUBT_FIRST_WH]))
    memory.where(anew, Field.DOUBT_FIRST_WH, value)
    memory.where(anew, Field.DOUBT_FIRST_MS, ts)
    memory.where(doubted, Field.DOUBT_LAST_WH, value)
    memory.where(doubted, Field.DOUBT_LAST_MS, ts)
    lasted = ts - memory[Field.DOUBT_FIRST_MS] >= EPOCH_MS
    rose = value - memory[Field.DOUBT_FIRST_WH]
    settled = doubted & lasted & (rose > 0) & (layer.column("power_w") > 0)
    memory.where(settled, Field.SOUND_WH, memory[Field.SOUND_WH] + rose)
    return settled


def _most(rated: Floats, ms: Floats) -> Floats:
    return RATE_MAX * rated * ms / 3_600_000 + SLACK_WH


def _gap_yield_pct(layer: Layer, counted: Floats, known: Mask) -> Floats:
    """Of a long gap before this reading: what was counted in it, in % of clear-sky energy; NaN for short gaps, and for
    those by night. It tells whether the roof was down or only not heard of."""
    out = np.full(len(layer), np.nan)
    rows = np.flatnonzero((layer.gap_s > LONG_GAP_S) & known & ~np.isnan(counted))
    if len(rows):
        clear = _clear_wh(layer, rows)
        rated = table(layer).roofs.rated_w[layer.slots[rows]]
        lit = clear > 0.05 * rated * LONG_GAP_S / 3600
        out[rows[lit]] = 100 * counted[rows[lit]] / clear[lit]
    return out


def _clear_wh(layer: Layer, rows: Slots) -> Floats:
    """Energy under a clear sky in the gap before these rows."""
    roofs = table(layer).roofs.take(layer.slots[rows])
    ms = layer.gap_s[rows] * 1000
    total = np.zeros(len(rows))
    for step in range(GAP_STEPS):
        ts = (layer.ts_ms[rows] - ms * (step + 0.5) / GAP_STEPS).astype(np.int64)
        total += power_w(roofs, ts, clear_light(roofs, ts))
    return total / GAP_STEPS * ms / 3_600_000


INPUTS = (
    Input(
        "energy_sound_wh",
        Unit.WATT_HOUR,
        Title(cs="Vyrobená energie očištěná o chyby počítadla", en="Energy produced, without the counter's errors"),
        tracked("energy_sound_wh"),
        needs=("energy_wh",),
    ),
    Input(
        "gap_yield_pct",
        Unit.PERCENT,
        Title(
            cs="Výroba za dobu mlčení (% výroby za jasné oblohy)", en="Energy made while silent (% of clear-sky energy)"
        ),
        tracked("gap_yield_pct"),
        needs=("energy_wh",),
    ),
)
