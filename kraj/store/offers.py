"""What devices answer to offers of firmware, taken in ingest's transaction beside their readings."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from kraj.store.connection import Connection

NOT_NOW = ("busy", "clock", "trial")
"""A device that says so is asked again, by another number: it answers one that it knows as it did before."""
NOT_NOW_S = 900


async def answered(connection: Connection, errors: Mapping[tuple[UUID, int], str | None], now: datetime) -> None:
    """Accepted (None) or why not, by the offer's number and the device that was told."""
    await connection.execute(
        """
        WITH said AS MATERIALIZED (
            SELECT u.command_id, s.error, coalesce(s.error = ANY (%(not_now)s), false) AS later
            FROM unnest(%(ids)s::uuid[], %(devices)s::integer[], %(errors)s::text[]) AS s(command_id, device_id, error)
            JOIN firmware_update u USING (command_id, device_id) WHERE u.state = 'offered'
            ORDER BY u.device_id FOR UPDATE OF u
        )
        UPDATE firmware_update u SET error = said.error, changed_at = %(now)s,
            state = CASE WHEN later THEN u.state WHEN said.error IS NULL THEN 'accepted' ELSE 'failed' END,
            accepted_at = CASE WHEN said.error IS NULL THEN %(now)s::timestamptz END,
            sent_at = coalesce(u.sent_at, %(now)s), next_at = %(now)s + make_interval(secs => %(pause)s),
            command_id = CASE WHEN later THEN gen_random_uuid() ELSE u.command_id END
        FROM said WHERE u.command_id = said.command_id
        """,
        {
            "now": now,
            "ids": [number for number, _ in errors],
            "devices": [device_id for _, device_id in errors],
            "errors": list(errors.values()),
            "not_now": list(NOT_NOW),
            "pause": NOT_NOW_S,
        },
        prepare=False,
    )


async def there_again(connection: Connection, devices: Sequence[int], now: datetime) -> None:
    """Offers that these devices have not answered are due at once; not those that they put off."""
    await connection.execute(
        "UPDATE firmware_update u SET next_at = %(now)s FROM (SELECT command_id FROM firmware_update"
        " WHERE device_id = ANY (%(devices)s) AND state = 'offered' AND attempts > 0 AND error IS NULL"
        " ORDER BY device_id FOR UPDATE) AS mine WHERE u.command_id = mine.command_id",
        {"now": now, "devices": list(devices)},
        prepare=False,
    )


async def forgotten(connection: Connection, now: datetime) -> None:
    """The broker has lost what it kept: releases are to be given to it again, and offers told again."""
    await connection.execute("UPDATE firmware_container SET published_at = NULL WHERE published_at IS NOT NULL")
    await connection.execute(
        "UPDATE firmware_update u SET next_at = %s FROM (SELECT command_id FROM firmware_update"
        " WHERE state = 'offered' AND error IS NULL ORDER BY device_id FOR UPDATE) AS mine"
        " WHERE u.command_id = mine.command_id",
        [now],
    )
