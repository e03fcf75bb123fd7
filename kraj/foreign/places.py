"""Which metric of a kind of asset tells a quantity that somebody else's device measures."""

from collections.abc import Mapping
from typing import Any

from kraj.foreign.records import Context, Reading
from kraj.metrics import Kind

Quantities = dict[str, Any]
"""Quantity to value, in the unit that ends its name; ``on`` is a relay, ``level_pct`` a dimmer."""

PHASES = ("l1", "l2", "l3")
_PHASE = tuple(f"{phase}_{what}" for phase in PHASES for what in ("voltage_v", "current_a", "power_w", "power_factor"))
_HEALTH = {"rssi_dbm": ("rssi_dbm",), "uptime_s": ("uptime_s",)}

PLACES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "lamp": {
        **{name: (name,) for name in ("power_w", "energy_wh", "voltage_v", "current_a", "power_factor")},
        "illuminance_lx": ("illuminance_lx",),
        "level_pct": ("level_commanded_pct", "level_effective_pct"),
        **_HEALTH,
    },
    "cabinet": {
        "power_w": ("power_w",),
        "energy_wh": ("energy_wh",),
        "voltage_v": ("l1_voltage_v",),
        "current_a": ("l1_current_a",),
        "power_factor": ("l1_power_factor",),
        **{name: (name,) for name in _PHASE},
        "on": ("contactor_closed",),
        "illuminance_lx": ("illuminance_lx",),
        "air_temp_degc": ("cabinet_temp_degc",),
        **_HEALTH,
    },
    "stop": {
        "power_w": ("load_power_w",),
        "dimmer_pct": ("light_level_pct",),
        **{
            name: (name,)
            for name in (
                "air_temp_degc",
                "air_humidity_pct",
                "pm2_5_ug_per_m3",
                "pm10_ug_per_m3",
                "battery_voltage_v",
                "battery_soc_pct",
            )
        },
        **_HEALTH,
    },
    "solar": {
        "power_w": ("power_w",),
        "energy_wh": ("energy_wh",),
        "voltage_v": ("l1_voltage_v",),
        **{f"{phase}_voltage_v": (f"{phase}_voltage_v",) for phase in PHASES},
        "frequency_hz": ("frequency_hz",),
        **_HEALTH,
    },
}


def metrics(kind: Kind, quantities: Quantities) -> dict[str, Any]:
    """Quantities as metrics of a kind; what the kind has no metric for is left out."""
    told = dict(quantities)
    if "dimmer_pct" in told:
        told["level_pct"] = told["dimmer_pct"]
    elif "on" in told:
        told["level_pct"] = 100.0 if told["on"] else 0.0
    places = PLACES.get(kind.name, {})
    out: dict[str, Any] = {}
    for quantity, value in told.items():
        for name in places.get(quantity, ()):
            out[name] = fitted(kind, name, value)
    return out


def fitted(kind: Kind, name: str, value: Any) -> Any:
    """Whole where the metric is; conversions such as kWh to Wh leave a crumb behind the point."""
    metric = kind.by_name[name]
    plain = isinstance(value, float) and abs(value) < 2**53
    return round(value) if plain and metric.type.whole and metric.type.value != "boolean" else value


def readings(
    by_channel: Mapping[int, Quantities], shared: Quantities, ts_ms: int | None, context: Context, notes: list[str]
) -> list[Reading]:
    """A reading a channel; what the device tells of itself goes with each, or alone where there is nothing else."""
    served = {channel: found for channel, found in by_channel.items() if found and channel in context.kinds}
    notes += [
        f"part {channel} of the device: no asset is on channel {channel}"
        for channel in by_channel.keys() - served.keys()
    ]
    if not served and shared and context.first is not None:
        served = {context.first: Quantities()}
    out = [
        Reading(metrics(context.kinds[channel], {**shared, **found}), channel, ts_ms)
        for channel, found in served.items()
    ]
    return [reading for reading in out if reading.values]
