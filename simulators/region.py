"""A seeded region to simulate: invented Czech towns, their lamps, cabinets, stops and roofs, and the devices on them.

A plain value without I/O: the same seed and number of devices give the same region, ready to be registered.
"""

import math
from collections.abc import Iterator
from random import Random

from kraj.errors import ConfigurationError
from simulators.asset import Asset, Device, Installed, Municipality, Region
from simulators.circuits import plan
from simulators.names import TOWNS, slug
from simulators.town import METRES_PER_DEGREE, Town, shares

__all__ = ["DEVICES_MAX", "TOWNS", "Asset", "Device", "Installed", "Municipality", "Region", "region", "slug"]

DEVICES_MAX = 100_000
"""The streets of all towns stay in the country; a live fleet has the limit of its connections besides."""
DEVICES_PER_MUNICIPALITY = 30
"""Of a small region, up to ``TOWNS_SMALL`` towns; from then on towns grow, to ``DEVICES_PER_TOWN`` and more."""
TOWNS_SMALL = 12
DEVICES_PER_TOWN = 700
CLOCKLESS_SHARE = 0.05

# A box well inside Czechia (the Vysočina highlands): a town anywhere in it, streets included, stays in the country.
LATITUDE_SPAN = (49.25, 49.75)
LONGITUDE_SPAN = (15.10, 16.20)
TOWN_SPACING_M = 6_000
TRIES_MAX = 10_000
"""48 circles of this spacing cover a third of the box; random places are found within some hundred tries."""


def region(seed: int, devices: int, *, clockless_share: float = CLOCKLESS_SHARE) -> Region:
    """Invent a region of exactly ``devices`` devices; ``clockless_share`` of them cannot tell the time.

    Raises ``ConfigurationError`` outside 1 to ``DEVICES_MAX`` devices.
    """
    if not 1 <= devices <= DEVICES_MAX:
        raise ConfigurationError(f"a region has 1 to {DEVICES_MAX} devices, not {devices}")
    random = Random(seed)
    count = min(TOWNS_SMALL, max(2, devices // DEVICES_PER_MUNICIPALITY), devices)
    towns = _towns(random, min(len(TOWNS), max(count, devices // DEVICES_PER_TOWN)))
    parts = [
        shares(devices // len(towns) + (number < devices % len(towns)), gateway=number == 0)
        for number in range(len(towns))
    ]
    circuits = plan(random, [part.lighting for part in parts])
    names = _names(random)
    built: list[Device] = []
    for town, part, fed in zip(towns, parts, circuits, strict=True):
        for group in Town(random, town).groups(part, fed):
            first = int(len(group) > 1)  # channel 0 is the only one of a device that serves one asset
            built.append(
                Device(
                    name=f"{group[0].kind}-{next(names)}",
                    municipality=town.name,
                    installed=tuple(Installed(asset=a, channel=first + n) for n, a in enumerate(group)),
                    clock=random.random() >= clockless_share,
                )
            )
    return Region(seed=seed, municipalities=tuple(towns), devices=tuple(built))


def _names(random: Random) -> Iterator[str]:
    """Serial numbers of six hexadecimal digits, each once: a device's name says nothing that could change."""
    seen: set[int] = set()
    while True:
        number = random.randrange(1 << 24)
        if number not in seen:
            seen.add(number)
            yield f"{number:06x}"


def _towns(random: Random, count: int) -> list[Municipality]:
    """Towns in order from west to east, so that neighbours in the list share what lies between them."""
    places: list[tuple[float, float]] = []
    for _ in range(TRIES_MAX):
        longitude, latitude = random.uniform(*LONGITUDE_SPAN), random.uniform(*LATITUDE_SPAN)
        if all(_metres(latitude, longitude, b, a) >= TOWN_SPACING_M for a, b in places):
            places.append((longitude, latitude))
            if len(places) == count:
                break
    titles = random.sample(TOWNS, count)
    return [
        Municipality(name=slug(title), title=title, latitude=latitude, longitude=longitude)
        for title, (longitude, latitude) in zip(titles, sorted(places), strict=True)
    ]


def _metres(latitude: float, longitude: float, latitude_b: float, longitude_b: float) -> float:
    north = (latitude_b - latitude) * METRES_PER_DEGREE
    east = (longitude_b - longitude) * METRES_PER_DEGREE * math.cos(math.radians(latitude))
    return math.hypot(north, east)
