"""A street lamp: lit from dusk to dawn, dimmed late at night, warming up after it starts."""

import numpy as np

from kraj.kinds import LAMP
from simulators.signals import health
from simulators.signals.mains import voltage_v
from simulators.signals.state import Columns, Floats, Model, Sites, State, code, toward
from simulators.signals.weather import Sky

STEPS = ((0, 60.0), (5 * 60, 100.0), (22 * 60, 60.0))
"""The program: from a minute of local time on, the level while it is dark."""
FADE_PCT_PER_S = 2.0
STANDBY_W = 0.5
LUX_PER_W_PER_M2 = 110.0
PROGRAM = code(LAMP, "level_reason", "program")


def _start(sites: Sites, sky: Sky, state: State) -> dict[str, Floats]:
    age_s = sites.age_s(state.ts_ms)
    starts = np.floor(age_s / 86_400 * 1.02)
    dusk_deg = sites.own("dusk", -2.8, -2.2)
    return {
        **health.start(sites),
        **light_start(sky, dusk_deg),
        "voltage": sites.own("voltage", -4, 4),
        "tilt": sites.own("tilt", 0.1, 1.6),
        "supply_losses": np.floor(sites.own("losses", 0, 9)),
        "gear_temp": sky.air_degc + 5,
        # 4,100 dark hours a year at 0.82 of the rated power, the long-run mean of the program above.
        "energy": age_s / 3600 * sites.rated_w * (4100 / 8766 * 0.82),
        "on_time": age_s * (4100 / 8766),
        "gear_on_time": age_s,
        "starts": starts,
        "gear_starts": np.floor(starts / 40),
    }


def _columns(sites: Sites, sky: Sky, dt_s: float, state: State) -> Columns:
    was_lit = state["level"] > 0
    commanded = light_step(sky, dt_s, state)
    level = state["level"]
    lit = level > 0
    power = power_w(sites.rated_w, level, state["lit"]) * (1 + state.noise(sites, 0.006))
    voltage = voltage_v(sites, sky, state, state["voltage"], rise_v=-0.8 * level / 100)
    factor = power_factor(level)
    state["gear_temp"] = toward(state["gear_temp"], sky.air_degc + 5 + 28 * power / sites.rated_w, dt_s, 1800)
    return {
        "level_commanded_pct": commanded,
        "level_effective_pct": level,
        "level_measured_pct": np.where(lit, np.clip(level + state.noise(sites, 0.2), 0, 100), 0.0),
        "level_reason": np.full(len(sites), PROGRAM),
        "power_w": power,
        "energy_wh": state.count("energy", power / 3600, dt_s),
        "voltage_v": voltage,
        "current_a": power / (voltage * factor),
        "power_factor": factor,
        "gear_temp_degc": state["gear_temp"] + state.noise(sites, 0.2),
        "lamp_on_time_s": state.count("on_time", lit.astype(np.float64), dt_s),
        "gear_on_time_s": state.count("gear_on_time", np.ones(len(sites)), dt_s),
        "lamp_starts": state.count("starts", (lit & ~was_lit).astype(np.float64), 1.0),
        "gear_starts": state["gear_starts"],
        "supply_losses": state["supply_losses"],
        "failure_flags": np.zeros(len(sites)),
        "illuminance_lx": np.minimum(sky.ghi_w_per_m2 * LUX_PER_W_PER_M2 + 0.09 * level, 119_000.0),
        "tilt_deg": np.abs(state["tilt"] + state.noise(sites, 0.05)),
        "shock_g": np.abs(state.noise(sites, 0.02)),
        **health.columns(sites, state),
    }


def level_commanded_pct(sky: Sky, dusk_deg: Floats | float) -> Floats:
    """The program's level; ``dusk_deg`` is the sun's elevation below which it is dark enough."""
    level = [pct for minute, pct in STEPS if minute <= sky.local_minute][-1]
    return np.where(sky.elevation_deg < dusk_deg, level, 0.0)


def light_start(sky: Sky, dusk_deg: Floats) -> dict[str, Floats]:
    """The part of a state that follows the program: here a night that began long ago is warm already."""
    level = level_commanded_pct(sky, dusk_deg)
    return {"dusk": dusk_deg, "level": level, "lit": np.where(level > 0, 3600.0, 0.0)}


def light_step(sky: Sky, dt_s: float, state: State) -> Floats:
    """Move level and warmth towards the program; gives the commanded level."""
    commanded = level_commanded_pct(sky, state["dusk"])
    fade = FADE_PCT_PER_S * dt_s
    # Off is at once; only a lit lamp fades.
    level = np.clip(commanded, state["level"] - fade, state["level"] + fade)
    state["level"] = np.where(commanded > 0, level, 0.0)
    state["lit"] = np.where(state["level"] > 0, state["lit"] + dt_s, 0.0)
    return commanded


def power_w(rated_w: Floats, level_pct: Floats, lit_s: Floats) -> Floats:
    """Light is not watts: a driver at 10 % still takes a sixth; cold it gives two thirds and is warm in six minutes."""
    warmth = 1 - 0.35 * np.exp(-lit_s / 120)
    return np.where(level_pct > 0, rated_w * (0.08 + 0.92 * level_pct / 100) * warmth, STANDBY_W)


def power_factor(level_pct: Floats) -> Floats:
    """0.60 at 10 %, 0.96 at full; standby is mostly reactive."""
    return np.where(level_pct > 0, 0.96 - 0.36 * ((100 - level_pct) / 90) ** 2, 0.35)


MODEL = Model(LAMP, _start, _columns)
