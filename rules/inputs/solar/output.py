"""Whether a roof gives anything, since when, and how it stopped; what the inverter and the grid say about it."""

import numpy as np

from kraj.kinds.solar import EVENTS, STATES, THROTTLES
from kraj.metrics import Title
from kraj.readings import Floats, Mask
from kraj.units import Unit
from rules.inputs import tracked
from rules.inputs.solar.light import FLAT_S, table
from rules.inputs.solar.memory import Field, Memory
from rules.layer import Form, Input, Layer
from rules.peers import PEERS_LEAST

ZERO_PCT = 0.5
"""Of the rating (solar.md, zero_output)."""
STOPPED_CLEAR_PCT = 10.0
"""Who last produced when a clear sky would have given more has stopped by day; less is dusk. Under the darkest overcast
a sound roof gives ``ZERO_PCT`` up to about there."""
FAULT_MS = 5 * 60_000
"""So long an inverter must tell of its fault to be believed to be still in it when it falls silent (inverter_fault)."""
FAULT_ELEVATION_DEG = 5.0
ISOLATION_MIN_OHM = 1e6
START_DEG = 15.0
FALL_FROM = 0.2
FALL_MS = 15 * 60_000
VOLTAGE_S = 300.0
"""Time constant whose mean is as calm as EN 50160's window of ten minutes."""
GAP_S = 900.0
"""After three heartbeats without a word a mean starts anew."""
DARK_PCT, DARK_W_PER_M2 = 1.0, 30.0
"""Up to there it is too dark to ask: at 30 W/m² a sound roof gives 2 %, and an inverter may fall asleep below."""
PRODUCING_LEAST, ALIVE_PCT, LIGHT_W_PER_M2 = 3, 5.0, 100.0
"""Who is a witness (solar.md, no_start and zero_output)."""
SERIOUS = (
    "dc_over_volt",
    "ac_disconnect",
    "dc_disconnect",
    "cabinet_open",
    "over_temp",
    "under_temp",
    "memory_loss",
    "hw_test_failure",
    "manufacturer_alarm",
)
"""Events by which an inverter says that it cannot go on. Not among them: the grid's (voltage, frequency,
grid_disconnect), somebody's hand, and those that have a rule of their own (ground_fault, blown_string_fuse); where they
stop the inverter, it says FAULT, or zero_output finds it."""
GRID_THROTTLES = ("volt_watt", "hvrt", "freq_watt", "hfrt")
"""Power held back because of the grid; not among them: somebody's limit, and the inverter's own heat."""


def track(layer: Layer, memory: Memory) -> None:
    """Move on what is remembered of production, and put what rules see of it into the layer."""
    output, elevation = layer.column("output_pct"), layer.column("sun_elevation_deg")
    ts = layer.ts_ms.astype(np.float64)
    produces = output >= ZERO_PCT
    rated = table(layer).roofs.rated_w[layer.slots]
    memory.where(produces, Field.PRODUCED_CLEAR_PCT, 100 * layer.column("clear_power_w") / rated)
    memory.where(produces, Field.PRODUCED_MS, ts)
    memory.where(produces, Field.ZERO_MS, np.nan)
    zero = output < ZERO_PCT
    memory.where(zero & np.isnan(memory[Field.ZERO_MS]), Field.ZERO_MS, ts)
    memory.where(layer.column("clear_index") >= FALL_FROM, Field.GOOD_MS, ts)
    memory.where(elevation < 0, Field.HIGH_MS, np.nan)
    memory.where((elevation >= START_DEG) & np.isnan(memory[Field.HIGH_MS]), Field.HIGH_MS, ts)
    memory.put(Field.SEEN_MS, ts)
    memory.put(Field.OUTPUT_PCT, output)
    memory.put(Field.INDEX, layer.column("clear_index"))
    memory.put(Field.MODULE_DEGC, layer.column("module_temp_degc"))
    memory.put(Field.LIGHT_W_PER_M2, layer.column("irradiance_w_per_m2"))

    dusk = memory[Field.PRODUCED_CLEAR_PCT] < STOPPED_CLEAR_PCT
    fell = zero & (memory[Field.ZERO_MS] - memory[Field.GOOD_MS] <= FALL_MS)
    layer.columns["stopped_by_day"] = np.where(dusk, 0.0, 1.0)
    layer.columns["started"] = np.where(memory[Field.PRODUCED_MS] >= memory[Field.HIGH_MS], 1.0, 0.0)
    layer.columns["fell_abruptly"] = np.where(fell, 1.0, 0.0)
    layer.columns["zero_s"] = np.where(zero, (ts - memory[Field.ZERO_MS]) / 1000, 0.0)
    layer.columns["morning_s"] = (ts - memory[Field.HIGH_MS]) / 1000
    _fault(layer, memory)
    _voltage(layer, memory)


def _fault(layer: Layer, memory: Memory) -> None:
    """Whether the inverter itself has told why it gives nothing; it may say something else later and be as dead."""
    ts = layer.ts_ms.astype(np.float64)
    bits = _has(layer, "event_flags", EVENTS, (*SERIOUS, "ground_fault"))
    isolation = layer.column("isolation_ohm")
    damp = (isolation > 0) & (isolation < ISOLATION_MIN_OHM)  # it must not connect to the grid then
    now = (layer.column("state") == STATES.index("fault")) | bits | damp
    counts = now & (layer.column("sun_elevation_deg") > FAULT_ELEVATION_DEG)
    healthy = ~now & (layer.column("output_pct") >= ZERO_PCT)
    memory.where(healthy, Field.FAULT_FROM_MS, np.nan)
    memory.where(counts & np.isnan(memory[Field.FAULT_FROM_MS]), Field.FAULT_FROM_MS, ts)
    memory.where(counts, Field.FAULT_TO_MS, ts)
    told = now | (memory[Field.FAULT_TO_MS] - memory[Field.FAULT_FROM_MS] >= FAULT_MS)
    layer.columns["fault_told"] = np.where(told, 1.0, 0.0)


def _voltage(layer: Layer, memory: Memory) -> None:
    """The highest phase, as a mean over about ten minutes."""
    now = np.fmax(np.fmax(layer.column("l1_voltage_v"), layer.column("l2_voltage_v")), layer.column("l3_voltage_v"))
    mean = smooth(memory[Field.VOLTAGE_V], now, layer.gap_s)
    memory.put(Field.VOLTAGE_V, mean)
    layer.columns["voltage_mean_v"] = mean


def smooth(mean: Floats, now: Floats, gap_s: Floats) -> Floats:
    """An exponential mean moved on by one reading; after a long gap it is the reading alone. Arguments broadcast."""
    share = -np.expm1(-gap_s / VOLTAGE_S)
    return np.where(gap_s <= GAP_S, np.where(np.isnan(mean), now, mean + share * (now - mean)), now)


def _has(layer: Layer, metric: str, names: tuple[str, ...], bits: tuple[str, ...]) -> Mask:
    """Whether one of these bits is set; an unknown mask has none."""
    mask = sum(1 << names.index(bit) for bit in bits)
    flags = layer.column(metric)
    return (np.where(np.isnan(flags), 0, flags).astype(np.int64) & mask) != 0


def _dark_around(layer: Layer) -> Floats:
    """Whether it is dark here, whatever peers farther off have: the nearest roofs give nothing, or the sensor sees
    nothing. A thundercloud is smaller than the 25 km of peers."""
    sensor = (layer.column("irradiance_w_per_m2") < DARK_W_PER_M2) & (layer.column("irradiance_flat_s") < FLAT_S)
    return np.where((layer.column("near_output_pct") < DARK_PCT) | sensor, 1.0, 0.0)


def _unwitnessed(layer: Layer) -> Floats:
    """Whether nothing tells a dark day from a fault: no peers, no siblings at work, no sensor, no sudden fall.

    Three peers that produce are witnesses of a start that has failed (no_start); of one that has stopped by day fewer
    than five give no verdict. A reading that comes too late for its neighbours to be looked at has not been without
    them.
    """
    told = (
        ~(layer.column("peers_reporting") < PEERS_LEAST)
        | (layer.column("peers_producing") >= PRODUCING_LEAST) & ~layer.flag("stopped_by_day")
        | (layer.column("sibling_output_pct") > ALIVE_PCT)
        | (layer.column("irradiance_w_per_m2") > LIGHT_W_PER_M2)
        | layer.flag("fell_abruptly")
        | layer.flag("fault_told")
        | layer.flag("dark_around")
    )
    return np.where(told, 0.0, 1.0)


def _grid_throttled(layer: Layer) -> Floats:
    """By its reasons; an inverter that gives none is believed, if it is throttled."""
    flags = layer.column("throttle_flags")
    silent = np.isnan(flags) | (flags == 0)
    throttled = layer.column("state") == STATES.index("throttled")
    return np.where(_has(layer, "throttle_flags", THROTTLES, GRID_THROTTLES) | (throttled & silent), 1.0, 0.0)


def _disturbed(layer: Layer) -> Floats:
    """Whether a rule of its own may tell of what is missing now, so that the day is not judged by energy as well."""
    elevation = layer.column("sun_elevation_deg")
    rated = table(layer).roofs.rated_w[layer.slots]
    dead = (layer.column("output_pct") < ZERO_PCT) & (layer.column("clear_power_w") > rated * 0.05) & (elevation > 10)
    string = layer.column("string_worst_pct") < 20
    high = layer.column("voltage_mean_v") >= 1.08 * layer.column("voltage_nominal_v")
    limited = (layer.column("clipping") == 1) & ~np.isnan(layer.column("export_limit_w"))
    told = layer.flag("fault_told") | layer.flag("grid_throttled") | layer.flag("string_fuse_blown")
    return np.where(dead | string | high | limited | told | layer.flag("snowed"), 1.0, 0.0)


def _flag(layer: Layer, bit: str) -> Floats:
    return np.where(_has(layer, "event_flags", EVENTS, (bit,)), 1.0, 0.0)


INPUTS = (
    Input(
        "stopped_by_day",
        Unit.NONE,
        Title(cs="Přestala vyrábět za dne", en="It stopped producing by day"),
        tracked("stopped_by_day"),
        Form.FLAG,
        needs=("power_w", "power_rated_w"),
    ),
    Input(
        "started",
        Unit.NONE,
        Title(cs="Dnes už vyráběla", en="It has produced today"),
        tracked("started"),
        Form.FLAG,
        needs=("power_w", "power_rated_w"),
    ),
    Input(
        "fell_abruptly",
        Unit.NONE,
        Title(cs="Výkon spadl na nulu do 15 minut", en="Power fell to nothing within 15 minutes"),
        tracked("fell_abruptly"),
        Form.FLAG,
        needs=("power_w", "power_rated_w"),
    ),
    Input(
        "morning_s",
        Unit.SECOND,
        Title(cs="Doba od chvíle, kdy slunce vystoupalo nad 15°", en="Time since the sun rose above 15°"),
        tracked("morning_s"),
    ),
    Input(
        "zero_s",
        Unit.SECOND,
        Title(cs="Jak dlouho nic nevyrábí", en="How long it has given nothing"),
        tracked("zero_s"),
        needs=("power_w", "power_rated_w"),
    ),
    Input(
        "dark_around",
        Unit.NONE,
        Title(cs="V nejbližším okolí je tma", en="It is dark in the nearest surroundings"),
        _dark_around,
        Form.FLAG,
    ),
    Input(
        "unwitnessed",
        Unit.NONE,
        Title(cs="Není s čím porovnat", en="There is nothing to compare with"),
        _unwitnessed,
        Form.FLAG,
    ),
    Input(
        "fault_told",
        Unit.NONE,
        Title(cs="Střídač sám ohlásil poruchu", en="Inverter itself has told of a fault"),
        tracked("fault_told"),
        Form.FLAG,
    ),
    Input(
        "voltage_mean_v",
        Unit.VOLT,
        Title(cs="Desetiminutové napětí nejvyšší fáze", en="Ten-minute voltage of the highest phase"),
        tracked("voltage_mean_v"),
        needs=("l1_voltage_v",),
    ),
    Input(
        "fault_event",
        Unit.NONE,
        Title(cs="Střídač hlásí závažnou událost", en="Inverter tells of a serious event"),
        lambda layer: np.where(_has(layer, "event_flags", EVENTS, SERIOUS), 1.0, 0.0),
        Form.FLAG,
        needs=("event_flags",),
    ),
    Input(
        "ground_fault",
        Unit.NONE,
        Title(cs="Střídač hlásí zemní spojení", en="Inverter tells of a ground fault"),
        lambda layer: _flag(layer, "ground_fault"),
        Form.FLAG,
        needs=("event_flags",),
    ),
    Input(
        "string_fuse_blown",
        Unit.NONE,
        Title(cs="Střídač hlásí přepálenou pojistku stringu", en="Inverter tells of a blown string fuse"),
        lambda layer: _flag(layer, "blown_string_fuse"),
        Form.FLAG,
        needs=("event_flags",),
    ),
    Input(
        "grid_throttled",
        Unit.NONE,
        Title(cs="Výkon omezen kvůli síti", en="Power held back because of the grid"),
        _grid_throttled,
        Form.FLAG,
        needs=("throttle_flags",),
    ),
    Input(
        "disturbed",
        Unit.NONE,
        Title(cs="Výroba je právě narušena", en="Production is disturbed now"),
        _disturbed,
        Form.FLAG,
    ),
)
