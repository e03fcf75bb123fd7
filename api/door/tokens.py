"""Tokens for programs: made in a session, shown once, narrowed by scopes, ended by a day or by hand."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api import rights
from api.acting import Name
from api.database import Connection
from api.door.door import Door
from api.problems import Problem
from kraj.store import audit, people

DAYS_MAX = 366
"""A program that nobody has looked after for a year stops."""
TOKENS_MAX = 50
"""Of one person that are valid at once."""

Scope = Literal["read", "act", "register", "control", "rules", "export", "people"]


class TokenBody(BaseModel):
    """A token to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What it is for, such as the name of the program.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=7)] = Field(
        description="What it may do, within what you may do yourself."
    )
    days: int = Field(90, ge=1, le=DAYS_MAX, description="How many days it is valid.")


@dataclass(frozen=True, slots=True)
class Made:
    """A new token; ``secret`` is not kept anywhere."""

    row: people.TokenRow
    secret: str


async def make(door: Door, connection: Connection, body: TokenBody) -> Made:
    """Make a token of who asks."""
    who = rights.signed_in()
    if who.token_id is not None:
        raise Problem("token_by_token", 403)
    beyond = sorted(set(body.scopes) - who.rights)
    if beyond:
        raise Problem("scopes", 403, scopes=", ".join(beyond), known=", ".join(sorted(who.rights)))
    at = door.wall()
    alive = [row for row in await people.tokens(connection) if row.revoked_at is None and row.expires_at > at]
    if len(alive) >= TOKENS_MAX:
        raise Problem("tokens_many", 409, tokens_max=TOKENS_MAX)
    token_id, secret = await people.add_token(
        connection,
        who.person_id,
        name=body.name,
        scopes=sorted(set(body.scopes)),
        at=at,
        expires_at=at + timedelta(days=body.days),
        second_factor=who.second_factor,
    )
    await audit.note(connection, "token.make", f"token {token_id}", {"scopes": body.scopes, "days": body.days})
    row = next(row for row in await people.tokens(connection, after=token_id - 1) if row.token_id == token_id)
    return Made(row, secret)


async def revoke(door: Door, token_id: int) -> None:
    """End a token of who asks, at once."""
    rights.signed_in()
    async with door.service.database.connection(write=True) as connection:
        if not 0 < token_id < 2**31 or not await people.revoke_token(connection, token_id, door.wall()):
            raise Problem("token_id", 404, name=token_id)
        await audit.note(connection, "token.revoke", f"token {token_id}")
    door.memory.forget()
