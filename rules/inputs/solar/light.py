"""What a roof should give at a reading: under a clear sky, by its own sensors, by its neighbours."""

import numpy as np

from kraj.metrics import Title
from kraj.readings import Floats
from kraj.units import Unit
from rules.inputs.solar.neighbours import Around, seen
from rules.layer import Form, Input, Layer
from rules.photovoltaics.clear import ClearTable, Light, Roofs, measured_power_w, power_w

INDEX_CLEAR_PCT = 5.0
"""Of the rating. Where a clear sky gives less, a share of it is mostly error of the model."""
FLAT_S = 1800.0
"""A sensor whose value has stood still for so long is not asked."""
SUN_W_PER_M2 = 1.0
"""Below it a share of clear-sky irradiance has no meaning."""
LIGHT = ("clear_irradiance_w_per_m2", "clear_modules_w_per_m2", "clear_cells_w_per_m2", "sun_azimuth_deg")
"""The columns of a ``Light``."""
CLIPPING = 0.98
"""Of the lower of rating and limit (solar.md)."""


def table(layer: Layer) -> ClearTable:
    """The clear-sky table of all roofs; it lasts as long as the estate."""
    kept = layer.members.kept
    if "clear" not in kept:
        kept["clear"] = ClearTable(Roofs.of(layer.members))
    return kept["clear"]


def _clear(layer: Layer, name: str) -> Floats:
    layer.columns |= dict(zip(LIGHT, table(layer).light(layer.slots, layer.ts_ms), strict=True))
    return layer.columns[name]


def _clear_power_w(layer: Layer) -> Floats:
    return power_w(table(layer).roofs.take(layer.slots), layer.ts_ms, Light(*map(layer.column, LIGHT)))


def _expected_power_w(layer: Layer) -> Floats:
    """By the roof's sensors where they live, else as much of clear-sky power as its peers have; NaN without both.

    A sensor on one slope does not tell what the other one sees: there the peers are asked.
    """
    expected = layer.column("clear_power_w") * np.maximum(seen(layer, Around.INDEX), 0)
    given = layer.column("irradiance_w_per_m2")
    one_plane = table(layer).roofs.shares[layer.slots, 0] == 1
    rows = np.flatnonzero(~np.isnan(given) & one_plane & ~(layer.column("irradiance_flat_s") > FLAT_S))
    if len(rows):
        plane = np.maximum(given[rows], 0)
        clear = layer.column("clear_irradiance_w_per_m2")[rows]
        # The glass lets through as much of this light as it would of clear light.
        passes = np.where(
            clear > SUN_W_PER_M2, layer.column("clear_cells_w_per_m2")[rows] / np.maximum(clear, SUN_W_PER_M2), 1.0
        )
        module = layer.column("module_temp_degc")[rows]
        roofs = table(layer).roofs.take(layer.slots[rows])
        expected[rows] = measured_power_w(roofs, layer.ts_ms[rows], plane, plane * passes, module)
    return np.minimum(expected, layer.column("output_limit_w"))


def _output_limit_w(layer: Layer) -> Floats:
    roofs = table(layer).roofs
    return np.fmin(roofs.rated_w[layer.slots], roofs.limit_w[layer.slots])


def _output_pct(layer: Layer) -> Floats:
    return 100 * layer.column("power_w") / table(layer).roofs.rated_w[layer.slots]


def _clear_index(layer: Layer) -> Floats:
    clear = layer.column("clear_power_w")
    enough = clear > INDEX_CLEAR_PCT / 100 * table(layer).roofs.rated_w[layer.slots]
    return np.divide(layer.column("power_w"), clear, out=np.full(len(layer), np.nan), where=enough)


def _clipping(layer: Layer) -> Floats:
    power = layer.column("power_w")
    return np.where(np.isnan(power), np.nan, power >= CLIPPING * layer.column("output_limit_w"))


PLACE = ("power_peak_w", "tilt_deg", "azimuth_deg")

INPUTS = (
    Input(
        "clear_irradiance_w_per_m2",
        Unit.WATT_PER_SQUARE_METRE,
        Title(cs="Ozáření panelů za jasné oblohy", en="Plane-of-array irradiance under a clear sky"),
        lambda layer: _clear(layer, "clear_irradiance_w_per_m2"),
        needs=PLACE,
    ),
    Input(
        "clear_modules_w_per_m2",
        Unit.WATT_PER_SQUARE_METRE,
        Title(cs="Průměrné ozáření panelů všech rovin za jasné oblohy", en="Mean irradiance of all planes, clear sky"),
        lambda layer: _clear(layer, "clear_modules_w_per_m2"),
        needs=PLACE,
    ),
    Input(
        "clear_cells_w_per_m2",
        Unit.WATT_PER_SQUARE_METRE,
        Title(cs="Ozáření článků pod sklem za jasné oblohy", en="Irradiance behind the glass under a clear sky"),
        lambda layer: _clear(layer, "clear_cells_w_per_m2"),
        needs=PLACE,
    ),
    Input(
        "sun_azimuth_deg",
        Unit.DEGREE,
        Title(cs="Azimut slunce (od severu)", en="Azimuth of the sun (from north)"),
        lambda layer: _clear(layer, "sun_azimuth_deg"),
    ),
    Input(
        "clear_power_w",
        Unit.WATT,
        Title(cs="Výkon za jasné oblohy", en="Power under a clear sky"),
        _clear_power_w,
        needs=PLACE,
    ),
    Input(
        "expected_power_w",
        Unit.WATT,
        Title(cs="Očekávaný výkon (podle čidel, jinak podle sousedů)", en="Expected power (by sensors, else by peers)"),
        _expected_power_w,
        needs=PLACE,
    ),
    Input(
        "output_limit_w",
        Unit.WATT,
        Title(cs="Nejvyšší možný výkon", en="Highest possible power"),
        _output_limit_w,
        needs=("power_rated_w",),
    ),
    Input(
        "output_pct",
        Unit.PERCENT,
        Title(cs="Výkon v % jmenovitého", en="Power in % of the rating"),
        _output_pct,
        needs=("power_w", "power_rated_w"),
    ),
    Input(
        "clear_index",
        Unit.RATIO,
        Title(cs="Podíl výkonu za jasné oblohy", en="Share of clear-sky power"),
        _clear_index,
        needs=("power_w", *PLACE),
    ),
    Input(
        "clipping",
        Unit.NONE,
        Title(cs="Střídač běží na svém maximu", en="Inverter runs at its limit"),
        _clipping,
        Form.FLAG,
        needs=("power_w", "power_rated_w"),
    ),
)
