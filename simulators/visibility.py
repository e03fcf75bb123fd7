"""When the effect of a fault can be seen: by the sun, by the light under the clouds, by the lamp's own circuit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from kraj import sun
from simulators.asset import Asset
from simulators.physics.frame import DAY_MS, Floats, Ints, Mask
from simulators.physics.season import civil_ms
from simulators.physics.weather import Weather
from simulators.physics.winter import COVERED_CM

MINUTE_MS = 60_000
NIGHT_DEG = -3.0
"""All lamps are lit by then: programs begin twelve minutes after sunset."""
DAY_DEG = 3.0
SUN_DEG = 10.0
BRIGHT_W_PER_M2 = 150.0
"""On the ground: a string then carries more than an ampere, and sound roofs more than 5 % of their rating."""
ALIVE_W_PER_M2 = 50.0
"""On the ground: a bare roof then gives 5 % of its rating, which rules take for alive."""
CLEAR_DAY_INDEX = 0.8
"""Share of a cloudless day's light: the rules take days from 0.75 on, as they see roofs and not the sky."""
PART_NIGHT_MIN = (23 * 60, 5 * 60)
"""Part-night lamps are dark between these minutes on the wall, and half an hour less."""


class Light(Enum):
    """When a cause has an effect that anybody could see."""

    POWERED = "with power"
    """By day and night; on a switched feeder while it is on."""
    LIT = "by night"
    """While the lamps are due to be lit."""
    DAY = "by day"
    """While they are due to be dark: the sun higher than 3°."""
    SUN = "in the sun"
    """While a roof can be judged at all: the sun higher than 10°."""
    BRIGHT = "in good light"
    """While roofs produce something under their clouds."""
    BRIGHT_NEXT_DAY = "in good light of a new day"
    COSTLY = "costing power"
    """While it was measured to cost at least a tenth of a roof's power."""
    MISSED = "missed by anybody"
    """While a stop's charge lets the service run that is broken, and what it shows is wrong."""
    SHORT = "short of energy"
    """While a stop's battery would not last for so long, at the load of the day past and in weak sun (stops.md)."""
    SHINING = "with light on sound panels"
    """On days on which a stop's panel would give something if it were sound; under snow all are dead."""
    LOW = "below its limit by day"
    """While a resistance was measured that nobody may work with."""
    COVERED = "covered in daylight"
    """While the snow on a roof lets no light through and there is enough above it: under the darkest clouds of a winter
    a bare roof gives as little."""
    COMPARED = "in good company"
    """On days when it costs as much as its rule promises to tell, with sound roofs to compare with; see ``company``."""


WITNESSED = frozenset({Light.COSTLY, Light.MISSED, Light.LOW, Light.SHORT, Light.SHINING})
"""Those that the models themselves must have shown."""


@dataclass(frozen=True)
class Seen:
    """Moments at which to look, on the grid of five minutes, shape ``(t,)``, and those of them at which the model was
    seen to suffer (``World.shown_ms``)."""

    weather: Weather
    ts_ms: Ints
    shown_ms: Ints

    @cached_property
    def wall_minute(self) -> Ints:
        return civil_ms(self.ts_ms) % DAY_MS // MINUTE_MS

    def light(self, asset: Asset) -> tuple[Floats, Floats]:
        """Global irradiance there and what it would be without a cloud, W/m²."""
        sky = self.weather.sky(np.array([[asset.latitude]]), np.array([[asset.longitude]]), self.ts_ms[None, :])
        ground = sky.light.ground[0]
        return ground, ground / np.maximum(sky.index[0], 1e-6)

    def elevation_deg(self, asset: Asset) -> Floats:
        return sun.elevation_deg(self.ts_ms, asset.latitude, asset.longitude)


def visible(seen: Seen, asset: Asset, light: Light) -> Mask:
    """At which moments a fault of an asset shows, shape ``(t,)``."""
    return _SHOWING[light](seen, asset)


def _powered(seen: Seen, asset: Asset) -> Mask:
    switched = asset.kind == "lamp" and asset.number("feeder_switched") > 0
    return seen.elevation_deg(asset) < NIGHT_DEG if switched else np.ones(len(seen.ts_ms), np.bool_)


def _bright(seen: Seen, asset: Asset) -> Mask:
    return seen.light(asset)[0] > BRIGHT_W_PER_M2


def _lit(seen: Seen, asset: Asset) -> Mask:
    dark = seen.elevation_deg(asset) < NIGHT_DEG
    if asset.number("part_night"):
        dark &= (seen.wall_minute < PART_NIGHT_MIN[0]) & (seen.wall_minute >= PART_NIGHT_MIN[1])
    return dark


def _covered(seen: Seen, asset: Asset) -> Mask:
    depth_cm = seen.weather.snow_cm(np.array(asset.number("tilt_deg", 30.0)), seen.ts_ms)
    return (depth_cm >= COVERED_CM) & (seen.light(asset)[0] > ALIVE_W_PER_M2) & (seen.elevation_deg(asset) > SUN_DEG)


def clear_days(seen: Seen, asset: Asset) -> Mask:
    """Which moments belong to a day that is clear as a whole, as far as it is looked at."""
    ground, clear = seen.light(asset)
    day = seen.ts_ms // DAY_MS - seen.ts_ms[0] // DAY_MS
    share = np.bincount(day, ground) / np.maximum(np.bincount(day, clear), 1.0)
    return share[day] >= CLEAR_DAY_INDEX


_SHOWING: Mapping[Light, Callable[[Seen, Asset], Mask]] = {
    Light.POWERED: _powered,
    Light.LIT: _lit,
    Light.DAY: lambda seen, asset: seen.elevation_deg(asset) > DAY_DEG,
    Light.SUN: lambda seen, asset: seen.elevation_deg(asset) > SUN_DEG,
    Light.BRIGHT: _bright,
    Light.BRIGHT_NEXT_DAY: lambda seen, asset: _bright(seen, asset) & (seen.ts_ms // DAY_MS > seen.ts_ms[0] // DAY_MS),
    Light.COVERED: _covered,
    **dict.fromkeys(WITNESSED, lambda seen, asset: np.isin(seen.ts_ms, seen.shown_ms)),
}
