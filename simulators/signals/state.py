"""What a signal model works on: the places, what each carries from one moment to the next, and the columns it gives."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from kraj.metrics import Kind
from simulators.region import Asset
from simulators.signals.weather import Sky, Weather

Floats = NDArray[np.float64]
Columns = dict[str, Floats]
"""One array of shape ``(n,)`` a metric; NaN is unknown, whole numbers and states are exact floats."""

DAY_S = 86_400.0
STEP_S_MAX = 3600.0
"""A longer pause between two snapshots counts as this long: signals move on from where they were."""
FLEET_BORN_MS = 1_767_225_600_000
"""2026-01-01: assets were installed one to six years before."""


@dataclass(frozen=True)
class Sites:
    """The assets of one kind as arrays of shape ``(n,)``; ``clock`` is whether the device can tell the time."""

    keys: tuple[str, ...]
    latitude: Floats
    longitude: Floats
    rated_w: Floats
    tilt_deg: Floats
    azimuth_deg: Floats
    clock: NDArray[np.bool_]

    @staticmethod
    def of(assets: Sequence[Asset], clocks: Sequence[bool]) -> "Sites":
        def column(values: Sequence[float | None], absent: float = 0.0) -> Floats:
            return np.array([absent if v is None else v for v in values], np.float64)

        return Sites(
            tuple(f"{a.municipality}/{a.label}" for a in assets),
            column([a.latitude for a in assets]),
            column([a.longitude for a in assets]),
            column([a.power_rated_w for a in assets]),
            column([a.tilt_deg for a in assets], 35.0),
            column([a.azimuth_deg for a in assets], 180.0),
            np.array(clocks, np.bool_),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def own(self, what: str, low: float = 0.0, high: float = 1.0) -> Floats:
        """A lasting trait of each asset, uniform within the span; other assets coming or going do not change it."""
        return np.array([Random(zlib.crc32(f"{key} {what}".encode())).uniform(low, high) for key in self.keys])

    def age_s(self, ts_ms: int) -> Floats:
        """How long each asset has been in service."""
        return (ts_ms - FLEET_BORN_MS) / 1000 + self.own("age", 1, 6) * 365 * DAY_S


@dataclass
class State:
    """What a kind carries from snapshot to snapshot; advanced in place.

    ``values`` holds arrays of shape ``(n,)`` or ``(n, k)``: lasting traits, counters and whatever has inertia.
    """

    weather: Weather
    random: np.random.Generator
    ts_ms: int = 0
    uptime_s: float = 0.0
    values: dict[str, Floats] = field(default_factory=dict[str, Floats])

    def __getitem__(self, name: str) -> Floats:
        return self.values[name]

    def __setitem__(self, name: str, value: Floats) -> None:
        self.values[name] = value

    def noise(self, sites: Sites, deviation: float = 1.0) -> Floats:
        """Normal noise within three deviations, so that noise alone never leaves a plausible span."""
        return deviation * np.clip(self.random.standard_normal(len(sites)), -3, 3)

    def count(self, name: str, per_s: Floats, dt_s: float) -> Floats:
        """Add to a counter and give it as whole numbers; it never falls."""
        self[name] = self[name] + np.maximum(per_s, 0) * dt_s
        return np.floor(self[name])


def code(kind: Kind, metric: str, word: str) -> float:
    """The number that stands for a state's word."""
    return float(kind.by_name[metric].states.index(word))


def toward(value: Floats, goal: Floats, dt_s: float, slowness_s: float) -> Floats:
    """One step of a first-order lag."""
    return goal + (value - goal) * float(np.exp(-dt_s / slowness_s))


@dataclass(frozen=True, slots=True)
class Model:
    """How one kind behaves; ``absent`` names the metrics that it leaves unknown on purpose.

    ``start`` fills the state at the first snapshot; ``columns`` moves it on by ``dt_s`` and gives what is measured.
    """

    kind: Kind
    start: Callable[[Sites, Sky, State], Mapping[str, Floats]]
    columns: Callable[[Sites, Sky, float, State], Columns]
    absent: frozenset[str] = frozenset()
