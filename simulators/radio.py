"""What becomes of a message between device and platform: loss and resend, delay, duplicates; and clocks that drift."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulators.habits import whole
from simulators.physics.frame import DAY_MS, Floats, Ints, Mask, Rows
from simulators.presence import Gaps
from simulators.ring import IN_FLIGHT_MAX, Resend

RESEND = Resend()
SENDINGS_MAX = 12
"""Beyond that a message got through; at a loss of a third, one in half a million is cut short."""
BACKLOG_AFTER_MS = (60_000, 180_000)
"""So long after its return a device begins to send what it took meanwhile: live readings go first, and a town that gets
its power back does not knock all at once. Each device has its own time in this span."""
ROUND_MS = 2_000
"""From sending 64 readings to their acknowledgement, when the next 64 may go."""
MOVED_MAX = 4
"""A message that meets one gap after another is looked at so often; what is left waits for the next day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """How messages travel: ``loss`` is the share of sendings lost, ``delay_s`` the mean of the way, ``duplicates`` the
    share whose acknowledgement is lost, so that they come again; ``drift`` is how fast clocks run, in parts per million
    (half of them within it), between the settings of each night."""

    loss: float
    delay_s: float
    duplicates: float
    drift: float


RADIOS: Mapping[str, Radio] = {
    "perfect": Radio(loss=0.0, delay_s=0.0, duplicates=0.0, drift=0.0),
    # NB-IoT and LTE-M in a town; 20 ppm is an ordinary quartz.
    "ordinary": Radio(loss=0.02, delay_s=1.0, duplicates=0.005, drift=20.0),
    # A thunderstorm or an overloaded cell; the cold lets clocks run off too.
    "storm": Radio(loss=0.2, delay_s=6.0, duplicates=0.03, drift=60.0),
}


def travel_ms(radio: Radio, random: np.random.Generator, count: int) -> tuple[Ints, Ints]:
    """How long ``count`` messages are on their way until one sending gets through, and after how much more a duplicate
    comes (-1: none); shapes ``(count,)``. Lost ones are sent again after 30 s, doubling to 10 min, with jitter."""
    delay = random.exponential(radio.delay_s * 1000, count)
    lost = np.minimum(random.geometric(1 - radio.loss, count) - 1, SENDINGS_MAX)
    for turn in range(1, int(lost.max(initial=0)) + 1):
        again = np.flatnonzero(lost >= turn)
        delay[again] += _pause(random, turn, len(again))
    second = np.where(random.random(count) < radio.duplicates, _pause(random, 1, count), -1.0)
    return delay.astype(np.int64), second.astype(np.int64)


def _pause(random: np.random.Generator, tries: int, count: int) -> Floats:
    wait = min(RESEND.first_ms * 2 ** (tries - 1), RESEND.longest_ms)
    return wait * random.uniform(1 - RESEND.jitter, 1 + RESEND.jitter, count)


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages under way, arrays of shape ``(n,)``: taken at ``taken_ms``, due to arrive at ``due_ms``.

    ``waiting`` ones have not been found a moment yet: theirs is as if nothing stood in the way.
    """

    device: Rows
    seq: Ints
    taken_ms: Ints
    due_ms: Ints
    waiting: Mask


def arrivals(sent: Messages, gaps: Gaps, patience_ms: Ints, end_ms: int) -> tuple[Ints, Mask]:
    """When each arrives and whether it still waits, as its gap lasts beyond ``end_ms``; shapes ``(n,)``.

    What is taken in a gap, or on its way when one begins, comes after the gap: ``patience_ms`` (by device) after its
    end, 64 at a time, in the order of ``seq``.
    """
    due_ms = sent.due_ms.copy()
    waiting = np.zeros(len(due_ms), np.bool_)
    gap = np.where(sent.waiting, gaps.around(sent.device, sent.taken_ms), -1)
    for _ in range(MOVED_MAX):
        gap = np.where((gap < 0) & ~waiting, gaps.around(sent.device, due_ms), gap)
        held = np.flatnonzero(gap >= 0)
        lasting = gaps.to_ms[gap[held]] >= end_ms
        waiting[held[lasting]] = True
        held = held[~lasting]
        if not len(held):
            break
        rounds = _place(gap[held], sent.seq[held]) // IN_FLIGHT_MAX
        due_ms[held] = gaps.to_ms[gap[held]] + patience_ms[sent.device[held]] + rounds * ROUND_MS + ROUND_MS // 2
        gap = np.full(len(gap), -1, np.intp)
    return np.where(waiting, sent.due_ms, due_ms), waiting


def _place(group: Rows, order: Ints) -> Ints:
    """The place of each within its group, by ``order``."""
    by = np.lexsort((order, group))
    ordered = group[by]
    first = np.searchsorted(ordered, ordered, "left")
    out = np.empty(len(group), np.int64)
    out[by] = np.arange(len(group)) - first
    return out


def patience_ms(seed: int, devices: list[str]) -> Ints:
    """How long each device waits before it sends its backlog."""
    return whole(seed, devices, "backlog", *BACKLOG_AFTER_MS)


class Clocks:
    """How far each device's clock is off: it runs fast or slow, and is set once a day at a time of its own."""

    def __init__(self, radio: Radio, seed: int, devices: list[str]) -> None:
        # Uniform within ±2 drift, so that half of them lie within ±drift.
        self._rate: Floats = radio.drift * 1e-6 * whole(seed, devices, "clock", -2000, 2000) / 1000
        self._set_ms = whole(seed, devices, "set", 0, DAY_MS)

    def offset_ms(self, device: Rows, ts_ms: Ints) -> Floats:
        """The clock's time minus the true one, shape ``(n,)``."""
        return self._rate[device] * np.mod(ts_ms - self._set_ms[device], DAY_MS)


def ahead(own_ms: Ints, arrival_ms: Ints, future_ms: int) -> Mask:
    """Whose time lies so far ahead that the platform refuses it."""
    return own_ms > arrival_ms + future_ms
