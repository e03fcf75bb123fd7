"""What devices are to be told now, and what they say to it: commands on their way, and what devices are to keep.

Whoever dispatches asks each second. Rows are claimed with SKIP LOCKED, so that two who ask never tell the same; what is
claimed and then not told comes again by itself. Which state may follow which is told by ``rules.commanding``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import class_row

from kraj.errors import UnavailableError
from kraj.kinds import LAMP
from kraj.store import answers, offers
from kraj.store.answers import Reported, Result
from kraj.store.connection import Connection, Watched
from kraj.topics import Channel

CHANNEL = "commands"
"""NOTIFY tells on it that there is something to dispatch; only a hint."""
STUCK_S_MAX = 3
"""The server ends our transaction when we are stopped in it: its rows wait for somebody else."""
AGAIN_S, AGAIN_S_MAX = 10, 160
"""A command that nobody has answered is told again after this time, doubling; and after this at most."""
RENEWAL_S = 3600
"""A renewal is told again after this time, and when its device connects: it has days."""
SUSPENDED_S = 60
"""A device that may not be told now is looked at again so soon."""
PROOF_S, PROOF_S_MAX = 5, 300
"""An accepted command is held against the newest reading so often: when half as much time again has gone by."""
OLDER_S, OLDER_S_MAX = 60, 3600
"""A device that says it keeps an older version gets the newer one again, after twice as long each time."""
OUTGROWN_MAX = 5000
"""Versions raised at a time."""
LEVEL_POINTS = 10
POWER_DARK_W = 5
POWER_LIT_SHARE, POWER_POINTS = 0.2, 35
"""Power contradicts a level when it is less than this share of what is due, or by so many points of the rated one more:
a per cent of DALI is light, not watts."""

SENDING = """(d.state IN ('registered', 'provisioned', 'active') AND NOT coalesce(
    (SELECT bool_and(x.revoked_at IS NOT NULL) FROM device_certificate x WHERE x.device_id = d.device_id), false))"""


@dataclass(frozen=True, slots=True)
class Due:
    """A command to tell; ``sending`` is False where its device may not be told anything now."""

    command_id: UUID
    municipality: str
    device: str
    channel: int
    do: str
    level_pct: int | None
    reason: str
    until: datetime
    requested_at: datetime
    sending: bool
    payload: str | None = None
    """All of the message, where the command's columns do not say it."""


@dataclass(frozen=True, slots=True)
class Unsent:
    """What a device is to keep and was not told yet; ``programs`` by channel are numbers of compiled ones."""

    device_id: int
    municipality: str
    device: str
    version: int
    programs: Mapping[str, int]
    interval_s: int | None


@dataclass(frozen=True, slots=True)
class Left:
    """A topic whose device was decommissioned, or speaks under another municipality."""

    desired_left_id: int
    municipality: str
    device: str


@dataclass(frozen=True, slots=True)
class Said:
    """A ``result`` or ``reported`` of a device, as it came."""

    device_id: int
    channel: str
    body: bytes


async def connect(url: str) -> Connection:
    """A connection that listens for what is to be dispatched.

    It prepares nothing: a plan from when nothing waited would read a whole table for each of a hundred thousand rows.
    """
    try:
        connection = await Watched.connect(url, autocommit=True, connect_timeout=5, prepare_threshold=None)
        await connection.execute(
            (
                f"SET timezone = 'UTC'; SET idle_in_transaction_session_timeout = '{STUCK_S_MAX}s'; LISTEN {CHANNEL}"
            ).encode()
        )
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
    return connection


async def claim(connection: Connection, now: datetime, limit: int) -> list[Due]:
    """Take commands that are due, oldest first; each is due again later unless it is answered by then."""
    statement = f"""
        WITH found AS MATERIALIZED (
            SELECT command_id, device_id FROM command WHERE state IN ('requested', 'sent') AND next_at <= %(now)s
                AND until > %(now)s ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        ), whose AS MATERIALIZED (
            SELECT f.command_id, m.name AS municipality, d.name AS device, {SENDING} AS sending
            FROM found f JOIN device d USING (device_id) JOIN municipality m USING (municipality_id)
        ), claimed AS (
            UPDATE command c SET attempts = c.attempts + sending::integer,
                next_at = %(now)s + make_interval(secs => CASE WHEN NOT sending THEN {SUSPENDED_S}
                    WHEN c."do" = 'renew' THEN {RENEWAL_S}
                    ELSE least({AGAIN_S} * 2 ^ least(c.attempts, 10), {AGAIN_S_MAX}) END)
            FROM whose w WHERE c.command_id = w.command_id
            RETURNING c.command_id, municipality, device, c.channel, c."do", c.level_pct, c.reason, c.until,
                      c.requested_at, sending, c.payload
        )
        SELECT * FROM claimed ORDER BY requested_at
    """  # noqa: S608 - constants of ours
    async with connection.cursor(row_factory=class_row(Due)) as cursor:
        await cursor.execute(statement.encode(), {"now": now, "limit": limit})
        return await cursor.fetchall()


async def sent(connection: Connection, commands: Sequence[UUID], now: datetime) -> None:
    """The broker has these for their devices."""
    await connection.execute(
        "UPDATE command c SET state = 'sent', sent_at = coalesce(c.sent_at, %(now)s) FROM (SELECT command_id"
        " FROM command WHERE command_id = ANY (%(ids)s) AND state = 'requested' ORDER BY 1 FOR UPDATE) AS mine"
        " WHERE c.command_id = mine.command_id",
        {"now": now, "ids": list(commands)},
    )


async def again(connection: Connection, commands: Sequence[UUID], now: datetime) -> None:
    """The broker was lost before it had these: they are due at once."""
    await connection.execute(
        "UPDATE command SET next_at = %(now)s WHERE command_id IN (SELECT command_id FROM command"
        " WHERE command_id = ANY (%(ids)s) AND state IN ('requested', 'sent') ORDER BY 1 FOR UPDATE)",
        {"now": now, "ids": list(commands)},
    )


async def expire(connection: Connection, now: datetime, limit: int) -> int:
    """End what is past its time and has no proof; how many."""
    cursor = await connection.execute(
        "UPDATE command SET state = 'expired', settled_at = %(now)s WHERE command_id IN (SELECT command_id FROM command"
        " WHERE settled_at IS NULL AND until <= %(now)s LIMIT %(limit)s FOR UPDATE SKIP LOCKED)",
        {"now": now, "limit": limit},
    )
    return cursor.rowcount


async def confirm(connection: Connection, now: datetime, limit: int) -> int:
    """Hold accepted commands against the newest reading of their asset; how many it proves.

    A lamp's level must be near, and its power must be known and not contradict. A contactor must stand as it was told.
    A new certificate is proved by the device's status, which names it.
    """
    manual, emergency = map(LAMP.by_name["level_reason"].states.index, ("manual", "emergency"))
    cursor = await connection.execute(
        f"""
        WITH found AS MATERIALIZED (
            SELECT command_id FROM command WHERE state = 'accepted' AND next_at <= %(now)s
            ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        ), seen AS (
            SELECT c.command_id, coalesce(CASE
                WHEN c."do" = 'renew' THEN EXISTS (SELECT FROM device_certificate x
                    WHERE x.device_id = c.device_id AND x.serial = c.why AND x.proved)
                WHEN l.ts >= c.since AND c."do" = 'set_level' THEN
                    abs(coalesce(l.level_effective_pct, l.level_commanded_pct) - c.level_pct) <= {LEVEL_POINTS}
                    AND CASE WHEN c.level_pct = 0 THEN l.power_w <= greatest({POWER_DARK_W}, 0.1 * c.rated_w)
                             WHEN c.rated_w IS NULL THEN l.power_w > 0
                             ELSE l.power_w >= {POWER_LIT_SHARE} * c.rated_w * c.level_pct / 100
                                  AND l.power_w <= {POWER_DARK_W} + c.rated_w * (c.level_pct + {POWER_POINTS}) / 100 END
                WHEN l.ts >= c.since THEN
                    l.level_reason <> CASE c.reason WHEN 'manual' THEN {manual} ELSE {emergency} END
                WHEN k.ts >= c.since AND c."do" = 'set_level' THEN k.contactor_closed = (c.level_pct > 0)
                WHEN k.ts >= c.since THEN true END, false) AS proved
            FROM (SELECT c.*, coalesce(c.sent_at, c.requested_at) AS since,
                         CASE WHEN jsonb_typeof(a.metadata->'power_rated_w') = 'number'
                              THEN (a.metadata->>'power_rated_w')::float8 END AS rated_w
                  FROM found JOIN command c USING (command_id) LEFT JOIN asset a USING (asset_id)) AS c
            LEFT JOIN latest_lamp l USING (asset_id) LEFT JOIN latest_cabinet k USING (asset_id)
        ), looked AS (
            UPDATE command c SET state = CASE WHEN proved THEN 'confirmed' ELSE c.state END,
                settled_at = CASE WHEN proved THEN %(now)s::timestamptz END,
                next_at = %(now)s + least(greatest((%(now)s - c.accepted_at) / 2, make_interval(secs => {PROOF_S})),
                                          make_interval(secs => {PROOF_S_MAX}))
            FROM seen WHERE c.command_id = seen.command_id RETURNING proved
        )
        SELECT count(*) FILTER (WHERE proved)::integer FROM looked
        """.encode(),  # noqa: S608 - constants of ours
        {"now": now, "limit": limit},
    )
    row = await cursor.fetchone()
    return row[0] if row else 0


async def forget_sent(connection: Connection, now: datetime) -> int:
    """The broker has lost what it had for devices: all of it is to be told again; how many of them keep something."""
    async with connection.transaction():
        await connection.execute(
            "UPDATE command SET next_at = %s WHERE command_id IN (SELECT command_id FROM command WHERE state = 'sent'"
            " ORDER BY 1 FOR UPDATE)",
            [now],
        )
        await offers.forgotten(connection, now)
        cursor = await connection.execute("UPDATE desired SET sent_version = NULL WHERE sent_version IS NOT NULL")
    return cursor.rowcount


async def unsent(connection: Connection, now: datetime, limit: int) -> list[Unsent]:
    """Devices that were not told what they are to keep, or say since that they keep an older version."""
    statement = f"""
        WITH found AS MATERIALIZED (
            (SELECT w.device_id FROM desired w JOIN device d USING (device_id)
             WHERE w.sent_version IS DISTINCT FROM w.version AND {SENDING} LIMIT %(limit)s)
            UNION
            (SELECT w.device_id FROM desired w JOIN device d USING (device_id)
             WHERE w.reported_version IS DISTINCT FROM w.version AND w.reported_version < w.version
                AND w.reported_at > w.sent_at AND w.sent_at <= %(now)s - make_interval(secs => {OLDER_S})
                AND w.sent_at <= %(now)s - least(w.sent_at - w.changed_at, make_interval(secs => {OLDER_S_MAX}))
                AND {SENDING} LIMIT %(limit)s)
        )
        SELECT w.device_id, m.name AS municipality, d.name AS device, w.version, w.programs, w.interval_s
        FROM found JOIN desired w USING (device_id) JOIN device d USING (device_id)
        JOIN municipality m ON m.municipality_id = d.municipality_id
    """  # noqa: S608 - constants of ours
    async with connection.cursor(row_factory=class_row(Unsent)) as cursor:
        await cursor.execute(statement.encode(), {"now": now, "limit": limit})
        return await cursor.fetchall()


async def outgrow(connection: Connection, now: datetime) -> int:
    """Raise the version above what a device says that it keeps, as it leaves alone what is older; how many.

    Its memory is of later than ours: a backup was restored. Once a minute at most, whatever it says.
    """
    cursor = await connection.execute(
        "UPDATE desired d SET version = d.reported_version + 1, outgrown_version = d.reported_version,"
        " outgrown_at = %(now)s, reported_error = NULL FROM (SELECT device_id FROM desired"
        " WHERE reported_version > version"
        " AND coalesce(outgrown_at <= %(now)s - make_interval(secs => %(pause)s), true)"
        " ORDER BY 1 LIMIT %(limit)s FOR UPDATE SKIP LOCKED) AS mine WHERE d.device_id = mine.device_id",
        {"now": now, "pause": OLDER_S, "limit": OUTGROWN_MAX},
    )
    return cursor.rowcount


async def left(connection: Connection, limit: int) -> list[Left]:
    """Topics behind which no device stands any more, and of which the broker may keep something."""
    async with connection.cursor(row_factory=class_row(Left)) as cursor:
        await cursor.execute(
            "SELECT desired_left_id, municipality, device FROM desired_left WHERE cleared_at IS NULL"
            " ORDER BY 1 LIMIT %s",
            [limit],
        )
        return await cursor.fetchall()


async def cleared(connection: Connection, rows: Sequence[Left], now: datetime) -> None:
    """The broker keeps nothing there any more."""
    await connection.execute(
        "UPDATE desired_left SET cleared_at = %s WHERE desired_left_id = ANY (%s)",
        [now, [row.desired_left_id for row in rows]],
    )


async def told(connection: Connection, rows: Sequence[Unsent], now: datetime) -> None:
    """The broker keeps these for their devices."""
    if not rows:
        return
    await connection.execute(
        "UPDATE desired d SET sent_version = t.version, sent_at = %s FROM (SELECT device_id, t.version FROM desired"
        " JOIN unnest(%s::integer[], %s::bigint[]) AS t(device_id, version) USING (device_id)"
        " ORDER BY 1 FOR UPDATE OF desired) AS t WHERE d.device_id = t.device_id",
        [now, [row.device_id for row in rows], [row.version for row in rows]],
    )


async def documents(connection: Connection, numbers: Sequence[int]) -> dict[int, bytes]:
    """Compiled programs as a device gets them."""
    cursor = await connection.execute(
        "SELECT lamp_program_id, document FROM lamp_program WHERE lamp_program_id = ANY (%s)", [list(numbers)]
    )
    return {number: json.dumps(document, separators=(",", ":")).encode() async for number, document in cursor}


async def take_said(connection: Connection, said: Sequence[Said], online: Sequence[int], now: datetime) -> None:
    """Take what devices answer, in ingest's transaction; what is no answer to ours is left alone.

    ``online``: devices that are there again; what they have not answered is due at once. Nothing is prepared here.
    """
    results: dict[tuple[UUID, int], Result] = {}
    reports: dict[int, Reported] = {}
    for one in said:
        try:
            if one.channel == Channel.RESULT:
                result = msgspec.json.decode(one.body, type=Result)
                results.setdefault((result.id, one.device_id), result)  # the first counts
            elif one.channel == Channel.REPORTED:
                report = msgspec.json.decode(one.body, type=Reported)
                if 0 <= report.version < answers.VERSION_MAX and 0 <= (report.wanted or 0) <= answers.VERSION_MAX:
                    reports[one.device_id] = report  # the last counts
        except msgspec.DecodeError:
            continue
    if results:
        await answers.results(connection, results, now)
    if reports:
        await answers.reports(connection, reports, now)
    if online:
        await connection.execute(
            "UPDATE command SET next_at = %(now)s WHERE command_id IN (SELECT command_id FROM command"
            " WHERE device_id = ANY (%(devices)s) AND settled_at IS NULL AND state IN ('requested', 'sent')"
            " AND attempts > 0 ORDER BY 1 FOR UPDATE)",
            {"now": now, "devices": list(online)},
            prepare=False,
        )
        await offers.there_again(connection, online, now)
