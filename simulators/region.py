"""A seeded region to simulate: invented Czech towns, their lamps, cabinets, stops and roofs, and the devices on them.

A plain value without I/O: the same seed and number of devices give the same region, ready to be registered.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from kraj.errors import ConfigurationError

DEVICES_MAX = 10_000
"""One process with a connection each; and the streets of twelve towns stay in the country."""
DEVICES_PER_MUNICIPALITY = 30
LAMPS_PER_CABINET = 20
SHARES = {"stop": 0.12, "solar": 0.14}
"""Of a municipality's devices; the rest are lamps and one cabinet for each twenty of them."""
GATEWAY_INVERTERS = 3
CLOCKLESS_SHARE = 0.05

# A box well inside Czechia (the Vysočina highlands): a town anywhere in it, streets included, stays in the country.
LATITUDE_SPAN = (49.25, 49.75)
LONGITUDE_SPAN = (15.10, 16.20)
TOWN_SPACING_M = 6_000
METRES_PER_DEGREE = 111_320.0

TOWNS = (
    "Olšinka nad Mlýnkou",
    "Horní Vrbatka",
    "Kamenný Jílovec",
    "Březůvky pod Strážnou",
    "Dolní Topolanka",
    "Javořinka",
    "Červený Dvůrek",
    "Sněženec",
    "Třešňovka nad Zlatnou",
    "Lískovany",
    "Nová Habřinka",
    "Žďárná Lhotka",
)
STREETS = ("Nádražní", "Školní", "Lipová", "Zahradní", "Polní", "Na Výsluní", "U Rybníka", "Krátká", "Luční", "K Lesu")
STOPS = ("Náměstí", "U Školy", "Nádraží", "Pod Lipami", "U Rybníka", "Hřbitov", "Sídliště", "Rozcestí", "U Mlýna")
ROOFS = (
    "Základní škola",
    "Obecní úřad",
    "Kulturní dům",
    "Mateřská škola",
    "Hasičská zbrojnice",
    "Sokolovna",
    "Čistírna odpadních vod",
    "Zdravotní středisko",
    "Domov seniorů",
)
LAMP_POWERS_W = (24.0, 36.0, 42.0, 58.0, 84.0)
ROOF_POWERS_W = (5_000.0, 8_000.0, 10_000.0, 15_000.0, 20_000.0, 40_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Municipality:
    """A town: ``name`` is its label in topics, ``title`` what people read."""

    name: str
    title: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """What people care for; ``label`` is unique within its municipality.

    ``power_rated_w`` is a lamp's nominal power, the sum of its lamps for a cabinet, the panel's peak for a stop and
    the inverter's rating for a roof. ``cabinet`` is the label of the cabinet that feeds a lamp.
    ``tilt_deg`` (from horizontal) and ``azimuth_deg`` (from north, clockwise) lie on solar assets only.
    """

    kind: str
    municipality: str
    label: str
    street: str
    latitude: float
    longitude: float
    power_rated_w: float
    cabinet: str | None = None
    tilt_deg: float | None = None
    azimuth_deg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An asset on a device's channel; 0 is the only channel of a device that serves one asset."""

    asset: Asset
    channel: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A controller: ``name`` is unique in the region; ``clock`` tells whether it can stamp its readings."""

    name: str
    municipality: str
    installed: tuple[Installed, ...]
    clock: bool = True


@dataclass(frozen=True, kw_only=True)
class Region:
    """Everything that there is to simulate."""

    seed: int
    municipalities: tuple[Municipality, ...]
    devices: tuple[Device, ...]

    @cached_property
    def assets(self) -> tuple[Asset, ...]:
        return tuple(installed.asset for device in self.devices for installed in device.installed)


def region(seed: int, devices: int, *, clockless_share: float = CLOCKLESS_SHARE) -> Region:
    """Invent a region of exactly ``devices`` devices; ``clockless_share`` of them cannot tell the time.

    Raises ``ConfigurationError`` outside 1 to ``DEVICES_MAX`` devices.
    """
    if not 1 <= devices <= DEVICES_MAX:
        raise ConfigurationError(f"a region has 1 to {DEVICES_MAX} devices, not {devices}")
    random = Random(seed)
    towns = _towns(random, min(len(TOWNS), max(2, devices // DEVICES_PER_MUNICIPALITY), devices))
    names = _names(random)
    built: list[Device] = []
    for number, town in enumerate(towns):
        count = devices // len(towns) + (number < devices % len(towns))
        builder = _Town(random, town)
        for group in builder.groups(count, gateway=number == 0 and count >= 4):
            kind = group[0].kind
            channels = range(1, len(group) + 1) if len(group) > 1 else (0,)
            built.append(
                Device(
                    name=f"{kind}-{next(names)}",
                    municipality=town.name,
                    installed=tuple(Installed(asset=a, channel=c) for a, c in zip(group, channels, strict=True)),
                    clock=random.random() >= clockless_share,
                )
            )
    return Region(seed=seed, municipalities=tuple(towns), devices=tuple(built))


def slug(title: str) -> str:
    """A Czech title as a name for topics: ``Žďárná Lhotka`` → ``zdarna-lhotka``."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return "-".join(plain.lower().split())


def _names(random: Random) -> Iterator[str]:
    """Serial numbers of six hexadecimal digits, each once: a device's name says nothing that could change."""
    seen: set[int] = set()
    while True:
        number = random.randrange(1 << 24)
        if number not in seen:
            seen.add(number)
            yield f"{number:06x}"


def _towns(random: Random, count: int) -> list[Municipality]:
    out: list[Municipality] = []
    for title in random.sample(TOWNS, count):
        while True:
            latitude, longitude = random.uniform(*LATITUDE_SPAN), random.uniform(*LONGITUDE_SPAN)
            if all(_metres(latitude, longitude, t.latitude, t.longitude) >= TOWN_SPACING_M for t in out):
                break
        out.append(Municipality(name=slug(title), title=title, latitude=latitude, longitude=longitude))
    return out


def _metres(latitude: float, longitude: float, latitude_b: float, longitude_b: float) -> float:
    north = (latitude_b - latitude) * METRES_PER_DEGREE
    east = (longitude_b - longitude) * METRES_PER_DEGREE * math.cos(math.radians(latitude))
    return math.hypot(north, east)


class _Town:
    """Builds the assets of one town along streets that leave its centre."""

    def __init__(self, random: Random, town: Municipality) -> None:
        self._random = random
        self._town = town
        bearing = random.uniform(0, 360)
        streets = random.sample(STREETS, 6)
        self._streets = [(s, bearing + 60 * n + random.uniform(-15, 15)) for n, s in enumerate(streets)]
        self._counts: Counter[str] = Counter()

    def groups(self, count: int, *, gateway: bool) -> Iterator[tuple[Asset, ...]]:
        """Assets of ``count`` devices, one tuple a device; with ``gateway`` one tuple holds several inverters."""
        if gateway:
            yield self._gateway()
            count -= 1
        stops, roofs = (max(round(count * share), count >= 4) for share in SHARES.values())
        rest = count - stops - roofs
        cabinets = math.ceil(rest / (LAMPS_PER_CABINET + 1)) if rest > 1 else 0
        yield from self._lighting(rest - cabinets, cabinets)
        for _ in range(stops):
            label = self._label(STOPS)
            yield (self._asset("stop", label, self._random.uniform(20, 700), 6, self._random.choice((150.0, 200.0))),)
        for _ in range(roofs):
            yield (self._roof(self._label(ROOFS)),)

    def _lighting(self, lamps: int, cabinets: int) -> Iterator[tuple[Asset, ...]]:
        first = self._random.randrange(1, 400)
        for number in range(cabinets):
            share = lamps // cabinets + (number < lamps % cabinets)
            label = f"RVO-{number + 1:02d}"
            street = self._streets[number % len(self._streets)]
            start = 40.0 + 650.0 * (number // len(self._streets))
            power = self._random.choice(LAMP_POWERS_W)
            yield (self._asset("cabinet", label, start - 10, 4, power * share, street=street),)
            for pole in range(share):
                along = start + 31.0 * pole + self._random.uniform(-2, 2)
                side = 5 if pole % 2 else -5
                yield (self._asset("lamp", f"VO-{first:04d}", along, side, power, street=street, cabinet=label),)
                first += 1
        if not cabinets and lamps:
            yield (self._asset("lamp", f"VO-{first:04d}", 30, 5, self._random.choice(LAMP_POWERS_W)),)

    def _gateway(self) -> tuple[Asset, ...]:
        along, street = self._random.uniform(100, 500), self._random.choice(self._streets)
        return tuple(
            self._roof(f"Sportovní hala, střídač {n + 1}", along=along + 8 * n, street=street, azimuth=azimuth)
            for n, azimuth in enumerate((90.0, 180.0, 270.0)[:GATEWAY_INVERTERS])
        )

    def _roof(
        self,
        label: str,
        *,
        along: float | None = None,
        street: tuple[str, float] | None = None,
        azimuth: float | None = None,
    ) -> Asset:
        return self._asset(
            "solar",
            label,
            self._random.uniform(30, 600) if along is None else along,
            22,
            self._random.choice(ROOF_POWERS_W),
            street=street,
            tilt=float(self._random.choice((10, 25, 35))),
            azimuth=self._random.uniform(120, 240) if azimuth is None else azimuth,
        )

    def _label(self, labels: Sequence[str]) -> str:
        base = labels[self._counts[labels[0]] % len(labels)]
        self._counts[labels[0]] += 1
        again = (self._counts[labels[0]] - 1) // len(labels)
        return f"{base} {again + 1}" if again else base

    def _asset(
        self,
        kind: str,
        label: str,
        along: float,
        side: float,
        power: float,
        *,
        street: tuple[str, float] | None = None,
        cabinet: str | None = None,
        tilt: float | None = None,
        azimuth: float | None = None,
    ) -> Asset:
        """``along`` metres from the centre on a street, ``side`` metres to its right."""
        name, bearing = street or self._random.choice(self._streets)
        angle = math.radians(bearing)
        north = along * math.cos(angle) - side * math.sin(angle)
        east = along * math.sin(angle) + side * math.cos(angle)
        latitude = self._town.latitude + north / METRES_PER_DEGREE
        longitude = self._town.longitude + east / (METRES_PER_DEGREE * math.cos(math.radians(self._town.latitude)))
        return Asset(
            kind=kind,
            municipality=self._town.name,
            label=label,
            street=name,
            latitude=round(latitude, 6),
            longitude=round(longitude, 6),
            power_rated_w=power,
            cabinet=cabinet,
            tilt_deg=tilt,
            azimuth_deg=azimuth,
        )
