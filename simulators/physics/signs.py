"""What an inverter says of itself: its state, and the bits of its events and of what throttles it."""

import numpy as np

from kraj.kinds.solar import EVENTS, STATES, THROTTLES
from simulators.physics.frame import Floats, Ints, Mask
from simulators.physics.inverter import WAKE_SHARE, Fed
from simulators.physics.plant import Moment, Stops

FAULT_EVENTS = ("over_temp", "hw_test_failure", "manufacturer_alarm", "dc_over_volt")
"""One of these comes with an inverter's fault, the same one each time."""


def inverter_state(moment: Moment, stops: Stops, feeds: Mask, rated_w: Floats) -> Floats:
    """Codes of SunSpec's states."""
    light = _light(moment, rated_w)
    morning = moment.shine.sky.azimuth_deg < 180
    throttled = (moment.fed.by_voltage + moment.fed.by_limit) > 0
    out = np.where(light, np.where(morning, _state("starting"), _state("shutting_down")), _state("sleeping"))
    out = np.where(feeds, np.where(throttled, _state("throttled"), _state("mppt")), out)
    out = np.where(stops.waiting & light, _state("starting"), out)
    out = np.where(stops.dead & light, _state("standby"), out)
    out = np.where((stops.fault | stops.ground) & light, _state("fault"), out)
    return np.where(stops.gridless, _state("off"), out)


def event_flags(ids: Ints, moment: Moment, stops: Stops, rated_w: Floats) -> Floats:
    """Bits of events; they last while there is light to tell them by."""
    bright = _light(moment, rated_w)
    light = bright & ~stops.gridless
    own = np.array([_bit(EVENTS, name) for name in FAULT_EVENTS])[ids % len(FAULT_EVENTS)]
    out = np.where(light & stops.fault, own, 0.0) + np.where(light & stops.ground, _bit(EVENTS, "ground_fault"), 0.0)
    return out + np.where(bright & stops.gridless, _bit(EVENTS, "grid_disconnect"), 0.0)


def throttle_flags(fed: Fed, feeds: Mask) -> Floats:
    """Bits of what holds the power back."""
    return (fed.by_voltage * _bit(THROTTLES, "volt_watt") + fed.by_limit * _bit(THROTTLES, "max_w")) * feeds


def _light(moment: Moment, rated_w: Floats) -> Mask:
    """Enough for the inverter's own electronics; the modules' light, as open strings still wake it."""
    return moment.dc_w > rated_w * (WAKE_SHARE / 4)


def _state(word: str) -> float:
    return float(STATES.index(word))


def _bit(words: tuple[str, ...], word: str) -> float:
    return float(1 << words.index(word))
