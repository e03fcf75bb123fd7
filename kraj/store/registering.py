"""Writing the registry in the name of a principal: assets, devices, what serves what, the life of devices; in sets.

Every function runs inside the caller's transaction and moves whole sets, as each statement raises the registry's
version once. The wall (0010) decides what may be written; ``writable`` in the records below only tells it beforehand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class MunicipalityNow:
    """A municipality, and whether the principal may register there or (``governed``) change the row itself."""

    municipality_id: int
    name: str
    title: str
    published: bool
    version: int
    writable: bool
    governed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetNow:
    """An asset as it stands, and whether the principal may change it."""

    asset_id: int
    municipality_id: int
    municipality: str
    kind: str
    label: str
    latitude: float | None
    longitude: float | None
    metadata: dict[str, Any]
    retired_at: datetime | None
    version: int
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceNow:
    """A device as it stands, and whether the principal may change it."""

    device_id: int
    name: str
    municipality_id: int
    municipality: str
    state: str
    version: int
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAsset:
    """An asset to add; ``metadata`` is checked already (``kraj.metadata``)."""

    municipality_id: int
    kind: str
    label: str
    latitude: float | None = None
    longitude: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Install:
    """An asset to put behind a channel of a device."""

    asset_id: int
    device_id: int
    channel: int = 0


async def at_moment(connection: Connection, at: datetime) -> None:
    """Tell the transaction's triggers what time it is, as the service believes."""
    await connection.execute("SELECT set_config('kraj.at', %s, true)", [at.isoformat()])


async def municipality(connection: Connection, name: str) -> MunicipalityNow | None:
    """One municipality by name."""
    async with connection.cursor(row_factory=class_row(MunicipalityNow)) as cursor:
        await cursor.execute(
            "SELECT municipality_id, name, title, published, version,"
            " municipality_id = ANY ((SELECT kraj_municipalities('register'))::integer[]) AS writable,"
            " kraj_region('register') AS governed FROM municipality WHERE name = %s",
            [name],
        )
        return await cursor.fetchone()


async def asset(connection: Connection, asset_id: int) -> AssetNow | None:
    """One asset; None where there is none that may be seen."""
    async with connection.cursor(row_factory=class_row(AssetNow)) as cursor:
        await cursor.execute(
            "SELECT a.asset_id, a.municipality_id, m.name AS municipality, a.kind, a.label, a.latitude, a.longitude,"
            " a.metadata, a.retired_at, a.version,"
            " a.municipality_id = ANY ((SELECT kraj_municipalities('register'))::integer[]) AS writable"
            " FROM asset a JOIN municipality m USING (municipality_id) WHERE a.asset_id = %s",
            [asset_id],
        )
        return await cursor.fetchone()


async def device(connection: Connection, name: str) -> DeviceNow | None:
    """One device; None where there is none that may be seen."""
    async with connection.cursor(row_factory=class_row(DeviceNow)) as cursor:
        await cursor.execute(
            "SELECT d.device_id, d.name, d.municipality_id, m.name AS municipality, d.state, d.version,"
            " d.municipality_id = ANY ((SELECT kraj_municipalities('register'))::integer[])"
            " OR d.device_id = ANY ((SELECT kraj_devices('register'))::integer[]) AS writable"
            " FROM device d JOIN municipality m USING (municipality_id) WHERE d.name = %s",
            [name],
        )
        return await cursor.fetchone()


async def lock_devices(connection: Connection, names: Sequence[str]) -> None:
    """Hold these devices until the transaction ends, in one order, so that two of us never wait for each other."""
    await connection.execute("SELECT 1 FROM device WHERE name = ANY (%s) ORDER BY device_id FOR UPDATE", [list(names)])


async def municipalities(connection: Connection, *, after: str, limit: int) -> list[tuple[str, str, bool]]:
    """Names, titles and whether anybody may see what is public of them, by name, behind ``after``."""
    cursor = await connection.execute(
        "SELECT name, title, published FROM municipality WHERE name > %s ORDER BY name LIMIT %s", [after, limit]
    )
    return await cursor.fetchall()


async def own_municipalities(connection: Connection) -> list[tuple[str, str]]:
    """Names and titles of those in which the principal may register, by title."""
    cursor = await connection.execute(
        "SELECT name, title FROM municipality"
        " WHERE municipality_id = ANY ((SELECT kraj_municipalities('register'))::integer[]) ORDER BY title, name"
    )
    return await cursor.fetchall()


async def may_govern(connection: Connection) -> bool:
    """Whether the principal founds and drops municipalities."""
    row = await (await connection.execute("SELECT kraj_region('register')")).fetchone()
    return bool(row and row[0])


async def add_municipality(connection: Connection, name: str, title: str) -> None:
    """A new municipality; raises psycopg's ``UniqueViolation`` for a name that is taken."""
    await connection.execute("INSERT INTO municipality (name, title) VALUES (%s, %s)", [name, title])


async def rename_municipality(connection: Connection, name: str, title: str, version: int) -> bool:
    """Another title; False when somebody was faster."""
    cursor = await connection.execute(
        "UPDATE municipality SET title = %s WHERE name = %s AND version = %s", [title, name, version]
    )
    return cursor.rowcount == 1


async def drop_municipality(connection: Connection, name: str, version: int) -> bool:
    """Remove one that owns nothing (else ``ForeignKeyViolation``); False when somebody was faster."""
    cursor = await connection.execute("DELETE FROM municipality WHERE name = %s AND version = %s", [name, version])
    return cursor.rowcount == 1


async def add_assets(connection: Connection, new: Sequence[NewAsset]) -> list[int]:
    """Their ids, in the same order."""
    cursor = await connection.execute(
        "INSERT INTO asset (municipality_id, kind, label, latitude, longitude, metadata)"
        " SELECT municipality_id, kind, label, latitude, longitude, metadata"
        " FROM unnest(%s::int[], %s::text[], %s::text[], %s::float8[], %s::float8[], %s::jsonb[]) WITH ORDINALITY"
        "  AS n(municipality_id, kind, label, latitude, longitude, metadata, place) ORDER BY place RETURNING asset_id",
        [
            [asset.municipality_id for asset in new],
            [asset.kind for asset in new],
            [asset.label for asset in new],
            [asset.latitude for asset in new],
            [asset.longitude for asset in new],
            [Jsonb(dict(asset.metadata)) for asset in new],
        ],
    )
    # Rows are inserted, numbered and returned in the order of the query.
    return [asset_id for (asset_id,) in await cursor.fetchall()]


async def change_asset(
    connection: Connection, asset_id: int, version: int, changes: Mapping[str, Any], at: datetime
) -> int | None:
    """Set columns of an asset; the new version, or None when somebody was faster. An old label is kept by a trigger."""
    await at_moment(connection, at)
    values = {name: Jsonb(value) if name == "metadata" else value for name, value in changes.items()}
    sets = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(n), sql.Placeholder(n)) for n in values)
    cursor = await connection.execute(
        sql.SQL("UPDATE asset SET {} WHERE asset_id = %(id)s AND version = %(of)s RETURNING version").format(sets),
        {**values, "id": asset_id, "of": version},
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def remove_asset(connection: Connection, asset_id: int, version: int, at: datetime) -> bool | None:
    """Remove an asset that nothing ever referred to (True), else retire it (False); None when somebody was faster.

    A retired asset has no device, stands in no list, and keeps its history.
    """
    await connection.execute("DELETE FROM asset_group_member WHERE asset_id = %s", [asset_id])
    try:
        async with connection.transaction():
            cursor = await connection.execute(
                "DELETE FROM asset WHERE asset_id = %s AND version = %s", [asset_id, version]
            )
            return True if cursor.rowcount else None
    except psycopg.errors.ForeignKeyViolation:
        await uninstall(connection, assets=[asset_id], at=at)
        done = await change_asset(connection, asset_id, version, {"retired_at": at}, at)
        return None if done is None else False


async def add_devices(
    connection: Connection,
    municipality_id: int,
    names: Sequence[str],
    *,
    who: str,
    step: str,
    reason: str,
    at: datetime,
) -> list[int]:
    """New devices under a municipality's topics, registered; their ids. Raises ``UniqueViolation`` on a name in use."""
    cursor = await connection.execute(
        "INSERT INTO device (name, municipality_id, state) SELECT name, %s, 'registered'"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS n(name, place) ORDER BY place RETURNING device_id",
        [municipality_id, list(names)],
    )
    ids = [device_id for (device_id,) in await cursor.fetchall()]
    await _note(connection, ids, step=step, state="registered", who=who, reason=reason, at=at, detail={})
    return ids


async def install(connection: Connection, new: Sequence[Install], at: datetime) -> None:
    """Put assets behind channels. Raises ``UniqueViolation`` where one of them is served, or the channel taken."""
    # A channel that was freed in this very moment begins a microsecond later: the key holds its beginning.
    await connection.execute(
        "INSERT INTO installed (asset_id, device_id, channel, valid_from)"
        " SELECT n.asset_id, n.device_id, n.channel, greatest(%s::timestamptz, (SELECT max(i.valid_to) FROM installed i"
        "   WHERE i.asset_id = n.asset_id OR i.device_id = n.device_id AND i.channel = n.channel))"
        " FROM unnest(%s::int[], %s::int[], %s::int[]) AS n(asset_id, device_id, channel)",
        [at, [one.asset_id for one in new], [one.device_id for one in new], [one.channel for one in new]],
    )


async def uninstall(
    connection: Connection, *, at: datetime, assets: Sequence[int] = (), devices: Sequence[int] = ()
) -> list[Install]:
    """Take assets off their devices, or devices off all their assets; what there was."""
    cursor = await connection.execute(
        "UPDATE installed SET valid_to = greatest(%s::timestamptz, valid_from + interval '1 microsecond')"
        " WHERE valid_to IS NULL AND (asset_id = ANY (%s::int[]) OR device_id = ANY (%s::int[]))"
        " RETURNING asset_id, device_id, channel",
        [at, list(assets), list(devices)],
    )
    return [Install(*row) for row in await cursor.fetchall()]


async def take_step(
    connection: Connection,
    device_ids: Sequence[int],
    *,
    step: str,
    state: str,
    who: str,
    reason: str,
    at: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Put devices into a state and write it into their history; the caller holds them and knows that it may be so."""
    await connection.execute(
        "UPDATE device SET state = %s WHERE device_id = ANY (%s) AND state <> %s", [state, list(device_ids), state]
    )
    await _note(
        connection, device_ids, step=step, state=state, who=who, reason=reason, at=at, detail=dict(detail or {})
    )


async def _note(
    connection: Connection,
    device_ids: Sequence[int],
    *,
    step: str,
    state: str,
    who: str,
    reason: str,
    at: datetime,
    detail: dict[str, Any],
) -> None:
    await connection.execute(
        "INSERT INTO device_life (device_id, at, step, state, who, reason, detail)"
        " SELECT device_id, %s, %s, %s, %s, %s, %s FROM unnest(%s::int[]) AS n(device_id)",
        [at, step, state, who, reason, Jsonb(detail), list(device_ids)],
    )


async def ask_safe_mode(connection: Connection, device_id: int, at: datetime, until: datetime) -> bool:
    """Leave the command for ingest, which tells it as long as it counts; False where the device does not know it."""
    row = await (await connection.execute("SELECT ask_safe_mode(%s, %s, %s)", [device_id, at, until])).fetchone()
    return row is not None and bool(row[0])
