"""An ingest slot: one database connection that holds the slot's lock and does all of its writing."""

import asyncio
import os
import socket
from typing import Any

import psycopg
import structlog

from kraj.errors import ConfigurationError, UnavailableError
from kraj.store.connection import Watched

LOCK_CLASS = 0x736C6F74
IDLE_TIMEOUT_S = 3
"""The server ends a connection that is silent for this long: a stopped or cut-off worker must not keep its lock."""
HEARTBEAT_S = 1.0
LOCK_POLL_S = 0.5

SEND_BUFFER_BYTES = 4 << 20
"""Room for the COPY of a whole batch (some 270 bytes a reading; the system may grant less): the database then goes on
reading while ingest decodes the next batch."""

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": {"on", "remote_write", "remote_apply"}}

log: Any = structlog.get_logger(__name__)


async def take(url: str, name: str) -> tuple[psycopg.AsyncConnection[Any], int]:
    """Connect, wait for the slot's lock, and return the connection with the slot's id.

    Raises ``UnavailableError`` when the database is away and ``ConfigurationError`` when it would lose committed rows.
    """
    try:
        connection = await Watched.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
    _enlarge_send_buffer(connection)
    try:
        await _assert_durable(connection)
        await connection.execute(
            (
                f"SET idle_session_timeout = '{IDLE_TIMEOUT_S}s'; SET timezone = 'UTC';"
                f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT_S}s'"
            ).encode()
        )
        await connection.execute("INSERT INTO slot (name) VALUES (%s) ON CONFLICT DO NOTHING", [name])
        row = await (await connection.execute("SELECT slot_id FROM slot WHERE name = %s", [name])).fetchone()
        if row is None:
            raise UnavailableError(f"slot {name} has no row")
        waiting = False
        while not await _try_lock(connection, row[0]):
            if not waiting:
                log.info("another ingest holds the slot; standing by", slot=name)
                waiting = True
            await connection.execute(_END_STUCK_COPY, [LOCK_CLASS, row[0], IDLE_TIMEOUT_S])
            await asyncio.sleep(LOCK_POLL_S)
    except psycopg.errors.UndefinedTable as error:
        await connection.close()
        raise ConfigurationError("the database is not migrated; run: kraj migrate") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        await connection.close()
        raise UnavailableError(f"database: {error}") from error
    except BaseException:
        await connection.close()
        raise
    return connection, row[0]


# A worker stopped in the middle of a COPY is neither idle nor in an idle transaction: no timeout of the server runs
# while it waits for more rows, and only whoever waits for the slot can tell.
_END_STUCK_COPY = """
    SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND classid = %s AND objid = %s AND objsubid = 2
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND state = 'active' AND wait_event = 'ClientRead'
        AND clock_timestamp() - query_start > make_interval(secs => %s)
"""


def _enlarge_send_buffer(connection: psycopg.AsyncConnection[Any]) -> None:
    with socket.socket(fileno=os.dup(connection.fileno())) as shared:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


async def _try_lock(connection: psycopg.AsyncConnection[Any], slot_id: int) -> bool:
    row = await (await connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, slot_id])).fetchone()
    return bool(row and row[0])


async def _assert_durable(connection: psycopg.AsyncConnection[Any]) -> None:
    """A commit must mean that the rows are on disk, or the acknowledgement to the device would be a lie."""
    for name, wanted in DURABLE.items():
        row = await (await connection.execute("SELECT current_setting(%s)", [name])).fetchone()
        allowed = wanted if isinstance(wanted, set) else {wanted}
        if row is None or row[0] not in allowed:
            raise ConfigurationError(
                f"PostgreSQL has {name} = {row and row[0]}; Kraj acknowledges readings as stored and needs "
                f"{name} = {min(allowed)}"
            )
