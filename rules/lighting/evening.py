"""Which lamps were to be lit at a moment, and which of them were."""

import numpy as np

from kraj.readings import Floats, Mask
from rules.lighting.ledger import GAP_S, Due, Seen
from rules.lighting.power import OUT_SHARE, OUT_W, Luminaire, curve_w, dimming


def lit_at(seen: Seen, lamps: Luminaire, due: Due, at_s: int) -> tuple[Mask, Floats]:
    """Whether light was due at a moment (the minute behind it), and whether it was there: 1, 0, or NaN where nobody
    knows; shapes ``(n,)`` of ``n`` lamps on one timeline.

    The last reading up to the moment tells, if it is not too old; dark is what the ledger takes for dark.
    """
    n = len(lamps.rated_w)
    timeline = np.zeros(n, np.int64)
    moment = np.full(n, at_s, np.int64)
    wanted = due.until(timeline, moment + 60) > due.until(timeline, moment)
    rows = np.flatnonzero((seen.ts_s <= at_s) & (seen.ts_s > at_s - GAP_S) & ~np.isnan(seen.power_w))
    last = np.full(n, -1, np.int64)
    last[seen.lamp[rows]] = rows  # by lamp and time: the latest is written last
    known = last >= 0
    level = np.where(np.isnan(seen.level_pct[last]), 100.0, seen.level_pct[last]) if len(seen.lamp) else np.zeros(n)
    least = np.fmax(OUT_W, OUT_SHARE * curve_w(lamps, dimming(level, lamps.level_min_pct)))
    power = seen.power_w[last] if len(seen.lamp) else np.zeros(n)
    return wanted, np.where(known & wanted, (power >= least).astype(np.float64), np.nan)
