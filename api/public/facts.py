"""What the public pages tell, worked out from what anybody may know and kept for some seconds."""

import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from api.freshness import HEARTBEATS_MISSED_MAX
from api.service import Service
from kraj import sun
from kraj.kinds.lamp import LAMP
from kraj.kinds.stop import STOP
from kraj.store import public

KEPT_S = 8.0
"""Less than a page is fresh, so that a page that is made again tells something new."""
NAMES_KEPT_S = 60.0
KEPT_MAX = 50
DUSK_DEG = -3.0
"""Lower than that the sun must not be for a stop's light to be due."""
STOP_OLD = HEARTBEATS_MISSED_MAX * timedelta(seconds=STOP.heartbeat_idle_s)
LAMP_OLD = HEARTBEATS_MISSED_MAX * timedelta(seconds=LAMP.heartbeat_idle_s)
SERVICES = ("lit", "wifi", "display", "charging", "voice")
"""Of a stop, in the order in which they are told."""

Found = TypeVar("Found")


class Known(StrEnum):
    """What is known of a service."""

    YES = "yes"
    NO = "no"
    DAY = "day"
    """The light is off, and it is day."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class StopShown:
    """A stop for passengers; nothing is said on the strength of what is too old."""

    stop: public.Stop
    heard: bool
    services: dict[str, Known]

    @property
    def condition(self) -> str:
        """As the map colours it."""
        if not self.heard:
            return "never"
        return "unusual" if Known.NO in self.services.values() else "reporting"


@dataclass(frozen=True, slots=True)
class Share:
    """So many of those of which it is known, of all there are."""

    yes: int
    known: int
    every: int


@dataclass(frozen=True, slots=True)
class Roofs:
    """Today's energy in kWh and CO₂ in kg; None where nothing is known. ``known`` roofs of ``every`` are in it."""

    kwh: float | None
    co2_kg: float | None
    known: int
    every: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a municipality or of the region."""

    lamps: int
    dark: int
    outages: int
    stops: int
    heard: int
    services: dict[str, Share]
    roofs: Roofs


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """The region at a moment: each municipality with its figures."""

    at: datetime
    figures: Figures
    towns: list[tuple[public.Town, Figures]]


@dataclass(frozen=True, slots=True)
class TownFacts:
    """A municipality at a moment."""

    at: datetime
    town: public.Town
    figures: Figures
    stops: list[StopShown]
    outages: list[public.Outage]
    streets: list[public.Street]
    lamps: list[public.Lamp]
    lamps_heard: int
    roofs: list[tuple[public.Roof, bool]]
    """With whether their figures are today's."""


@dataclass(frozen=True, slots=True)
class Names:
    """What can be searched in the whole region."""

    towns: list[public.Town]
    stops: list[public.Stop]
    streets: list[public.Street]


class Facts:
    """Reads as nobody. Callers see to it that not everybody reads at once."""

    def __init__(self, service: Service, zone: ZoneInfo, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._zone = zone
        self._monotonic = monotonic
        self._kept: OrderedDict[str, tuple[float, object]] = OrderedDict()

    async def region(self) -> RegionFacts:
        """The region and its published municipalities."""
        return await self._once("", KEPT_S, self._region)

    async def town(self, name: str) -> TownFacts | None:
        """A published municipality."""
        towns = await self._once("/towns", KEPT_S, self._towns)
        found = towns.get(name)
        return None if found is None else await self._once(f"town {name}", KEPT_S, lambda: self._town(found))

    async def names(self) -> Names:
        """For searching."""
        return await self._once("/names", NAMES_KEPT_S, self._names)

    async def _once(self, key: str, kept_s: float, read: Callable[[], Awaitable[Found]]) -> Found:
        until, found = self._kept.get(key, (0.0, None))
        if self._monotonic() < until:
            return found  # pyright: ignore[reportReturnType]  # each key has one reader
        made = await read()
        self._kept[key] = (self._monotonic() + kept_s, made)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return made

    async def _towns(self) -> dict[str, public.Town]:
        async with self._service.database.connection() as connection:
            return {town.name: town for town in await public.towns(connection)}

    async def _names(self) -> Names:
        async with self._service.database.connection() as connection:
            return Names(
                await public.towns(connection), await public.stops(connection), await public.streets(connection)
            )

    async def _region(self) -> RegionFacts:
        at = self._service.clock()
        async with self._service.database.connection(snapshot=True) as connection:
            towns = await public.towns(connection)
            stops = shown_stops(await public.stops(connection), at)
            outages = await public.outages(connection)
            roofs = [(roof, self._today(roof, at)) for roof in await public.roofs(connection)]
        parts = [
            (
                town,
                figures(
                    town.lamps,
                    [stop for stop in stops if stop.stop.municipality == town.name],
                    [outage for outage in outages if outage.municipality == town.name],
                    [one for one in roofs if one[0].municipality == town.name],
                ),
            )
            for town in towns
        ]
        return RegionFacts(at, figures(sum(town.lamps for town in towns), stops, outages, roofs), parts)

    async def _town(self, town: public.Town) -> TownFacts:
        at = self._service.clock()
        async with self._service.database.connection(snapshot=True) as connection:
            stops = shown_stops(await public.stops(connection, town.name), at)
            outages = await public.outages(connection, town.name)
            streets = await public.streets(connection, town.name)
            lamps = await public.lamps(connection, town.name)
            roofs = [(roof, self._today(roof, at)) for roof in await public.roofs(connection, town.name)]
        heard = sum(lamp.heard_at is not None and at - lamp.heard_at <= LAMP_OLD for lamp in lamps)
        told = figures(town.lamps, stops, outages, roofs)
        return TownFacts(at, town, told, stops, outages, streets, lamps, heard, roofs)

    def _today(self, roof: public.Roof, at: datetime) -> bool:
        return roof.energy_kwh is not None and roof.day == at.astimezone(self._zone).date()


def shown_stops(stops: Sequence[public.Stop], at: datetime) -> list[StopShown]:
    """What can be said of stops at a moment."""
    return [_stop(stop, at) for stop in stops]


def _stop(stop: public.Stop, at: datetime) -> StopShown:
    heard = stop.heard_at is not None and at - stop.heard_at <= STOP_OLD
    told = (stop.lit, stop.wifi_up, stop.display_truthful, stop.charging, stop.voice)
    services = {name: _known(value if heard else None) for name, value in zip(SERVICES, told, strict=True)}
    if services["lit"] is Known.NO and _day(stop, at):
        services["lit"] = Known.DAY
    return StopShown(stop, heard, services)


def _known(value: bool | None) -> Known:
    return Known.UNKNOWN if value is None else Known.YES if value else Known.NO


def _day(stop: public.Stop, at: datetime) -> bool:
    """Whether no light is due; where it stands is in the region, also when nobody has said where."""
    latitude, longitude = stop.latitude or 49.8, stop.longitude or 15.5
    return float(sun.elevation_deg(at.timestamp() * 1000, latitude, longitude)) > DUSK_DEG


def figures(
    lamps: int,
    stops: Sequence[StopShown],
    outages: Sequence[public.Outage],
    roofs: Sequence[tuple[public.Roof, bool]],
) -> Figures:
    """Of what is given."""
    dark = {asset_id for outage in outages for asset_id in outage.asset_ids or ()}
    counts = {name: Counter(stop.services[name] for stop in stops) for name in SERVICES}
    shares = {
        name: Share(
            yes := count[Known.YES] + count[Known.DAY],
            yes + count[Known.NO],
            len(stops),
        )
        for name, count in counts.items()
    }
    known = [roof for roof, today in roofs if today]
    with_factor = [roof.avoided_co2_kg for roof in known if roof.avoided_co2_kg is not None]
    return Figures(
        lamps=lamps,
        dark=len(dark),
        outages=len(outages),
        stops=len(stops),
        heard=sum(stop.heard for stop in stops),
        services=shares,
        roofs=Roofs(
            kwh=sum(roof.energy_kwh or 0.0 for roof in known) if known else None,
            co2_kg=sum(with_factor) if with_factor and len(with_factor) == len(known) else None,
            known=len(known),
            every=len(roofs),
        ),
    )
