"""Days of simulated models, sampled on a grid: shapes ``(assets, moments)``."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from simulators.physics.frame import DAY_MS, Effects, Fault, Floats, Ints, Mask, Model
from simulators.region import Region, region
from simulators.world import World

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
REGION = region(5, 300)


def ms(*at: int) -> int:
    return int(datetime(*at, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type]


def world(of: Region = REGION) -> World:
    return World(of)


def days(
    made: World,
    kind: str,
    start_ms: int,
    count: int,
    *,
    faults: Sequence[Fault] = (),
    step_ms: int = 5 * MINUTE_MS,
    rows: Sequence[int] | None = None,
) -> tuple[Ints, dict[str, Floats]]:
    """Moments ``(t,)``, and what the assets of a kind (all, or these rows) measure at them."""
    moments: list[Ints] = []
    found: list[dict[str, Floats]] = []
    for day in range(start_ms, start_ms + count * DAY_MS, DAY_MS):
        made.prepare(day, faults)
        ts = np.arange(day, day + DAY_MS, step_ms, dtype=np.int64)
        moments.append(ts)
        found.append(sample(made.models[kind], ts, rows))
    return np.concatenate(moments), {n: np.concatenate([f[n] for f in found], axis=1) for n in found[0]}


def sample(model: Model, ts: Ints, rows: Sequence[int] | None = None) -> dict[str, Floats]:
    chosen = np.arange(len(model.assets)) if rows is None else np.array(rows, np.intp)
    columns = model.at(np.repeat(chosen, len(ts)), np.tile(ts, len(chosen)))
    return {name: column.reshape(len(chosen), len(ts)) for name, column in columns.items()}


def powered(model: Model, ts: Ints) -> Mask:
    n = len(model.assets)
    return model.powered(np.repeat(np.arange(n), len(ts)), np.tile(ts, n)).reshape(n, len(ts))


def acting(model: Model, faults: Sequence[Fault]) -> Effects:
    return Effects.of(faults, model.assets)


def place(model: Model, key: str) -> int:
    return [asset.key for asset in model.assets].index(key)
