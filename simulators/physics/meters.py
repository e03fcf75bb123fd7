"""Counters of roofs, and the meter of the building below: produced, used there, taken from the grid, given to it."""

from dataclasses import dataclass

import numpy as np

from simulators.physics.frame import DAY_MS, GRID_MS, Floats, Ints, Mask, Rows
from simulators.physics.roofs import YIELD_H, Roofs
from simulators.physics.season import civil_ms
from simulators.physics.wander import wander

YEAR_MS = 365.25 * DAY_MS
EXPORTED_SHARE = 0.6
"""Of what a roof has produced before the simulation began."""
LOAD_BASE, LOAD_WORK, LOAD_EVENING = 0.55, 0.9, 0.5
"""Shares of a building's mean load: always, in working hours, and in the evening."""
WORK_FROM, WORK_TO = 6 * 60 + 30, 16 * 60
EVENING_MINUTE, EVENING_WIDTH = 19 * 60, 120
LOAD_WANDERS, LOAD_MS = 0.25, 20 * 60_000
WEEKDAY_OF_1970, WORKDAYS = 3, 5
"""1970-01-01 was a Thursday; Monday is 0."""
WHAT_LOAD = 221


@dataclass(frozen=True)
class Counters:
    """Wh: produced by the roof, imported and exported by the building it stands on; last axis time or none."""

    energy: Floats
    imported: Floats
    exported: Floats

    @staticmethod
    def old(roofs: Roofs, ts_ms: int) -> "Counters":
        """Plausible values of roofs that have stood for years, shape ``(n,)``."""
        years = np.maximum(ts_ms - roofs.built_ms, 0.0) / YEAR_MS
        produced = years * roofs.peak_w * YIELD_H
        return Counters(produced, years * roofs.load_w * 24 * 365.25 * EXPORTED_SHARE, produced * EXPORTED_SHARE)

    @property
    def last(self) -> "Counters":
        """At the end of the time they span."""
        return Counters(self.energy[:, -1], self.imported[:, -1], self.exported[:, -1])

    def counted_on(self, roofs: Roofs, ac_w: Floats, load_w: Floats, gridless: Mask) -> "Counters":
        """From these values on along a grid: ``ac_w`` and ``load_w`` have shape ``(n, t)``, steps of ``GRID_MS``."""
        of_site = np.zeros((int(roofs.site.max(initial=-1)) + 1, ac_w.shape[1]))
        np.add.at(of_site, roofs.site, ac_w)
        drawn = np.where(gridless, 0.0, load_w - of_site[roofs.site])
        return Counters(
            self.energy[:, None] + _cumulated_wh(ac_w),
            self.imported[:, None] + _cumulated_wh(np.maximum(drawn, 0.0)),
            self.exported[:, None] + _cumulated_wh(np.maximum(-drawn, 0.0)),
        )


def building_load_w(seed: int, roofs: Roofs, rows: Rows, ts_ms: Ints) -> Floats:
    """What the building below uses: offices and schools by day, something always."""
    civil = civil_ms(ts_ms)
    minute = civil % DAY_MS / 60_000
    workday = (civil // DAY_MS + WEEKDAY_OF_1970) % 7 < WORKDAYS
    work = LOAD_WORK * (workday & (minute >= WORK_FROM) & (minute < WORK_TO))
    evening = LOAD_EVENING * np.exp(-(((minute - EVENING_MINUTE) / EVENING_WIDTH) ** 2))
    restless = np.exp(LOAD_WANDERS * wander(seed, roofs.ids[rows], ts_ms, LOAD_MS, WHAT_LOAD))
    return roofs.load_w[rows] * (LOAD_BASE + work + evening) * restless


def _cumulated_wh(power_w: Floats) -> Floats:
    """Energy since the first point of the grid, by trapezoids."""
    mean = (power_w[:, 1:] + power_w[:, :-1]) / 2
    return np.concatenate([np.zeros((len(power_w), 1)), np.cumsum(mean, axis=1) * (GRID_MS / 3_600_000)], axis=1)
