"""Which order holds on many lamps at once: the twin of ``decide`` in firmware/node/program.py, in integers like it."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kraj.readings import Ints, Mask

FULL_PCT = 100
NONE: Final = -1
"""In place of a number: no such order, no motion, no photocell."""
EMERGENCY, CABINET, MANUAL, SENSOR, PROGRAM, FALLBACK = range(6)
"""Codes of the metric ``level_reason``."""


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What is asked of lamps besides their programs; all broadcast against one another and the level by program.

    ``manual_until_s`` and ``emergency_until_s`` count like ``uptime_s``; ``local`` is the cabinet's switch;
    ``motion_s`` are seconds since the last motion. ``NONE`` is none.
    """

    uptime_s: Ints
    emergency_until_s: Ints
    manual_pct: Ints
    manual_until_s: Ints
    local: Mask
    motion_s: Ints


@dataclass(frozen=True, kw_only=True)
class Sensors:
    """Programs' sensors as arrays: the level to which motion raises, ``NONE`` without one, and its seconds, above 0."""

    level_pct: Ints
    up_s: Ints
    hold_s: Ints
    down_s: Ints


def decide(
    program_pct: Ints, blind: Mask, dark: Ints, orders: Orders, sensors: Sensors | None = None
) -> tuple[Ints, Ints]:
    """Level in per cent and its reason.

    ``program_pct`` is the level by program (``Programs.levels_pct``). ``blind`` lamps have lost their clock or have no
    program: their photocell tells (``dark`` 1 or 0), and where there is none (``NONE``) it is night.
    """
    moved = program_pct if sensors is None else raised_pct(program_pct, orders.motion_s, sensors)
    level = np.where(blind, np.where(dark == 0, 0, FULL_PCT), moved)
    reason = np.where(blind, FALLBACK, np.where(moved > program_pct, SENSOR, PROGRAM))
    for holds, pct, why in (
        ((orders.manual_pct != NONE) & (orders.uptime_s < orders.manual_until_s), orders.manual_pct, MANUAL),
        (orders.local, FULL_PCT, CABINET),
        (orders.uptime_s < orders.emergency_until_s, FULL_PCT, EMERGENCY),
    ):
        level, reason = np.where(holds, pct, level), np.where(holds, why, reason)
    return level, reason


def raised_pct(level: Ints, motion_s: Ints, sensors: Sensors) -> Ints:
    """Motion raises the level, by night only: up, held, and down again."""
    gain = sensors.level_pct - level
    up, hold, down = sensors.up_s, sensors.hold_s, sensors.down_s
    left = up + hold + down - motion_s
    fading = np.where(left > 0, gain * left // down, 0)
    gained = np.where(motion_s < up, gain * motion_s // up, np.where(motion_s < up + hold, gain, fading))
    return np.where((sensors.level_pct != NONE) & (motion_s != NONE) & (level > 0) & (gain > 0), level + gained, level)
