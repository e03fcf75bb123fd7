"""What is added up of a roof over the day."""

from collections.abc import Callable

import numpy as np

from kraj.metrics import Title
from kraj.readings import DAY_MS, Floats, Mask
from kraj.units import Unit
from rules.inputs import Daily
from rules.layer import Layer

DARK_DEG = -6.0
"""Civil twilight is over: a sensor that sees light now sees its own error."""


def _both_known(layer: Layer, values: Floats) -> Floats:
    """So that energy and clear-sky energy are of the same hours."""
    return np.where(np.isnan(layer.column("power_w")) | np.isnan(layer.column("clear_power_w")), np.nan, values)


def _where_sensed(layer: Layer, values: Floats) -> Floats:
    return np.where(np.isnan(layer.column("irradiance_w_per_m2")), np.nan, values)


def _up(layer: Layer) -> Mask:
    return layer.column("sun_elevation_deg") > 5


def _high(layer: Layer) -> Mask:
    return layer.column("sun_elevation_deg") > 10


def _dark(layer: Layer) -> Mask:
    return layer.column("sun_elevation_deg") < DARK_DEG


def _morning(layer: Layer) -> Mask:
    """Isolation is measured before connecting to the grid, and tells of dampness before the sun has dried it."""
    solar = (layer.ts_ms / DAY_MS + layer.members.longitude[layer.slots] / 360) % 1
    return (solar < 0.5) & (layer.column("sun_elevation_deg") > 0) & (layer.column("isolation_ohm") > 0)


def _column(name: str) -> Callable[[Layer], Floats]:
    return lambda layer: layer.column(name)


DAILY = (
    Daily(
        "output_wh",
        Unit.WATT_HOUR,
        Title(cs="Energie za den", en="Energy of the day"),
        "integral",
        lambda layer: _both_known(layer, np.maximum(layer.column("power_w"), 0)),
    ),
    Daily(
        "clear_wh",
        Unit.WATT_HOUR,
        Title(cs="Energie za jasné oblohy ve stejných hodinách", en="Clear-sky energy in the same hours"),
        "integral",
        lambda layer: _both_known(layer, layer.column("clear_power_w")),
    ),
    Daily(
        "produced_wh",
        Unit.WATT_HOUR,
        Title(cs="Přírůstek počítadla za den", en="Increase of the counter in the day"),
        "increase",
        _column("energy_sound_wh"),
    ),
    Daily(
        "disturbed_share",
        Unit.RATIO,
        Title(cs="Podíl dne s jinou závadou", en="Share of the day with another fault"),
        "share",
        _column("disturbed"),
        _up,
    ),
    Daily(
        "snow_share",
        Unit.RATIO,
        Title(cs="Podíl dne se sněhem na panelech", en="Share of the day with snow on the modules"),
        "share",
        _column("snowed"),
        _up,
    ),
    Daily(
        "output_max_pct",
        Unit.PERCENT,
        Title(cs="Nejvyšší výkon dne (% jmenovitého)", en="Highest output of the day (% of rating)"),
        "max",
        _column("output_pct"),
        _high,
    ),
    Daily(
        "sensed_wh_per_m2",
        Unit.NONE,
        Title(cs="Ozáření za den podle čidla (Wh/m²)", en="Insolation of the day by the sensor (Wh/m²)"),
        "integral",
        lambda layer: np.maximum(layer.column("irradiance_w_per_m2"), 0),
    ),
    Daily(
        "sensed_clear_wh_per_m2",
        Unit.NONE,
        Title(
            cs="Ozáření za jasné oblohy ve stejných hodinách (Wh/m²)",
            en="Clear-sky insolation in the same hours (Wh/m²)",
        ),
        "integral",
        lambda layer: _where_sensed(layer, layer.column("clear_irradiance_w_per_m2")),
    ),
    Daily(
        "irradiance_flat_max_s",
        Unit.SECOND,
        Title(cs="Nejdéle beze změny ozáření za dne", en="Longest time without a change of irradiance by day"),
        "max",
        _column("irradiance_flat_s"),
        _high,
    ),
    Daily(
        "irradiance_night_w_per_m2",
        Unit.WATT_PER_SQUARE_METRE,
        Title(cs="Ozáření v noci", en="Irradiance by night"),
        "mean",
        _column("irradiance_w_per_m2"),
        _dark,
    ),
    Daily(
        "isolation_morning_ohm",
        Unit.OHM,
        Title(cs="Izolační odpor ráno", en="Isolation resistance in the morning"),
        "max",
        _column("isolation_ohm"),
        _morning,
    ),
)
