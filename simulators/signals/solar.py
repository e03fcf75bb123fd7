"""A roof with its inverter: the sky on the tilted plane, the strings behind it, and the meter at the connection."""

import numpy as np

from kraj.kinds import SOLAR
from simulators.signals import health
from simulators.signals.mains import voltage_v
from simulators.signals.state import Columns, Floats, Model, Sites, State, code
from simulators.signals.weather import Sky, plane_w_per_m2

STRINGS = 8
STRING_W = 5000.0
"""Rated power behind one string."""
STRING_V = 610.0
DC_OVER_AC = 1.1
EFFICIENCY = 0.965
POWER_TEMP_PER_DEGC = -0.0038
WAKE_W_PER_M2 = 15.0
STANDBY_W = 4.0
SENSOR_SHARE = 0.4
METER_SHARE = 0.7


def _start(sites: Sites, sky: Sky, state: State) -> dict[str, Floats]:
    del sky
    age_h = sites.age_s(state.ts_ms) / 3600
    strings = np.clip(np.ceil(sites.rated_w / STRING_W), 1, STRINGS)
    produced = age_h * sites.rated_w * (1000 / 8766)  # about 1,000 kWh/kW a year in Czechia
    return {
        **health.start(sites),
        "voltage": sites.own("voltage", -3, 4),
        "has_string": np.where(np.arange(STRINGS) < strings[:, None], 1.0, np.nan),
        "strings": strings,
        "spread": np.stack([sites.own(f"string{n}", 0.985, 1.015) for n in range(STRINGS)], axis=1),
        "sensor": np.where(sites.own("sensor") < SENSOR_SHARE, 1.0, np.nan),
        "meter": np.where(sites.own("meter") < METER_SHARE, 1.0, np.nan),
        "house": sites.own("house", 0.03, 0.12) * sites.rated_w,
        "isolation": sites.own("isolation", 2.5e6, 9e6),
        "energy": produced,
        "exported": produced * 0.6,
        "imported": age_h * sites.rated_w * 0.05,
    }


def _columns(sites: Sites, sky: Sky, dt_s: float, state: State) -> Columns:
    plane = plane_w_per_m2(sky, sites.tilt_deg, sites.azimuth_deg)
    cell_degc = sky.air_degc + 0.03 * plane
    dc = sites.rated_w * DC_OVER_AC * plane / 1000 * (1 + POWER_TEMP_PER_DEGC * (cell_degc - 25))
    awake = plane > WAKE_W_PER_M2
    # Beyond its rating an inverter moves the strings off their best point: DC falls with AC.
    ac = np.where(awake, np.minimum(dc * EFFICIENCY, sites.rated_w), -STANDBY_W)
    dc = np.where(awake, ac / EFFICIENCY, 0.0)
    load = state["house"] * (1 + 0.8 * np.exp(-(((sky.local_minute - 18.5 * 60) / 120) ** 2)))
    out: Columns = {
        "power_w": ac,
        "energy_wh": state.count("energy", ac / 3600, dt_s),
        "frequency_hz": np.full(len(sites), 50.0) + state.noise(sites, 0.015),
        "dc_power_w": dc,
        "irradiance_w_per_m2": (plane + state.noise(sites, 0.5)) * state["sensor"],
        "module_temp_degc": (cell_degc + state.noise(sites, 0.3)) * state["sensor"],
        "inverter_temp_degc": sky.air_degc + 8 + 30 * np.maximum(ac, 0) / sites.rated_w,
        "isolation_ohm": np.round(state["isolation"] * (1 + state.noise(sites, 0.01)), -3),
        "state": _state(sky, awake),
        "event_flags": np.zeros(len(sites)),
        "throttle_pct": np.zeros(len(sites)),
        "throttle_flags": np.zeros(len(sites)),
        "import_energy_wh": state.count("imported", (load - ac) / 3600, dt_s) * state["meter"],
        "export_energy_wh": state.count("exported", (ac - load) / 3600, dt_s) * state["meter"],
    }
    rise_v = 5 * np.maximum(ac, 0) / sites.rated_w
    for phase in (1, 2, 3):
        out[f"l{phase}_voltage_v"] = voltage_v(sites, sky, state, state["voltage"], rise_v=rise_v)
    return out | _strings(sites, state, dc, cell_degc, awake) | health.columns(sites, state)


def _strings(sites: Sites, state: State, dc: Floats, cell_degc: Floats, awake: np.ndarray) -> Columns:
    """Each string's share of the DC power; strings that a roof does not have stay unknown."""
    voltage = np.where(awake, STRING_V * (1 - 0.003 * (cell_degc - 25)), 0.0)
    current = dc / state["strings"] / np.where(awake, voltage, 1.0)
    out: Columns = {}
    for n in range(STRINGS):
        exists = state["has_string"][:, n]
        out[f"string{n + 1}_current_a"] = current * state["spread"][:, n] * exists
        out[f"string{n + 1}_voltage_v"] = (voltage + np.where(awake, state.noise(sites, 1.5), 0.0)) * exists
    return out


def _state(sky: Sky, awake: np.ndarray) -> Floats:
    """Between night and production it starts in the morning and shuts down in the evening."""
    twilight = np.where(sky.azimuth_deg < 180, code(SOLAR, "state", "starting"), code(SOLAR, "state", "shutting_down"))
    dark = np.where(sky.elevation_deg > 0, twilight, code(SOLAR, "state", "sleeping"))
    return np.where(awake, code(SOLAR, "state", "mppt"), dark)


MODEL = Model(SOLAR, _start, _columns)
