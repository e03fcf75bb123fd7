"""A stop's energy: sun on its panel, a lithium battery that counts coulombs, and services shed as charge falls."""

from dataclasses import dataclass

import numpy as np

from simulators.physics.frame import GRID, GRID_MS, Floats, Ints, Mask

SHED_BELOW_PCT = np.array([60.0, 45.0, 30.0, 15.0])
"""No USB; no WiFi and little light; the display hourly and no air; only SOS. Each comes back 10 % higher."""
SHED_HYSTERESIS_PCT = 10.0
USB_OFF, WIFI_OFF, DISPLAY_HOURLY, SOS_ONLY = 1, 2, 3, 4
CHARGE_EFFICIENCY = 0.97
"""LiFePO4 gives back so much of what went in."""
FULL_PCT, AGAIN_PCT = 99.8, 97.0
"""A full battery is topped up again from the second on; between them the panel gives what the load takes."""
EMPTY_PCT = 0.5
CHARGED_PCT = 95.0
COLD_DEGC = 0.0
"""Lithium must not be charged below freezing."""
LAG_S = 4 * 3600.0
CASE_K = 4.0
"""The case keeps the battery some degrees above the air."""
HEATS_UP_S = 900.0
COUNT_ERROR_PCT = 0.15
"""By so much a day at most the counted charge walks off until the next full battery sets it right."""
STEP_H = GRID_MS / 3_600_000

CURVE_PCT = (0.0, 5.0, 10.0, 20.0, 40.0, 70.0, 90.0, 98.0, 100.0)
CURVE_V = (11.2, 12.3, 12.75, 12.95, 13.1, 13.2, 13.3, 13.4, 13.6)
"""Four cells of LiFePO4 at rest: flat, so that only counting tells the charge."""
OHM = 0.015


@dataclass(frozen=True)
class Charge:
    """How a day begins, arrays of shape ``(n,)``."""

    soc_pct: Floats
    counted_off_pct: Floats
    shed: Floats
    temp_degc: Floats
    topped: Floats
    """1 while the battery is full and has not fallen yet."""
    pv_wh: Floats


@dataclass(frozen=True)
class Ledger:
    """A day on the grid: at its points ``(n, GRID + 1)``, in its steps ``(n, GRID)``.

    In steps are ``shed``, ``load_w``, and ``limited``: where the panel gives no more than the load takes, because the
    battery is full, or too cold.
    """

    soc_pct: Floats
    counted_off_pct: Floats
    shed: Floats
    limited: Floats
    load_w: Floats
    temp_degc: Floats
    pv_wh: Floats
    end: Charge


def run(  # noqa: PLR0917 - what flows in, what flows out, and the battery between
    start: Charge,
    available_w: Floats,
    load_w: Floats,
    swapped: Mask,
    capacity_wh: Floats,
    case_degc: Floats,
    drift_pct: Floats,
) -> Ledger:
    """A day of ``n`` batteries, step by step.

    ``available_w`` (what the panel could give) and ``case_degc`` have shape ``(n, GRID + 1)``, ``load_w`` under each
    shedding ``(5, GRID, n)``. Where ``swapped``, shape ``(GRID, n)``, a crew brings a charged battery.
    """
    n = len(capacity_wh)
    everyone = np.arange(n)
    points = {name: np.empty((n, GRID + 1)) for name in ("soc", "off", "temp", "pv")}
    shed_at, limited_at, load_at = (np.empty((n, GRID)) for _ in range(3))
    soc, off, shed = start.soc_pct, start.counted_off_pct, start.shed
    temp, topped, pv_wh = start.temp_degc, start.topped, start.pv_wh
    keep = float(np.exp(-GRID_MS / 1000 / LAG_S))
    for step in range(GRID):
        for name, now in (("soc", soc), ("off", off), ("temp", temp), ("pv", pv_wh)):
            points[name][:, step] = now
        soc = np.where(swapped[step], CHARGED_PCT, soc)
        shed = shedding(np.clip(soc + off, 0, 100), shed)
        topped = np.where(soc >= FULL_PCT, 1.0, np.where(soc < AGAIN_PCT, 0.0, topped))
        limited = (topped > 0) | (temp < COLD_DEGC)
        available = (available_w[:, step] + available_w[:, step + 1]) / 2
        load = np.where(soc > EMPTY_PCT, load_w[shed.astype(np.intp), step, everyone], 0.0)
        pv = np.where(limited, np.minimum(available, load), available)
        into = pv - load
        stored = np.where(into > 0, into * CHARGE_EFFICIENCY, into)
        soc = np.clip(soc + 100 * stored * STEP_H / capacity_wh, 0.0, 100.0)
        off = np.where(soc >= FULL_PCT, 0.0, off + drift_pct * (STEP_H / 24))
        temp = case_degc[:, step + 1] + (temp - case_degc[:, step + 1]) * keep
        pv_wh = pv_wh + pv * STEP_H
        shed_at[:, step], limited_at[:, step], load_at[:, step] = shed, limited, load
    for name, now in (("soc", soc), ("off", off), ("temp", temp), ("pv", pv_wh)):
        points[name][:, GRID] = now
    end = Charge(soc, off, shed, temp, topped, pv_wh)
    return Ledger(points["soc"], points["off"], shed_at, limited_at, load_at, points["temp"], points["pv"], end)


def shedding(soc_pct: Floats, shed: Floats) -> Floats:
    """The number of steps in force: one more when charge falls below the next, one less 10 % above the last."""
    down = np.sum(soc_pct[:, None] < SHED_BELOW_PCT, axis=1)
    up = np.sum(soc_pct[:, None] < SHED_BELOW_PCT + SHED_HYSTERESIS_PCT, axis=1)
    return np.clip(shed, down, up).astype(np.float64)


def voltage_v(soc_pct: Floats, current_a: Floats) -> Floats:
    """At the terminals; charging is positive."""
    return np.interp(soc_pct, CURVE_PCT, CURVE_V) + OHM * current_a


def heated_degc(temp_degc: Floats, goal_degc: Floats, since_ms: Ints | Floats) -> Floats:
    """A battery on its way to a fault's temperature, where there is one (``goal_degc`` above 0)."""
    far = 1 - np.exp(-np.nan_to_num(since_ms) / 1000 / HEATS_UP_S)
    return np.where(goal_degc > 0, temp_degc + (goal_degc - temp_degc) * far, temp_degc)
