"""What stands on the roofs for good: planes, strings, inverters, sensors, horizon, the building below; as arrays.

Everything that the registry knows comes from an asset's metadata. What it does not know (how strings differ, dirt, the
trees around) is drawn from the asset's key, so that no other asset changes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kraj.kinds.solar import STRINGS
from simulators.asset import Asset
from simulators.physics import mains
from simulators.physics.frame import DAY_MS, Floats, Ints, Mask, Rows
from simulators.physics.wander import identities, trait

STRINGS_MAX = len(STRINGS)
TURNS_DEG = (0.0, 180.0, 90.0, -90.0)
"""Plane 1 is the asset's own; unless the metadata tell, plane 2 is the opposite slope of the same roof, 3 and 4 are the
sides of a hipped one."""
PLANES_MAX = len(TURNS_DEG)

DC_OVER_AC = 1.1
MODULE_W = 430.0
STRING_MODULES = 18
"""Where the metadata say nothing."""
MODULE_V, MODULE_OPEN_V = 32.8, 39.2
"""Of a module of about 430 W, at its best point and without load."""

STRING_SPREAD = 0.012
"""By how much healthy strings differ: the modules' tolerance and mismatch (normal, one deviation)."""
ROOF_SPREAD = 0.010
DIRT = (0.0, 0.02)
"""Ordinary dirt; with its wandering within ±2 %."""
WIRING = 0.985
"""What is left behind cables and connectors."""
FIRST_LIGHT, AGEING_PER_YEAR = 0.98, 0.005
"""What light-induced degradation leaves of new modules, and what each year takes (Jordan and Kurtz 2013)."""
SENSOR_SHARE, METER_SHARE = 0.4, 0.7
SENSOR_GAIN = 0.015
DRY_OHM = (3e6, 12e6)
LOAD_SHARE = (0.04, 0.16)
"""Mean load of a building over the rating of its inverters: town halls, schools, halls."""
RISE_V = (1.0, 4.0)
"""What a roof at full power adds at its own terminals."""
AGE_YEARS = (1.0, 6.0)
BORN_MS = 1_767_225_600_000
"""2026-01-01: roofs were built one to six years before."""
YIELD_H = 1000.0
"""Full-load hours a year, for the counters' beginnings."""

WHAT_STRING, WHAT_SPREAD, WHAT_DIRT, WHAT_SENSOR, WHAT_GAIN, WHAT_METER, WHAT_LOAD = 1, 11, 12, 13, 14, 15, 16
WHAT_OHM, WHAT_RISE, WHAT_AGE, WHAT_ORDER, WHAT_HORIZON, WHAT_OBSTACLE, WHAT_SIDE = 17, 18, 19, 21, 33, 41, 42


@dataclass(frozen=True)
class Roofs:
    """``n`` roofs; arrays have shape ``(n,)`` unless told otherwise, P planes (those that any roof has) and 8 strings.

    ``string_w`` is what a string gives at standard conditions, 0 where there is none; ``string_order`` tells which
    opens first. ``horizon`` holds the five numbers of the skyline. ``meter`` is on the first roof of a site that has
    one; ``site`` numbers the buildings. Where a roof has no plane its strings have none on it either.
    """

    assets: tuple[Asset, ...]
    ids: Ints
    latitude: Floats
    longitude: Floats
    altitude_m: Floats
    rated_w: Floats
    limit_w: Floats
    peak_w: Floats
    per_k: Floats
    open_rack: Floats
    nominal_v: Floats
    tilt_deg: Floats
    """(P, n)."""
    facing_deg: Floats
    """(P, n)."""
    plane_w: Floats
    """(P, n): of all strings on the plane."""
    string_w: Floats
    """(8, n)."""
    string_modules: Floats
    """(8, n)."""
    string_plane: Rows
    """(8, n): from 0."""
    string_order: Rows
    """(8, n)."""
    horizon: Floats
    """(5, n)."""
    obstacle_deg: Floats
    area: Ints
    site: Rows
    sensor: Mask
    meter: Mask
    sensor_gain: Floats
    dirt: Floats
    dry_ohm: Floats
    load_w: Floats
    rise_v: Floats
    built_ms: Ints

    def __len__(self) -> int:
        return len(self.assets)

    @staticmethod
    def of(assets: Sequence[Asset], seed: int) -> "Roofs":
        """Arrange them; traits are functions of seed and key."""
        ids = identities([asset.key for asset in assets])

        def own(what: int, low: float = 0.0, high: float = 1.0) -> Floats:
            return trait(seed, ids, what, low, high)

        def number(name: str, absent: float) -> Floats:
            return np.array([asset.number(name, absent) for asset in assets], np.float64)

        rated = np.array([asset.power_rated_w for asset in assets], np.float64)
        modules, plane = _strings(assets)
        peak = np.where(number("power_peak_w", 0.0) > 0, number("power_peak_w", 0.0), modules.sum(axis=0) * MODULE_W)
        each = 1 + STRING_SPREAD * 3**0.5 * np.stack([own(WHAT_STRING + s, -1, 1) for s in range(STRINGS_MAX)])
        roof = 1 + ROOF_SPREAD * 3**0.5 * own(WHAT_SPREAD, -1, 1)
        years = own(WHAT_AGE, *AGE_YEARS)
        kept = WIRING * FIRST_LIGHT * (1 - AGEING_PER_YEAR * years)
        string_w = modules / np.maximum(modules.sum(axis=0), 1) * peak * each * roof * kept
        planes = int(plane.max(initial=0)) + 1
        order = np.where(modules > 0, np.stack([own(WHAT_ORDER + s) for s in range(STRINGS_MAX)]), 2.0)
        site, first = _sites(assets)
        total = np.bincount(site, rated, minlength=1)[site]
        limit = number("export_limit_w", 0.0)
        tilt, facing = number("tilt_deg", 30.0), number("azimuth_deg", 180.0)
        tilts, facings = _planes(assets, planes, tilt, facing)
        return Roofs(
            assets=tuple(assets),
            ids=ids,
            latitude=np.array([asset.latitude for asset in assets], np.float64),
            longitude=np.array([asset.longitude for asset in assets], np.float64),
            altitude_m=number("altitude_m", 430.0),
            rated_w=rated,
            limit_w=np.where(limit > 0, np.minimum(limit, rated), rated),
            peak_w=peak,
            per_k=number("power_temp_pct_per_k", -0.38) / 100,
            open_rack=number("roof_open_rack", 0.0),
            nominal_v=number("voltage_nominal_v", mains.NOMINAL_V),
            tilt_deg=tilts,
            facing_deg=facings,
            plane_w=np.stack([np.where(plane == p, string_w, 0.0).sum(axis=0) for p in range(planes)]),
            string_w=string_w,
            string_modules=modules,
            string_plane=plane,
            string_order=order.argsort(axis=0).argsort(axis=0),
            horizon=_horizon(seed, ids),
            obstacle_deg=facing + np.where(own(WHAT_SIDE) < 0.5, -1, 1) * own(WHAT_OBSTACLE, *OBSTACLE_DEG),
            area=mains.areas([asset.word("supply_area") or asset.municipality for asset in assets]),
            site=site,
            sensor=own(WHAT_SENSOR) < SENSOR_SHARE,
            meter=first & (trait(seed, ids, WHAT_METER) < METER_SHARE),
            sensor_gain=own(WHAT_GAIN, 1 - SENSOR_GAIN, 1 + SENSOR_GAIN),
            dirt=own(WHAT_DIRT, *DIRT),
            dry_ohm=own(WHAT_OHM, *DRY_OHM),
            load_w=own(WHAT_LOAD, *LOAD_SHARE) * total,
            rise_v=own(WHAT_RISE, *RISE_V),
            built_ms=(BORN_MS - years * 365.25 * DAY_MS).astype(np.int64),
        )

    def horizon_deg(self, rows: Rows, azimuth_deg: Floats) -> Floats:
        """How high the skyline is towards this azimuth."""
        mean, one, one_at, two, two_at = self.horizon[:, rows]
        around = np.radians(azimuth_deg)
        return np.maximum(mean + one * np.cos(around - one_at) + two * np.cos(2 * around - two_at), 0.0)


OBSTACLE_DEG = (20.0, 45.0)
"""How far beside the middle of the plane's view a new obstacle stands: within the hours that count in any season."""
HORIZON_DEG = (0.5, 4.0)
SKYLINE_DEG = 2.5


def has_sensor(asset: Asset, seed: int) -> bool:
    """Whether a roof has sensors of irradiance and module temperature: only there they can fail."""
    return bool(trait(seed, identities([asset.key]), WHAT_SENSOR)[0] < SENSOR_SHARE)


def beside_open(asset: Asset, seed: int, opened: float) -> bool:
    """Whether one of this many open strings has a sound one beside it on its plane, so that their currents compare."""
    roof = Roofs.of([asset], seed)
    there, is_open = roof.string_modules[:, 0] > 0, roof.string_order[:, 0] < opened
    plane = roof.string_plane[:, 0]
    return bool(np.isin(plane[there & is_open], plane[there & ~is_open]).any())


def _strings(assets: Sequence[Asset]) -> tuple[Floats, Rows]:
    """Modules and plane (from 0) of each string, shape ``(8, n)``; without metadata as many as the rating takes."""
    modules = np.zeros((STRINGS_MAX, len(assets)))
    plane = np.zeros((STRINGS_MAX, len(assets)), np.intp)
    for row, asset in enumerate(assets):
        count = min(round(asset.number("strings", 0.0)), STRINGS_MAX)
        for s in range(count):
            modules[s, row] = asset.number(f"string{s + 1}_modules", 0.0)
            plane[s, row] = min(max(round(asset.number(f"string{s + 1}_plane", 1.0)), 1), PLANES_MAX) - 1
        if not modules[:, row].any():
            total = max(round(asset.power_rated_w * DC_OVER_AC / MODULE_W), 1)
            count = count or min(-(-total // STRING_MODULES), STRINGS_MAX)
            modules[:count, row] = [total // count + (s < total % count) for s in range(count)]
    return modules, plane


def _planes(assets: Sequence[Asset], planes: int, tilt: Floats, facing: Floats) -> tuple[Floats, Floats]:
    """Tilt and azimuth of each plane, shape ``(planes, n)``: those that are told, else by the first."""
    tilts = np.repeat(tilt[None, :], planes, axis=0)
    facings = np.mod(facing + np.array(TURNS_DEG[:planes])[:, None], 360.0)
    for plane in range(1, planes):
        for row, asset in enumerate(assets):
            tilts[plane, row] = asset.number(f"plane{plane + 1}_tilt_deg", tilts[plane, row])
            facings[plane, row] = asset.number(f"plane{plane + 1}_azimuth_deg", facings[plane, row])
    return tilts, facings


def _sites(assets: Sequence[Asset]) -> tuple[Rows, Mask]:
    """The number of each roof's building, and whether it is the first of it."""
    numbers: dict[str, int] = {}
    site = np.zeros(len(assets), np.intp)
    first = np.zeros(len(assets), np.bool_)
    for row, asset in enumerate(assets):
        name = asset.word("site")
        key = f"{asset.municipality}//{name}" if name else asset.key
        first[row] = key not in numbers
        site[row] = numbers.setdefault(key, len(numbers))
    return site, first


def _horizon(seed: int, ids: Ints) -> Floats:
    """Mean height of the skyline, and height and direction of its first two waves around the horizon."""
    spans = (HORIZON_DEG, (0.0, SKYLINE_DEG), (0.0, 2 * np.pi), (0.0, SKYLINE_DEG), (0.0, 2 * np.pi))
    return np.stack([trait(seed, ids, WHAT_HORIZON + n, *span) for n, span in enumerate(spans)])
