"""A model whose behaviour a test writes down, for what only looks at models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from kraj.kinds import LAMP
from kraj.metrics import Kind
from simulators.asset import Asset, Device, Installed, Municipality, Region
from simulators.physics.frame import DAY_MS, Columns, Effects, Floats, Ints, Mask, Rows

START_MS = 20_500 * DAY_MS
HOUR_MS = 3_600_000
MINUTE_MS = 60_000

Course = Callable[[Rows, Ints], Floats]
"""Some quantity of rows at moments, both flat."""


def always(value: float) -> Course:
    return lambda rows, ts_ms: np.full(len(rows), value)


ON = always(1)


def between(from_ms: int, to_ms: int, inside: float, outside: float, row: int | None = None) -> Course:
    """``inside`` from one moment (after the start) to another, on one row or all."""

    def course(rows: Rows, ts_ms: Ints) -> Floats:
        at = (ts_ms - START_MS >= from_ms) & (ts_ms - START_MS < to_ms)
        return np.where(at & ((rows == row) if row is not None else True), inside, outside)

    return course


@dataclass
class Scripted:
    """Lit and powered unless told otherwise; ``asked`` counts the rows asked for."""

    assets: tuple[Asset, ...]
    kind: Kind = LAMP
    courses: dict[str, Course] = field(default_factory=dict[str, Course])
    power: Course = ON
    lit: Course = ON
    asked: int = 0
    day_ms: int = START_MS

    def prepare(self, start_ms: int, effects: Effects) -> None:
        del effects
        self.day_ms = start_ms

    def _check(self, ts_ms: Ints) -> None:
        assert ((ts_ms >= self.day_ms) & (ts_ms <= self.day_ms + DAY_MS)).all(), "asked for another day"

    def at(self, rows: Rows, ts_ms: Ints) -> Columns:
        self._check(ts_ms)
        self.asked += len(rows)
        return {m.name: self.courses.get(m.name, always(0))(rows, ts_ms) for m in self.kind.metrics}

    def powered(self, rows: Rows, ts_ms: Ints) -> Mask:
        self._check(ts_ms)
        return self.power(rows, ts_ms) > 0

    def active(self, rows: Rows, ts_ms: Ints) -> Mask:
        self._check(ts_ms)
        return self.lit(rows, ts_ms) > 0


TOWN = Municipality(name="obec", title="Obec", latitude=49.5, longitude=15.5)


def lamp(number: int, known: Mapping[str, object]) -> Asset:
    metadata = {"street": "Lipová", "power_rated_w": 40.0, **known}
    return Asset(
        kind="lamp",
        municipality="obec",
        label=f"VO-{number:04d}",
        latitude=49.5,
        longitude=15.5 + number / 10_000,
        metadata=metadata,
    )


def lamps(
    count: int, *, channels: int = 1, clock: bool = True, known: Mapping[str, object] = MappingProxyType({})
) -> Region:
    """``count`` lamps in one town, ``channels`` of them on each device."""
    made = [lamp(n, known) for n in range(count)]
    first = int(channels > 1)
    devices = [
        Device(
            name=f"lamp-{n:06x}",
            municipality="obec",
            installed=tuple(Installed(asset=a, channel=first + c) for c, a in enumerate(made[n : n + channels])),
            clock=clock,
        )
        for n in range(0, count, channels)
    ]
    return Region(seed=7, municipalities=(TOWN,), devices=tuple(devices))


def names(region: Region) -> Sequence[str]:
    """Each asset's device."""
    return [device.name for device in region.devices for _ in device.installed]
