"""What rules may know of a cabinet besides its readings: its phases, its usual load, and the lamps behind it."""

from collections.abc import Callable
from functools import reduce

import numpy as np

from kraj.kinds import CABINET
from kraj.kinds.cabinet import PHASES
from kraj.metrics import Title
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.inputs import Daily
from rules.layer import Form, Input, Layer
from rules.lighting import circuit, crew, load, switching, voltage
from rules.lighting.circuit import GONE_V, LIVE_V

DAY_DEG = 3.0
VILLAGE_SHARE = 0.5
"""Of the lamps without a controller: beyond it the cabinet alone must tell of them."""
UNLIT_SHARE = 0.75
"""Of the usual load: with less a feeder is dark."""
BURNING_SHARE = 0.3
"""Of the rated power: by day that is the circuit burning and no thief."""
EVENING_MIN = (22 * 60, 24 * 60)
"""Dark on every day of the year, and mostly before part-night circuits go off: nights are compared by these hours."""
PAST_NIGHTS, NIGHTS_MIN = 28, 5
USUAL_QUANTILE = 0.75
"""Of earlier nights: a fault of some nights must not become what is usual at once."""
MAD_TO_SIGMA = 1.4826
METERED_MIN_WH = 500.0
"""Of a night; ten per cent of less is a rounding of the meter."""
_SWITCHES = ("contactor_closed", "breaker_closed", "local_switch")
_AUTOMATIC = CABINET.by_name["local_switch"].states.index("automatic")


def active(layer: Layer) -> Mask:
    """A cabinet whose lamps are lit reports every five minutes."""
    return layer.column("power_w") > 0.1 * layer.column("power_rated_w")


def track(layer: Layer) -> None:
    """Note supply, switching, the voltages' means, and what a night teaches of the load."""
    volts = [layer.column(f"l{number}_voltage_v") for number in PHASES]
    returned = circuit.note_supply(layer, reduce(np.fmax, volts))
    for number, volt in zip(PHASES, volts, strict=True):
        voltage.track(layer, f"voltage_window_l{number}", volt)
    _note_switching(layer, returned)
    settled = layer.column("settled") == 1
    load.track(layer, settled & ~layer.flag("under_test") & (layer.column("phases_dead") == 0))


def refresh(layer: Layer) -> None:
    """Sum up the lamps, and note whether they ought to burn."""
    crew.refresh(layer)
    load.refresh(layer)


def _note_switching(layer: Layer, returned: Mask) -> None:
    """Keep ``contactor`` with the time of its last change, ``under_test``, and ``switched_ms``."""
    state, slots = layer.state, layer.slots
    before = state.array("switches", shape=(len(_SWITCHES),)).take(slots, axis=0)
    now = np.stack([layer.column(name) for name in _SWITCHES], axis=1)
    changed = (now != before) & ~np.isnan(now)
    switched = np.flatnonzero(changed.any(axis=1) | returned)
    state.array("switched_ms", dtype=np.int64, fill=switching.NEVER)
    if len(switched):
        state.put("switched_ms", slots[switched], layer.ts_ms[switched])
        state.put("switches", slots[switched], np.where(np.isnan(now), before, now)[switched], before[switched])
    state.array("contactor")
    state.array("contactor_ms", dtype=np.int64, fill=0)
    rows = np.flatnonzero(changed[:, 0])
    if len(rows):
        state.put("contactor", slots[rows], now[rows, 0])
        state.put("contactor_ms", slots[rows], layer.ts_ms[rows])
    tested = layer.column("under_test")
    rows = np.flatnonzero(state.array("under_test", fill=0.0)[slots] != tested)
    if len(rows):
        state.put("under_test", slots[rows], tested[rows])


def _since_switching_s(layer: Layer) -> Floats:
    return switching.since_s(layer.state, layer.slots, layer.ts_ms, layer.column("uptime_s"))


def _settled(layer: Layer) -> Floats:
    return switching.settled(layer.column("since_switching_s"))


def _under_test(layer: Layer) -> Floats:
    """Somebody has taken the cabinet off its automatic; on ticks by its last reading. Never unknown."""
    if not len(layer.values):
        return layer.state.array("under_test", fill=0.0)[layer.slots]
    switch = layer.column("local_switch")
    return ((switch != _AUTOMATIC) & ~np.isnan(switch)).astype(np.float64)


def _lit_by_habit(layer: Layer) -> Floats:
    return layer.state.array("lit_by_habit", fill=0.0)[layer.slots]


def _phases(counts: Callable[[Floats], Mask]) -> Callable[[Layer], Floats]:
    """How many phases there are whose voltage counts; those without a meter do not."""
    return lambda layer: np.sum([counts(layer.column(f"l{n}_voltage_v")) for n in PHASES], axis=0).astype(np.float64)


def _over_phases(how: np.ufunc, column: Callable[[Layer, int], Floats]) -> Callable[[Layer], Floats]:
    return lambda layer: reduce(how, [column(layer, number) for number in PHASES])


def _mean_v(layer: Layer, number: int) -> Floats:
    return voltage.mean_v(layer, f"voltage_window_l{number}")


def _village(layer: Layer) -> Floats:
    """Where the cabinet alone must tell of its lamps: most have no controller, or none is registered behind it."""
    most = layer.column("lamps_unmetered") > VILLAGE_SHARE * layer.column("lamps")
    return (most | (crew.behind(layer.estate)[layer.slots] == 0)).astype(np.float64)


def _of(unit: Unit, cs: str, en: str, name: str, compute: Callable[[Layer], Floats], *needs: str) -> Input:
    return Input(name, unit, Title(cs=cs, en=en), compute, Form.NUMBER, needs)


def _flag(cs: str, en: str, name: str, compute: Callable[[Layer], Floats], *needs: str) -> Input:
    return Input(name, Unit.NONE, Title(cs=cs, en=en), compute, Form.FLAG, needs)


INPUTS = (
    _of(
        Unit.SECOND,
        "Doba od sepnutí",
        "Since switching",
        "since_switching_s",
        _since_switching_s,
        "contactor_closed",
    ),
    _flag("Ustálený odběr", "Settled", "settled", _settled, "contactor_closed"),
    _flag("Ruční ovládání", "By hand", "under_test", _under_test),
    _flag("V tuto hodinu obvykle svítí", "Usually lit at this hour", "lit_by_habit", _lit_by_habit, "power_w"),
    _of(Unit.COUNT, "Fáze bez napětí", "Dead phases", "phases_dead", _phases(lambda v: v < GONE_V), "l1_voltage_v"),
    _of(Unit.COUNT, "Fáze pod napětím", "Live phases", "phases_live", _phases(lambda v: v >= LIVE_V), "l1_voltage_v"),
    _of(
        Unit.VOLT,
        "Nejnižší desetiminutové napětí",
        "Lowest ten-minute voltage",
        "voltage_mean_min_v",
        _over_phases(np.fmin, _mean_v),
        "l1_voltage_v",
    ),
    _of(
        Unit.VOLT,
        "Nejvyšší desetiminutové napětí",
        "Highest ten-minute voltage",
        "voltage_mean_max_v",
        _over_phases(np.fmax, _mean_v),
        "l1_voltage_v",
    ),
    _of(
        Unit.VOLT,
        "Nejvyšší napětí nyní",
        "Highest voltage now",
        "voltage_now_max_v",
        _over_phases(np.fmax, lambda layer, number: layer.column(f"l{number}_voltage_v")),
        "l1_voltage_v",
    ),
    _of(Unit.WATT, "Obvyklý odběr v tuto hodinu", "Usual load at this hour", "load_usual_w", load.usual_w, "power_w"),
    _flag(
        "Svítidla bez řídicích jednotek", "Lamps without controllers", "village", _village, "lamps", "lamps_unmetered"
    ),
    _of(Unit.WATT, "Odběr mimo svítidla", "Load beyond the lamps", "unaccounted_w", crew.unaccounted_w, "power_w"),
    _flag(
        "Ohlásil ztrátu napájení", "Has told of a loss of supply", "supply_gone", circuit.supply_gone, "l1_voltage_v"
    ),
    _flag("Má být pod napětím", "Ought to be live", "circuit_due", lambda layer: np.ones(len(layer))),
    _flag("Odmlčel se vypnutím", "Silent by switching", "lost_by_switching", lambda layer: np.zeros(len(layer))),
)


# Nights


def _by_night(layer: Layer) -> Mask:
    known = ~np.isnan(layer.column("unaccounted_w"))
    return known & (layer.column("sun_elevation_deg") < circuit.DARK_DEG) & layer.flag("settled")


def _by_day(layer: Layer) -> Mask:
    """The sun is up, nobody tests, and the circuit is not lit."""
    quiet = layer.column("power_w") < BURNING_SHARE * layer.column("power_rated_w")
    return quiet & (layer.column("sun_elevation_deg") > DAY_DEG) & ~layer.flag("under_test")


def _in_the_evening(layer: Layer) -> Mask:
    minute = layer.column("local_minute")
    evening = (minute >= EVENING_MIN[0]) & (minute < EVENING_MIN[1])
    # A circuit that is dark as a whole is no step of some lamps: circuit_unlit tells of it.
    unlit = layer.column("power_w") < UNLIT_SHARE * layer.column("load_usual_w")
    quiet = layer.flag("settled") & ~layer.flag("under_test") & ~unlit
    return evening & quiet & (layer.column("phases_dead") == 0)


def _value(name: str) -> Callable[[Layer], Floats]:
    return lambda layer: layer.column(name)


DAILY = (
    Daily(
        "unaccounted_wh",
        Unit.WATT_HOUR,
        Title(cs="Energie mimo svítidla", en="Energy beyond the lamps"),
        "integral",
        _value("unaccounted_w"),
        _by_night,
    ),
    Daily(
        "metered_wh",
        Unit.WATT_HOUR,
        Title(cs="Energie v noci", en="Energy by night"),
        "integral",
        _value("power_w"),
        _by_night,
    ),
    Daily(
        "unaccounted_day_w",
        Unit.WATT,
        Title(cs="Odběr mimo svítidla ve dne", en="Load beyond the lamps by day"),
        "mean",
        _value("unaccounted_w"),
        _by_day,
    ),
    Daily(
        "night_power_w",
        Unit.WATT,
        Title(cs="Odběr mezi 22. a 24. hodinou", en="Load from 22:00 to 24:00"),
        "mean",
        _value("power_w"),
        _in_the_evening,
        past=PAST_NIGHTS,
    ),
)


def _unaccounted_pct(layer: Layer) -> Floats:
    metered = layer.column("metered_wh")
    return np.divide(
        100 * layer.column("unaccounted_wh"),
        metered,
        out=np.full(len(layer), np.nan),
        where=metered >= METERED_MIN_WH,
    )


def _earlier(layer: Layer) -> tuple[Floats, Mask]:
    """The evening's power of earlier nights, shape ``(nights, n)``, and of whom enough is known."""
    past = layer.past("night_power_w", PAST_NIGHTS)
    return past, np.count_nonzero(~np.isnan(past), axis=0) >= NIGHTS_MIN


def _night_power_usual_w(layer: Layer) -> Floats:
    past, enough = _earlier(layer)
    out = np.full(len(layer), np.nan)
    if enough.any():
        out[enough] = np.nanquantile(past[:, enough], USUAL_QUANTILE, axis=0)
    return out


def _night_power_spread_w(layer: Layer) -> Floats:
    """The standard deviation of the nights, as their median distance from their median tells it."""
    past, enough = _earlier(layer)
    out = np.full(len(layer), np.nan)
    if enough.any():
        known = past[:, enough]
        out[enough] = MAD_TO_SIGMA * np.nanmedian(np.abs(known - np.nanmedian(known, axis=0)), axis=0)
    return out


def _night_step_w(layer: Layer) -> Floats:
    return layer.column("night_power_usual_w") - layer.column("night_power_w")


def _lamps_dark_estimate(layer: Layer) -> Floats:
    return layer.column("night_step_w") / (layer.column("power_rated_w") / layer.column("lamps"))


DAY_INPUTS = (
    _of(
        Unit.PERCENT,
        "Podíl energie mimo svítidla",
        "Share of energy beyond the lamps",
        "unaccounted_pct",
        _unaccounted_pct,
    ),
    _of(Unit.WATT, "Obvyklý noční odběr", "Usual load by night", "night_power_usual_w", _night_power_usual_w),
    _of(
        Unit.WATT,
        "Rozptyl nočního odběru",
        "Spread of the load by night",
        "night_power_spread_w",
        _night_power_spread_w,
    ),
    _of(Unit.WATT, "Pokles nočního odběru", "Fall of the load by night", "night_step_w", _night_step_w),
    _of(Unit.COUNT, "Odhad zhaslých svítidel", "Estimate of dark lamps", "lamps_dark_estimate", _lamps_dark_estimate),
    _flag(
        "Svítidla bez řídicích jednotek", "Lamps without controllers", "village", _village, "lamps", "lamps_unmetered"
    ),
)
