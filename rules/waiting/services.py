"""What a stop offers to those who wait: whether its display is current, its ports sound, its SOS call answered."""

import numpy as np

from kraj.kinds import STOP
from kraj.kinds.stop import USB_PORTS
from kraj.readings import Floats, Ints, Mask
from rules.layer import Layer

HOUR_MS = 3_600_000
OVERCURRENTS = 3
"""The last so many of each port are remembered; that many within an hour latch it off."""
SHEDDING = {name: code for code, name in enumerate(STOP.by_name["shedding"].states)}
LATCHED = STOP.by_name["usb1_state"].states.index("latched_off")
HOURLY_S = 3600.0
COLD_DEGC = -15.0
"""Below it e-paper does not change any more, and must not be driven (stops.md)."""
WAIT_MAX_MS = 6 * HOUR_MS
"""Nobody waits longer at a button; what was not answered by then is in the history."""
NO_ANSWER = -1.0


# Display


def display_interval_s(layer: Layer) -> Floats:
    """How often the display is renewed now: hourly under shedding."""
    hourly = layer.column("shedding") >= SHEDDING["display_hourly"]
    own = layer.column("display_interval_s")
    return np.where(hourly, np.maximum(own, HOURLY_S), own)


def track_display(layer: Layer) -> None:
    """Keep ``display_pace``: the interval, the one before it, and when that ended (ms)."""
    state, slots = layer.state, layer.slots
    before = state.array("display_pace", shape=(3,))[slots]
    interval = display_interval_s(layer)
    rows = np.flatnonzero(before[:, 0] != interval)
    if len(rows):
        state.put(
            "display_pace", slots[rows], np.stack([interval, before[:, 0], layer.ts_ms], axis=1)[rows], before[rows]
        )


def display_age_max_s(layer: Layer) -> Floats:
    """Two intervals; where a longer one has just ended, the first content of the shorter may still be on its way."""
    pace = layer.state.array("display_pace", shape=(3,))[layer.slots]
    interval, before, since_ms = pace[:, 0], pace[:, 1], pace[:, 2]
    fresh = (layer.ts_ms - since_ms < 2000 * interval) & (before > interval)
    return 2 * np.where(fresh, before, interval)


def display_works(layer: Layer) -> Floats:
    """Not known to be too cold or switched off to save energy."""
    off = layer.column("shedding") == SHEDDING["sos_only"]
    return (~off & ~(layer.column("display_temp_degc") < COLD_DEGC)).astype(np.float64)


def wifi_due(layer: Layer) -> Floats:
    """Not known to be off to save energy."""
    return (~(layer.column("shedding") >= SHEDDING["wifi_off"])).astype(np.float64)


# USB


def track_usb(layer: Layer) -> None:
    """Keep ``usb_times``, the moments (ms) of each port's last over-currents, newest first, and ``usb_counts``."""
    state, slots = layer.state, layer.slots
    count = np.stack([layer.column(f"usb{n}_faults") for n in USB_PORTS], axis=1)
    before = state.array("usb_counts", shape=(len(USB_PORTS),))[slots]
    times = state.array("usb_times", dtype=np.int64, fill=0, shape=(len(USB_PORTS), OVERCURRENTS))
    rows = np.flatnonzero(((count != before) & ~np.isnan(count)).any(axis=1))
    if len(rows):
        more = np.nan_to_num(count[rows] - before[rows])
        known = times[slots[rows]]
        state.put("usb_times", slots[rows], remembered(known, more, layer.ts_ms[rows]), known)
        state.put("usb_counts", slots[rows], np.where(np.isnan(count), before, count)[rows], before[rows])


def remembered(times: Ints, more: Floats, ts_ms: Ints) -> Ints:
    """The newest moments, shape ``(n, ports, OVERCURRENTS)``, after ``more`` (``(n, ports)``) over-currents now."""
    new = np.clip(more, 0, OVERCURRENTS).astype(np.int64)[..., None]
    place = np.arange(OVERCURRENTS)
    older = np.take_along_axis(times, np.maximum(place - new, 0), axis=2)
    return np.where(place < new, ts_ms[:, None, None], older)


def overcurrents(layer: Layer) -> Floats:
    """Of the port that has most, how many within the last hour, three at most; NaN without any port."""
    times = layer.state.array("usb_times", dtype=np.int64, fill=0, shape=(len(USB_PORTS), OVERCURRENTS))[layer.slots]
    recent = (layer.ts_ms[:, None, None] - times < HOUR_MS) & (times > 0)
    ports = ~np.isnan(layer.state.array("usb_counts", shape=(len(USB_PORTS),))[layer.slots]).all(axis=1)
    return np.where(ports, recent.sum(axis=2).max(axis=1), np.nan)


def usb_latched(layer: Layer) -> Floats:
    """Whether a port has latched itself off; never unknown."""
    latched: Mask = np.logical_or.reduce([layer.column(f"usb{n}_state") == LATCHED for n in USB_PORTS])
    return latched.astype(np.float64)


# SOS


def track_sos(layer: Layer) -> None:
    """Keep ``sos_since_ms``, when somebody pressed who has not been answered (0: nobody waits).

    A press is an edge. The answer is a time to answer that was not there when the button was pressed.
    """
    state, slots = layer.state, layer.slots
    pressed = layer.column("sos_pressed") == 1
    answer = np.nan_to_num(layer.column("sos_answer_s"), nan=NO_ANSWER)
    before = state.array("sos_seen", fill=NO_ANSWER, shape=(2,))[slots]
    since = state.array("sos_since_ms", dtype=np.int64, fill=0)[slots]
    press = pressed & (before[:, 0] != 1)
    answered = (answer != NO_ANSWER) & (answer != before[:, 1])
    waits = np.where(press, layer.ts_ms, np.where(answered, 0, since))
    rows = np.flatnonzero(waits != since)
    if len(rows):
        state.put("sos_since_ms", slots[rows], waits[rows], since[rows])
    now = np.stack([pressed, answer], axis=1)
    rows = np.flatnonzero((now != before).any(axis=1))
    if len(rows):
        state.put("sos_seen", slots[rows], now[rows], before[rows])


def sos_waiting_s(layer: Layer) -> Floats:
    """How long somebody has been waiting for an answer; unknown where nobody is."""
    since = layer.state.array("sos_since_ms", dtype=np.int64, fill=0)[layer.slots]
    waiting = (since > 0) & (layer.ts_ms - since < WAIT_MAX_MS)
    return np.where(waiting, (layer.ts_ms - since) / 1000, np.nan)
