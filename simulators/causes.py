"""Everything that can befall a region, cause by cause: what it strikes, how bad it gets, how long it lasts, how often.

A cause bears the name of the rule, or of the correlated cause, that must tell of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from simulators.asset import Asset
from simulators.physics.ailments import SIZES
from simulators.physics.lighting import DEAF, LIAR, LOGARITHM_TWICE, OVERDRIVEN_FULL
from simulators.physics.supply import CONTACTOR_OPEN
from simulators.targets import Grounds, Target

Size = Callable[[Random, Asset], float]

MINUTE, DAY = 1 / 60, 24.0
"""In hours."""
SMALL_W = 25.0


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that can happen.

    ``targets`` lists what it can strike in a region; ``size`` draws how bad, ``measure`` says what that means.
    ``hours`` is the span of its durations, until a crew has come; ``per_year`` how often it strikes a target.
    """

    name: str
    targets: Callable[[Grounds], Sequence[Target]]
    hours: tuple[float, float]
    per_year: float
    size: Size
    measure: str = "all or nothing"


def _full(random: Random, asset: Asset) -> float:
    return 1.0


def _within(*spans: tuple[float, float]) -> Size:
    """Evenly within one of the spans."""
    return lambda random, asset: round(random.uniform(*random.choice(spans)), 3)


def _one_of(*sizes: float) -> Size:
    return lambda random, asset: random.choice(sizes)


def _above_rated(least: float, most: float) -> Size:
    return lambda random, asset: round(asset.number("gear_temp_max_degc", 85.0) + random.uniform(least, most), 1)


def _factor_lost(random: Random, asset: Asset) -> float:
    """So much that it breaks the rules: of small lamps these ask for 0.70 and not for 0.90 (EU 2019/2020)."""
    least, most = (0.4, 0.55) if asset.power_rated_w <= SMALL_W else (0.2, 0.4)
    return round(random.uniform(least, most), 3)


def _dark_lamps(random: Random, asset: Asset) -> float:
    return float(random.randint(2, max(2, int(asset.number("lamps") * 0.15))))


def _stolen(random: Random, asset: Asset) -> float:
    return round(max(150.0, asset.power_rated_w * random.uniform(0.15, 0.35)))


def _drain(days_left: tuple[float, float]) -> Size:
    """So many watts that a full battery lasts so many days, whatever an ordinary sun gives."""

    def size(random: Random, asset: Asset) -> float:
        stored_wh = 0.8 * asset.number("battery_capacity_wh", 1200.0)
        sun_w = asset.power_rated_w * 4.0 / 24
        return round(stored_wh / (24 * random.uniform(*days_left)) + sun_w)

    return size


def _strings(random: Random, asset: Asset) -> float:
    """One string, seldom two; never the only one left."""
    return 2.0 if asset.number("strings") > 3 and random.random() < 0.2 else 1.0


def _roof(name: str) -> Size:
    return _within(SIZES[name])


def _lamps(grounds: Grounds) -> Sequence[Target]:
    return grounds.each("lamp")


def _permanent(grounds: Grounds) -> Sequence[Target]:
    return grounds.each("lamp", where=lambda lamp: not lamp.number("feeder_switched"))


def _cabinets(grounds: Grounds) -> Sequence[Target]:
    return grounds.each("cabinet")


def _stops(grounds: Grounds) -> Sequence[Target]:
    return grounds.each("stop")


def _stops_with(attribute: str) -> Callable[[Grounds], Sequence[Target]]:
    return lambda grounds: grounds.each("stop", where=lambda stop: stop.number(attribute) > 0)


def _roofs(grounds: Grounds) -> Sequence[Target]:
    return grounds.each("solar")


OF_GROUPS = (
    Cause("grid_outage", lambda g: g.areas, (0.5, 4.0), 0.3, _full),
    Cause("cabinet_outage", lambda g: g.cabinets, (1.0, 10.0), 0.1, _full),
    Cause("phase_lost", lambda g: g.cabinets, (1.0, 12.0), 0.05, _one_of(1.0, 2.0, 3.0), "the phase"),
    Cause("feeder_outage", lambda g: g.feeders, (1.0, 20.0), 0.15, _full),
    Cause("contactor_stuck", lambda g: g.contactors, (DAY, 4 * DAY), 0.1, _full),
    Cause("gateway_silent", lambda g: g.gateways, (1.0, DAY), 0.5, _full),
    Cause("voltage_area", lambda g: g.areas, (3.0, DAY), 0.05, _within((196, 203), (256, 262)), "volts"),
    Cause("voltage_cabinet", lambda g: g.cabinets, (3.0, 2 * DAY), 0.03, _within((196, 203), (256, 268)), "volts"),
    Cause("site_outage", lambda g: g.sites, (4.0, 2 * DAY), 0.3, _full),
    Cause("site_silent", lambda g: g.sites, (3.0, 2 * DAY), 0.25, _full),
)
OF_LAMPS = (
    Cause("lamp_out", _lamps, (DAY, 8 * DAY), 0.020, _within((0.9, 1.0)), "share of the power lost"),
    Cause("day_burner", _permanent, (DAY, 5 * DAY), 0.003, _full),
    Cause("power_deviation", _lamps, (4 * DAY, 10 * DAY), 0.005, _within((0.6, 0.78), (1.25, 1.5)), "times its power"),
    Cause(
        "dim_not_followed",
        lambda g: g.dimmed,
        (DAY, 5 * DAY),
        0.004,
        _one_of(OVERDRIVEN_FULL, LOGARITHM_TWICE),
        "1: stays at full light; 2: takes the level for a DALI number, so that 60 % gives 6 %; 3, 4: see below",
    ),
    Cause("low_power_factor", _lamps, (2 * DAY, 8 * DAY), 0.002, _factor_lost, "share of the factor lost"),
    Cause("voltage", _lamps, (3.0, 2 * DAY), 0.001, _within((192, 203), (256, 270)), "volts"),
    Cause("gear_temp", _lamps, (DAY, 6 * DAY), 0.002, _above_rated(4, 9), "°C that the gear heads for while lit"),
    Cause("gear_shutdown", _lamps, (DAY, 4 * DAY), 0.001, _above_rated(10, 14), "°C of the gear"),
    Cause("cycling", _lamps, (4 * DAY, 8 * DAY), 0.003, _within((1.5, 6)), "restarts an hour"),
    Cause("knock_down", lambda g: g.leaning, (12.0, 3 * DAY), 0.002, _within((8, 85)), "degrees of tilt"),
    Cause(
        "lumen_depreciation", _lamps, (10 * DAY, 20 * DAY), 0.001, _within((100_000, 110_000)), "hours it has burned"
    ),
)
OF_CABINETS = (
    Cause("door_open", _cabinets, (0.3, 6.0), 0.15, _full),
    Cause("leakage", _cabinets, (2.0, 2 * DAY), 0.05, _within((350, 1500)), "milliamperes"),
    Cause("breaker", _cabinets, (1.0, DAY), 0.05, _full, "a circuit beside the lamps'"),
    Cause("theft", lambda g: [_alone(t) for t in g.cabinets], (5 * DAY, 12 * DAY), 0.03, _stolen, "watts"),
    Cause("circuit_unlit", lambda g: g.villages, (DAY, 3 * DAY), 0.2, _one_of(1.0, CONTACTOR_OPEN), "2: the contactor"),
    Cause("circuit_day_burning", lambda g: g.villages, (DAY, 4 * DAY), 0.2, _full),
    Cause("lamps_dark", lambda g: g.villages, (4 * DAY, 12 * DAY), 0.5, _dark_lamps, "lamps"),
)
OF_STOPS = (
    Cause("autonomy_low", _stops, (2 * DAY, 4 * DAY), 0.05, _drain((2.6, 3.4)), "watts that ought not to run"),
    Cause("autonomy_critical", _stops, (2 * DAY, 4 * DAY), 0.03, _drain((0.6, 1.0)), "watts that ought not to run"),
    Cause("pv_dead", _stops, (4 * DAY, 10 * DAY), 0.05, _full, "share of the panel's power lost"),
    Cause("usb_overcurrent", _stops, (4.0, 2 * DAY), 0.10, _one_of(1.0, 2.0), "the port"),
    Cause("wifi_down", _stops, (1.0, 2 * DAY), 0.10, _full),
    Cause("uplink_down", _stops, (1.0, DAY), 0.15, _within((60, 95)), "percent of the packets lost"),
    Cause("display_stale", _stops, (2.0, 2 * DAY), 0.15, _one_of(1.0, 2.0), "2: refreshes fail as well"),
    Cause("stop_door_open", _stops, (0.3, 6.0), 0.08, _full),
    Cause("battery_hot", _stops, (1.5, 8.0), 0.02, _within((62, 78)), "°C that the battery heads for"),
    Cause("water", _stops, (1.0, DAY), 0.03, _full),
    Cause("sos_selftest", _stops_with("sos"), (DAY, 6 * DAY), 0.05, _full),
    Cause("sos_unanswered", _stops_with("sos"), (5 * MINUTE, 1.0), 0.05, _full),
    Cause("voice_failed", _stops_with("voice"), (DAY, 8 * DAY), 0.05, _one_of(1.0, 2.0), "1: voice, 2: receiver"),
)
OF_ROOFS = (
    Cause("inverter_fault", _roofs, (12.0, 5 * DAY), 0.08, _full),
    Cause("zero_output", _roofs, (DAY, 5 * DAY), 0.06, _full),
    Cause("no_start", _roofs, (DAY, 3 * DAY), 0.03, _full),
    Cause("string_open", lambda g: _many_strings(g), (3 * DAY, 12 * DAY), 0.06, _strings, "strings"),
    Cause("partial_loss", _roofs, (5 * DAY, 15 * DAY), 0.04, _roof("partial_loss"), "share of the power lost"),
    Cause(
        "peer_underperformance", _roofs, (15 * DAY, 25 * DAY), 0.02, _roof("peer_underperformance"), "share of light"
    ),
    Cause("shading", _roofs, (12 * DAY, 25 * DAY), 0.02, _roof("shading"), "share of the beam"),
    Cause("voltage_derating", _roofs, (DAY, 6 * DAY), 0.04, _roof("voltage_derating"), "0: 247 V, 1: 253 V"),
    Cause("isolation", _roofs, (4 * DAY, 10 * DAY), 0.03, _roof("isolation"), "share of the resistance lost"),
    Cause(
        "irradiance_sensor", lambda g: g.sensing, (5 * DAY, 12 * DAY), 0.05, _roof("irradiance_sensor"), "share too low"
    ),
    Cause("solar_comms_lost", lambda g: g.alone, (3.0, 2 * DAY), 0.25, _full),
)
OF_DEVICES = (
    Cause("comms_lost", lambda g: g.each("lamp", "cabinet", "stop"), (3.0, 4 * DAY), 0.02, _full),
    Cause(
        "clock_drift",
        lambda g: [t for t in (*g.each("lamp", "cabinet", "stop"), *g.alone) if g.has_clock(t.lead)],
        (DAY, 5 * DAY),
        0.004,
        _within((90, 540)),
        "seconds ahead",
    ),
)
BY_WEATHER = (
    Cause("snow", lambda g: g.everything, (DAY, 4 * DAY), 0.0, _roof("snow"), "share of the modules covered"),
)
"""The weather brings it by itself: no scenario does."""

NETWORK_CAUSES = frozenset({"comms_lost", "solar_comms_lost", "site_silent", "gateway_silent"})
"""Causes that take the network away and leave the power: nothing else is wrong."""

CAUSES: Mapping[str, Cause] = {
    cause.name: cause for cause in (*OF_GROUPS, *OF_CABINETS, *OF_STOPS, *OF_ROOFS, *OF_LAMPS, *OF_DEVICES, *BY_WEATHER)
}
"""Groups first: a scenario deals in this order, and a group needs all of its assets unharmed."""


VARIANTS: Mapping[str, Cause] = {
    "controller_deaf": Cause("dim_not_followed", lambda g: g.dimmed, (DAY, 5 * DAY), 0.0, _one_of(DEAF)),
    "controller_lying": Cause("dim_not_followed", lambda g: g.dimmed, (DAY, 5 * DAY), 0.0, _one_of(LIAR)),
    "broker_lost": Cause("comms_lost", _lamps, (3.0, 4 * DAY), 0.0, _full),
    "clock_lost": Cause(
        "clock_drift", lambda g: [t for t in _lamps(g) if g.has_clock(t.lead)], (DAY, 5 * DAY), 0.0, _within((310, 540))
    ),
}
"""What can be asked for by a name of its own, and is labelled by the cause that tells of it: a controller that follows
neither programs nor commands, keeps its last level by night and says so; one that does the same and says that it has
followed; a lamp that hears of nobody and keeps its program; one whose clock is so far off that it refuses its calendar
and goes by its photocell. No scenario deals them."""


def _alone(target: Target) -> Target:
    """The cabinet by itself; what its lamps report must be whole, or its sums say nothing."""
    return Target("asset", target.municipality, target.name, target.assets[:1])


def _many_strings(grounds: Grounds) -> Sequence[Target]:
    return grounds.each("solar", where=lambda roof: roof.number("strings") > 1)
