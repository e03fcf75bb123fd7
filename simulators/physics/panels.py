"""From the sky to the modules: what reaches the cells past skyline, obstacles, dirt and snow, and how warm they get."""

from dataclasses import dataclass

import numpy as np

from simulators.physics import irradiance
from simulators.physics.ailments import Acting
from simulators.physics.frame import DAY_MS, GRID_MS, Floats, Ints, Rows
from simulators.physics.roofs import Roofs
from simulators.physics.wander import wander
from simulators.physics.weather import Sky, Weather
from simulators.physics.winter import COVERED_CM

HEAT_LOSS, HEAT_LOSS_OPEN_RACK = 18.0, 25.0
HEAT_LOSS_WIND, HEAT_LOSS_WIND_OPEN_RACK = 4.0, 6.84
"""W/(m²·K), and per m/s of wind (Faiman 2008 for open racks; less air behind modules on a roof)."""
ABSORBED = 0.82
LAG_MS = 10 * 60_000
"""Time constant of modules of glass and aluminium, and of the inverter's heat sink."""
LAG_STEPS = 9
"""What is older than 40 minutes weighs less than 2 %."""

LOW_LIGHT, LOW_LIGHT_W_PER_M2 = 0.07, 60.0
"""Cells lose this share of their efficiency in little light, by the scale of it."""
EDGE_DEG = 0.6
"""The sun's disc goes behind the skyline within this."""
SNOW_LIGHT = 0.02
DIRT_WANDERS, DIRT_MS = 0.004, 12 * DAY_MS
OBSTACLE_HALF_DEG = 14.0
"""A tree or a mast close by: so wide to either side, and higher than the sun ever is."""
SOILING_MS = 10 * DAY_MS
WHAT_WANDERING_DIRT = 161


@dataclass(frozen=True, slots=True)
class Shine:
    """Light on roofs: ``cells`` in W/m² has shape ``(P, …)``, the others that of rows and moments. ``glass`` is what a
    sensor in plane 1 sees; ``cover`` the share of the modules under snow; ``heat_k`` ``(P, …)`` how far the modules
    would in the end rise above the air."""

    sky: Sky
    cells: Floats
    glass: Floats
    cover: Floats
    heat_k: Floats


def dirt(seed: int, roofs: Roofs, start_ms: int) -> Floats:
    """Share of the light that ordinary dirt takes on a day: rain washes, summer dusts; shape ``(n,)``."""
    day = np.full(len(roofs), start_ms)
    return np.maximum(roofs.dirt + DIRT_WANDERS * wander(seed, roofs.ids, day, DIRT_MS, WHAT_WANDERING_DIRT), 0.0)


def shine(  # noqa: PLR0917 - the sky, the roofs, who and when, what befell them
    weather: Weather, roofs: Roofs, rows: Rows, ts_ms: Ints, acting: Acting, dirty: Floats
) -> Shine:
    """Light on these roofs at these moments, which broadcast; ``dirty`` comes from ``dirt``."""
    sky = weather.sky(roofs.latitude[rows], roofs.longitude[rows], ts_ms, roofs.altitude_m[rows])
    tilt, facing = roofs.tilt_deg[:, rows], roofs.facing_deg[:, rows]
    white = np.minimum(weather.snow_cm(np.zeros(()), ts_ms) / COVERED_CM, 1.0)
    albedo = irradiance.ALBEDO + (irradiance.ALBEDO_SNOW - irradiance.ALBEDO) * white
    plane = irradiance.on_plane(sky.light, sky.elevation_deg, sky.azimuth_deg, tilt, facing, albedo)
    seen = np.clip((sky.elevation_deg - roofs.horizon_deg(rows, sky.azimuth_deg)) / EDGE_DEG + 0.5, 0.0, 1.0)
    seen = seen * (1 - _obstacle(roofs, rows, ts_ms, sky, acting))
    cover = np.minimum(weather.snow_cm(roofs.tilt_deg[0][rows], ts_ms) / COVERED_CM, 1.0)
    cover = np.maximum(cover, acting.size("snow", rows, ts_ms))
    grown = np.minimum(np.nan_to_num(acting.since_ms("peer_underperformance", rows, ts_ms)) / SOILING_MS, 1.0)
    clean = (1 - dirty[rows]) * (1 - acting.size("peer_underperformance", rows, ts_ms) * grown)
    through = 1 - cover * (1 - SNOW_LIGHT)
    cells = (plane.beam * seen + plane.rest) * (through * clean)
    glass = np.maximum(plane.facing[0] - plane.beam[0] * (1 - seen), 0.0) * through
    open_rack = roofs.open_rack[rows] > 0
    loss = np.where(open_rack, HEAT_LOSS_OPEN_RACK, HEAT_LOSS)
    loss = loss + np.where(open_rack, HEAT_LOSS_WIND_OPEN_RACK, HEAT_LOSS_WIND) * sky.wind_m_per_s
    return Shine(sky, cells, glass, np.broadcast_to(cover, glass.shape), cells * ABSORBED / loss)


def lagged(grid: Floats) -> Floats:
    """What follows a day's grid (last axis, steps of ``GRID_MS``) with the modules' lag.

    Before the day there is as much as at its first point: it begins and ends at night.
    """
    weights = np.exp(-np.arange(LAG_STEPS) * GRID_MS / LAG_MS)
    weights /= weights.sum()
    before = np.repeat(grid[..., :1], LAG_STEPS - 1, axis=-1)
    wide = np.concatenate([before, grid], axis=-1)
    steps = grid.shape[-1]
    out = np.zeros_like(grid)
    for step, weight in enumerate(weights.tolist()):
        out += weight * wide[..., LAG_STEPS - 1 - step : LAG_STEPS - 1 - step + steps]
    return out


def cell_degc(found: Shine, heat_k: Floats) -> Floats:
    """Temperature of the modules, shape ``(P, …)``; melting snow holds them at 0 °C."""
    warm = found.sky.air_degc + heat_k
    return np.where(found.cover > 0.5, np.minimum(warm, 0.0), warm)


def per_watt(cells: Floats, cells_degc: Floats, per_k: Floats) -> Floats:
    """DC power for each watt of modules at standard conditions."""
    light = 1 - LOW_LIGHT * np.exp(-cells / LOW_LIGHT_W_PER_M2)
    return cells / 1000 * light * (1 + per_k * (cells_degc - 25))


def _obstacle(roofs: Roofs, rows: Rows, ts_ms: Ints, sky: Sky, acting: Acting) -> Floats:
    """Share of the beam that a new obstacle takes."""
    size = acting.size("shading", rows, ts_ms)
    if not size.any():
        return size
    aside = np.abs(np.mod(sky.azimuth_deg - roofs.obstacle_deg[rows] + 180, 360) - 180)
    within = np.clip((OBSTACLE_HALF_DEG - aside) / 2 + 0.5, 0.0, 1.0)
    return size * within
