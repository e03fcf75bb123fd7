"""Whether a stop's light burns when it is dark, by quarter-hours."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kraj import sun
from kraj.readings import Floats, Ints

QUARTER_S: Final = 900
DARK_DEG: Final = -6.0
"""Of the sun's centre, the end of civil twilight: before, a light may sleep, and nobody stumbles."""


@dataclass(frozen=True, slots=True)
class Lit:
    """Seconds of each stop, shapes ``(n,)``: lit and known of the dark ones; none dark for one that has no light."""

    light_lit_s: Floats
    light_known_s: Floats
    dark_s: Floats


def lit_when_dark(begins_ms: Ints, place: tuple[Floats, Floats], level_pct: Floats, covered_s: Floats) -> Lit:
    """Of ``n`` stops and quarter-hours that begin at ``begins_ms`` ``(q,)``; ``place`` are latitude and longitude in
    degrees ``(n,)``, ``level_pct`` and ``covered_s`` means and seconds ``(n, q)``, NaN where unknown.

    A stop that was heard and said nothing of a light has none; one that was silent might have.
    """
    latitude, longitude = (angle[:, None] for angle in place)
    night = sun.elevation_deg(begins_ms[None, :] + QUARTER_S * 500, latitude, longitude) < DARK_DEG
    said = ~np.isnan(level_pct)
    heard = (covered_s > 0).any(axis=1)
    without = heard & ~said.any(axis=1)
    seconds = np.where(night & said, covered_s, 0.0)
    return Lit(
        light_lit_s=np.where(level_pct > 0, seconds, 0.0).sum(axis=1),
        light_known_s=seconds.sum(axis=1),
        dark_s=np.where(without, 0.0, night.sum(axis=1) * float(QUARTER_S)),
    )
