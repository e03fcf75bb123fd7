"""Plausible signals of healthy assets: vectorised over all assets of a kind, seeded, pure.

``snapshot`` is the seam for faults: whatever breaks an asset changes its state before, or its columns after.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Type
from simulators.region import Region
from simulators.signals import cabinet, lamp, solar, stop
from simulators.signals.state import STEP_S_MAX, Columns, Floats, Model, Sites, State
from simulators.signals.weather import Weather, sky

MODELS: dict[str, Model] = {m.kind.name: m for m in (lamp.MODEL, cabinet.MODEL, stop.MODEL, solar.MODEL)}
DECIMALS = 3
"""Of real values on the wire: finer than any of the sensors."""


def snapshot(kind: Kind, sites: Sites, ts_ms: int, state: State) -> Columns:
    """What all sites of a kind measure at ``ts_ms``; moves ``state`` on.

    The same seed and the same times give the same columns. Times that go back count as no time passed.
    Values stay within each metric's possible span; metrics that an asset lacks are NaN.
    """
    model = MODELS[kind.name]
    above = sky(state.weather, ts_ms, sites.latitude, sites.longitude)
    first = not state.values
    passed_s = 0.0 if first else max(0.0, (ts_ms - state.ts_ms) / 1000)
    state.ts_ms = ts_ms
    state.uptime_s += passed_s
    if first:
        state.values.update(model.start(sites, above, state))
    return model.columns(sites, above, min(passed_s, STEP_S_MAX), state)


class World:
    """All assets of a region, moved on together; each device reports in one of ``slots`` turns."""

    def __init__(self, region: Region, slots: int) -> None:
        weather = Weather.of(region.seed)
        self._parts: list[tuple[Kind, Sites, State, list[tuple[str, int]], list[NDArray[np.intp]]]] = []
        for number, kind in enumerate(KINDS.values()):
            found = [
                (place % slots, device, installed)
                for place, device in enumerate(region.devices)
                for installed in device.installed
                if installed.asset.kind == kind.name
            ]
            if not found:
                continue
            sites = Sites.of([i.asset for _, _, i in found], [d.clock for _, d, _ in found])
            state = State(weather, np.random.default_rng([region.seed, number]))
            turn = np.array([slot for slot, _, _ in found])
            rows = [np.flatnonzero(turn == slot) for slot in range(slots)]
            self._parts.append((kind, sites, state, [(d.name, i.channel) for _, d, i in found], rows))

    def step(self, ts_ms: int, slot: int) -> Iterator[tuple[str, int, dict[str, object]]]:
        """Move everything on to ``ts_ms``; gives device, channel and wire metrics of those whose turn it is."""
        for kind, sites, state, places, rows in self._parts:
            columns = snapshot(kind, sites, ts_ms, state)
            taken = rows[slot]
            for row, metrics in zip(taken.tolist(), readings(kind, columns, taken), strict=True):
                yield *places[row], metrics


def readings(kind: Kind, columns: Columns, rows: NDArray[np.intp]) -> list[dict[str, object]]:
    """The given rows as the wire writes them: unknown values left out, states as words, counters as integers."""
    out: list[dict[str, object]] = [{} for _ in rows]
    for name, column in columns.items():
        metric = kind.by_name[name]
        for reading, value in zip(out, _wire(metric, column[rows]), strict=True):
            if value is not None:
                reading[name] = value
    return out


def _wire(metric: Metric, values: Floats) -> list[object]:
    if metric.type is Type.REAL:
        return [None if v != v else v for v in np.round(values, DECIMALS).tolist()]  # noqa: PLR0124 - NaN
    known = [None if v != v else int(v) for v in values.tolist()]  # noqa: PLR0124
    match metric.type:
        case Type.BOOLEAN:
            return [None if v is None else bool(v) for v in known]
        case Type.STATE:
            return [None if v is None else metric.states[v] for v in known]
        case _:
            return list(known)
