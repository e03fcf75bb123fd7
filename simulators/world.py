"""All models of a region together: one weather, one grid, one day after another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simulators.asset import Region
from simulators.physics.ailments import snow_faults
from simulators.physics.cabinet import CabinetModel
from simulators.physics.frame import DAY_MS, GRID_MS, Columns, Effects, Fault, Floats, Ints, Model, Rows
from simulators.physics.health import Health
from simulators.physics.lamp import LampModel
from simulators.physics.solar import SolarModel
from simulators.physics.stop import StopModel
from simulators.physics.weather import Weather

COSTLY_SHARE, PRODUCING_SHARE = 0.1, 0.05
"""A fault costs something when it takes a tenth of a power that is worth speaking of."""


class World:
    """A region that behaves: prepared a day at a time, then asked for any assets at any moments of that day.

    ``device`` and ``asset`` hold, by kind, where the rows of its model lie in ``region.devices`` and ``region.assets``.
    """

    def __init__(self, region: Region, models: Sequence[Model] | None = None) -> None:
        self.region = region
        self.weather = Weather(region.seed)
        self.models: Mapping[str, Model] = {m.kind.name: m for m in (models or build(region, self.weather))}
        places = [(n, installed.asset.key) for n, d in enumerate(region.devices) for installed in d.installed]
        device = {key: place for place, key in places}
        asset = {key: place for place, (_, key) in enumerate(places)}
        self.device: Mapping[str, Rows] = {
            kind: np.array([device[a.key] for a in model.assets], np.intp) for kind, model in self.models.items()
        }
        self.asset: Mapping[str, Rows] = {
            kind: np.array([asset[a.key] for a in model.assets], np.intp) for kind, model in self.models.items()
        }

    def prepare(self, start_ms: int, faults: Sequence[Fault] = ()) -> None:
        """Compute the day from ``start_ms``, a multiple of ``DAY_MS``, with the faults that act on it."""
        acting = today(faults, start_ms)
        for model in self.models.values():
            model.prepare(start_ms, Effects.of(acting, model.assets))

    def told(self, kind: str) -> Sequence[tuple[int, int]]:
        """Rows and moments at which assets of a kind were told something."""
        model = self.models[kind]
        return model.told.changes if isinstance(model, LampModel | CabinetModel) else ()

    def tell(self, documents: Mapping[str, Mapping[str, Any]], from_ms: int) -> None:
        """Have lamps and contactors, by the keys of their assets, keep programs from a moment on."""
        for model in self.models.values():
            if isinstance(model, LampModel | CabinetModel):
                for row, asset in enumerate(model.assets):
                    if asset.key in documents:
                        model.told.program(row, documents[asset.key], from_ms)

    def weather_faults(self, start_ms: int, days: int) -> tuple[Fault, ...]:
        """What the weather itself brings that an alert must tell of: snow on the roofs."""
        roofs = self.models["solar"].assets if "solar" in self.models else ()
        return snow_faults(self.weather, roofs, start_ms, days) if roofs else ()

    def shown_ms(self, fault: Fault, start_ms: int) -> Ints:
        """The moments of the prepared day at which a fault has an effect on one of its assets, for those that have one
        only sometimes: a service is missed, a resistance below its limit, or a roof lacks a tenth of its power."""
        for model in self.models.values():
            if isinstance(model, StopModel | SolarModel) and fault.cause in model.shows:
                ts_ms, rows = _acting(model, fault, start_ms)
                every, moments = np.repeat(rows, len(ts_ms)), np.tile(ts_ms, len(rows))
                shown = model.shows[fault.cause](every, moments).reshape(len(rows), len(ts_ms))
                return ts_ms[shown.any(axis=0)]
        return self._costly_ms(fault, start_ms)

    def _costly_ms(self, fault: Fault, start_ms: int) -> Ints:
        model = self.models.get("solar")
        if not isinstance(model, SolarModel):
            return np.zeros(0, np.int64)
        ts_ms, rows, healthy, power = _with_and_without(model, fault, start_ms)
        rated = np.array([asset.power_rated_w for asset in model.assets])[rows, None]
        costs = (healthy - power >= COSTLY_SHARE * healthy) & (healthy > PRODUCING_SHARE * rated)
        return ts_ms[costs.any(axis=0)]

    def lost_share(self, fault: Fault, start_ms: int) -> float:
        """Which share of the energy of its roofs on the prepared day a fault costs; 0 where there would be none."""
        model = self.models.get("solar")
        if not isinstance(model, SolarModel):
            return 0.0
        _, rows, healthy, power = _with_and_without(model, fault, start_ms)
        whole_day = start_ms + np.arange(0, DAY_MS, GRID_MS, dtype=np.int64)
        every, moments = np.repeat(rows, len(whole_day)), np.tile(whole_day, len(rows))
        energy = float(model.healthy_power_w(every, moments).sum())
        return float((healthy - power).sum()) / energy if energy > 0 else 0.0

    def at(self, kind: str, rows: Rows, ts_ms: Ints) -> Columns:
        """What these assets of a kind measure at these moments of the prepared day; shapes ``(k,)``."""
        return self.models[kind].at(rows, ts_ms)


def _acting(model: Model, fault: Fault, start_ms: int) -> tuple[Ints, Rows]:
    """The moments of the day on the grid at which a fault acts, and the rows of its assets."""
    acts = (max(fault.start_ms, start_ms), min(fault.end_ms, start_ms + DAY_MS))
    ts_ms = np.arange(-(-acts[0] // GRID_MS) * GRID_MS, acts[1], GRID_MS, dtype=np.int64)
    return ts_ms, np.flatnonzero([asset.key in set(fault.targets) for asset in model.assets])


def _with_and_without(model: SolarModel, fault: Fault, start_ms: int) -> tuple[Ints, Rows, Floats, Floats]:
    """The moments of the prepared day at which a fault acts, its roofs, and their power without and with their faults,
    shape ``(roofs, moments)`` each."""
    ts_ms, rows = _acting(model, fault, start_ms)
    shape = (len(rows), len(ts_ms))
    if not len(ts_ms):
        return ts_ms, rows, np.zeros(shape), np.zeros(shape)
    every, moments = np.repeat(rows, len(ts_ms)), np.tile(ts_ms, len(rows))
    healthy, power = model.healthy_power_w(every, moments), model.at(every, moments)["power_w"]
    return ts_ms, rows, healthy.reshape(shape), power.reshape(shape)


def today(faults: Sequence[Fault], start_ms: int, *, after_ms: int = 0) -> list[Fault]:
    """The faults that act on some part of the day from ``start_ms``, or ended at most ``after_ms`` before."""
    return [f for f in faults if f.start_ms < start_ms + DAY_MS and f.end_ms > start_ms - after_ms]


def build(region: Region, weather: Weather) -> tuple[Model, ...]:
    """The models of the kinds that the region has, seeded by it, in the order in which a day is prepared: a cabinet's
    meter asks the lamps behind it."""
    lamps = LampModel(region, weather)
    roofs = [asset for asset in region.assets if asset.kind == "solar"]
    models: tuple[Model, ...] = (
        lamps,
        CabinetModel(region, weather, lamps),
        StopModel(region, weather),
        SolarModel(roofs, weather, region.seed, Health(region, "solar")),
    )
    return tuple(model for model in models if model.assets)
