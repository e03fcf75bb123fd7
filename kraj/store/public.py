"""What anybody may know, read from the views ``public_*``: towns, stops, lighting, roofs, outages."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A published municipality and what it has; the place is the middle of its assets."""

    municipality_id: int
    name: str
    title: str
    lamps: int
    stops: int
    roofs: int
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop as it last spoke of itself; None is what it has not, or has not told."""

    asset_id: int
    municipality: str
    label: str
    street: str | None
    latitude: float | None
    longitude: float | None
    heard_at: datetime | None
    lit: bool | None
    wifi_up: bool | None
    display_truthful: bool | None
    charging: bool | None
    voice: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A known outage; ``place`` is a lamp's label or the name of a feeder, cabinet or supply area (``scope_type``)."""

    municipality: str
    scope_type: str
    of_the_grid: bool
    place: str
    street: str | None
    latitude: float | None
    longitude: float | None
    lamps: int | None
    asset_ids: list[int] | None
    since: datetime
    progress: str
    expected_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """Lighting of a street, or of a cabinet where no street is known; neither: of the rest."""

    municipality: str
    street: str | None
    cabinet: str | None
    lamps: int
    lamps_dark: int
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """Where a lamp stands; ``dark_since`` when an outage of it is known."""

    asset_id: int
    municipality: str
    label: str
    street: str | None
    cabinet: str | None
    latitude: float | None
    longitude: float | None
    heard_at: datetime | None
    dark_since: datetime | None
    expected_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """A roof and the newest day of which something is known; energy in kWh, CO₂ in kg, ``covered_s`` of that day."""

    asset_id: int
    municipality: str
    label: str
    street: str | None
    site: str | None
    latitude: float | None
    longitude: float | None
    power_peak_kw: float | None
    day: date | None
    energy_kwh: float | None
    avoided_co2_kg: float | None
    covered_s: float | None


async def towns(connection: Connection) -> list[Town]:
    """All that are published, by title."""
    async with connection.cursor(row_factory=class_row(Town)) as cursor:
        await cursor.execute(
            "SELECT municipality_id, name, title, lamps, stops, roofs, latitude, longitude FROM public_town"
            " ORDER BY title, name"
        )
        return await cursor.fetchall()


async def stops(connection: Connection, town: str | None = None) -> list[Stop]:
    """Of a municipality, or of all."""
    async with connection.cursor(row_factory=class_row(Stop)) as cursor:
        await cursor.execute(_select(Stop, "public_stop", town, "label, asset_id"), {"town": town})
        return await cursor.fetchall()


async def outages(connection: Connection, town: str | None = None) -> list[Outage]:
    """Of a municipality, or of all; the oldest first."""
    async with connection.cursor(row_factory=class_row(Outage)) as cursor:
        await cursor.execute(_select(Outage, "public_outage", town, "since, place"), {"town": town})
        return await cursor.fetchall()


async def streets(connection: Connection, town: str | None = None) -> list[Street]:
    """Of a municipality, or of all."""
    async with connection.cursor(row_factory=class_row(Street)) as cursor:
        order = "street NULLS LAST, cabinet NULLS LAST"
        await cursor.execute(_select(Street, "public_lighting", town, order), {"town": town})
        return await cursor.fetchall()


async def lamps(connection: Connection, town: str) -> list[Lamp]:
    """Of a municipality."""
    async with connection.cursor(row_factory=class_row(Lamp)) as cursor:
        await cursor.execute(_select(Lamp, "public_lamp", town, "street, label, asset_id"), {"town": town})
        return await cursor.fetchall()


async def roofs(connection: Connection, town: str | None = None) -> list[Roof]:
    """Of a municipality, or of all."""
    async with connection.cursor(row_factory=class_row(Roof)) as cursor:
        await cursor.execute(_select(Roof, "public_roof", town, "site, label, asset_id"), {"town": town})
        return await cursor.fetchall()


async def kind_and_town(connection: Connection, asset_id: int) -> tuple[str, str] | None:
    """Of a lamp or a stop that anybody may know of: ``lamp`` or ``stop``, and its municipality's name."""
    cursor = await connection.execute(
        "SELECT 'lamp', municipality FROM public_lamp WHERE asset_id = %(asset)s"
        " UNION ALL SELECT 'stop', municipality FROM public_stop WHERE asset_id = %(asset)s LIMIT 1",
        {"asset": asset_id},
    )
    return await cursor.fetchone()


async def publish(connection: Connection, name: str, *, published: bool, version: int) -> int | None:
    """Show a municipality to anybody, or not; its new version, or None: somebody was faster, or one may not."""
    row = await (await connection.execute("SELECT publish_town(%s, %s, %s)", [name, published, version])).fetchone()
    return row[0] if row else None


async def managed(connection: Connection) -> list[tuple[str, str, bool, int]]:
    """Name, title, whether it is published, and version of the municipalities whose people the principal manages."""
    cursor = await connection.execute(
        "SELECT name, title, published, version FROM municipality"
        " WHERE municipality_id = ANY ((SELECT kraj_municipalities('people'))::integer[]) ORDER BY title, name"
    )
    return await cursor.fetchall()


def _select(row: type[Stop | Outage | Street | Lamp | Roof], view: str, town: str | None, order: str) -> bytes:
    where = "" if town is None else " WHERE municipality = %(town)s"
    return f"SELECT {', '.join(row.__dataclass_fields__)} FROM {view}{where} ORDER BY {order}".encode()  # noqa: S608 - ours
