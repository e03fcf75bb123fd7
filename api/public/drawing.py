"""The public maps: municipalities of the region, and a municipality with its lamps, stops and roofs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from api import maps
from api.freshness import Condition
from api.maps import HEIGHT, MARGIN, METRES_PER_DEGREE, SPAN_M_MIN, WIDTH, Place
from api.marks import PLAIN, Group, Mark, gathered
from api.public.facts import RegionFacts, TownFacts
from kraj.store import public


@dataclass(frozen=True, slots=True)
class TownMark:
    """A municipality on the map of the region; its name stands at (``name_x``, ``name_y``) from there."""

    town: public.Town
    condition: str
    x: float
    y: float
    name_x: float
    name_y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A map: municipalities, or lamps, stops and roofs in groups."""

    towns: tuple[TownMark, ...] = ()
    groups: tuple[Group, ...] = ()
    missing: int = 0
    scale_px: float = 0.0
    scale_text: str = ""

    @property
    def empty(self) -> bool:
        return not (self.towns or self.groups)


def region(facts: RegionFacts) -> Drawn:
    """Municipalities with anything on a map."""
    conditions = {town.name: _condition(figures.outages, figures.heard) for town, figures in facts.towns}
    placed = [town for town, _ in facts.towns if town.latitude is not None]
    drawn = maps.draw([_place(town, conditions[town.name]) for town in placed])
    by_name = {town.name: town for town in placed}
    marks = [
        TownMark(by_name[one.name], conditions[one.name].value, one.x, one.y, one.name_x, one.name_y, one.anchor)
        for one in drawn.clusters
    ]
    if len(placed) == 1:
        marks = [TownMark(placed[0], conditions[placed[0].name].value, WIDTH / 2, HEIGHT / 2, 22, 5, "start")]
    return Drawn(tuple(marks), scale_px=drawn.scale_px, scale_text=drawn.scale_text)


def _condition(outages: int, heard: int) -> Condition:
    return Condition.UNUSUAL if outages else Condition.REPORTING if heard else Condition.NEVER


def _place(town: public.Town, condition: Condition) -> Place:
    return Place(
        asset_id=town.municipality_id,
        kind="lamp",
        label=town.title,
        municipality=town.name,
        title=town.title,
        latitude=town.latitude,
        longitude=town.longitude,
        condition=condition,
    )


def town(facts: TownFacts) -> Drawn:
    """Everything of a municipality that has a place, north up."""
    things: list[tuple[str, int, str, str, float | None, float | None]] = [
        ("lamp", lamp.asset_id, lamp.label, "silent" if lamp.dark_since else PLAIN, lamp.latitude, lamp.longitude)
        for lamp in facts.lamps
    ]
    things += [
        ("stop", s.stop.asset_id, s.stop.label, s.condition, s.stop.latitude, s.stop.longitude) for s in facts.stops
    ]
    things += [
        ("solar", roof.asset_id, roof.label, "reporting" if today else "never", roof.latitude, roof.longitude)
        for roof, today in facts.roofs
    ]
    placed = [thing for thing in things if thing[4] is not None]
    missing = len(things) - len(placed)
    if not placed:
        return Drawn(missing=missing)
    points = [(thing[4] or 0.0, thing[5] or 0.0) for thing in placed]
    fit = _Fit(points)
    length_m = maps.nice(140 / fit.scale)
    return Drawn(
        groups=gathered(Mark(*thing[:4], *fit.place(*point)) for thing, point in zip(placed, points, strict=True)),
        missing=missing,
        scale_px=length_m * fit.scale,
        scale_text=f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m",
    )


class _Fit:
    """Equirectangular about the middle, everything in view."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        latitudes, longitudes = [p[0] for p in points], [p[1] for p in points]
        self._latitude = (min(latitudes) + max(latitudes)) / 2
        self._longitude = (min(longitudes) + max(longitudes)) / 2
        self._east_m = METRES_PER_DEGREE * math.cos(math.radians(self._latitude))
        self.scale = min(
            (WIDTH - 2 * MARGIN) / max(SPAN_M_MIN, (max(longitudes) - min(longitudes)) * self._east_m),
            (HEIGHT - 2 * MARGIN) / max(SPAN_M_MIN, (max(latitudes) - min(latitudes)) * METRES_PER_DEGREE),
        )

    def place(self, latitude: float, longitude: float) -> tuple[float, float]:
        return (
            round(WIDTH / 2 + (longitude - self._longitude) * self._east_m * self.scale, 1),
            round(HEIGHT / 2 - (latitude - self._latitude) * METRES_PER_DEGREE * self.scale, 1),
        )
