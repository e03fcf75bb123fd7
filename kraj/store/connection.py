"""The connection that ingest writes on, and the database's errors as ours."""

import contextlib
from collections.abc import Generator
from typing import Any

import psycopg

from kraj.errors import ConfigurationError, UnavailableError

Connection = psycopg.AsyncConnection[Any]

REFUSALS = (psycopg.DataError, psycopg.IntegrityError, psycopg.InternalError)
"""What a row can be at fault for. A missing table or privilege is nobody's row."""


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
