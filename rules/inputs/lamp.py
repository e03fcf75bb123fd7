"""What rules may know of a lamp besides its readings: what it ought to take, whether it is warm, whether it is fed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from kraj.kinds import LAMP
from kraj.metrics import Title
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.inputs import Daily
from rules.layer import Form, Input, Layer
from rules.lighting import circuit, dimming, learning, switching, voltage
from rules.lighting.power import OUT_SHARE, OUT_W, deviates, factor_min

SHOCK_G = 2.0
"""A blow that fells a pole; lorries and gusts stay below (lighting.md, knock_down)."""
TILT_DEG, TILT_STEP_DEG = 5.0, 1.0
"""A lean that is dangerous (knock_down), and one that is worth remembering: wind and noise stay below."""
_BITS = LAMP.by_name["failure_flags"].bits
_REASONS = LAMP.by_name["level_reason"].states
COOLER_K = 5.0
DERATING = ("gear_thermal_derating", "light_source_thermal_derating")
SHUT_DOWN = ("gear_thermal_shutdown", "light_source_thermal_shutdown")
RESTARTED_S, RESTARTING_S = 24 * 3600.0, 3600.0
TESTED_BY = ("emergency", "cabinet", "manual")


def active(layer: Layer) -> Mask:
    """A lamp that is to be lit reports every five minutes."""
    return layer.column("level_commanded_pct") > 0


def track(layer: Layer) -> None:
    """Note switching and starts, the voltage's means, blows, and what an ordinary hour teaches of the power."""
    switching.track(layer)
    voltage.track(layer, "voltage_window", layer.column("voltage_v"))
    learning.track(layer)
    state, slots = layer.state, layer.slots
    blows = np.flatnonzero((layer.column("shock_g") > SHOCK_G) | _fell_unpowered(layer))
    if len(blows):
        state.array("shock_ms", dtype=np.int64, fill=0)
        state.put("shock_ms", slots[blows], layer.ts_ms[blows])
    hot = np.flatnonzero(_is_hot(layer))
    if len(hot):
        state.array("hot_ms", dtype=np.int64, fill=0)
        state.put("hot_ms", slots[hot], layer.ts_ms[hot])
    power = layer.column("power_w")
    before = state.array("power_last_w")[slots]
    out = np.flatnonzero((power < OUT_W) & (layer.column("level_commanded_pct") > 0) & (before >= OUT_W))
    if len(out):
        state.array("went_out_ms", dtype=np.int64, fill=0)
        state.put("went_out_ms", slots[out], layer.ts_ms[out])
    state.put("power_last_w", slots, power, before)


def _fell_unpowered(layer: Layer) -> Mask:
    """Where a pole leans that did not before its lamp was without power: without it nobody feels the blow, and a pole
    does not lean by itself from one day to the next."""
    tilt = layer.column("tilt_deg")
    known = ~np.isnan(tilt)
    if not known.any():
        return known
    state, slots = layer.state, layer.slots
    moved_deg = tilt - state.array("tilt_last_deg")[slots]
    moved = np.flatnonzero(known & ~(np.abs(moved_deg) <= TILT_STEP_DEG))
    if len(moved):
        state.put("tilt_last_deg", slots[moved], tilt[moved])
    return (moved_deg > TILT_DEG) & (layer.column("uptime_s") < layer.gap_s)


def refresh(layer: Layer) -> None:
    """Note which lamps rest."""
    circuit.refresh(layer)


def _expected_power_w(layer: Layer) -> Floats:
    return learning.expected(layer, layer.column("level_commanded_pct"))


def _burning(layer: Layer) -> Floats:
    """Lit by command and by power: whatever it does, it is not out."""
    power = layer.column("power_w")
    lit = layer.column("level_commanded_pct") >= layer.column("level_min_pct")
    return (lit & (power >= np.maximum(OUT_W, OUT_SHARE * layer.column("expected_power_w")))).astype(np.float64)


def _power_factor_min(layer: Layer) -> Floats:
    return factor_min(layer.column("level_commanded_pct"), layer.column("power_rated_w"))


def _has_flag(*names: str) -> Callable[[Layer], Floats]:
    mask = sum(1 << _BITS.index(name) for name in names)

    def compute(layer: Layer) -> Floats:
        flags = layer.column("failure_flags")
        out = np.zeros(len(layer))
        rows = np.flatnonzero(flags > 0)
        out[rows] = (flags[rows].astype(np.int64) & mask) != 0
        return out

    return compute


def _since_switching_s(layer: Layer) -> Floats:
    return switching.since_s(layer.state, layer.slots, layer.ts_ms, layer.column("uptime_s"))


def _settled(layer: Layer) -> Floats:
    return switching.settled(layer.column("since_switching_s"))


def _settled_or_dark(layer: Layer) -> Floats:
    """Settled; or, after a step from one light to another, dark by what either of them would take."""
    out = layer.column("settled").copy()
    rows = np.flatnonzero(out == 0)
    if len(rows):
        part = layer.part(rows)
        before = learning.expected(part, part.state.array("level_before_pct")[part.slots])
        least = np.minimum(before, part.column("expected_power_w"))
        dark = part.column("power_w") < np.maximum(OUT_W, OUT_SHARE * least)
        since_s = switching.since_kindled_s(part.state, part.slots, part.ts_ms, part.column("uptime_s"))
        out[rows] = dark & ~np.isnan(before) & (switching.settled(since_s) == 1)
    return out


def _under_test(layer: Layer) -> Floats:
    """A level by hand or by the cabinet, or somebody at the cabinet's switch; never unknown."""
    reason = layer.column("level_reason")
    tested = circuit.cabinet_tested(layer)
    for name in TESTED_BY:
        tested |= reason == _REASONS.index(name)
    return tested.astype(np.float64)


def _is_hot(layer: Layer) -> Mask:
    """Within five degrees of its rating (lighting.md, gear_temp), or derating or shut down for heat."""
    near = layer.column("gear_temp_degc") > layer.column("gear_temp_max_degc") - COOLER_K
    return near | layer.flag("gear_is_derating") | layer.flag("gear_is_shut_down")


def _restarting(layer: Layer) -> Floats:
    """It has started by itself within a day, and burned within an hour: it may well burn again soon (cycling)."""
    started = _since("unexpected_ms")(layer) < RESTARTED_S
    rows = np.flatnonzero(started)
    out = np.zeros(len(layer))
    out[rows] = _since("went_out_ms")(layer.part(rows)) < RESTARTING_S
    return out


def _since(moment: str) -> Callable[[Layer], Floats]:
    """Time since a moment that ``track`` has noted; unknown where it never was."""

    def compute(layer: Layer) -> Floats:
        noted = layer.state.array(moment, dtype=np.int64, fill=0)[layer.slots]
        out = np.full(len(layer), np.nan)
        rows = np.flatnonzero(noted)  # few
        out[rows] = (layer.ts_ms[rows] - noted[rows]) / 1000
        return out

    return compute


def _voltage_mean_v(layer: Layer) -> Floats:
    return voltage.mean_v(layer, "voltage_window")


def _of(unit: Unit, cs: str, en: str, name: str, compute: Callable[[Layer], Floats], *needs: str) -> Input:
    return Input(name, unit, Title(cs=cs, en=en), compute, Form.NUMBER, needs)


def _flag(cs: str, en: str, name: str, compute: Callable[[Layer], Floats], *needs: str) -> Input:
    return Input(name, Unit.NONE, Title(cs=cs, en=en), compute, Form.FLAG, needs)


_LEVEL, _VOLTAGE = "level_commanded_pct", "voltage_v"
_MODEL = (_LEVEL, "power_rated_w")
_POWER = ("power_w", *_MODEL)
INPUTS = (
    _of(Unit.WATT, "Očekávaný příkon", "Expected power", "expected_power_w", _expected_power_w, *_MODEL),
    _of(
        Unit.SECOND,
        "Doba od sepnutí nebo změny úrovně",
        "Since switching or a change of level",
        "since_switching_s",
        _since_switching_s,
        _LEVEL,
    ),
    _flag("Ustálené svícení", "Settled", "settled", _settled, _LEVEL),
    _flag("Ustálené, nebo tmavé", "Settled, or dark", "settled_or_dark", _settled_or_dark, *_POWER),
    _flag("Svítí (podle příkonu)", "Burns (by its power)", "burning", _burning, *_POWER),
    _of(
        Unit.RATIO,
        "Nejnižší běžný účiník",
        "Lowest ordinary power factor",
        "power_factor_min",
        _power_factor_min,
        *_MODEL,
    ),
    _of(
        Unit.PERCENT,
        "Odchylka úrovně (body)",
        "Level off by (points)",
        "level_off_points",
        dimming.level_off_points,
        _LEVEL,
    ),
    _of(
        Unit.PERCENT,
        "Odchylka příkonu (body)",
        "Power off by (points)",
        "power_off_points",
        dimming.power_off_points,
        *_POWER,
    ),
    _of(
        Unit.PERCENT,
        "Příkon jiné úrovně, odchylka (body)",
        "Power of another level, off by (points)",
        "power_stuck_points",
        dimming.power_stuck_points,
        *_POWER,
    ),
    _flag("Poslouchá stmívání", "Follows dimming", "follows_dimming", dimming.follows_dimming, *_POWER),
    _flag("Předřadník omezuje výkon", "Gear is derating", "gear_is_derating", _has_flag(*DERATING), "failure_flags"),
    _flag("Předřadník se vypnul", "Gear has shut down", "gear_is_shut_down", _has_flag(*SHUT_DOWN), "failure_flags"),
    _flag("Ruční ovládání nebo zkouška", "By hand or under test", "under_test", _under_test),
    _of(Unit.SECOND, "Doba od nárazu", "Since a blow", "since_shock_s", _since("shock_ms"), "shock_g"),
    _flag("Sama znovu nastartovala", "Has started again by itself", "restarting", _restarting),
    _of(Unit.SECOND, "Doba od přehřátí", "Since it was hot", "since_hot_s", _since("hot_ms"), "gear_temp_degc"),
    _of(
        Unit.VOLT,
        "Nejnižší desetiminutové napětí",
        "Lowest ten-minute voltage",
        "voltage_mean_min_v",
        _voltage_mean_v,
        _VOLTAGE,
    ),
    _of(
        Unit.VOLT,
        "Nejvyšší desetiminutové napětí",
        "Highest ten-minute voltage",
        "voltage_mean_max_v",
        lambda layer: layer.column("voltage_mean_min_v"),
        _VOLTAGE,
    ),
    _of(
        Unit.VOLT,
        "Nejvyšší napětí nyní",
        "Highest voltage now",
        "voltage_now_max_v",
        lambda layer: layer.column(_VOLTAGE),
        _VOLTAGE,
    ),
    _flag(
        "Ohlásilo ztrátu napájení", "Has told of a loss of supply", "supply_gone", circuit.lamp_supply_gone, _VOLTAGE
    ),
    _flag("Okruh má být pod napětím", "Circuit ought to be live", "circuit_due", circuit.due, "feeder_switched"),
    _flag(
        "Odmlčelo se vypnutím vývodu",
        "Silent since its feeder was switched off",
        "lost_by_switching",
        circuit.lost_by_switching,
        "feeder_switched",
    ),
)


# Nights


def _ordinary(layer: Layer) -> Mask:
    """Readings that tell of the lamp's own power: it burns, is warm, goes along with its level, does not derate."""
    found: Any = layer.columns.get("ordinary")
    if found is None:
        found = layer.flag("burning") & (layer.column("since_switching_s") >= switching.SETTLE_S)
        found &= layer.column("voltage_v") >= circuit.LIVE_V
        found &= layer.column("level_off_points") <= dimming.POINTS
        found &= layer.column("power_stuck_points") == 0
        found &= layer.column("gear_is_derating") == 0
        layer.columns["ordinary"] = found
    return found


def _deviating(layer: Layer) -> Floats:
    return deviates(layer.column("power_w"), layer.column("expected_power_w")).astype(np.float64)


def _power_ratio(layer: Layer) -> Floats:
    return layer.column("power_w") / layer.column("expected_power_w")


def _unexpected_total(layer: Layer) -> Floats:
    return layer.state.array("unexpected_total", fill=1.0)[layer.slots]


DAILY = (
    Daily(
        "deviating_h",
        Unit.NONE,
        Title(cs="Hodiny s odchylkou příkonu", en="Hours with deviating power"),
        "integral",
        _deviating,
        _ordinary,
    ),
    Daily(
        "power_ratio",
        Unit.RATIO,
        Title(cs="Příkon k očekávanému", en="Power to expected"),
        "mean",
        _power_ratio,
        _ordinary,
    ),
    Daily(
        "unexpected_starts",
        Unit.COUNT,
        Title(cs="Neplánované starty", en="Unexpected starts"),
        "increase",
        _unexpected_total,
        past=1,
    ),
)


def _deviation_pct(layer: Layer) -> Floats:
    return 100 * np.abs(layer.column("power_ratio") - 1)


def _starts_of_two_nights(layer: Layer) -> Floats:
    """The more of this night and the one before; unknown where one is."""
    return np.maximum(layer.column("unexpected_starts"), layer.past("unexpected_starts", 1)[0])


DAY_INPUTS = (
    Input("deviation_pct", Unit.PERCENT, Title(cs="Odchylka příkonu", en="Deviation of power"), _deviation_pct),
    Input(
        "unexpected_starts_2_nights",
        Unit.COUNT,
        Title(cs="Neplánované starty, horší ze dvou nocí", en="Unexpected starts, worse of two nights"),
        _starts_of_two_nights,
    ),
)
