"""The roles as which Grafana reads: one for the region, one for a municipality with an organisation of its own."""

import hashlib
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from kraj.errors import ConfigurationError, UnavailableError

RIGHTS = "kraj_grafana"
"""Nobody signs in as it; the others inherit what it may read."""
REGION = f"{RIGHTS}_region"
NAME_BYTES_MAX = 63
"""PostgreSQL cuts longer names of roles, silently."""
CONNECTIONS_MAX = 20
"""Of one role, so that a careless dashboard leaves connections to those who write."""
SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "search_path": "public",
    "jit": "off",
}
"""How a session of such a role begins. It may set them otherwise: what it may not do is not held by these."""


def role_name(municipality_id: int | None, name: str = "") -> str:
    """The role of a municipality, or of the region (None). A name that is too long gives way to the number."""
    if municipality_id is None:
        return REGION
    wanted = f"{RIGHTS}_{name}"
    # Names of municipalities hold no underscore, so that nothing else can be called this.
    return wanted if len(wanted) <= NAME_BYTES_MAX and wanted != REGION else f"{RIGHTS}_town_{municipality_id}"


def municipality_of(connection: psycopg.Connection[Any], name: str) -> tuple[int, str]:
    """Number and title of a municipality. Raises ``ConfigurationError`` when there is none of this name."""
    row = connection.execute("SELECT municipality_id, title FROM municipality WHERE name = %s", [name]).fetchone()
    if row is None:
        raise ConfigurationError(f"there is no municipality {name!r}; its name is the one in its devices' topics")
    return row


def ensure_role(
    connection: psycopg.Connection[Any], municipality_id: int | None, role: str, password: str, at: datetime
) -> bool:
    """See to a role with this password that reads this municipality (None: all); whether anything had to be done.

    The password goes to the server as a SCRAM verifier only, so that no log of statements can hold it. Raises
    ``ConfigurationError`` when the connection's owner may not make roles.
    """
    digest = hashlib.sha256(password.encode()).digest()
    try:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('grafana_role'))")
            known = connection.execute(
                "SELECT g.digest = %s FROM grafana_role g JOIN pg_roles r ON r.rolname = g.role"
                " WHERE g.role = %s AND g.municipality_id IS NOT DISTINCT FROM %s",
                [digest, role, municipality_id],
            ).fetchone()
            if known == (True,):
                return False
            _make(connection, role, password)
            connection.execute(
                "DELETE FROM grafana_role WHERE role = %s OR municipality_id IS NOT DISTINCT FROM %s",
                [role, municipality_id],
            )
            connection.execute(
                "INSERT INTO grafana_role (role, municipality_id, digest, made_at) VALUES (%s, %s, %s, %s)",
                [role, municipality_id, digest, at],
            )
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"database: {error.diag.message_primary}; KRAJ_DATABASE_URL must name the schema's owner, with CREATEROLE"
        ) from error
    except psycopg.errors.UndefinedTable as error:
        raise ConfigurationError("the database knows no roles of Grafana yet; run `kraj migrate`") from error
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
    return True


def _make(connection: psycopg.Connection[Any], role: str, password: str) -> None:
    name = sql.Identifier(role)
    there = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(
        sql.SQL("{} ROLE {} LOGIN INHERIT NOCREATEROLE NOCREATEDB CONNECTION LIMIT {} PASSWORD {}").format(
            sql.SQL("ALTER" if there else "CREATE"), name, sql.Literal(CONNECTIONS_MAX), sql.Literal(verifier)
        )
    )
    connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(RIGHTS), name))
    for setting, value in SETTINGS.items():
        connection.execute(
            sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.Identifier(setting), sql.Literal(value))
        )


def drop_role(connection: psycopg.Connection[Any], role: str) -> None:
    """Take a role away, with its sessions; nothing happens when there is none."""
    with connection.transaction():
        connection.execute("DELETE FROM grafana_role WHERE role = %s", [role])
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
