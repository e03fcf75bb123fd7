"""What the person who asks may do: a clear 403 or 404 before the wall in the database would show nothing."""

from api.database import Connection
from api.principal import Principal, current
from api.problems import Problem


def signed_in() -> Principal:
    """Who asks; raise ``Problem('sign_in')`` when nobody does."""
    who = current.get()
    if who is None:
        raise Problem("sign_in", 401)
    return who


def require(right: str) -> Principal:
    """Who asks, if this right is theirs anywhere; raise ``Problem('forbidden')`` if it is not."""
    who = signed_in()
    if right not in who.rights:
        raise Problem("forbidden", 403, right=right)
    return who


async def require_in(connection: Connection, right: str, municipality_id: int | None) -> Principal:
    """Who asks, if this right is theirs in a municipality (None: in the region itself)."""
    who = require(right)
    statement = "SELECT kraj_region(%(right)s)"
    if municipality_id is not None:
        statement = "SELECT %(town)s = ANY (kraj_municipalities(%(right)s))"
    cursor = await connection.execute(statement.encode(), {"right": right, "town": municipality_id})
    row = await cursor.fetchone()
    if row is None or not row[0]:
        raise Problem("forbidden", 403, right=right)
    return who
