"""What roofs do at moments: the power their strings offer, the voltage they meet, and why they may stand still."""

from dataclasses import dataclass

import numpy as np

from simulators.physics import inverter, mains, panels
from simulators.physics.ailments import NO_GRID, Acting
from simulators.physics.frame import DAY_MS, GRID, GRID_MS, Floats, Ints, Mask, Rows, noise
from simulators.physics.roofs import Roofs
from simulators.physics.weather import Weather

RECONNECT_MS = 300_000
"""The grid must have been in order for so long before an inverter feeds in again (Czech PPDS annex 4)."""
DERATED_V, DERATED_SPAN_V = 247.0, 6.0
DERATED_ALWAYS = 0.8
"""Of the lift is there at any hour; the rest comes with the sun on the area's other roofs."""
DERATED_SUN_W_PER_M2 = 400.0

GROUND_FAULT_OHM = 200_000.0
"""Below it an inverter does not connect (IEC 62109-2 4.8.2 asks for at least 33 kΩ at 1,000 V)."""
LEAST_OHM = 4_000.0
WET_SHARE, WET_MM_PER_H = 0.3, 0.3
"""Healthy roofs lose this share of their resistance where it rained so much before they woke up."""
WET_AT_MS = 3 * 3_600_000
WHAT_OHM = 264


@dataclass(frozen=True)
class Morning:
    """What a day has from its beginning: shape ``(n,)``, voltages of all areas on the grid ``(areas, 3, GRID + 1)``."""

    start_ms: int
    acting: Acting
    dirty: Floats
    ohm: Floats
    ohm_before: Floats
    """What healthy roofs measure on this morning, and what they did on the one before."""
    grid_v: Floats


@dataclass(frozen=True)
class Moment:
    """Roofs at moments: arrays of one shape, those of planes with P before it.

    ``each`` is DC power per watt of a plane's modules, ``dc_w`` what all strings offer; ``grid_v`` ``(3, …)`` the
    voltage without the roof's own feed-in.
    """

    shine: panels.Shine
    cells_degc: Floats
    each: Floats
    dc_w: Floats
    grid_v: Floats
    fed: inverter.Fed


@dataclass(frozen=True)
class Stops:
    """Why a roof feeds nothing in though the sun shines; each broadcasts with the moment."""

    gridless: Mask
    fault: Mask
    ground: Mask
    dead: Mask
    waiting: Mask

    @property
    def any(self) -> Mask:
        return self.gridless | self.fault | self.ground | self.dead | self.waiting


class Plant:
    """All roofs under one weather: functions of roofs and moments without a memory."""

    def __init__(self, roofs: Roofs, weather: Weather, seed: int) -> None:
        self.roofs = roofs
        self._weather = weather
        self._seed = seed
        self._areas, self._area = np.unique(roofs.area, return_inverse=True)

    def morning(self, start_ms: int, acting: Acting) -> Morning:
        """What holds on the day from ``start_ms``."""
        grid = start_ms + np.arange(GRID + 1, dtype=np.int64) * GRID_MS
        return Morning(
            start_ms,
            acting,
            panels.dirt(self._seed, self.roofs, start_ms),
            self._dry_ohm(start_ms),
            self._dry_ohm(start_ms - DAY_MS),
            mains.grid_voltage_v(self._seed, self._areas[:, None, None], grid, np.arange(1, 4)[:, None]),
        )

    def shine(self, morning: Morning, rows: Rows, ts_ms: Ints, acting: Acting) -> panels.Shine:
        """The light on these roofs."""
        return panels.shine(self._weather, self.roofs, rows, ts_ms, acting, morning.dirty)

    def moment(  # noqa: PLR0917 - the day, who and when, what befell them, light and warmth
        self, morning: Morning, rows: Rows, ts_ms: Ints, acting: Acting, found: panels.Shine, heat_k: Floats
    ) -> Moment:
        """These roofs at these moments, which broadcast, under this light and so much warmer than the air."""
        roofs = self.roofs
        cells = panels.cell_degc(found, heat_k)
        each = panels.per_watt(found.cells, cells, roofs.per_k[rows])
        dc = (roofs.plane_w[:, rows] * each).sum(axis=0)
        opened = acting.size("string_open", rows, ts_ms)
        if opened.any():
            lost = roofs.string_w[:, rows] * (roofs.string_order[:, rows] < opened)
            dc = np.maximum(dc - (lost * np.take_along_axis(each, roofs.string_plane[:, rows], axis=0)).sum(axis=0), 0)
        dc = dc * (1 - acting.size("partial_loss", rows, ts_ms))
        step, part = on_grid(morning.start_ms, ts_ms)
        area = self._area[rows]
        volts = np.stack(
            [morning.grid_v[area, n, step] * (1 - part) + morning.grid_v[area, n, step + 1] * part for n in range(3)]
        )
        volts = volts * (roofs.nominal_v[rows] / mains.NOMINAL_V) + self._lift_v(rows, ts_ms, acting, found)
        rated, limit = roofs.rated_w[rows], roofs.limit_w[rows]
        fed = inverter.feed(dc, rated, limit, volts.max(axis=0), roofs.nominal_v[rows], roofs.rise_v[rows])
        return Moment(found, cells, each, dc, volts, fed)

    def _lift_v(self, rows: Rows, ts_ms: Ints, acting: Acting, found: panels.Shine) -> Floats:
        size = acting.size("voltage_derating", rows, ts_ms)
        if not size.any():
            return size
        goal = DERATED_V + DERATED_SPAN_V * size
        lift = (goal - mains.tap_v(self._seed, self.roofs.area[rows])) * (size > 0)
        sunny = np.clip(found.sky.light.ground / DERATED_SUN_W_PER_M2, 0.0, 1.0)
        return lift * (DERATED_ALWAYS + (1 - DERATED_ALWAYS) * sunny)

    def stops(self, morning: Morning, wake_ms: Floats, rows: Rows, ts_ms: Ints) -> Stops:
        """Why these roofs may stand still."""
        acting = morning.acting
        began = ts_ms - acting.since_ms("no_start", rows, ts_ms)  # NaN where it does not act
        lately = gridless(acting, rows, ts_ms - RECONNECT_MS)
        return Stops(
            gridless=gridless(acting, rows, ts_ms),
            fault=acting.size("inverter_fault", rows, ts_ms) > 0,
            ground=self.ohm(morning, wake_ms, rows, ts_ms) < GROUND_FAULT_OHM,
            dead=acting.size("zero_output", rows, ts_ms) > 0,
            # A roof that runs when this begins goes on until the evening.
            waiting=(began <= wake_ms[rows]) | lately,
        )

    def ohm(self, morning: Morning, wake_ms: Floats, rows: Rows, ts_ms: Ints) -> Floats:
        """Isolation resistance: measured when the inverter wakes up and shown until the next morning."""
        woken = ts_ms >= wake_ms[rows]
        healthy = np.where(woken, morning.ohm[rows], morning.ohm_before[rows])
        size = morning.acting.size("isolation", rows, ts_ms)
        if not size.any():
            return healthy
        known = woken | (morning.acting.since_ms("isolation", rows, ts_ms) >= ts_ms - morning.start_ms)
        return np.maximum(healthy * (1 - size * known), LEAST_OHM)

    def _dry_ohm(self, start_ms: int) -> Floats:
        """What healthy roofs measure on the morning of this day; shape ``(n,)``."""
        at = np.full(len(self.roofs), start_ms + WET_AT_MS)
        rain = self._weather.rain_mm_per_h(self.roofs.latitude, self.roofs.longitude, at)
        wet = np.clip(rain / WET_MM_PER_H, 0.0, 1.0)
        return self.roofs.dry_ohm * (1 - WET_SHARE * wet) * (1 + 0.02 * noise(self._seed, self.roofs.ids, at, WHAT_OHM))


def gridless(acting: Acting, rows: Rows, ts_ms: Ints) -> Mask:
    """Where the building has no power."""
    return np.logical_or(*(acting.size(cause, rows, ts_ms) > 0 for cause in NO_GRID))


def on_grid(start_ms: int, ts_ms: Ints) -> tuple[Rows, Floats]:
    """The step of a day's grid that a moment lies in, and how far."""
    place = np.clip((ts_ms - start_ms) / GRID_MS, 0, GRID)
    step = np.minimum(place.astype(np.intp), GRID - 1)
    return step, place - step
