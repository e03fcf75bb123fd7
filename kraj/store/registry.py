"""The registry as ingest reads it, and registering many devices at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from kraj.errors import ConfigurationError
from kraj.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Installation:
    """One device channel and the asset it serves; ``asset_id`` and what follows is None for a device without one.

    ``state`` is the registry's, or ``revoked`` where the device had certificates and every one has been revoked.
    """

    municipality: str
    device: str
    device_id: int
    device_municipality_id: int
    state: str
    channel: int | None
    asset_id: int | None
    kind: str | None
    municipality_id: int | None


_INSTALLATIONS = """
    SELECT m.name AS municipality, d.name AS device, d.device_id, d.municipality_id AS device_municipality_id,
           CASE WHEN c.revoked AND d.state NOT IN ('suspended', 'decommissioned') THEN 'revoked'
                ELSE d.state END AS state,
           i.channel, a.asset_id, a.kind, a.municipality_id
    FROM device d
    JOIN municipality m USING (municipality_id)
    LEFT JOIN (SELECT device_id, bool_and(revoked_at IS NOT NULL) AS revoked FROM device_certificate GROUP BY 1) c
        ON c.device_id = d.device_id
    LEFT JOIN installed i ON i.device_id = d.device_id AND i.valid_to IS NULL
    LEFT JOIN asset a ON a.asset_id = i.asset_id
    ORDER BY d.device_id, i.channel
"""


async def read(connection: psycopg.AsyncConnection[Any]) -> tuple[int, list[Installation]]:
    """The registry's version and every device with what it serves now, read in one snapshot."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = await (await connection.execute("SELECT version FROM registry_version")).fetchone()
        async with connection.cursor(row_factory=class_row(Installation)) as cursor:
            await cursor.execute(_INSTALLATIONS)
            return (row[0] if row else 0), await cursor.fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAsset:
    """An asset to register."""

    kind: str
    label: str
    latitude: float | None = None
    longitude: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDevice:
    """A device to register with the asset on each of its channels."""

    name: str
    municipality: str
    assets: Mapping[int, NewAsset]


_INSTALL = """
    WITH new AS (
        SELECT nextval(pg_get_serial_sequence('asset', 'asset_id'))::int AS asset_id, n.*
        FROM unnest(%(municipality_id)s::int[], %(kind)s::text[], %(label)s::text[], %(latitude)s::float8[],
                    %(longitude)s::float8[], %(metadata)s::jsonb[], %(device)s::text[], %(channel)s::int[])
             AS n(municipality_id, kind, label, latitude, longitude, metadata, device, channel)
    ), asset_rows AS (
        INSERT INTO asset (asset_id, municipality_id, kind, label, latitude, longitude, metadata)
        OVERRIDING SYSTEM VALUE
        SELECT asset_id, municipality_id, kind, label, latitude, longitude, metadata FROM new
        RETURNING asset_id
    )
    INSERT INTO installed (asset_id, device_id, channel, valid_from)
    SELECT new.asset_id, device.device_id, new.channel, %(at)s
    FROM new JOIN asset_rows USING (asset_id) JOIN device ON device.name = new.device
"""


def register(
    connection: psycopg.Connection[Any], municipalities: Mapping[str, str], devices: Iterable[NewDevice], at: datetime
) -> int:
    """Register municipalities (name to title) and devices with their assets; known ones stay as they are.

    Returns how many devices are new. Raises ``ConfigurationError`` on an unknown kind or municipality, a name given
    twice, and whatever else the database refuses; then nothing is registered.
    """
    try:
        with connection.transaction():
            return _register(connection, municipalities, devices, at)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise ConfigurationError(f"the registry refuses this: {error}") from error


def register_streets(connection: psycopg.Connection[Any], classes: tuple[str, str], at: datetime) -> int:
    """Each street's lamps as a segment, where there is none of its name yet; how many were made.

    A cabinet that cuts feeders by day is in the segment of the first street that hangs on them. ``classes`` are the
    designed one and the darkest that is permitted (EN 13201).
    """
    made = connection.execute(
        """
        WITH streets AS (
            SELECT municipality_id, metadata ->> 'street' AS street, array_agg(asset_id) AS lamps FROM asset
            WHERE kind = 'lamp' AND metadata ->> 'street' <> '' AND retired_at IS NULL GROUP BY 1, 2
        ), switched AS (
            SELECT c.municipality_id, c.asset_id, min(a.metadata ->> 'street') AS street FROM asset c
            JOIN asset a ON a.municipality_id = c.municipality_id AND a.kind = 'lamp' AND a.retired_at IS NULL
                AND a.metadata ->> 'cabinet' = c.label AND a.metadata ->> 'feeder_switched' IN ('1', '1.0', 'true')
            WHERE c.kind = 'cabinet' AND c.retired_at IS NULL AND a.metadata ->> 'street' <> '' GROUP BY 1, 2
        ), groups AS (
            INSERT INTO asset_group (municipality_id, name, kind) SELECT municipality_id, street, 'segment' FROM streets
            ON CONFLICT DO NOTHING RETURNING group_id, municipality_id, name
        ), members AS (
            INSERT INTO asset_group_member (group_id, asset_id)
            SELECT g.group_id, lamp FROM groups g
            JOIN streets s ON s.municipality_id = g.municipality_id AND s.street = g.name
            CROSS JOIN unnest(s.lamps) AS lamp
            WHERE NOT EXISTS (SELECT FROM asset_group_member m WHERE m.asset_id = lamp AND m.segment)
            UNION ALL
            SELECT g.group_id, c.asset_id FROM groups g
            JOIN switched c ON c.municipality_id = g.municipality_id AND c.street = g.name
            WHERE NOT EXISTS (SELECT FROM asset_group_member m WHERE m.asset_id = c.asset_id AND m.segment)
        )
        INSERT INTO lighting_segment (group_id, municipality_id, designed_class, permitted_class, changed_at, who)
        SELECT group_id, municipality_id, %s, %s, %s, 'kraj' FROM groups
        """,
        [*classes, at],
    )
    return made.rowcount


def _register(
    connection: psycopg.Connection[Any], municipalities: Mapping[str, str], devices: Iterable[NewDevice], at: datetime
) -> int:
    with connection.cursor() as cursor:
        there = {name for (name,) in cursor.execute("SELECT name FROM municipality").fetchall()}
        cursor.executemany(
            "INSERT INTO municipality (name, title) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [(name, title) for name, title in municipalities.items() if name not in there],
        )
        ids = dict(cursor.execute("SELECT name, municipality_id FROM municipality").fetchall())
        known = {name for (name,) in cursor.execute("SELECT name FROM device").fetchall()}
        new = [device for device in devices if device.name not in known]
        for device in new:
            if device.municipality not in ids:
                raise ConfigurationError(f"device {device.name}: unknown municipality {device.municipality!r}")
            for asset in device.assets.values():
                if asset.kind not in KINDS:
                    raise ConfigurationError(f"device {device.name}: unknown kind {asset.kind!r}; known: {list(KINDS)}")
        if not new:
            return 0  # so that ingest need not read the registry again
        # Whole sets, not rows: each statement raises the registry's version once.
        cursor.execute(
            "INSERT INTO device (name, municipality_id, state)"
            " SELECT name, owner, 'provisioned' FROM unnest(%s::text[], %s::int[]) AS n(name, owner)",
            [[device.name for device in new], [ids[device.municipality] for device in new]],
        )
        rows = [(device, channel, asset) for device in new for channel, asset in device.assets.items()]
        cursor.execute(
            _INSTALL,
            {
                "municipality_id": [ids[device.municipality] for device, _, _ in rows],
                "kind": [asset.kind for _, _, asset in rows],
                "label": [asset.label for _, _, asset in rows],
                "latitude": [asset.latitude for _, _, asset in rows],
                "longitude": [asset.longitude for _, _, asset in rows],
                "metadata": [Jsonb(dict(asset.metadata)) for _, _, asset in rows],
                "device": [device.name for device, _, _ in rows],
                "channel": [channel for _, channel, _ in rows],
                "at": at,
            },
        )
    return len(new)
