"""Whether a device is there: power, network, starts, and the status messages that tell of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from simulators.physics.frame import DAY_MS, Ints, Mask, Rows

WILL_AFTER_MS = 90_000
"""The broker publishes the will one and a half keepalives of 60 s after the last sign of life."""
FOREVER_MS = 2**62
"""The end of a gap that is not known today."""
WIDTH = 2**42
"""One sorted key holds device and time: a hundred years keep two devices apart."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A device without network from ``from_ms`` to ``to_ms``; it has power, and goes on reading."""

    device: int
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """A status as it comes in: the will (``online`` False) or the device's first words."""

    ts_ms: int
    device: int
    online: bool


@dataclass(frozen=True, slots=True)
class Gaps:
    """When devices could not be heard of, shapes ``(k,)``, by device and time; gaps of one device are apart."""

    device: Rows
    from_ms: Ints
    to_ms: Ints

    @staticmethod
    def of(found: Iterable[tuple[int, int, int]]) -> "Gaps":
        """From device, beginning and end, in any order; what overlaps is one gap."""
        merged: list[list[int]] = []
        for device, from_ms, to_ms in sorted(found):
            if merged and merged[-1][0] == device and from_ms <= merged[-1][2]:
                merged[-1][2] = max(merged[-1][2], to_ms)
            else:
                merged.append([device, from_ms, to_ms])
        table = np.array(merged, np.int64).reshape(-1, 3)
        return Gaps(table[:, 0].astype(np.intp), table[:, 1].copy(), table[:, 2].copy())

    def around(self, device: Rows, ts_ms: Ints) -> Rows:
        """Which gap holds each moment, -1 for none; shapes ``(n,)``."""
        if not len(self.device) or not len(device):
            return np.full(len(device), -1, np.intp)
        base = min(int(self.from_ms.min()), int(ts_ms.min()))
        key = self.device * WIDTH + (self.from_ms - base)
        gap: Rows = np.searchsorted(key, device * WIDTH + (ts_ms - base), "right") - 1
        held = (gap >= 0) & (self.device[gap] == device) & (ts_ms < self.to_ms[gap])
        return np.where(held, gap, -1)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of all devices: ``gaps`` in which nothing of them arrives, ``events`` in order of time, and the starts.

    ``start_device`` and ``start_ms`` list the starts after returns of power, by device and time; before the first of
    them a device runs under ``boot`` since ``booted_ms``, both of shape ``(devices,)``.
    """

    gaps: Gaps
    events: tuple[Event, ...]
    start_device: Rows
    start_ms: Ints
    boot: Ints
    booted_ms: Ints

    @staticmethod
    def quiet(devices: int, boot: int, booted_ms: int) -> "Day":
        """A day on which everybody is there."""
        none = np.zeros(0, np.int64)
        since = np.full(devices, booted_ms, np.int64)
        return Day(Gaps.of(()), (), none.astype(np.intp), none, np.full(devices, boot, np.int64), since)

    def boots(self, device: Rows, ts_ms: Ints) -> tuple[Ints, Ints]:
        """Number and beginning of the run in which each moment lies; shapes ``(n,)``."""
        base = int(self.booted_ms.min(initial=0))
        key = self.start_device * WIDTH + (self.start_ms - base)
        at: Rows = np.searchsorted(key, device * WIDTH + (ts_ms - base), "right")
        first: Rows = np.searchsorted(self.start_device, device, "left")
        began = at > first
        since = self.start_ms[np.maximum(at - 1, 0)] if len(self.start_ms) else self.booted_ms[device]
        return self.boot[device] + np.maximum(at - first, 0), np.where(began, since, self.booted_ms[device])


class Presence:
    """Devices through the days; ``boot`` is the number of their first run, ``booted_ms`` its beginning."""

    def __init__(self, boot: int, booted_ms: Ints) -> None:
        self._boot = np.full(len(booted_ms), boot, np.int64)
        self._booted_ms = booted_ms
        self._lost_ms: dict[int, int] = {}
        self._first: bool = True
        self._before: tuple[Ints, Ints, dict[int, int], bool] = (self._boot, self._booted_ms, self._lost_ms, True)

    def again(self) -> None:
        """Take the last day back: it is told once more, with other comings and goings in what is left of it."""
        self._boot, self._booted_ms, lost, self._first = self._before
        self._lost_ms = dict(lost)

    def day(
        self, start_ms: int, powered: Mask, switching: Sequence[tuple[int, int, bool]], outages: Sequence[Outage]
    ) -> Day:
        """The day from ``start_ms``: ``powered`` is how it begins, ``switching`` lists device, moment and whether power
        came (it then speaks), by device and time; ``outages`` are those that touch the day."""
        end_ms = start_ms + DAY_MS
        self._before = (self._boot, self._booted_ms, dict(self._lost_ms), self._first)
        if self._first:
            self._lost_ms = dict.fromkeys(np.flatnonzero(~powered).tolist(), start_ms)
        found: list[tuple[int, int, int]] = []
        starts: list[tuple[int, int]] = []
        for device, ts_ms, up in switching:
            if not up:
                self._lost_ms[device] = ts_ms
            elif device in self._lost_ms:
                found.append((device, self._lost_ms.pop(device), ts_ms))
                starts.append((device, ts_ms))
        found += [(device, lost, FOREVER_MS) for device, lost in self._lost_ms.items()]
        found += [(o.device, o.from_ms, o.to_ms) for o in outages]
        gaps = Gaps.of(found)
        events = list(self._events(gaps, start_ms, end_ms))
        if self._first:
            events += self._roll_call(gaps, start_ms)
            self._first = False
        table = np.array(starts, np.int64).reshape(-1, 2)
        day = Day(gaps, tuple(sorted(events)), table[:, 0].astype(np.intp), table[:, 1], self._boot, self._booted_ms)
        self._boot, self._booted_ms = day.boots(np.arange(len(powered)), np.full(len(powered), end_ms, np.int64))
        return day

    def _events(self, gaps: Gaps, start_ms: int, end_ms: int) -> Iterable[Event]:
        for device, from_ms, to_ms in zip(
            gaps.device.tolist(), gaps.from_ms.tolist(), gaps.to_ms.tolist(), strict=True
        ):
            # Who is back sooner takes the old session over, and its will is published just then.
            will_ms = min(from_ms + WILL_AFTER_MS, to_ms - 1)
            if start_ms <= will_ms < end_ms:
                yield Event(will_ms, device, online=False)
            if start_ms <= to_ms < end_ms:
                yield Event(to_ms, device, online=True)

    def _roll_call(self, gaps: Gaps, start_ms: int) -> Iterable[Event]:
        """What a newcomer finds retained: the last status of everybody."""
        everybody = np.arange(len(self._boot))
        heard = gaps.around(everybody, np.full(len(everybody), start_ms)) < 0
        return [Event(start_ms, device, online) for device, online in enumerate(heard.tolist())]
