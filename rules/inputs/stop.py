"""What rules may know of a smart stop besides its readings: its autonomy, its services, its neighbours' sun."""

from collections.abc import Callable

import numpy as np

from kraj.metrics import Title
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.groups import others_median
from rules.inputs import Daily
from rules.layer import Form, Input, Layer
from rules.waiting import energy, services

HIGH_SUN_DEG = 15.0
"""Above it a panel gives something in any weather (stops.md); a Czech December has two hours of it."""
NEIGHBOURS_MIN = 2
LOAD_SEEN_W = 2.0
"""A smaller load tells nothing of the panel that carries it: charge controllers show whole watts (VE.Direct, PPV)."""


def track(layer: Layer) -> None:
    """Note load, display, ports and calls."""
    energy.track(layer)
    services.track_display(layer)
    services.track_usb(layer)
    services.track_sos(layer)


def _of(unit: Unit, cs: str, en: str, name: str, compute: Callable[[Layer], Floats], *needs: str) -> Input:
    return Input(name, unit, Title(cs=cs, en=en), compute, Form.NUMBER, needs)


def _flag(cs: str, en: str, name: str, compute: Callable[[Layer], Floats], *needs: str) -> Input:
    return Input(name, Unit.NONE, Title(cs=cs, en=en), compute, Form.FLAG, needs)


INPUTS = (
    _of(
        Unit.NONE,
        "Výdrž baterie (dny)",
        "Autonomy (days)",
        "autonomy_days",
        energy.autonomy_days,
        *("battery_soc_pct", "load_power_w", "battery_capacity_wh"),
    ),
    _of(
        Unit.NONE,
        "Nejnižší výdrž za den (dny)",
        "Lowest autonomy of a day (days)",
        "autonomy_lowest_days",
        energy.autonomy_lowest_days,
        *("battery_soc_pct", "load_power_w", "battery_capacity_wh"),
    ),
    _of(
        Unit.SECOND,
        "Nejvyšší stáří obsahu displeje",
        "Highest age of the display's content",
        "display_age_max_s",
        services.display_age_max_s,
    ),
    _flag("Displej má svítit", "Display ought to work", "display_works", services.display_works),
    _flag("WiFi má běžet", "WiFi ought to run", "wifi_due", services.wifi_due),
    _of(
        Unit.COUNT,
        "Nadproudy USB za hodinu",
        "USB over-currents in an hour",
        "usb_overcurrents_1h",
        services.overcurrents,
        "usb1_faults",
    ),
    _flag("Zásuvka USB odpojena", "USB port latched off", "usb_latched", services.usb_latched, "usb1_state"),
    _of(
        Unit.SECOND,
        "SOS: čekání na odpověď",
        "SOS: waiting for an answer",
        "sos_waiting_s",
        services.sos_waiting_s,
        *("sos_pressed", "sos_answer_s"),
    ),
    _flag("Má být pod napětím", "Ought to be live", "circuit_due", lambda layer: np.ones(len(layer))),
    _flag("Odmlčela se vypnutím", "Silent by switching", "lost_by_switching", lambda layer: np.zeros(len(layer))),
)


# Days


def _in_high_sun(layer: Layer) -> Mask:
    return layer.column("sun_elevation_deg") > HIGH_SUN_DEG


def _pv_share_pct(layer: Layer) -> Floats:
    return 100 * layer.column("pv_power_w") / layer.column("power_rated_w")


def _under_load(layer: Layer) -> Mask:
    return _in_high_sun(layer) & (layer.column("load_power_w") >= LOAD_SEEN_W)


def _pv_cover_pct(layer: Layer) -> Floats:
    """How much of its load the panel carries: all of it where the battery is full, or too cold to be charged."""
    return np.minimum(100 * layer.column("pv_power_w") / layer.column("load_power_w"), 100.0)


DAILY = (
    Daily(
        "pv_share_pct",
        Unit.PERCENT,
        Title(cs="Podíl jmenovitého výkonu panelu při slunci", en="Share of the panel's rated power in the sun"),
        "mean",
        _pv_share_pct,
        _in_high_sun,
    ),
    Daily(
        "pv_cover_pct",
        Unit.PERCENT,
        Title(cs="Jakou část odběru kryje panel při slunci", en="Share of the load that the panel carries in the sun"),
        "mean",
        _pv_cover_pct,
        _under_load,
    ),
)


def _of_neighbours(name: str) -> Callable[[Layer], Floats]:
    """The median of the municipality's other stops, of the region's where there are less than two."""

    def compute(layer: Layer) -> Floats:
        values = layer.column(name)
        town = layer.members.municipality_id[layer.slots].astype(np.intp)
        size = int(town.max(initial=-1)) + 1
        known = np.bincount(town[~np.isnan(values)], minlength=size)[town] - ~np.isnan(values)
        near = others_median(values, town, size)
        far = others_median(values, np.zeros(len(values), np.intp), 1)
        return np.where(known >= NEIGHBOURS_MIN, near, far)

    return compute


DAY_INPUTS = (
    _of(
        Unit.PERCENT,
        "Podíl výkonu sousedních zastávek",
        "Share of power at neighbouring stops",
        "neighbours_pv_share_pct",
        _of_neighbours("pv_share_pct"),
    ),
    _of(
        Unit.PERCENT,
        "Jakou část odběru kryjí panely sousedních zastávek",
        "Share of the load that neighbouring stops' panels carry",
        "neighbours_pv_cover_pct",
        _of_neighbours("pv_cover_pct"),
    ),
)
