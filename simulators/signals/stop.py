"""A smart stop: sun into the battery, people at its ports and WiFi, and services that it sheds as charge falls."""

import numpy as np

from kraj.kinds import STOP
from simulators.signals import health
from simulators.signals.state import DAY_S, Columns, Floats, Model, Sites, State, code, toward
from simulators.signals.weather import Sky, plane_w_per_m2

PORTS = 4
CAPACITY_WH = 1280.0
"""100 Ah of LiFePO4 at 12.8 V."""
CHARGE_EFFICIENCY = 0.95
NETWORK_W, DISPLAY_W, LIGHT_W, SOS_W = 3.2, 1.6, 6.0, 0.4
USB_V = 5.0
PV_V = 36.0
SHED_BELOW_PCT = (60.0, 45.0, 30.0, 15.0)
"""No USB; no WiFi and little light; the display hourly; only SOS. Each comes back 10 % higher."""
SHED_HYSTERESIS_PCT = 10.0
WEEK_S = 7 * DAY_S
VOICE_SHARE = 0.5
AIR_SHARE = 0.4
PRESENCE_FROM = (5, 10, 20, 50)


def _start(sites: Sites, sky: Sky, state: State) -> dict[str, Floats]:
    age_h = sites.age_s(state.ts_ms) / 3600
    ports = np.where(sites.own("ports") < 0.6, 2, PORTS)
    return {
        **health.start(sites),
        "soc": sites.own("soc", 62, 97),
        "soh": np.clip(100 - 1.5 * age_h / 8766, 80, 100),
        "shed": np.zeros(len(sites)),
        "has_port": np.where(np.arange(PORTS) < ports[:, None], 1.0, np.nan),
        "usb_a": np.zeros((len(sites), PORTS)),
        "usb_faults": np.floor(np.stack([sites.own(f"usb{n}", 0, 4) for n in range(PORTS)], axis=1)),
        "voice": np.where(sites.own("voice") < VOICE_SHARE, 1.0, np.nan),
        "air": np.where(sites.own("air") < AIR_SHARE, 1.0, np.nan),
        "busy": sites.own("busy", 2, 14),
        "people": np.zeros(len(sites)),
        "dust": sites.own("dust", 6, 13),
        "week": sites.own("week", 0, WEEK_S),
        "refresh": sites.own("refresh", 0, 60),
        "battery_temp": sky.air_degc + 4,
        "pv_energy": age_h * sites.rated_w * (900 / 8766),
    }


def _columns(sites: Sites, sky: Sky, dt_s: float, state: State) -> Columns:
    people = _people(sites, sky, dt_s, state)
    shed = _shed(state)
    usb = _usb(sites, people, shed, dt_s, state)
    level = _light_pct(sky, shed)
    loads = {
        "load_usb_power_w": np.nansum(usb * state["has_port"], axis=1) * USB_V / 0.9,
        "load_network_power_w": np.where(shed < 2, NETWORK_W + 0.02 * people, 0.6),
        "load_display_power_w": np.where(shed < 3, DISPLAY_W, 0.1) * (1 + state.noise(sites, 0.01)),
        "load_light_power_w": LIGHT_W * level / 100,
        "load_sos_power_w": np.full(len(sites), SOS_W),
    }
    load = np.sum(list(loads.values()), axis=0)
    return (
        loads
        | {"load_power_w": load, "shedding": shed, "light_level_pct": level}
        | _energy(sites, sky, load, dt_s, state)
        | _ports(usb, shed, state)
        | _services(sites, sky, people, shed, state)
        | _safety(sites, state)
        | health.columns(sites, state)
    )


def _energy(sites: Sites, sky: Sky, load: Floats, dt_s: float, state: State) -> Columns:
    """Sun in, load out; a full battery takes only what the load needs."""
    available = sites.rated_w * 0.85 * plane_w_per_m2(sky, sites.tilt_deg, sites.azimuth_deg) / 1000
    soc = state["soc"]
    capacity = CAPACITY_WH * state["soh"] / 100
    full = soc >= 99.5
    cold = state["battery_temp"] < 0  # lithium must not be charged below freezing
    pv = np.where(full | cold, np.minimum(available, load), available)
    into = pv - load
    stored = np.where(into > 0, into * CHARGE_EFFICIENCY, into)
    state["soc"] = np.clip(soc + 100 * stored * dt_s / 3600 / capacity, 2, 100)
    # The case keeps the battery some degrees above the air.
    state["battery_temp"] = toward(state["battery_temp"], sky.air_degc + 4, dt_s, 4 * 3600)
    battery_v = 12.5 + 0.009 * soc + 0.004 * into
    sunny = pv > 1
    charging = np.select(
        [soc < 95, ~full], [code(STOP, "charger_state", "bulk"), code(STOP, "charger_state", "absorption")],
        code(STOP, "charger_state", "float"),
    )  # fmt: skip
    pv_v = np.where(sunny, PV_V + state.noise(sites, 0.3), np.minimum(available, 1) * 18)
    return {
        "pv_voltage_v": pv_v,
        "pv_current_a": np.where(sunny, pv / np.maximum(pv_v, 1), 0.0),
        "pv_power_w": np.where(sunny, pv, 0.0),
        "pv_energy_wh": state.count("pv_energy", np.where(sunny, pv, 0.0) / 3600, dt_s),
        "battery_voltage_v": battery_v,
        "battery_current_a": into / battery_v,
        "battery_temp_degc": np.clip(state["battery_temp"], -19, 54),
        "battery_soc_pct": state["soc"],
        "battery_soh_pct": state["soh"],
        "charger_state": np.where(sunny, charging, code(STOP, "charger_state", "off")),
        "charger_error": np.zeros(len(sites)),
    }


def _shed(state: State) -> Floats:
    """The number of steps in force: one more when charge falls below the next, one less 10 % above the last."""
    soc, shed = state["soc"], state["shed"]
    down = np.sum(soc[:, None] < SHED_BELOW_PCT, axis=1)
    up = np.sum(soc[:, None] < np.array(SHED_BELOW_PCT) + SHED_HYSTERESIS_PCT, axis=1)
    state["shed"] = np.clip(shed, down, up).astype(np.float64)
    return state["shed"]


def _people(sites: Sites, sky: Sky, dt_s: float, state: State) -> Floats:
    """How many wait, smoothly: two rushes a day, hardly anybody at night."""
    hour = sky.local_minute / 60
    rush = np.exp(-(((hour - 7.2) / 1.2) ** 2)) + 0.8 * np.exp(-(((hour - 15.8) / 2.0) ** 2))
    day = 0.25 if 6 <= hour < 21 else 0.02
    goal = state["busy"] * (rush + day) * np.exp(state.noise(sites, 0.4))
    state["people"] = toward(state["people"], goal, dt_s, 300)
    return state["people"]


def _usb(sites: Sites, people: Floats, shed: Floats, dt_s: float, state: State) -> Floats:
    """Amperes a port, shape ``(n, ports)``: somebody plugs in now and then and stays some twenty minutes."""
    shape = (len(sites), PORTS)
    current = state["usb_a"]
    begins = state.random.random(shape) < -np.expm1(-dt_s * np.minimum(people, 10)[:, None] / 4000)
    ends = state.random.random(shape) < -np.expm1(-dt_s / 1200)
    draws = state.random.uniform(0.4, 2.2, shape)
    current = np.where(current > 0, np.where(ends, 0.0, current), np.where(begins, draws, 0.0))
    state["usb_a"] = np.where(shed[:, None] >= 1, 0.0, current)
    return state["usb_a"]


def _ports(usb: Floats, shed: Floats, state: State) -> Columns:
    """What each port reports; ports that a stop does not have stay unknown."""
    out: Columns = {}
    for n in range(PORTS):
        exists, current = state["has_port"][:, n], usb[:, n]
        in_use = np.where(current > 0, code(STOP, "usb1_state", "charging"), code(STOP, "usb1_state", "idle"))
        out[f"usb{n + 1}_current_a"] = current * exists
        out[f"usb{n + 1}_state"] = np.where(shed >= 1, code(STOP, "usb1_state", "off"), in_use) * exists
        out[f"usb{n + 1}_faults"] = state["usb_faults"][:, n] * exists
    return out


def _services(sites: Sites, sky: Sky, people: Floats, shed: Floats, state: State) -> Columns:
    """Display, network and air; of people only counts and buckets leave the stop."""
    now_s = state.ts_ms / 1000
    wifi = shed < 2
    dust = state["dust"] * np.exp(0.35 * np.clip(5 - sky.air_degc, -10, 15) / 10 + state.noise(sites, 0.04))
    humidity = np.clip(88 - 1.6 * sky.air_degc - 20 * (sky.clearness - 0.5) + state.noise(sites, 1), 20, 99)
    return {
        "display_content_age_s": np.floor(np.mod(now_s + state["refresh"], np.where(shed < 3, 60, 3600))),
        "display_refresh_ok": np.ones(len(sites)),
        "display_temp_degc": np.clip(sky.air_degc + 3 + sky.ghi_w_per_m2 / 80 + state.noise(sites, 0.2), -14, 59),
        "wifi_clients": np.where(wifi, np.floor(people * 0.7), 0.0),
        "wifi_up": wifi.astype(np.float64),
        "uplink_rtt_ms": 48 * np.exp(state.noise(sites, 0.25)),
        "uplink_loss_pct": np.maximum(0.0, state.noise(sites, 0.6) - 0.9),
        "pm2_5_ug_per_m3": dust * state["air"],
        "pm10_ug_per_m3": dust * 1.5 * state["air"],
        "air_temp_degc": (sky.air_degc + state.noise(sites, 0.1)) * state["air"],
        "air_humidity_pct": humidity * state["air"],
        "presence_bucket": np.sum(people[:, None] >= PRESENCE_FROM, axis=1).astype(np.float64),
    }


def _safety(sites: Sites, state: State) -> Columns:
    """Nothing has happened; the self-tests are a week old at most."""
    zeros, ones = np.zeros(len(sites)), np.ones(len(sites))
    age = np.floor(np.mod(state.ts_ms / 1000 + state["week"], WEEK_S))
    return {
        "shock_g": np.abs(state.noise(sites, 0.02)),
        "door_open": zeros,
        "water_present": zeros,
        "voice_selftest_ok": ones * state["voice"],
        "voice_selftest_age_s": age * state["voice"],
        "voice_receiver_ok": ones * state["voice"],
        "sos_pressed": zeros,
        "sos_selftest_ok": ones,
        "sos_selftest_age_s": age,
    }


def _light_pct(sky: Sky, shed: Floats) -> Floats:
    full = 100.0 if 4.5 * 60 <= sky.local_minute < 23 * 60 else 40.0
    level = np.where(sky.elevation_deg < -1, full, 0.0)
    return np.select([shed >= 4, shed >= 2], [np.zeros_like(level), np.minimum(level, 30)], level)


MODEL = Model(STOP, _start, _columns, absent=frozenset({"sos_answer_s"}))  # nobody has pressed it
