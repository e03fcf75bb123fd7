"""Contactors under a safety lock, which would follow their programs by themselves."""

from datetime import datetime

from kraj.store.connection import Connection


async def hold_contactors(connection: Connection, now: datetime) -> int:
    """Tell contactors that stand open under a lock to stay so, and let those go whose lock is released; how many."""
    cursor = await connection.execute("SELECT hold_contactors(%s)", [now], prepare=False)
    row = await cursor.fetchone()
    return row[0] if row else 0
