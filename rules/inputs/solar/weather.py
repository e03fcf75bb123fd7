"""What weather and sensor do to the figures: snow on the modules, a sensor that stands still."""

import numpy as np

from kraj.metrics import Title
from kraj.readings import Floats
from kraj.units import Unit
from rules.inputs import tracked
from rules.inputs.solar.light import table
from rules.inputs.solar.memory import Field, Memory
from rules.inputs.solar.neighbours import Around, seen
from rules.layer import Form, Input, Layer
from rules.timers import GAP_HEARTBEATS

COLD_DEGC = 1.0
"""Module temperature below which there may be snow on it (solar.md)."""
THAWED_DEGC = 5.0
"""Above this, by the roof's own sensor, nothing lies on it any more; modules from which it has slid are warm soon, but
say nothing about others."""
COVERED_INDEX = 0.03
"""Of clear-sky power: two centimetres of snow let less through, and the darkest overcast of a winter more (0.05)."""
WAKES_PCT, DARKEST = 1.0, 0.05
"""Of the rating: below, an inverter may sleep, and gives nothing under the darkest overcast (that share of clear-sky
light) as it does under snow. So nobody sees snow where a clear sky would not give ``WAKES_PCT / DARKEST``, a fifth of
the rating: at dawn and dusk, and on roofs that the winter's sun hardly reaches. Else each dusk of a winter would excuse
a dead inverter for three more days."""
LOW_INDEX = 0.1
"""Peers may have lost some of theirs; and where snow has been seen, it lies until there is more than that."""
DULL_W_PER_M2 = (8.0, 60.0)
"""What a sensor sees on a day so dark that inverters sleep. Less: it is covered, too; more: it alone is not."""
STAYS_MS = 3 * 86_400_000
"""A roof may keep its snow longer than its neighbours; after three days low output is something else."""
FLAT_W_PER_M2 = 1.0
"""Daylight moves by more than that within minutes, even under fog."""


def track(layer: Layer, memory: Memory) -> None:
    """Move on the snow and the sensor, and put what rules see of it into the layer."""
    ts = layer.ts_ms.astype(np.float64)
    index = layer.column("clear_index")
    module = module_degc(layer)
    low = index < LOW_INDEX
    peers, near = seen(layer, Around.INDEX), seen(layer, Around.NEAR_INDEX)
    others = np.where(np.isnan(peers), near, peers)
    own, around = layer.column("irradiance_w_per_m2"), seen(layer, Around.LIGHT_W_PER_M2)
    light = np.where(np.isnan(own), around, own)
    dull = (light > DULL_W_PER_M2[0]) & (light < DULL_W_PER_M2[1])
    rated = table(layer).roofs.rated_w[layer.slots]
    day = layer.column("clear_power_w") * DARKEST >= rated * WAKES_PCT / 100
    comes = (index < COVERED_INDEX) & (module < COLD_DEGC) & (others < LOW_INDEX) & ~dull & day
    memory.where(comes, Field.SNOW_MS, ts)
    memory.where((index >= 2 * LOW_INDEX) | (layer.column("module_temp_degc") > THAWED_DEGC), Field.SNOW_MS, np.nan)
    lies = low & (ts - memory[Field.SNOW_MS] <= STAYS_MS)
    layer.columns["snowed"] = np.where(np.isnan(index), np.nan, lies)
    layer.columns["snow_covered"] = np.where(np.isnan(index), np.nan, comes)

    given = layer.column("irradiance_w_per_m2")
    # What it said meanwhile nobody knows: before and after a noon without power a clear sky gives the same.
    unheard = layer.gap_s > GAP_HEARTBEATS * layer.column("heartbeat_s")
    moved = ~(np.abs(given - memory[Field.FLAT_W_PER_M2]) <= FLAT_W_PER_M2) | unheard
    memory.where(moved, Field.FLAT_W_PER_M2, given)
    memory.where(moved, Field.FLAT_MS, ts)
    layer.columns["irradiance_flat_s"] = np.where(np.isnan(given), np.nan, (ts - memory[Field.FLAT_MS]) / 1000)


def module_degc(layer: Layer) -> Floats:
    """The roof's own sensor, else the median of those around."""
    own = layer.column("module_temp_degc")
    return np.where(np.isnan(own), seen(layer, Around.MODULE_DEGC), own)


INPUTS = (
    Input(
        "snowed",
        Unit.NONE,
        Title(cs="Na panelech nejspíš leží sníh", en="There is most likely snow on the modules"),
        tracked("snowed"),
        Form.FLAG,
        needs=("power_w", "module_temp_degc"),
    ),
    Input(
        "snow_covered",
        Unit.NONE,
        Title(cs="Sníh panely zakrývá, u sousedů také", en="Snow covers the modules, and the peers', too"),
        tracked("snow_covered"),
        Form.FLAG,
        needs=("power_w", "module_temp_degc"),
    ),
    Input(
        "module_near_degc",
        Unit.CELSIUS,
        Title(cs="Teplota panelu (vlastní, jinak okolních)", en="Module temperature (its own, else those around)"),
        module_degc,
        needs=("module_temp_degc",),
    ),
    Input(
        "irradiance_flat_s",
        Unit.SECOND,
        Title(cs="Jak dlouho čidlo ozáření ukazuje totéž", en="How long the irradiance sensor has said the same"),
        tracked("irradiance_flat_s"),
        needs=("irradiance_w_per_m2",),
    ),
)
