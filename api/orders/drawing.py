"""The map of causes: marks by severity and kind; what hangs on one feeder, or lies close, is one mark that opens."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from api.alerts import Place
from api.maps import HEIGHT, MARGIN, METRES_PER_DEGREE, SPAN_M_MIN, WIDTH, nice
from kraj.alerts import Severity
from kraj.store.queries import Spot

APART = 62.0
"""In the drawing; on a phone's screen that is 28 pixels, what a finger in a glove needs."""
OPENS_M = 40.0
"""A mark whose causes lie closer together than this is not opened by looking nearer: the list has them."""
PAD_DEGREES = 0.0004
Box = tuple[float, float, float, float]
"""South, west, north, east in degrees."""


@dataclass(frozen=True, slots=True)
class Arc:
    """A piece of a mark's ring, in percent of its circumference from the top."""

    severity: str
    start: float
    length: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One cause, or several together; ``area`` opens it, and is None where all lie at one place."""

    spots: tuple[Spot, ...]
    x: float
    y: float
    area: str | None
    arcs: tuple[Arc, ...]

    @property
    def first(self) -> Spot:
        """The worst."""
        return self.spots[0]

    @property
    def feeder(self) -> str | None:
        """What all hang on, if it is one."""
        names = {spot.feeder for spot in self.spots}
        return names.pop() if len(names) == 1 else None


@dataclass(frozen=True, slots=True)
class CauseMap:
    """What the page draws: marks, the dots of what else stands there (one path), where one stands, and a scale."""

    marks: tuple[Mark, ...]
    dots: str
    here: tuple[float, float] | None
    scale_px: float
    scale_text: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Equirectangular about the middle, north up."""

    latitude: float
    longitude: float
    east_m: float
    scale: float

    def at(self, latitude: float, longitude: float) -> tuple[float, float]:
        x = WIDTH / 2 + (longitude - self.longitude) * self.east_m * self.scale
        return round(x, 1), round(HEIGHT / 2 - (latitude - self.latitude) * METRES_PER_DEGREE * self.scale, 1)

    @property
    def box(self) -> Box:
        """What is on the sheet."""
        north, east = HEIGHT / 2 / METRES_PER_DEGREE / self.scale, WIDTH / 2 / self.east_m / self.scale
        return self.latitude - north, self.longitude - east, self.latitude + north, self.longitude + east


def sheet(spots: Sequence[Spot], area: Box | None, here: Place | None) -> Sheet | None:
    """With all spots in view, and where one stands if that is not far off; None without spots."""
    if not spots:
        return None
    latitudes, longitudes = [spot.latitude for spot in spots], [spot.longitude for spot in spots]
    if area is not None:
        latitudes, longitudes = [area[0], area[2]], [area[1], area[3]]
    elif here is not None and _near(here, latitudes, longitudes):
        latitudes, longitudes = [*latitudes, here[0]], [*longitudes, here[1]]
    latitude, longitude = (min(latitudes) + max(latitudes)) / 2, (min(longitudes) + max(longitudes)) / 2
    east_m = METRES_PER_DEGREE * max(0.01, math.cos(math.radians(latitude)))
    scale = min(
        (WIDTH - 2 * MARGIN) / max(SPAN_M_MIN, (max(longitudes) - min(longitudes)) * east_m),
        (HEIGHT - 2 * MARGIN) / max(SPAN_M_MIN, (max(latitudes) - min(latitudes)) * METRES_PER_DEGREE),
    )
    return Sheet(latitude, longitude, east_m, scale)


def _near(here: Place, latitudes: Sequence[float], longitudes: Sequence[float]) -> bool:
    """Whether one stands within the spots' frame or one more of its size: else the map would show hardly anything."""
    for own, others in ((here[0], latitudes), (here[1], longitudes)):
        size = max(others) - min(others) + 0.02
        if not min(others) - size <= own <= max(others) + size:
            return False
    return True


def draw(drawn: Sheet, spots: Sequence[Spot], others: Sequence[Place], here: Place | None, *, opened: bool) -> CauseMap:
    """Marks of the spots; ``opened`` when somebody looks into one, where a feeder alone joins nothing any more."""
    length_m = nice(140 / drawn.scale)
    dots = "".join(f"M{x} {y}h0" for x, y in {drawn.at(*other) for other in others})
    return CauseMap(
        marks=tuple(_marks(drawn, spots, opened=opened)),
        dots=dots,
        here=None if here is None else drawn.at(*here),
        scale_px=length_m * drawn.scale,
        scale_text=f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m",
    )


def _marks(drawn: Sheet, spots: Sequence[Spot], *, opened: bool) -> list[Mark]:
    groups: dict[object, list[Spot]] = defaultdict(list)
    for number, spot in enumerate(spots):
        joined = not opened and spot.feeder is not None
        groups[(spot.municipality, spot.feeder) if joined else number].append(spot)
    found = [_placed(drawn, group) for group in groups.values()]
    while True:
        kept: list[tuple[list[Spot], float, float]] = []
        for group, x, y in found:
            close = next((n for n, (_, a, b) in enumerate(kept) if math.hypot(a - x, b - y) < APART), None)
            if close is None:
                kept.append((group, x, y))
            else:
                kept[close] = _placed(drawn, [*kept[close][0], *group])
        if len(kept) == len(found):
            return [_mark(group, x, y) for group, x, y in kept]
        found = kept


def _placed(drawn: Sheet, group: list[Spot]) -> tuple[list[Spot], float, float]:
    """In the middle of its causes."""
    places = [drawn.at(spot.latitude, spot.longitude) for spot in group]
    return group, sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places)


def _mark(group: list[Spot], x: float, y: float) -> Mark:
    group = sorted(group, key=lambda spot: -Severity(spot.severity).rank)
    south, north = min(spot.latitude for spot in group), max(spot.latitude for spot in group)
    west, east = min(spot.longitude for spot in group), max(spot.longitude for spot in group)
    wide = max(north - south, (east - west) * math.cos(math.radians(south))) * METRES_PER_DEGREE
    area = None
    if len(group) > 1 and wide > OPENS_M:
        pad = PAD_DEGREES
        area = ",".join(f"{one:.5f}" for one in (south - pad, west - pad, north + pad, east + pad))
    arcs: list[Arc] = []
    start = 0.0
    for severity in reversed(Severity):
        length = 100 * sum(spot.severity == severity for spot in group) / len(group)
        if length:
            arcs.append(Arc(str(severity), round(start, 2), round(length, 2)))
        start += length
    return Mark(tuple(group), round(x, 1), round(y, 1), area, tuple(arcs))
