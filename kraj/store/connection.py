"""The connection that ingest writes on, and the database's errors as ours."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg import conninfo

from kraj.errors import ConfigurationError, UnavailableError

Connection = psycopg.AsyncConnection[Any]

REFUSALS = (psycopg.DataError, psycopg.IntegrityError, psycopg.InternalError)
"""What a row can be at fault for. A missing table or privilege is nobody's row."""


class Watched(psycopg.AsyncConnection[Any]):
    """A connection that finds out that its line is dead although nobody has closed it.

    A router that has forgotten a line, or a partition that outlasts it, leaves both ends connected: a statement would
    wait for its answer for ever. Time alone does not tell that from a long one. So who has waited for ``silent_s``
    asks on another connection whether the server still works for this one, and ends the line when it does not: the
    statement then fails as when the database goes away.
    """

    silent_s = 20.0
    """Also the longest that asking may take."""

    async def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        doubts: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self.silent_s, lambda: doubts.append(loop.create_task(self._doubt())))
        try:
            return await super().wait(gen, *arguments, **options)
        finally:
            timer.cancel()
            for doubt in doubts:
                doubt.cancel()

    async def _doubt(self) -> None:
        parameters = conninfo.make_conninfo(self.info.dsn, password=self.info.password, connect_timeout=5)
        while True:
            with contextlib.suppress(psycopg.OperationalError, TimeoutError):  # away as a whole: nothing is known
                async with asyncio.timeout(self.silent_s):
                    async with await psycopg.AsyncConnection.connect(parameters, autocommit=True) as other:
                        found = await (await other.execute(_AT_WORK, [self.info.backend_pid])).fetchone()
                if found is None:
                    break
            await asyncio.sleep(self.silent_s)
        with socket.socket(fileno=os.dup(self.fileno())) as shared, contextlib.suppress(OSError):
            shared.shutdown(socket.SHUT_RDWR)


_AT_WORK = """
    SELECT FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND wait_event IS DISTINCT FROM 'ClientRead'
"""
"""One that waits for rows of ours does not work: what we sent was lost. One that waits for us to read may well do."""


@contextlib.contextmanager
def translated(connection: Connection) -> Generator[None]:
    """Raise ``UnavailableError`` when the database is away, ``ConfigurationError`` when it does not fit us."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise UnavailableError(f"database: {error}") from error
    except (psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
        raise ConfigurationError(f"database: {error}; run `kraj migrate` as the owner of the schema") from error
    except psycopg.Error as error:
        if connection.closed:  # the end of a transaction that stood idle for too long comes as an internal error
            raise UnavailableError(f"database: {error}") from error
        raise


async def many(connection: Connection, statement: Any, rows: list[Any]) -> None:
    """Run a statement for each row, in one round trip."""
    if rows:
        async with connection.cursor() as cursor:
            await cursor.executemany(statement, rows)
