"""A lighting cabinet: the contactor follows dusk, and the meter sees about the sum of the lamps behind it."""

import numpy as np

from kraj.kinds import CABINET
from simulators.signals import health, lamp
from simulators.signals.mains import voltage_v
from simulators.signals.state import Columns, Floats, Model, Sites, State, code, toward
from simulators.signals.weather import Sky

OWN_W = 12.0
"""The controller, the modem and the heater's thermostat."""
DUSK_DEG = -2.0
"""The contactor closes before the first lamp's own program begins, at -2.2°."""
LINE_LOSS = 0.015
AUTOMATIC = code(CABINET, "local_switch", "automatic")


def _start(sites: Sites, sky: Sky, state: State) -> dict[str, Floats]:
    age_h = sites.age_s(state.ts_ms) / 3600
    shares = np.stack([sites.own(f"l{n}", 0.8, 1.2) for n in (1, 2, 3)], axis=1)
    return {
        **health.start(sites),
        **lamp.light_start(sky, np.full(len(sites), -2.5)),
        "voltage": np.stack([sites.own(f"voltage{n}", -3, 3) for n in (1, 2, 3)], axis=1),
        "share": shares / shares.sum(axis=1, keepdims=True),
        "leakage": sites.own("leakage", 1, 12),
        "temp": sky.air_degc + 3,
        "energy": age_h * (OWN_W + sites.rated_w * (4100 / 8766 * 0.84)),
    }


def _columns(sites: Sites, sky: Sky, dt_s: float, state: State) -> Columns:
    lamp.light_step(sky, dt_s, state)
    lamps_w = lamp.power_w(sites.rated_w, state["level"], state["lit"])
    lit = state["level"] > 0
    closed = sky.elevation_deg < DUSK_DEG
    total = np.where(lit, lamps_w * (1 + LINE_LOSS), 0.0) * (1 + state.noise(sites, 0.004)) + OWN_W
    factor = np.where(lit, lamp.power_factor(state["level"]), 0.5)
    state["temp"] = toward(state["temp"], sky.air_degc + 3 + 8 * sky.ghi_w_per_m2 / 900, dt_s, 3600)
    out: Columns = {"power_w": total, "energy_wh": state.count("energy", total / 3600, dt_s)}
    for phase in range(3):
        power = total * state["share"][:, phase]
        voltage = voltage_v(sites, sky, state, state["voltage"][:, phase], rise_v=np.where(lit, -0.5, 0.0))
        out[f"l{phase + 1}_voltage_v"] = voltage
        out[f"l{phase + 1}_current_a"] = power / (voltage * factor)
        out[f"l{phase + 1}_power_w"] = power
        out[f"l{phase + 1}_power_factor"] = factor
    return out | {
        "contactor_closed": closed.astype(np.float64),
        "breaker_closed": np.ones(len(sites)),
        "door_open": np.zeros(len(sites)),
        "leakage_ma": np.abs(state["leakage"] * np.where(closed, 1.0, 0.2) + state.noise(sites, 0.2)),
        "illuminance_lx": np.minimum(sky.ghi_w_per_m2 * lamp.LUX_PER_W_PER_M2, 119_000.0),
        "cabinet_temp_degc": state["temp"] + state.noise(sites, 0.2),
        "local_switch": np.full(len(sites), AUTOMATIC),
        **health.columns(sites, state),
    }


MODEL = Model(CABINET, _start, _columns)
