"""Foreign devices in the database: how each is read, the ring of their last messages, and what is to be fetched."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import class_row, scalar_row
from psycopg.types.json import Jsonb

from kraj.quarantine import printable
from kraj.store.connection import REFUSALS, Connection, many

if TYPE_CHECKING:
    from kraj.store.batch import Batch, Outcome

RING = 20
"""Messages kept a device: enough to see a whole period of its reports, little enough to be no second archive."""
PAYLOAD_KEPT_BYTES = 4096
MESSAGES_PER_BATCH_MAX = 500
"""Beyond it only the newest of a batch are shown; the ring would forget the others within the second anyway."""


@dataclass(frozen=True, slots=True)
class ForeignDevice:
    """How a device is read; ``document`` is its mapping as stored, {} where it needs none."""

    device: str
    municipality: str
    adapter: str
    address: str | None
    document: dict[str, Any]


@dataclass(slots=True)
class ForeignMessage:
    """One message for the ring. ``message`` is its position in the batch, by which duplicates are found."""

    device_id: int
    municipality_id: int
    topic: str
    payload: bytes
    readings: list[dict[str, Any]]
    verdict: str
    reasons: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    message: int = -1


async def read(connection: Connection) -> list[ForeignDevice]:
    """All foreign devices."""
    async with connection.cursor(row_factory=class_row(ForeignDevice)) as cursor:
        await cursor.execute(
            "SELECT d.name AS device, m.name AS municipality, f.adapter, f.address,"
            " coalesce(p.document, '{}'::jsonb) AS document"
            " FROM foreign_device f JOIN device d USING (device_id)"
            " JOIN municipality m ON m.municipality_id = d.municipality_id LEFT JOIN mapping p USING (mapping_id)"
        )
        return await cursor.fetchall()


_KEEP = f"""
    INSERT INTO foreign_message (device_id, place, number, municipality_id, at, topic, payload, payload_bytes, readings,
                                 verdict, reasons)
    SELECT %(device_id)s, (n + 1) %% {RING}, n + 1, %(municipality_id)s, %(at)s, %(topic)s, %(payload)s, %(bytes)s,
           %(readings)s, %(verdict)s, %(reasons)s
    FROM (SELECT coalesce(max(number), 0) AS n FROM foreign_message WHERE device_id = %(device_id)s) AS last
    ON CONFLICT (device_id, place) DO UPDATE SET
        number = EXCLUDED.number, municipality_id = EXCLUDED.municipality_id, at = EXCLUDED.at, topic = EXCLUDED.topic,
        payload = EXCLUDED.payload, payload_bytes = EXCLUDED.payload_bytes, readings = EXCLUDED.readings,
        verdict = EXCLUDED.verdict, reasons = EXCLUDED.reasons
"""  # noqa: S608 - only our own numbers


async def keep(connection: Connection, messages: Iterable[ForeignMessage], at: datetime) -> None:
    """Put messages into the ring of their devices, in order. Should the database refuse one, telemetry goes on."""
    by_device: defaultdict[int, list[ForeignMessage]] = defaultdict(list)
    for message in messages:
        by_device[message.device_id].append(message)
    kept = [message for found in by_device.values() for message in found[-RING:]][-MESSAGES_PER_BATCH_MAX:]
    if not kept:
        return
    try:
        async with connection.transaction():
            await many(connection, _KEEP, [_row(message, at) for message in kept])
    except REFUSALS:
        if connection.closed:
            raise


def _row(message: ForeignMessage, at: datetime) -> dict[str, Any]:
    return {
        "device_id": message.device_id,
        "municipality_id": message.municipality_id,
        "at": at,
        "topic": printable(message.topic[:300]),
        "payload": message.payload[:PAYLOAD_KEPT_BYTES],
        "bytes": len(message.payload),
        "readings": Jsonb(_storable(message.readings)),
        "verdict": message.verdict,
        "reasons": Jsonb(_storable(message.reasons)),
    }


def _storable(value: Any) -> Any:
    """PostgreSQL's JSON holds neither NUL nor half a character."""
    match value:
        case str():
            return printable(value[:1000])
        case dict():
            return {printable(str(name)[:100]): _storable(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case list():
            return [_storable(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


async def keep_of_batch(connection: Connection, batch: "Batch", outcome: "Outcome") -> None:
    """The foreign messages of a batch, with what has become of their readings by now."""
    if not batch.foreign:
        return
    repeated: set[int] = set()
    new: set[int] = set()
    for readings, duplicate in zip(batch.readings, outcome.duplicate, strict=True):
        repeated |= set(readings.message[duplicate].tolist())
        new |= set(readings.message[~duplicate].tolist())
    for message in batch.foreign:
        if message.verdict == "stored" and message.message in repeated - new:
            message.verdict = "duplicate"
    await keep(connection, batch.foreign, batch.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """A message of the ring as it is shown; ``payload`` is its beginning."""

    number: int
    at: datetime
    device: str
    adapter: str
    topic: str
    payload: bytes
    payload_bytes: int
    readings: list[dict[str, Any]]
    verdict: str
    reasons: list[dict[str, Any]]


async def messages(connection: Connection, *, device: str | None, limit: int) -> list[MessageRow]:
    """The last messages, newest first, of one device or of all that the principal sees."""
    async with connection.cursor(row_factory=class_row(MessageRow)) as cursor:
        await cursor.execute(
            "SELECT r.number, r.at, d.name AS device, f.adapter, r.topic, r.payload, r.payload_bytes, r.readings,"
            " r.verdict, r.reasons FROM foreign_message r JOIN device d USING (device_id)"
            " JOIN foreign_device f USING (device_id)"
            " WHERE %(device)s::text IS NULL OR d.name = %(device)s"
            " ORDER BY r.at DESC, r.device_id, r.number DESC LIMIT %(limit)s",
            {"device": device, "limit": limit},
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """A foreign device as it is shown."""

    device: str
    municipality: str
    adapter: str
    mapping: str | None
    address: str | None
    credential_at: datetime | None
    version: int
    last_at: datetime | None


async def devices(connection: Connection, *, name: str | None = None, limit: int) -> list[DeviceRow]:
    """Foreign devices by name."""
    async with connection.cursor(row_factory=class_row(DeviceRow)) as cursor:
        await cursor.execute(
            "SELECT d.name AS device, m.name AS municipality, f.adapter, p.name AS mapping, f.address, f.credential_at,"
            " f.version, (SELECT max(at) FROM foreign_message r WHERE r.device_id = f.device_id) AS last_at"
            " FROM foreign_device f JOIN device d USING (device_id)"
            " JOIN municipality m ON m.municipality_id = f.municipality_id LEFT JOIN mapping p USING (mapping_id)"
            " WHERE %(name)s::text IS NULL OR d.name = %(name)s ORDER BY d.name LIMIT %(limit)s",
            {"name": name, "limit": limit},
        )
        return await cursor.fetchall()


async def set_device(
    connection: Connection, *, device: str, adapter: str, mapping: str | None, address: str | None, at: datetime
) -> bool:
    """Say how a registered device is read; False where the device, or the mapping of that name, is not there."""
    cursor = await connection.execute(
        "INSERT INTO foreign_device (device_id, municipality_id, adapter, mapping_id, address, changed_at)"
        " SELECT d.device_id, d.municipality_id, %(adapter)s, p.mapping_id, %(address)s, %(at)s"
        " FROM device d LEFT JOIN mapping p ON p.municipality_id = d.municipality_id AND p.name = %(mapping)s"
        "  AND p.adapter = %(adapter)s"
        " WHERE d.name = %(device)s AND (%(mapping)s::text IS NULL OR p.mapping_id IS NOT NULL)"
        " ON CONFLICT (device_id) DO UPDATE SET adapter = EXCLUDED.adapter, mapping_id = EXCLUDED.mapping_id,"
        "  address = EXCLUDED.address, changed_at = EXCLUDED.changed_at, version = foreign_device.version + 1",
        {"device": device, "adapter": adapter, "mapping": mapping, "address": address, "at": at},
    )
    return cursor.rowcount == 1


async def set_credential(connection: Connection, device: str, credential: str, at: datetime) -> bool:
    """Keep the hash of a device's password at the broker."""
    cursor = await connection.execute(
        "UPDATE foreign_device SET credential = %s, credential_at = %s"
        " WHERE device_id = (SELECT device_id FROM device WHERE name = %s)",
        [credential, at, device],
    )
    return cursor.rowcount == 1


async def unset_device(connection: Connection, device: str) -> bool:
    """The device is none of another system's any more; its ring stays until it is written over."""
    cursor = await connection.execute(
        "DELETE FROM foreign_device WHERE device_id = (SELECT device_id FROM device WHERE name = %s)", [device]
    )
    return cursor.rowcount == 1


def credentials(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Device name to the hash that the broker's password file takes; as the owner. Only devices that may send."""
    return dict(
        connection.execute(
            "SELECT d.name, f.credential FROM foreign_device f JOIN device d USING (device_id)"
            " WHERE f.credential IS NOT NULL AND d.state IN ('registered', 'provisioned', 'active') ORDER BY d.name"
        ).fetchall()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingRow:
    """A mapping as it is stored."""

    name: str
    municipality: str
    adapter: str
    document: dict[str, Any]
    version: int
    changed_at: datetime
    devices: int


async def mappings(
    connection: Connection, *, municipality: str | None, name: str | None, limit: int
) -> list[MappingRow]:
    """Mappings by municipality and name."""
    async with connection.cursor(row_factory=class_row(MappingRow)) as cursor:
        await cursor.execute(
            "SELECT p.name, m.name AS municipality, p.adapter, p.document, p.version, p.changed_at,"
            " (SELECT count(*) FROM foreign_device f WHERE f.mapping_id = p.mapping_id) AS devices"
            " FROM mapping p JOIN municipality m USING (municipality_id)"
            " WHERE (%(town)s::text IS NULL OR m.name = %(town)s) AND (%(name)s::text IS NULL OR p.name = %(name)s)"
            " ORDER BY m.name, p.name LIMIT %(limit)s",
            {"town": municipality, "name": name, "limit": limit},
        )
        return await cursor.fetchall()


async def save_mapping(
    connection: Connection, municipality: str, name: str, *, adapter: str, document: Any, version: int, at: datetime
) -> int | None:
    """Write a mapping: version 0 makes it, others replace that very version. The new version, or None where that is
    not the one stored (somebody else has changed it), or the municipality is unknown."""
    given = {"town": municipality, "name": name, "adapter": adapter, "document": Jsonb(document), "at": at}
    async with connection.cursor(row_factory=scalar_row) as cursor:
        if version == 0:
            await cursor.execute(
                "INSERT INTO mapping (municipality_id, name, adapter, document, changed_at)"
                " SELECT municipality_id, %(name)s, %(adapter)s, %(document)s, %(at)s FROM municipality"
                " WHERE name = %(town)s ON CONFLICT DO NOTHING RETURNING version",
                given,
            )
        else:
            await cursor.execute(
                "UPDATE mapping SET document = %(document)s, version = version + 1, changed_at = %(at)s"
                " WHERE name = %(name)s AND adapter = %(adapter)s AND version = %(version)s AND municipality_id ="
                " (SELECT municipality_id FROM municipality WHERE name = %(town)s) RETURNING version",
                {**given, "version": version},
            )
        return await cursor.fetchone()


async def drop_mapping(connection: Connection, municipality: str, name: str) -> bool:
    """Delete a mapping; False where there is none. Raises psycopg's ``ForeignKeyViolation`` while a device uses it."""
    cursor = await connection.execute(
        "DELETE FROM mapping WHERE name = %s AND municipality_id ="
        " (SELECT municipality_id FROM municipality WHERE name = %s)",
        [name, municipality],
    )
    return cursor.rowcount == 1
