"""A plain map: places projected onto a small drawing, and municipalities as clusters with names that do not overlap."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from api.freshness import Condition
from api.marks import Group, Mark, gathered
from kraj.kinds import KINDS

WIDTH, HEIGHT, MARGIN = 800.0, 480.0, 48.0
SPAN_M_MIN = 300.0
"""A single lamp is shown with its surroundings, not enlarged without end."""
METRES_PER_DEGREE = 111_320.0
SHAPES = ("circle", "square", "triangle", "diamond", "hexagon", "cross", "star", "bar")
LETTER, LINE, DOT = 10.0, 23.0, 23.0
"""Width of a letter, height of a line and radius of a cluster in the drawing where the style sheet enlarges them
most (``--k``), for keeping names apart."""
NAME_X, NAME_UNDER_Y, NAME_OVER_Y = 22.0, 34.0, -24.0
"""Where a name stands from the middle of its cluster, not enlarged."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

QUIET = frozenset({Condition.SILENT, Condition.OFFLINE})


def shape(kind: str) -> str:
    """Each kind has its own shape, by its place among the kinds."""
    return SHAPES[list(KINDS).index(kind) % len(SHAPES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An asset as the map needs it."""

    asset_id: int
    kind: str
    label: str
    municipality: str
    title: str
    latitude: float | None
    longitude: float | None
    condition: Condition


@dataclass(frozen=True, slots=True)
class Marker:
    """An asset on the drawing."""

    place: Place
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Share:
    """A piece of a cluster's ring, in percent of its circumference from the top."""

    condition: Condition
    start: float
    length: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """A municipality on the drawing; its name stands at (``name_x``, ``name_y``) from there, aligned by ``anchor``."""

    name: str
    title: str
    count: int
    quiet: int
    shares: tuple[Share, ...]
    x: float
    y: float
    name_x: float
    name_y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """What the page draws: clusters when there are several municipalities, else markers, gathered into groups."""

    markers: tuple[Marker, ...]
    groups: tuple[Group, ...]
    clusters: tuple[Cluster, ...]
    not_placed: int
    scale_px: float
    scale_text: str


def draw(places: Sequence[Place]) -> Drawing:
    """Equirectangular about the middle latitude, north up, everything in view."""
    placed = [place for place in places if place.latitude is not None and place.longitude is not None]
    if not placed:
        return Drawing((), (), (), len(places), 0, "")
    latitudes = [place.latitude or 0.0 for place in placed]
    longitudes = [place.longitude or 0.0 for place in placed]
    middle_latitude = (min(latitudes) + max(latitudes)) / 2
    middle_longitude = (min(longitudes) + max(longitudes)) / 2
    east_m = METRES_PER_DEGREE * math.cos(math.radians(middle_latitude))
    scale = min(
        (WIDTH - 2 * MARGIN) / max(SPAN_M_MIN, (max(longitudes) - min(longitudes)) * east_m),
        (HEIGHT - 2 * MARGIN) / max(SPAN_M_MIN, (max(latitudes) - min(latitudes)) * METRES_PER_DEGREE),
    )
    markers = [
        Marker(
            place,
            WIDTH / 2 + (longitude - middle_longitude) * east_m * scale,
            HEIGHT / 2 - (latitude - middle_latitude) * METRES_PER_DEGREE * scale,
        )
        for place, latitude, longitude in zip(placed, latitudes, longitudes, strict=True)
    ]
    several = len({place.municipality for place in placed}) > 1
    length_m = nice(140 / scale)
    return Drawing(
        () if several else tuple(markers),
        () if several else gathered((_mark(marker) for marker in markers), list(Condition)),
        tuple(_clusters(markers, (0.0, HEIGHT - 46, length_m * scale + 40, HEIGHT))) if several else (),
        len(places) - len(placed),
        length_m * scale,
        f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m",
    )


def _mark(marker: Marker) -> Mark:
    place = marker.place
    return Mark(place.kind, place.asset_id, place.label, place.condition.value, marker.x, marker.y)


def nice(length_m: float) -> float:
    """The largest of 1, 2, 5, 10 … below."""
    power = 10.0 ** math.floor(math.log10(length_m))
    return max(step * power for step in (1, 2, 5) if step * power <= length_m)


def shares(conditions: Sequence[Condition]) -> tuple[Share, ...]:
    """How a group is shown: a ring of its conditions, each in its part."""
    found: list[Share] = []
    start = 0.0
    for condition in Condition:
        length = 100 * conditions.count(condition) / len(conditions)
        found.append(Share(condition, round(start, 2), round(length, 2)))
        start += length
    return tuple(found)


def _clusters(markers: Sequence[Marker], scale_bar: Box) -> list[Cluster]:
    groups: dict[str, list[Marker]] = defaultdict(list)
    for marker in markers:
        groups[marker.place.municipality].append(marker)
    centres = {
        name: (median(marker.x for marker in group), median(marker.y for marker in group))
        for name, group in groups.items()
    }
    taken: list[Box] = [scale_bar, *((x - DOT, y - DOT, x + DOT, y + DOT) for x, y in centres.values())]
    clusters: list[Cluster] = []
    for name, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        x, y = centres[name]
        title = group[0].place.title
        name_x, name_y, anchor, box = _name_place(x, y, LETTER * len(title), taken)
        taken.append(box)
        conditions = [marker.place.condition for marker in group]
        quiet = sum(condition in QUIET for condition in conditions)
        clusters.append(Cluster(name, title, len(group), quiet, shares(conditions), x, y, name_x, name_y, anchor))
    return clusters


def _name_place(x: float, y: float, width: float, taken: Sequence[Box]) -> tuple[float, float, str, Box]:
    """Right of the dot, left, below or above: the first that is in view and free, else where it overlaps least."""
    gap = DOT + 5
    candidates = (
        (NAME_X, 5.0, "start", (x + gap, y - LINE / 2, x + gap + width, y + LINE / 2)),
        (-NAME_X, 5.0, "end", (x - gap - width, y - LINE / 2, x - gap, y + LINE / 2)),
        (0.0, NAME_UNDER_Y, "middle", (x - width / 2, y + gap, x + width / 2, y + gap + LINE)),
        (0.0, NAME_OVER_Y, "middle", (x - width / 2, y - gap - LINE, x + width / 2, y - gap)),
    )
    return min(candidates, key=lambda candidate: _hidden(candidate[3], taken))


def _hidden(box: Box, taken: Sequence[Box]) -> float:
    """Area that overlaps something, or lies out of view."""
    left, top, right, bottom = box
    seen = max(0.0, min(right, WIDTH - 6) - max(left, 6)) * max(0.0, min(bottom, HEIGHT) - max(top, 0))
    hidden = (right - left) * (bottom - top) - seen
    for a, b, c, d in taken:
        hidden += max(0.0, min(right, c) - max(left, a)) * max(0.0, min(bottom, d) - max(top, b))
    return hidden
