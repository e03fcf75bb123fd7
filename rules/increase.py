"""How much a counter has truly gone up: zeros, falls and absurd steps are not believed until they have lasted.

After solar.md: a counter reads 0 at wake-up, and taking that as a new baseline would book a lifetime as one minute's
work; one count less is a hiccup; a lower (or absurdly higher) value that lasts for half an hour and rises is a new
meter: a new epoch begins.
"""

from dataclasses import dataclass

import numpy as np

from kraj.readings import Floats, Ints, Mask

FIELDS = BASE, BASE_MS, DOUBT, DOUBT_MS = range(4)
"""Of each counter: the last value believed and when, the first of those in doubt and when; NaN for none."""
SLACK = 1.0
EPOCH_MS = 30 * 60_000


@dataclass(frozen=True)
class Increased:
    """By how much, since which value it is believed, and whether the counter is known; shape ``(n,)``."""

    amount: Floats
    since_ms: Floats
    epoch: Mask
    """Where a new epoch has begun: the amount is what the counter rose by while it was in doubt."""
    known: Mask
    after: Floats
    """What to remember, shape ``(n, 4)``."""


def increased(before: Floats, value: Floats, ts_ms: Ints, max_per_h: Floats | float = np.inf) -> Increased:
    """Move counters on by a reading each: ``before`` is what is remembered, shape ``(n, 4)``, ``value`` what they read,
    NaN where unknown."""
    base, base_ms, doubt, doubt_ms = (before[:, field] for field in FIELDS)
    said = value > 0
    first = said & np.isnan(base)
    step = value - base
    sane = (step >= -SLACK) & (step <= max_per_h * (ts_ms - base_ms) / 3_600_000 + SLACK)
    believed = said & ~first & sane
    doubted = said & ~first & ~sane
    lasts = doubted & (value >= doubt - SLACK)
    epoch = lasts & (ts_ms - doubt_ms >= EPOCH_MS) & (value > doubt)
    counted = believed & (step >= 0)
    amount = np.where(counted, step, np.where(epoch, value - doubt, 0.0))
    moved = first | counted | epoch
    after = np.stack(
        [
            np.where(moved, value, base),
            np.where(moved, ts_ms, base_ms),
            np.where(doubted & ~epoch, np.where(lasts, doubt, value), np.where(said, np.nan, doubt)),
            np.where(doubted & ~epoch, np.where(lasts, doubt_ms, ts_ms), np.where(said, np.nan, doubt_ms)),
        ],
        axis=1,
    )
    since_ms: Floats = np.where(epoch, doubt_ms, base_ms)
    return Increased(amount, since_ms, epoch, said & ~doubted | epoch, after)
