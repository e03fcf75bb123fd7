"""What every device tells about itself: clock, radio, uptime, and why it started."""

import numpy as np

from simulators.signals.state import Columns, Floats, Sites, State

RESET_POWER_ON = 0.0


def start(sites: Sites) -> dict[str, Floats]:
    """How well each is heard and how far its clock is off."""
    return {"rssi": sites.own("rssi", -105, -62), "clock_offset": sites.own("clock", -1.5, 1.5)}


def columns(sites: Sites, state: State) -> Columns:
    """A device without a clock cannot know how far off it is."""
    return {
        "clock_offset_s": np.where(sites.clock, state["clock_offset"] + state.noise(sites, 0.05), np.nan),
        "rssi_dbm": np.round(state["rssi"] + state.noise(sites, 2)),
        "uptime_s": np.full(len(sites), np.floor(state.uptime_s)),
        "reset_cause": np.full(len(sites), RESET_POWER_ON),
    }
