"""What happens on a day of a live fleet, in order of time: readings that are due, and devices that come and go."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from simulators.physics.frame import DAY_MS, Ints, Rows
from simulators.presence import WILL_AFTER_MS
from simulators.roster import Duty


class Turn(IntEnum):
    """What happens to a device; at one moment in this order."""

    LOSE = 0
    CUT = 1
    RESTART = 2
    BACK = 3


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """A device's power or network goes or comes."""

    ts_ms: int
    turn: Turn
    device: int


@dataclass(frozen=True, slots=True)
class Due:
    """Rows of a kind that report, shapes ``(k,)``, in order of time."""

    kind: str
    rows: Rows
    ts_ms: Ints


@dataclass
class Agenda:
    """A day, taken off piece by piece."""

    duty: Duty
    _due: list[Due] = field(init=False)
    _events: list[Event] = field(init=False)
    _done: dict[str, int] = field(init=False, default_factory=dict[str, int])
    _happened: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        found: dict[str, list[tuple[Rows, Ints]]] = {}
        for part in self.duty.parts:
            due = part.reporter.moments(part.plan)
            found.setdefault(part.kind, []).append((part.rows[due.place], due.ts_ms))
        self._due = []
        for kind, parts in found.items():
            rows, ts_ms = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.argsort(ts_ms, kind="stable")
            self._due.append(Due(kind, rows[order], ts_ms[order]))
            self._done[kind] = 0
        self._events = sorted(_events(self.duty))

    def skip(self, until_ms: int) -> set[int]:
        """Leave out what was due before a moment, at which the fleet starts; gives the devices that are away then."""
        for due in self._due:
            self._done[due.kind] = int(np.searchsorted(due.ts_ms, until_ms))
        self._happened = sum(event.ts_ms < until_ms for event in self._events)
        devices = np.arange(len(self.duty.presence.boot))
        away = self.duty.presence.gaps.around(devices, np.full(len(devices), until_ms)) >= 0
        return set(np.flatnonzero(away).tolist())

    def happened(self, until_ms: int) -> Iterator[Event]:
        """The comings and goings up to a moment that have not been given yet."""
        while self._happened < len(self._events) and self._events[self._happened].ts_ms <= until_ms:
            self._happened += 1
            yield self._events[self._happened - 1]

    def due(self, until_ms: int) -> Iterator[Due]:
        """The readings up to a moment that have not been given yet."""
        for due in self._due:
            first, last = self._done[due.kind], int(np.searchsorted(due.ts_ms, until_ms, "right"))
            self._done[due.kind] = max(first, last)
            if first < last:
                yield Due(due.kind, due.rows[first:last], due.ts_ms[first:last])

    def next_ms(self) -> int:
        """When something happens next; the day's end when nothing does."""
        moments = [int(due.ts_ms[n]) for due in self._due if (n := self._done[due.kind]) < len(due.ts_ms)]
        if self._happened < len(self._events):
            moments.append(self._events[self._happened].ts_ms)
        return min(moments, default=self.duty.start_ms + DAY_MS)


def _events(duty: Duty) -> Iterator[Event]:
    end_ms = duty.start_ms + DAY_MS
    gaps, presence = duty.presence.gaps, duty.presence
    for device, from_ms, to_ms in zip(gaps.device.tolist(), gaps.from_ms.tolist(), gaps.to_ms.tolist(), strict=True):
        for ts_ms, turn in (
            (from_ms, Turn.LOSE),
            (min(from_ms + WILL_AFTER_MS, to_ms - 1), Turn.CUT),
            (to_ms, Turn.BACK),
        ):
            if duty.start_ms <= ts_ms < end_ms:
                yield Event(ts_ms, turn, device)
    for device, ts_ms in zip(presence.start_device.tolist(), presence.start_ms.tolist(), strict=True):
        yield Event(ts_ms, Turn.RESTART, device)
