"""Connections to the database: few, read-only, bounded in time, and clean for whoever takes one next."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from api.principal import announce
from kraj.errors import UnavailableError
from kraj.store.connection import Watched

CONNECTIONS_MAX = 8
"""Two pages at a time keep a core busy; more connections would only queue inside PostgreSQL."""
WAIT_S_MAX = 3.0
"""How long a request waits for a connection before it says that the database is away."""
STATEMENT_S_MAX = 5
CONNECT_S_MAX = 3

Connection = psycopg.AsyncConnection[Any]


class NotMigratedError(UnavailableError):
    """A table or column that this version reads is not there, or not readable."""


class TooSlowError(UnavailableError):
    """A query took longer than ``STATEMENT_S_MAX`` and was ended."""


class Database:
    """A pool that opens and closes with ``async with``."""

    def __init__(self, url: str) -> None:
        given = str(conninfo_to_dict(url).get("options") or "")
        limits = f"-c statement_timeout={STATEMENT_S_MAX}s -c default_transaction_read_only=on -c timezone=UTC"
        self._pool: AsyncConnectionPool[Watched] = AsyncConnectionPool(
            make_conninfo(url, options=f"{given} {limits}", application_name="kraj-api", connect_timeout=CONNECT_S_MAX),
            kwargs={"autocommit": True},
            connection_class=Watched,
            min_size=1,
            max_size=CONNECTIONS_MAX,
            timeout=WAIT_S_MAX,
            max_waiting=200,
            reset=_reset,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def __aenter__(self) -> Self:
        await self._pool.open()  # does not wait: without a database the process says so on /readyz
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def connection(self, *, write: bool = False, snapshot: bool = False) -> AsyncGenerator[Connection]:
        """A transaction in the name of who asks, read-only unless told; ``UnavailableError`` when there is none.

        All statements of a ``snapshot`` see the same moment.
        """
        try:
            async with self._pool.connection() as connection, connection.transaction():
                if write:
                    await connection.execute("SET TRANSACTION READ WRITE")
                if snapshot:
                    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                await announce(connection)
                yield connection
        except psycopg.errors.QueryCanceled as error:
            raise TooSlowError(f"database: {error}") from error
        except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise UnavailableError(f"database: {error}") from error
        except (
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedColumn,
            psycopg.errors.InsufficientPrivilege,
        ) as error:
            raise NotMigratedError(f"database: {error.diag.message_primary}; run `kraj migrate`") from error


async def _reset(connection: Connection) -> None:
    await connection.execute("RESET ALL")
