"""Who reports when in a world: the crews of every kind and the presence of their devices, day after day."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simulators.causes import NETWORK_CAUSES
from simulators.habits import Crew, whole
from simulators.physics.frame import DAY_MS, GRID_MS, Fault, Rows
from simulators.presence import Day, Outage, Presence
from simulators.reporting import Moments, Plan, Reporter
from simulators.world import World, today

CREW_MAX = 512
"""Assets planned together: what is in hand at once stays below some tens of megabytes."""
RECONNECT_MS = (1_000, 30_000)
"""From the return of the network to the first words: devices try again at most 30 s apart."""
TOLD_AFTER_MS = (60_000, 360_000)
"""So long after it was told something a lamp reports once more: the ramp is over; it has warmed up."""


@dataclass(frozen=True, slots=True)
class Part:
    """The day of one crew: what its places in ``plan`` mean is told by ``reporter.crew``."""

    kind: str
    reporter: Reporter
    plan: Plan

    @property
    def rows(self) -> Rows:
        return self.reporter.crew.rows


@dataclass(frozen=True, slots=True)
class Duty:
    """A day of a world: who reports when, and who is there at all."""

    start_ms: int
    parts: tuple[Part, ...]
    presence: Day


class Roster:
    """Plans the days of a world in order; ``boot`` is the number of every device's first run.

    ``fresh`` devices begin theirs at ``start_ms``; others have run for a while.
    """

    def __init__(self, world: World, faults: Sequence[Fault], start_ms: int, *, boot: int, fresh: bool = False) -> None:
        self.world = world
        self.faults = tuple(faults)
        region = world.region
        self._names = [device.name for device in region.devices]
        self._place = {i.asset.key: n for n, device in enumerate(region.devices) for i in device.installed}
        self._crews: list[tuple[str, Reporter, dict[str, int]]] = list(self._build(region.seed))
        running = np.zeros(len(self._names), np.int64)
        for kind, reporter, _ in self._crews if not fresh else ():
            running[world.device[kind][reporter.crew.rows]] = reporter.crew.running_ms
        self._presence = Presence(boot, start_ms - running)

    def day(self, start_ms: int) -> Duty:
        """Prepare and plan the day that follows the last one."""
        return self._duty(start_ms)

    def again(self, duty: Duty) -> Duty:
        """Prepare and plan the same day once more, as lamps or contactors were told something: its past stays as it
        was."""
        self._presence.again()
        return self._duty(duty.start_ms)

    def _duty(self, start_ms: int) -> Duty:
        outages = self._outages(start_ms)
        parts = self._parts(start_ms, outages)
        powered = np.zeros(len(self._names), np.bool_)
        switching: list[tuple[int, int, bool]] = []
        for part in parts:
            reporter, plan = part.reporter, part.plan
            device = self.world.device[part.kind][reporter.crew.rows]
            powered[device] = plan.powered
            # Only the first asset of a device speaks for its power, as all of them follow it.
            leads = np.flatnonzero(reporter.crew.rows == reporter.crew.lead)
            own = np.isin(plan.switching.place, leads)
            moves = (device[plan.switching.place[own]], plan.switching.ts_ms[own], plan.switching.up[own])
            switching += zip(*(m.tolist() for m in moves), strict=True)
        return Duty(start_ms, parts, self._presence.day(start_ms, powered, sorted(switching), outages))

    def every(self, kind: str, intervals_s: Mapping[int, int | None]) -> None:
        """By row of a kind, how often it reports while active, on the grid of five minutes; None is its habit."""
        for crew_kind, reporter, _ in self._crews:
            crew = reporter.crew
            first = int(crew.rows[0])
            for row, interval_s in intervals_s.items() if crew_kind == kind else ():
                if first <= row < first + len(crew):
                    habit = int(reporter.habitual_steps[row - first])
                    steps = habit if interval_s is None else max(1, interval_s * 1000 // GRID_MS)
                    crew.active_steps[row - first] = steps

    def _parts(self, start_ms: int, outages: Sequence[Outage]) -> tuple[Part, ...]:
        acting = today(self.faults, start_ms)
        self.world.prepare(start_ms, acting)
        returned = [(o.device, o.to_ms) for o in outages if start_ms <= o.to_ms < start_ms + DAY_MS]
        parts: list[Part] = []
        for kind, reporter, place in self._crews:
            device = self.world.device[kind][reporter.crew.rows]
            told = [(row, ms + after) for row, ms in self.world.told(kind) for after in TOLD_AFTER_MS]
            told = [(row, ms) for row, ms in told if start_ms <= ms < start_ms + DAY_MS]
            returns = _moments([*_returns(returned, device), *_places(reporter.crew.rows, told)])
            parts.append(Part(kind, reporter, reporter.plan(start_ms, edges=_edges(acting, place), returns=returns)))
        return tuple(parts)

    def _build(self, seed: int) -> Iterator[tuple[str, Reporter, dict[str, int]]]:
        for kind, model in self.world.models.items():
            places: list[int] = self.world.device[kind].tolist()
            names = [self._names[place] for place in places]
            for first in range(0, len(model.assets), CREW_MAX):
                rows = np.arange(first, min(first + CREW_MAX, len(model.assets)))
                crew = Crew.of(model.kind, model.assets, names, seed, rows)
                yield kind, Reporter(model, crew), {model.assets[row].key: n for n, row in enumerate(rows.tolist())}

    def _outages(self, start_ms: int) -> list[Outage]:
        found: list[Outage] = []
        for fault in today(self.faults, start_ms, after_ms=RECONNECT_MS[1]):
            if fault.cause in NETWORK_CAUSES:
                devices = sorted({self._place[target] for target in fault.targets})
                names = [self._names[device] for device in devices]
                late = whole(fault.end_ms, names, "reconnect", *RECONNECT_MS).tolist()
                found += [Outage(d, fault.start_ms, fault.end_ms + ms) for d, ms in zip(devices, late, strict=True)]
        return found


def _edges(acting: Sequence[Fault], place: dict[str, int]) -> Moments:
    found = [
        (place[target], edge)
        for fault in acting
        for target in fault.targets
        if target in place
        for edge in (fault.start_ms, fault.end_ms)
    ]
    return _moments(found)


def _returns(returned: Sequence[tuple[int, int]], device: Rows) -> list[tuple[int, int]]:
    return [(n, ts) for one, ts in returned for n in np.flatnonzero(device == one).tolist()]


def _places(rows: Rows, told: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """By place in a crew, whose rows follow one another."""
    first = int(rows[0])
    return [(row - first, ts) for row, ts in told if first <= row < first + len(rows)]


def _moments(found: Sequence[tuple[int, int]]) -> Moments:
    table = np.array(found, np.int64).reshape(-1, 2)
    return Moments(table[:, 0].astype(np.intp), table[:, 1])
