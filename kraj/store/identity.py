"""Certificates and enrolment codes of devices: giving out, taking, revoking; and whom the broker must refuse."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from kraj.certificates import Certificate, fingerprint, serial_text


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A code that was given out, and its device."""

    device_id: int
    device: str
    municipality: str
    state: str
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A certificate of ours, and its device."""

    serial: str
    device_id: int
    device: str
    municipality: str
    state: str
    not_after: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Revoked:
    """One line of a revocation list."""

    serial: int
    generation: int
    device: str
    revoked_at: datetime
    reason: str


async def device_id(connection: psycopg.AsyncConnection[Any], name: str) -> int | None:
    """The number of a device; None when there is none of this name, or none that may be seen."""
    cursor = await connection.execute("SELECT device_id FROM device WHERE name = %s", [name])
    row = await cursor.fetchone()
    return row[0] if row else None


async def give_code(
    connection: psycopg.AsyncConnection[Any], device_id: int, digest: bytes, expires_at: datetime
) -> None:
    """Keep a new code's digest; codes of the device that were not used count no more."""
    await connection.execute("DELETE FROM enrolment_code WHERE device_id = %s AND used_at IS NULL", [device_id])
    await connection.execute(
        "INSERT INTO enrolment_code (digest, device_id, expires_at) VALUES (%s, %s, %s)",
        [digest, device_id, expires_at],
    )


async def code(connection: psycopg.AsyncConnection[Any], digest: bytes) -> CodeRow | None:
    """The code of this digest."""
    async with connection.cursor(row_factory=class_row(CodeRow)) as cursor:
        await cursor.execute("SELECT * FROM enrolment_of_code(%s)", [digest])
        return await cursor.fetchone()


async def take_code(
    connection: psycopg.AsyncConnection[Any], digest: bytes, issued: Certificate, generation: int, now: datetime
) -> bool:
    """Use the code up for this certificate; False when somebody was faster. Replaces what the device had before."""
    cursor = await connection.execute(
        "SELECT enrol_device(%s, %s, %s, %s::smallint, %s, %s)",
        [digest, serial_text(issued), fingerprint(issued), generation, issued.not_valid_after_utc, now],
    )
    return (await cursor.fetchone() or (False,))[0]


async def certificate(connection: psycopg.AsyncConnection[Any], print_: bytes) -> CertificateRow | None:
    """The certificate of this fingerprint; None when it is none of ours."""
    async with connection.cursor(row_factory=class_row(CertificateRow)) as cursor:
        await cursor.execute("SELECT * FROM certificate_of_fingerprint(%s)", [print_])
        return await cursor.fetchone()


async def renew(
    connection: psycopg.AsyncConnection[Any], old: str, issued: Certificate, generation: int, now: datetime
) -> bool:
    """Record the successor of the certificate with the serial ``old``; False when that was revoked meanwhile."""
    cursor = await connection.execute(
        "SELECT renew_device(%s, %s, %s, %s::smallint, %s, %s)",
        [old, serial_text(issued), fingerprint(issued), generation, issued.not_valid_after_utc, now],
    )
    return (await cursor.fetchone() or (False,))[0]


@dataclass(frozen=True, slots=True)
class DueRow:
    """A device that is there, and whose certificate is to be renewed; ``public_key`` is None until it has shown it."""

    device_id: int
    device: str
    serial: str
    public_key: bytes | None


@dataclass(frozen=True, slots=True)
class Next:
    """A device's next certificate, and the command (``kraj.renewing``) that brings it until ``ends``."""

    issued: Certificate
    generation: int
    command_id: UUID
    told: Mapping[str, Any]
    ends: datetime


async def renewals_left(connection: psycopg.AsyncConnection[Any], now: datetime) -> int:
    """How many renewals may be begun now; 0 where another process is at it, until this transaction ends."""
    row = await (await connection.execute("SELECT renewals_left(%s)", [now])).fetchone()
    return row[0] if row else 0


async def renewals_due(
    connection: psycopg.AsyncConnection[Any], generation: int, now: datetime, most: int
) -> list[DueRow]:
    """Devices on our own firmware that are there and due, or whose certificate is of an older authority."""
    async with connection.cursor(row_factory=class_row(DueRow)) as cursor:
        await cursor.execute("SELECT * FROM renewals_due(%s::smallint, %s, %s)", [generation, now, most])
        return await cursor.fetchall()


async def ask_certificate(connection: psycopg.AsyncConnection[Any], device_id: int, now: datetime) -> bool:
    """Ask a device to show its certificate; False where it was asked within a day."""
    cursor = await connection.execute("SELECT ask_certificate(%s, %s)", [device_id, now])
    return (await cursor.fetchone() or (False,))[0]


async def begin_renewal(connection: psycopg.AsyncConnection[Any], row: DueRow, following: Next, now: datetime) -> bool:
    """Record the next certificate and the command that brings it, both or (False) neither."""
    issued = following.issued
    cursor = await connection.execute(
        "SELECT begin_renewal(%s, %s, %s, %s, %s::smallint, %s, %s, %s, %s, %s)",
        [
            row.device_id,
            row.serial,
            serial_text(issued),
            fingerprint(issued),
            following.generation,
            issued.not_valid_after_utc,
            following.command_id,
            json.dumps(following.told),
            following.ends,
            now,
        ],
    )
    return (await cursor.fetchone() or (False,))[0]


_REVOKE = """
    UPDATE device_certificate SET revoked_at = %s, reason = %s WHERE device_id = %s AND revoked_at IS NULL
"""


async def revoke(connection: psycopg.AsyncConnection[Any], device_id: int, now: datetime, reason: str) -> int:
    """Revoke all certificates of a device, and its codes; returns how many certificates that were."""
    await connection.execute("DELETE FROM enrolment_code WHERE device_id = %s AND used_at IS NULL", [device_id])
    return (await connection.execute(_REVOKE, [now, reason, device_id])).rowcount


def record(
    connection: psycopg.Connection[Any], issued: Sequence[tuple[str, Certificate]], generation: int, now: datetime
) -> None:
    """Record certificates (device name, certificate) that the owner of the installation issues by itself."""
    with connection.transaction():
        connection.execute(
            """
            INSERT INTO device_certificate (serial, device_id, generation, issued_at, not_after, fingerprint)
            SELECT n.serial, d.device_id, %s, %s, n.not_after, n.fingerprint
            FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bytea[])
                 AS n(device, serial, not_after, fingerprint)
            JOIN device d ON d.name = n.device
            ON CONFLICT DO NOTHING
            """,
            [
                generation,
                now,
                [name for name, _ in issued],
                [serial_text(c) for _, c in issued],
                [c.not_valid_after_utc for _, c in issued],
                [fingerprint(c) for _, c in issued],
            ],
        )


def revoked(connection: psycopg.Connection[Any], now: datetime) -> list[Revoked]:
    """Whom the broker must refuse: certificates that were revoked and have not ended anyway, oldest first."""
    rows = connection.execute(
        """
        SELECT c.serial, c.generation, d.name, c.revoked_at, c.reason
        FROM device_certificate c JOIN device d USING (device_id)
        WHERE c.revoked_at IS NOT NULL AND c.not_after > %s
        ORDER BY c.revoked_at, c.serial
        """,
        [now],
    ).fetchall()
    return [Revoked(int(serial, 16), *rest) for serial, *rest in rows]


def valid_by_generation(connection: psycopg.Connection[Any], now: datetime) -> dict[int, int]:
    """Generation of the authority → how many devices hold a good certificate of it and of none later.

    One that was sent to a device which has not said that it has it counts for nothing, here and in ``ending``.
    """
    rows = connection.execute(
        """
        SELECT generation, count(*) FROM (
            SELECT device_id, max(generation) AS generation FROM device_certificate
            WHERE revoked_at IS NULL AND proved AND not_after > %s GROUP BY device_id
        ) AS newest GROUP BY generation
        """,
        [now],
    ).fetchall()
    return dict(rows)


@dataclass(frozen=True, slots=True)
class Ending:
    """Devices in use whose best certificate has ended, and those whose ends soon; some of both by name."""

    ended: int
    soon: int
    devices: Sequence[str]


def ending(connection: psycopg.Connection[Any], now: datetime, until: datetime, most: int) -> Ending:
    """What has ended by ``now`` and what ends until then; names the ``most`` that end first."""
    rows = connection.execute(
        """
        SELECT name, count(*) FILTER (WHERE not_after <= %(now)s) OVER (), count(*) OVER ()
        FROM (
            SELECT d.name, max(c.not_after) AS not_after FROM device_certificate c JOIN device d USING (device_id)
            WHERE c.revoked_at IS NULL AND c.proved AND d.state NOT IN ('suspended', 'decommissioned') GROUP BY d.name
        ) AS best WHERE not_after <= %(until)s ORDER BY not_after, name LIMIT %(most)s
        """,
        {"now": now, "until": until, "most": most},
    ).fetchall()
    ended, all_ = rows[0][1:] if rows else (0, 0)
    return Ending(ended, all_ - ended, [name for name, *_ in rows])
