"""The life of a cell, one asset under one rule: idle, pending, active, clearing; many cells moved on at once.

Idle: ``when`` does not hold. Pending: it holds, for less than ``for``. Active: the rule holds. Clearing: it is active,
but the condition to clear holds, for less than ``clear_for``.
"""

from dataclasses import dataclass

import numpy as np

from kraj.readings import Floats, Ints, Mask
from rules.estate import Slots
from rules.state import Array

IDLE, PENDING, ACTIVE, CLEARING = range(4)
GAP_HEARTBEATS = 3
"""After a longer gap a timer starts anew: nobody knows what was meanwhile (lighting.md: three missed heartbeats)."""
TIMED_SHARE = 0.999
"""Of a time after which it has passed: devices' clocks are off by 20 to 200 ppm, and two heartbeats of five minutes
are ten minutes by a slow one as well. Else every other device would be waited for by one report more."""


@dataclass
class Cells:
    """Cells that are looked at, each with one moment of its asset; arrays of shape ``(c,)``, times in milliseconds.

    ``rule``, ``row`` and ``slot`` say which. ``ts`` is the moment on the clock that the rules go by, ``gap`` the time
    since the asset was looked at before (NaN: never), ``beat`` its heartbeat. ``since`` is when the running condition
    began to hold, ``seen`` when it was last known to.

    ``met`` is where the condition of the cell's stage (``when``, or from active on the one to clear) is known to hold,
    ``unmet`` where it is known not to, ``off`` where the rule has been switched off.
    """

    rule: Slots
    row: Slots
    slot: Slots
    ts: Ints
    gap: Floats
    beat: Floats
    stage: Array
    since: Ints
    seen: Ints
    met: Mask
    unmet: Mask
    off: Mask

    @property
    def up(self) -> Mask:
        """On the way to be raised; others are on the way to be cleared."""
        return self.stage < ACTIVE

    @property
    def known_gap(self) -> Floats:
        """The time since the asset was looked at before, 0 where it is too long to say what was meanwhile."""
        return np.where(self.gap <= GAP_HEARTBEATS * self.beat, self.gap, 0.0)


@dataclass
class Moved:
    """What cells have become; shapes as theirs."""

    stage: Array
    since: Ints
    seen: Ints
    raised: Mask
    cleared: Mask


def moved(cells: Cells, for_ms: Floats, clear_ms: Floats) -> Moved:
    """Move cells on by one moment each; ``for_ms`` and ``clear_ms`` are their rules', shape ``(c,)``."""
    up = cells.up
    running = (cells.stage == PENDING) | (cells.stage == CLEARING)
    broken = running & (cells.gap > GAP_HEARTBEATS * cells.beat)
    # A value is missing now and then: what is not known is bridged for one heartbeat, but never completes anything.
    ended = running & ~cells.met & (cells.unmet | (cells.ts - cells.seen > cells.beat))
    since = np.where(cells.met & (~running | broken), cells.ts, cells.since)
    runs = (cells.met | (running & ~broken & ~ended)) & ~cells.off
    done = cells.met & (cells.ts - since >= TIMED_SHARE * np.where(up, for_ms, clear_ms)) & ~cells.off
    raised, cleared = done & up, (done | cells.off) & ~up
    stage = np.where(up, np.where(runs, PENDING, IDLE), np.where(runs, CLEARING, ACTIVE))
    stage[raised], stage[cleared] = ACTIVE, IDLE
    return Moved(stage, since, np.where(cells.met, cells.ts, cells.seen), raised, cleared)
