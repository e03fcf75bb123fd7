"""What devices answer to commands and to what they are to keep, taken in ingest's transaction beside their readings."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from kraj.store import offers
from kraj.store.connection import Connection

ERROR_CHARS_MAX = 200
VERSION_MAX = 2**53


class Result(msgspec.Struct):
    """A ``result``; what else is in it is for the device's history."""

    id: UUID
    ok: bool
    error: str | None = None


class Reported(msgspec.Struct):
    """A ``reported``."""

    version: int
    ok: bool
    error: str | None = None
    wanted: int | None = None


async def results(connection: Connection, results: Mapping[tuple[UUID, int], Result], now: datetime) -> None:
    """By the number, and only from the device that was told. Rows are locked in order, as by everybody here.

    Of a certificate that it had accepted a device says later that the broker does not take it: then there is no proof.
    """
    errors = {of: None if result.ok else _error(result.error) for of, result in results.items()}
    await connection.execute(
        """
        WITH said AS MATERIALIZED (
            SELECT c.command_id, s.ok, s.error FROM unnest(%(ids)s::uuid[], %(devices)s::integer[], %(ok)s::boolean[],
                                                           %(errors)s::text[]) AS s(command_id, device_id, ok, error)
            JOIN command c USING (command_id, device_id) WHERE c.state IN ('requested', 'sent')
                OR c.state = 'accepted' AND c."do" = 'renew' AND NOT s.ok
            ORDER BY c.command_id FOR UPDATE OF c
        )
        UPDATE command c SET next_at = %(now)s, sent_at = coalesce(c.sent_at, %(now)s),
            state = CASE WHEN ok THEN 'accepted' WHEN c.state = 'accepted' THEN 'expired' ELSE 'refused' END,
            accepted_at = CASE WHEN ok THEN %(now)s::timestamptz ELSE c.accepted_at END,
            settled_at = CASE WHEN NOT ok THEN %(now)s::timestamptz END, error = said.error
        FROM said WHERE c.command_id = said.command_id
        """,
        {
            "now": now,
            "ids": [number for number, _ in results],
            "devices": [device_id for _, device_id in results],
            "ok": [result.ok for result in results.values()],
            "errors": list(errors.values()),
        },
        prepare=False,
    )
    await offers.answered(connection, errors, now)


async def reports(connection: Connection, reports: Mapping[int, Reported], now: datetime) -> None:
    """An error about an older version than is desired now says nothing of that one."""
    await connection.execute(
        """
        WITH said AS MATERIALIZED (
            SELECT d.device_id, s.version, s.wanted, s.error FROM unnest(%(devices)s::integer[], %(versions)s::bigint[],
                %(wanted)s::bigint[], %(errors)s::text[]) AS s(device_id, version, wanted, error)
            JOIN desired d USING (device_id) ORDER BY 1 FOR UPDATE OF d
        )
        UPDATE desired d SET reported_version = said.version, reported_at = %(now)s,
            reported_error = CASE WHEN coalesce(said.wanted, d.version) >= d.version THEN said.error END
        FROM said WHERE d.device_id = said.device_id
        """,
        {
            "now": now,
            "devices": list(reports),
            "versions": [report.version for report in reports.values()],
            "wanted": [report.wanted for report in reports.values()],
            "errors": [None if report.ok else _error(report.error) for report in reports.values()],
        },
        prepare=False,
    )


def _error(text: str | None) -> str:
    return (text or "refused")[:ERROR_CHARS_MAX]
