"""Coordinates as people write them: degrees, or metres of S-JTSK with either sign in either order.

Nobody has to say which system it is: within Czechia the numbers of latitude (48.5 to 51.1), longitude (12 to 18.9),
southing (935 to 1,230 km) and westing (430 to 905 km) never meet.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from kraj.importing.findings import Finding

LATITUDE = (48.5, 51.1)
LONGITUDE = (12.05, 18.9)
SOUTHING_M = (930_000.0, 1_232_000.0)
WESTING_M = (428_000.0, 908_000.0)
DIGITS = 7
"""A centimetre."""

ANGLE = re.compile(
    r"""(?P<degrees>[-+]?\d{1,3}(?:[.,]\d+)?)\s*°?\s*
        (?:(?P<minutes>\d{1,2}(?:[.,]\d+)?)\s*['′’]\s*(?:(?P<seconds>\d{1,2}(?:[.,]\d+)?)\s*(?:["″”]|'')\s*)?)?
        (?P<side>[NSEWnsew])?""",
    re.VERBOSE,
)
PAIR = re.compile(r"\s*[;,]\s+|\s*;\s*|\s+")


@dataclass(frozen=True, slots=True)
class Place:
    """WGS 84 in degrees."""

    latitude: float
    longitude: float


def angle(text: str) -> float | None:
    """Degrees of ``49,1951``, ``49°11'42.36"N`` or ``16°36.4' E``; None for anything else."""
    bare = text.strip()
    if bare[:1].upper() in "NSEW" and bare[:1].isalpha():
        bare = bare[1:].strip() + bare[0]
    match = ANGLE.fullmatch(bare)
    if match is None:
        return None
    degrees, minutes, seconds = (
        float((match[name] or "0").replace(",", ".")) for name in ("degrees", "minutes", "seconds")
    )
    found = abs(degrees) + minutes / 60 + seconds / 3600
    negative = match["degrees"].startswith("-") != ((match["side"] or "N").upper() in "SW")
    return -found if negative else found


def pair(text: str) -> tuple[str, str] | None:
    """Both coordinates of one cell: ``49,1951; 16,6068``, ``49.1951025N, 16.6068308E``, ``49.19,16.6``."""
    bare = text.strip().removeprefix("POINT").strip("() ")
    middle = re.fullmatch(r"(-?\d+\.\d+)\s*,\s*(-?\d+\.\d+)", bare)
    if middle:
        return middle[1], middle[2]
    sided = re.fullmatch(r"(.+?[NSns])[\s,;]+(.+?[EWew])", bare)
    if sided:
        return sided[1], sided[2]
    parts = [part for part in PAIR.split(bare) if part]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def place(first: float, second: float, *, latitude_first: bool) -> Place | Finding:
    """Where two numbers are; ``latitude_first`` says what the headings promise of degrees; metres tell."""
    if abs(first) <= 180 and abs(second) <= 180:
        latitude, longitude = (first, second) if latitude_first else (second, first)
        if _within(latitude, LATITUDE) and _within(longitude, LONGITUDE):
            return Place(round(latitude, DIGITS), round(longitude, DIGITS))
        if _within(longitude, LATITUDE) and _within(latitude, LONGITUDE):
            return Finding("swapped", None, {"latitude": longitude, "longitude": latitude})
        return Finding("outside", None, {"latitude": latitude, "longitude": longitude})
    westing, southing = sorted((abs(first), abs(second)))
    if _within(westing, WESTING_M) and _within(southing, SOUTHING_M):
        longitude, latitude = _to_wgs84().transform(-westing, -southing)
        found = Place(round(float(latitude), DIGITS), round(float(longitude), DIGITS))
        if _within(found.latitude, LATITUDE) and _within(found.longitude, LONGITUDE):
            return found
    return Finding("system", None, {"first": first, "second": second})


def centre(places: Sequence[Place]) -> Place:
    """The middle one of each coordinate: a few wrong ones do not move it."""
    latitudes, longitudes = sorted(p.latitude for p in places), sorted(p.longitude for p in places)
    return Place(latitudes[len(places) // 2], longitudes[len(places) // 2])


def apart_km(one: Place, other: Place) -> float:
    """About how far two places are apart; within Czechia a degree is 111.2 km north and 71.5 km east."""
    return (((one.latitude - other.latitude) * 111.2) ** 2 + ((one.longitude - other.longitude) * 71.5) ** 2) ** 0.5


def _within(number: float, span: tuple[float, float]) -> bool:
    return span[0] <= number <= span[1]


@cache
def _to_wgs84() -> Any:
    from pyproj.aoi import AreaOfInterest  # here, because it takes a tenth of a second and degrees do not need it
    from pyproj.transformer import TransformerGroup

    # One operation for all: left alone, pyproj takes Slovakia's near the border, half a metre beside. The best for
    # Czechia is EPSG:5239, good to a metre.
    czechia: Any = AreaOfInterest(12.09, 48.58, 18.85, 51.02)
    return TransformerGroup(5514, 4326, always_xy=True, area_of_interest=czechia).transformers[0]
