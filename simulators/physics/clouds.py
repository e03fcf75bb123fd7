"""Clouds over the region: random fields that the wind carries across, shaped so that a day's light is as measured.

Three fields of wavelengths from 1 to 600 km (single clouds, cloud fields, fronts) and one number a day add up to about
a standard normal ``g``. Its quantile in the measured distribution of the day's class is the clear-sky index: so each
class has the measured distribution, and the weights of the fields give its measured steps and memory. Neighbours see
the same fronts and cloud fields and other single clouds (Perez et al. 2012, Solar Energy 86: changes within a minute
are unrelated beyond about 1 km, within 15 minutes beyond about 10 km).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from simulators.physics.frame import DAY_MS, Floats, Ints, noise
from simulators.physics.season import at_season
from simulators.physics.wander import by_number

CLASSES = ("clear", "mixed", "broken", "overcast")
"""In the order in which weather turns from one to the next."""
SHARES_PCT = np.array(
    [
        [6, 19, 10, 65],
        [10, 24, 13, 53],
        [11, 28, 16, 45],
        [15, 36, 20, 29],
        [17, 41, 21, 21],
        [21, 44, 20, 15],
        [16, 42, 21, 21],
        [17, 41, 20, 22],
        [13, 34, 20, 33],
        [8, 26, 17, 49],
        [5, 16, 10, 69],
        [3, 11, 8, 78],
    ],
    np.float64,
)
"""Of the classes in each month. Chosen, not measured: so that a south roof yields what Czech ones do (0.65 kWh/kWp a
day in December, 4.5 in June, about 1,000 a year), with the seasons of relative sunshine in ČHMÚ's normals (15 % of the
possible hours in December, 50 % in August)."""

QUANTILES = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
KC_QUANTILES = {
    "clear": (0.902, 0.950, 0.964, 0.982, 1.000, 1.018, 1.041, 1.053, 1.070),
    "mixed": (0.212, 0.338, 0.440, 0.767, 0.953, 1.001, 1.033, 1.053, 1.118),
    "broken": (0.111, 0.249, 0.326, 0.502, 0.803, 0.990, 1.057, 1.098, 1.167),
    "overcast": (0.020, 0.056, 0.085, 0.165, 0.231, 0.326, 0.420, 0.504, 0.699),
}
"""Of the clear-sky index, at ``QUANTILES``. These and the two tables below: 5-minute values of the six hours around
noon on 432 days of two Californian roofs, from the sample data of slacgismo/solar-data-tools (BSD-2-Clause); days on
which the inverter stood still for half an hour left out; divided by the median of the clear days, 0.949."""
STEP_QUANTILES = {
    "clear": (0.004, 0.014, 0.063),
    "mixed": (0.012, 0.141, 0.456),
    "broken": (0.092, 0.400, 0.663),
    "overcast": (0.020, 0.074, 0.222),
}
"""Of the change from one 5-minute value to the next, at 50, 90 and 99 %."""
MEMORY_MIN = (5, 15, 30, 60, 120)
MEMORY = {
    "clear": (0.73, 0.52, 0.48, 0.36, 0.27),
    "mixed": (0.90, 0.79, 0.71, 0.61, 0.45),
    "broken": (0.69, 0.44, 0.27, 0.26, 0.11),
    "overcast": (0.92, 0.74, 0.60, 0.50, 0.31),
}
"""Autocorrelation of the index within a day, about the mean of the class, at lags of ``MEMORY_MIN``."""

WEIGHTS = np.array(
    [
        [0.52, 0.58, 0.57, 0.27],
        [0.36, 0.43, 0.73, 0.38],
        [0.69, 0.57, 0.44, 0.10],
        [0.33, 0.60, 0.70, 0.17],
    ]
)
"""By class: of single clouds, cloud fields, fronts and the day; fitted to the tables above."""
RESTLESSNESS = np.array([0.8, 0.7, 0.4, 0.6])
"""By class: calm and restless hours take turns, so that most steps are small and a few are large; fitted as above."""

WAVES_KM = ((1.2, 8.0), (8.0, 64.0), (64.0, 600.0))
PIXEL_KM = (0.3, 2.0, 16.0)
PIXELS = 256
SLOPE = 3.0
"""The fields' power falls with the wave number to this power (8/3 of a two-dimensional turbulent scalar, rounded)."""
SINGLE, FIELDS, FRONTS, DAY = range(4)
PATTERNS = {
    "single": (SINGLE, 0.0, (0.0, 0.0)),
    "fields": (FIELDS, 0.0, (-0.7, 1.3)),
    "fronts": (FRONTS, 0.0, (-1.9, -0.8)),
    "restless": (FRONTS, 777.7, (-1.1, -1.6)),
    "storms": (FIELDS, 777.7, (-1.5, 0.9)),
}
"""Which field each is read from, how far (km) from the origin, and how it drifts within the wind (m/s): so that none
comes by twice together."""
KM_PER_DAY = DAY_MS / 1e6
"""Of 1 m/s."""
BLEND = 0.3
"""Classes merge over this many standard deviations of the weather's state."""
LOOKUP_SPAN = 4.5
LOOKUP_PER_UNIT = 32
RAREST = (1.0, 1.05)
"""Beyond the first and last quantile the index is cut at this share of them."""

WIND_MEAN_M_PER_S = (6.0, 1.5)
"""At cloud height, towards east and north: westerlies."""
WIND_TURNS = ((11.3, 3.0), (5.1, 3.0), (2.7, 2.0), (1.3, 1.0))
"""Periods (days) and amplitudes (m/s) with which the wind turns."""
ORIGIN_DEG = (49.5, 15.5)
"""Where the flat map of the region touches the ground."""
KM_PER_DEGREE = 111.32

DAY_MEMORY = 0.55
"""Correlation of one day's weather with the next: high and low pressure stay for two or three days."""
DAY_MEMORY_LENGTH = 8
STATE_LOCAL = 0.35
"""Share of the weather's state that differs over hundreds of kilometres; the rest is the whole region's."""
WHAT_STATE, WHAT_DAY, WHAT_EAST, WHAT_NORTH = 101, 102, 103, 104


@dataclass(frozen=True, slots=True)
class Outlook:
    """A day at places, arrays that broadcast with what was asked for.

    ``state`` is standard normal, low is fair. The class is number ``left`` and, to a share of ``part``, the one behind
    it. ``day`` is the day's own share of ``g``.
    """

    state: Floats
    left: NDArray[np.intp]
    part: Floats
    day: Floats

    def mix(self, by_class: Floats) -> Floats:
        """A figure of each class, shape ``(4,)``, merged."""
        return by_class[self.left] * (1 - self.part) + by_class[self.left + 1] * self.part


class Clouds:
    """One seed's clouds: pure functions of places (degrees) and moments (ms), which broadcast."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        random = np.random.default_rng([seed, 7])
        self._fields = [_field(random, pixel, *waves) for pixel, waves in zip(PIXEL_KM, WAVES_KM, strict=True)]
        self._turns = random.uniform(0, 2 * np.pi, (2, len(WIND_TURNS)))
        self._bounds = _bounds(SHARES_PCT)
        self._lookup = np.concatenate([_lookup(KC_QUANTILES[name]) for name in CLASSES])

    def wind_m_per_s(self, ts_ms: Ints) -> tuple[Floats, Floats]:
        """Towards east and north at cloud height, the same for the whole region."""
        days = ts_ms / DAY_MS
        east, north = (
            np.asarray(mean)
            + sum((a * np.sin(2 * np.pi * days / p + t) for (p, a), t in zip(WIND_TURNS, turns, strict=True)), 0.0)
            for mean, turns in zip(WIND_MEAN_M_PER_S, self._turns.tolist(), strict=True)
        )
        return east, north

    def outlook(self, latitude: Floats, longitude: Floats, ts_ms: Ints) -> Outlook:
        """Which day it is. All of a UTC day is one: midnight is dark in Czechia."""
        day = ts_ms // DAY_MS
        if day.size and day.min() == day.max():
            day = day.reshape(-1)[:1]  # a grid of one day costs a glance a place
        here = [1500.0 * self._number(day, what) for what in (WHAT_EAST, WHAT_NORTH)]
        east, north = _km(latitude, longitude)
        local = self._read(FRONTS, east + here[0], north + here[1])
        state = np.sqrt(1 - STATE_LOCAL**2) * self.state(day) + STATE_LOCAL * local
        bounds = by_number(day, lambda days: at_season(self._bounds, days * DAY_MS + DAY_MS // 2))
        soft = sum((np.clip((state - bound) / BLEND + 0.5, 0.0, 1.0) for bound in bounds), np.zeros(()))
        left = np.minimum(soft.astype(np.intp), len(CLASSES) - 2)
        return Outlook(state, left, soft - left, self._number(day, WHAT_DAY))

    def _number(self, day: Ints, what: int) -> Floats:
        """A standard normal number of each day."""
        return by_number(day, lambda days: noise(self.seed, _REGION, days, what))

    def state(self, days: Ints) -> Floats:
        """The region's weather on days since 1970: standard normal, low is fair, with a memory of some days."""
        back = np.arange(DAY_MEMORY_LENGTH)
        weights = DAY_MEMORY**back / np.linalg.norm(DAY_MEMORY**back)
        return by_number(
            days, lambda day: (noise(self.seed, _REGION, day[:, None] - back, WHAT_STATE) * weights).sum(axis=1)
        )

    def overhead(self, latitude: Floats, longitude: Floats, ts_ms: Ints) -> tuple[Floats, Floats]:
        """Where in the moving air the places are: km east and north in it. What patterns are read by."""
        days = ts_ms / DAY_MS
        east, north = _km(latitude, longitude)
        blown: list[Floats] = []
        for mean, turns in zip(WIND_MEAN_M_PER_S, self._turns.tolist(), strict=True):
            # The integral of the wind over time.
            waves = (
                a * p / (2 * np.pi) * -np.cos(2 * np.pi * days / p + turn)
                for (p, a), turn in zip(WIND_TURNS, turns, strict=True)
            )
            blown.append((mean * days + sum(waves, 0.0)) * KM_PER_DAY)
        return east - blown[0], north - blown[1]

    def thickness(self, above: tuple[Floats, Floats], ts_ms: Ints, outlook: Outlook) -> tuple[Floats, Floats]:
        """About standard normal, low is thick: ``g`` itself, and its slow part, which knows no single clouds."""
        restless = outlook.mix(RESTLESSNESS)
        slow = outlook.mix(WEIGHTS[:, FRONTS]) * self._pattern("fronts", above, ts_ms)
        slow += outlook.mix(WEIGHTS[:, DAY]) * outlook.day
        mood = np.exp(restless * self._pattern("restless", above, ts_ms) - restless * restless)
        slow += outlook.mix(WEIGHTS[:, FIELDS]) * mood * self._pattern("fields", above, ts_ms)
        return slow + outlook.mix(WEIGHTS[:, SINGLE]) * mood * self._pattern("single", above, ts_ms), slow

    def index(self, thickness: Floats, outlook: Outlook) -> Floats:
        """The clear-sky index of ``g``."""
        place = np.clip((thickness + LOOKUP_SPAN) * LOOKUP_PER_UNIT, 0, 2 * LOOKUP_SPAN * LOOKUP_PER_UNIT - 1)
        whole = place.astype(np.intp)
        part = place - whole
        whole += outlook.left * _LOOKUP_LENGTH
        behind = whole + _LOOKUP_LENGTH
        table = self._lookup
        left = table[whole] * (1 - part) + table[whole + 1] * part
        right = table[behind] * (1 - part) + table[behind + 1] * part
        return left * (1 - outlook.part) + right * outlook.part

    def storminess(self, above: tuple[Floats, Floats], ts_ms: Ints) -> Floats:
        """Standard normal with cores of some kilometres: thunderclouds, if there are any, stand where it is highest."""
        return self._pattern("storms", above, ts_ms)

    def _pattern(self, name: str, above: tuple[Floats, Floats], ts_ms: Ints) -> Floats:
        field, aside, (east, north) = PATTERNS[name]
        days = ts_ms / DAY_MS * KM_PER_DAY
        return self._read(field, above[0] - east * days + aside, above[1] - north * days + aside)

    def _read(self, field: int, east_km: Floats, north_km: Floats) -> Floats:
        """Between four points of a field, which repeats itself in all directions."""
        values, pixel = self._fields[field], PIXEL_KM[field]
        x, y = east_km / pixel, north_km / pixel
        left, low = np.floor(x), np.floor(y)
        x, y = x - left, y - low
        column, row = left.astype(np.int64) & (PIXELS - 1), low.astype(np.int64) & (PIXELS - 1)
        right, above = (column + 1) & (PIXELS - 1), ((row + 1) & (PIXELS - 1)) * PIXELS
        row = row * PIXELS
        lower = values[row + column] * (1 - x) + values[row + right] * x
        upper = values[above + column] * (1 - x) + values[above + right] * x
        return lower * (1 - y) + upper * y


_REGION = np.zeros((), np.intp)
_LOOKUP_LENGTH = round(2 * LOOKUP_SPAN * LOOKUP_PER_UNIT) + 1


def _km(latitude: Floats, longitude: Floats) -> tuple[Floats, Floats]:
    east = (longitude - ORIGIN_DEG[1]) * (KM_PER_DEGREE * np.cos(np.radians(ORIGIN_DEG[0])))
    return east, (latitude - ORIGIN_DEG[0]) * KM_PER_DEGREE


def _bounds(shares_pct: Floats) -> Floats:
    """Between classes, in standard deviations of the state: shape ``(3, 12)``."""
    cumulated = np.cumsum(shares_pct / shares_pct.sum(axis=1, keepdims=True), axis=1)[:, :-1]
    return np.array([[NormalDist().inv_cdf(share) for share in month] for month in cumulated.tolist()]).T


def _field(random: np.random.Generator, pixel_km: float, shortest_km: float, longest_km: float) -> Floats:
    """Normal noise of mean 0 and deviation 1 with waves of these lengths, ``PIXELS`` squared, flat."""
    axis = np.fft.fftfreq(PIXELS, pixel_km)
    wave = np.hypot(axis[:, None], axis)
    wave[0, 0] = 1.0  # the mean, taken out below
    band = wave ** (-SLOPE / 2) * np.exp(-((wave * shortest_km) ** 4)) * (1 - np.exp(-((wave * longest_km) ** 4)))
    values = np.fft.ifft2(np.fft.fft2(random.standard_normal((PIXELS, PIXELS))) * band).real
    return ((values - values.mean()) / values.std()).ravel()


def _lookup(quantiles: tuple[float, ...]) -> Floats:
    """The index at normal scores from ``-LOOKUP_SPAN`` to ``LOOKUP_SPAN``: straight between the quantiles and on."""
    scores = np.array([NormalDist().inv_cdf(quantile) for quantile in QUANTILES])
    values = np.array(quantiles)
    at = np.linspace(-LOOKUP_SPAN, LOOKUP_SPAN, _LOOKUP_LENGTH)
    out = np.interp(at, scores, values)
    fall = values[0] + (at - scores[0]) * (values[1] - values[0]) / (scores[1] - scores[0])
    rise = values[-1] + (at - scores[-1]) * (values[-1] - values[-2]) / (scores[-1] - scores[-2])
    out = np.where(at < scores[0], np.maximum(fall, RAREST[0] * values[0]), out)
    return np.where(at > scores[-1], np.minimum(rise, RAREST[1] * values[-1]), out)
