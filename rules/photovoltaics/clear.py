"""Roofs under a cloudless sky: exact at any moment, and from a table of one hour so that a reading costs little."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kraj import sun
from kraj.kinds.solar import STRINGS
from kraj.readings import Floats, Ints
from rules.estate import Members, Slots
from rules.photovoltaics.plane import on_plane
from rules.photovoltaics.power import ac_power_w, cell_degc, cell_from_back_degc, dc_power_w
from rules.photovoltaics.sky import air_degc, clear_sky

HOUR_MS = 3_600_000
STEPS = 6
"""Points an hour; straight lines between them are off by 0.02 % of peak power at noon (measured in the tests)."""
HOURS_MAX = 72
"""Hours kept, the least lately used goes first: three days, 112 bytes a roof and hour."""
SPARSE = 16
"""An hour that has been asked of fewer than one roof in so many (late readings) is not worth a table of all."""


TURNS_DEG = (0.0, 180.0, 90.0, -90.0)
"""A string's plane: 1 is the roof's own azimuth; where nothing else is told, 2 is its opposite slope, and 3 and 4 are
the sides of a hipped roof, as steep as it."""


@dataclass(frozen=True)
class Roofs:
    """What a roof is, arrays of shape ``(n,)``: place, planes, modules and inverter.

    ``shares`` are those of the modules on each plane, shape ``(n, 4)``; ``tilt_deg`` and ``facing_deg`` are those of
    the first, ``other_tilt_deg`` and ``other_facing_deg`` those of the others, shape ``(n, 3)``.
    ``limit_w`` is NaN where feeding in is not limited; where only one of rating and peak is known, it stands for both.
    """

    latitude: Floats
    longitude: Floats
    altitude_m: Floats
    tilt_deg: Floats
    facing_deg: Floats
    other_tilt_deg: Floats
    other_facing_deg: Floats
    shares: Floats
    open_rack: Floats
    peak_w: Floats
    rated_w: Floats
    limit_w: Floats
    per_k: Floats

    @staticmethod
    def of(members: Members) -> "Roofs":
        known = members.numbers
        rated, peak = known["power_rated_w"], known["power_peak_w"]
        tilt, facing = planes(known)
        return Roofs(
            latitude=members.latitude,
            longitude=members.longitude,
            altitude_m=known["altitude_m"],
            tilt_deg=tilt[:, 0],
            facing_deg=facing[:, 0],
            other_tilt_deg=tilt[:, 1:],
            other_facing_deg=facing[:, 1:],
            shares=plane_shares(known),
            open_rack=known["roof_open_rack"],
            peak_w=np.where(np.isnan(peak), rated, peak),
            rated_w=np.where(np.isnan(rated), peak, rated),
            limit_w=known["export_limit_w"],
            per_k=known["power_temp_pct_per_k"] / 100,
        )

    def __len__(self) -> int:
        return len(self.latitude)

    def take(self, slots: Slots) -> "Roofs":
        """The roofs of these slots."""
        return Roofs(**{name: values[slots] for name, values in vars(self).items()})


class Light(NamedTuple):
    """The light of a clear sky, arrays of one shape, irradiance in W/m²: on the first plane, where a sensor would be;
    on all modules and behind their glass, as means over the planes; and the sun's azimuth."""

    plane: Floats
    modules: Floats
    cells: Floats
    azimuth_deg: Floats


def clear_light(roofs: Roofs, ts_ms: Ints) -> Light:
    """The light of a clear sky at these moments; ``ts_ms`` has shape ``(n,)`` or ``(n, t)``."""

    def lay(values: Floats) -> Floats:
        return values if ts_ms.ndim == 1 else values[:, None]

    elevation, azimuth = sun.position(ts_ms, lay(roofs.latitude), lay(roofs.longitude))
    sky = clear_sky(ts_ms, elevation, lay(roofs.altitude_m))
    plane, cells = on_plane(sky, elevation, azimuth, lay(roofs.tilt_deg), lay(roofs.facing_deg))
    if (roofs.shares[:, 0] == 1).all():
        return Light(plane, plane, cells, azimuth)
    modules, behind = plane * lay(roofs.shares[:, 0]), cells * lay(roofs.shares[:, 0])
    for turn in range(1, len(TURNS_DEG)):
        rows = np.flatnonzero(roofs.shares[:, turn])
        if len(rows):
            tilt, facing = lay(roofs.other_tilt_deg[:, turn - 1])[rows], lay(roofs.other_facing_deg[:, turn - 1])[rows]
            found = on_plane(sky.take(rows), elevation[rows], azimuth[rows], tilt, facing)
            for total, part in zip((modules, behind), found, strict=True):
                total[rows] += part * lay(roofs.shares[:, turn])[rows]
    return Light(plane, modules, behind, azimuth)


def planes(known: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Tilt and azimuth of each roof's planes in degrees, shape ``(n, 4)`` each."""
    tilt, facing = known["tilt_deg"], known["azimuth_deg"]
    tilts, facings = [tilt], [facing]
    for plane, turn in enumerate(TURNS_DEG[1:], 2):
        own_tilt, own_facing = known[f"plane{plane}_tilt_deg"], known[f"plane{plane}_azimuth_deg"]
        tilts.append(np.where(np.isnan(own_tilt), tilt, own_tilt))
        facings.append(np.where(np.isnan(own_facing), (facing + turn) % 360, own_facing))
    return np.stack(tilts, axis=1), np.stack(facings, axis=1)


def resultant(known: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Tilt and azimuth of the one plane that stands for all of a roof's, in degrees, shape ``(n,)`` each.

    Direct light on a plane goes with the product of its normal and the sun's direction, so that all modules together
    get what one plane along the mean of their normals would get, while the sun is before each of them: a gable with as
    many modules on both slopes lives as a flat roof does.
    """
    tilts, facings = (np.radians(angles) for angles in planes(known))
    weight = plane_shares(known)
    flat = np.sin(tilts) * weight
    north, east = (flat * np.cos(facings)).sum(axis=1), (flat * np.sin(facings)).sum(axis=1)
    lies = np.hypot(north, east)
    tilt = np.degrees(np.arctan2(lies, (np.cos(tilts) * weight).sum(axis=1)))
    alone = weight[:, 0] == 1
    facing = np.where(lies > 0, np.degrees(np.arctan2(east, north)) % 360, known["azimuth_deg"])
    return np.where(alone, known["tilt_deg"], tilt), np.where(alone, known["azimuth_deg"], facing)


def plane_shares(known: Mapping[str, Floats]) -> Floats:
    """Which share of its modules each roof has on each plane; by strings where it is not known how many are in each."""
    number = np.arange(len(STRINGS)) + 1
    there = number <= np.fmax(known["strings"], 1)[:, None]
    modules = np.stack([known[f"string{n}_modules"] for n in STRINGS], axis=1)
    told = (~np.isnan(modules) | ~there).all(axis=1, keepdims=True)
    weight = np.where(there, np.where(told, modules, 1.0), 0.0)
    plane = np.stack([known[f"string{n}_plane"] for n in STRINGS], axis=1)
    by_plane = np.stack([np.where(plane == p + 1, weight, 0.0).sum(axis=1) for p in range(len(TURNS_DEG))], axis=1)
    total = by_plane.sum(axis=1, keepdims=True)
    alone = np.eye(1, len(TURNS_DEG))
    return np.where(total > 0, by_plane / np.where(total > 0, total, 1.0), alone)


def power_w(roofs: Roofs, ts_ms: Ints, light: Light) -> Floats:
    """Power in this light and the air of a clear day of the season; all of shape ``(n,)``."""
    air = air_degc(ts_ms, roofs.altitude_m)
    return _ac_power_w(roofs, light.cells, cell_degc(light.modules, air, roofs.open_rack))


def measured_power_w(roofs: Roofs, ts_ms: Ints, plane: Floats, cells: Floats, module_degc: Floats) -> Floats:
    """Power at a measured irradiance; by the module's sensor where it is known, else in the air of the season."""
    air = cell_degc(plane, air_degc(ts_ms, roofs.altitude_m), roofs.open_rack)
    cell = np.where(np.isnan(module_degc), air, cell_from_back_degc(plane, module_degc, roofs.open_rack))
    return _ac_power_w(roofs, cells, cell)


def _ac_power_w(roofs: Roofs, cells: Floats, cell: Floats) -> Floats:
    return ac_power_w(dc_power_w(cells, cell, roofs.peak_w, roofs.per_k), roofs.rated_w, roofs.limit_w)


class ClearTable:
    """The light of a clear sky on all roofs, an hour at a time, computed when the hour is first asked for."""

    def __init__(self, roofs: Roofs) -> None:
        self.roofs = roofs
        self._hours: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        self._asked: OrderedDict[int, int] = OrderedDict()

    def light(self, slots: Slots, ts_ms: Ints) -> Light:
        """As ``clear_light``, for these slots; between the table's points along straight lines. Where the sun passes
        north, which in Czechia is by night, the azimuth is anything."""
        hours = ts_ms // HOUR_MS
        found = np.empty((len(Light._fields), len(slots)))
        for hour in np.unique(hours).tolist():
            rows = np.flatnonzero(hours == hour)
            whole = len(rows) == len(slots)
            of, ts = (slots, ts_ms) if whole else (slots[rows], ts_ms[rows])
            at = (ts - hour * HOUR_MS) / (HOUR_MS / STEPS)
            step = at.astype(np.intp)
            table, places = self._points(hour, of)
            before, after = table[places, step], table[places, step + 1]
            found[:, rows] = (before + (at - step)[:, None] * (after - before)).T
        return Light(*found)

    def _points(self, hour: int, slots: Slots) -> tuple[NDArray[np.float32], Slots]:
        """The points of an hour, shape ``(k, STEPS + 1, 4)``, and where in it these slots are."""
        found = self._hours.get(hour)
        if found is not None:
            self._hours.move_to_end(hour)
            return found, slots
        asked = self._asked[hour] = self._asked.pop(hour, 0) + len(slots)
        if len(self._asked) > HOURS_MAX:
            self._asked.popitem(last=False)
        if asked * SPARSE < len(self.roofs):
            return _hour(self.roofs.take(slots), hour), np.arange(len(slots))
        made = self._hours[hour] = _hour(self.roofs, hour)
        if len(self._hours) > HOURS_MAX:
            self._hours.popitem(last=False)
        return made, slots


def _hour(roofs: Roofs, hour: int) -> NDArray[np.float32]:
    ts = hour * HOUR_MS + np.arange(STEPS + 1) * (HOUR_MS // STEPS)
    return np.stack(clear_light(roofs, np.broadcast_to(ts, (len(roofs), STEPS + 1))), axis=-1).astype(np.float32)
