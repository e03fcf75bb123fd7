"""Who asks: set for each request by the sign-in, taken over by each transaction; without one, nothing is visible."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import psycopg

EVERYTHING = "*"
"""Scopes of somebody at a browser: what the roles give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person as signed in; ``scopes`` narrow what a token may do, ``rights`` is what it can do anywhere at all.

    ``tenant`` names whose share of the API's time a request takes; None: nobody's.
    """

    person_id: int
    name: str
    title: str
    language: str = "cs"
    scopes: tuple[str, ...] = (EVERYTHING,)
    rights: frozenset[str] = field(default_factory=frozenset[str])
    second_factor: bool = False
    session_id: int | None = None
    token_id: int | None = None
    tenant: str | None = None


current: ContextVar[Principal | None] = ContextVar("principal", default=None)


async def announce(connection: psycopg.AsyncConnection[Any]) -> None:
    """Tell a transaction who asks; it ends with the transaction, so that the pool's next user inherits nothing."""
    who = current.get()
    await connection.execute(
        "SELECT set_config('kraj.principal', %s, true), set_config('kraj.scopes', %s, true)",
        ["", ""] if who is None else [str(who.person_id), ",".join(who.scopes)],
    )
