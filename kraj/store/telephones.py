"""A person's own telephones and browsers that messages are pushed to; and who of them may hear of which alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from kraj.store.connection import Connection

LISTED_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TelephoneRow:
    """One of whoever asks; ``tested_at`` and ``test_error`` are of its last test, ``test_waits`` until it is sent."""

    target_id: int
    name: str
    severity_min: str
    made_at: datetime
    tested_at: datetime | None
    test_error: str | None
    test_waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearer:
    """Where a person may work on alerts: in towns, on single assets, on what belongs to the region."""

    person: int
    towns: Sequence[int]
    assets: Sequence[int]
    region: bool

    def hears(self, municipality_id: int | None, asset_id: int | None, concerns: Sequence[int]) -> bool:
        """Whether an alert is theirs to work on; ``concerns``: towns in which something hangs on it."""
        if asset_id is not None and asset_id in self.assets:
            return True
        if municipality_id is None:
            return self.region or not set(concerns).isdisjoint(self.towns)
        return municipality_id in self.towns


async def telephones(connection: Connection, person_id: int) -> list[TelephoneRow]:
    """Those of a person, the newest first."""
    async with connection.cursor(row_factory=class_row(TelephoneRow)) as cursor:
        await cursor.execute(
            """
            SELECT t.target_id, t.name, t.severity_min, t.made_at, last.done_at AS tested_at, last.error AS test_error,
                   last.asked_at IS NOT NULL AND last.done_at IS NULL AS test_waits
            FROM notification_target t
            LEFT JOIN LATERAL (SELECT * FROM target_test x WHERE x.target_id = t.target_id
                               ORDER BY x.target_test_id DESC LIMIT 1) AS last ON true
            WHERE t.person_id = %s ORDER BY t.target_id DESC LIMIT %s
            """,
            [person_id, LISTED_MAX],
        )
        return await cursor.fetchall()


async def switch_on(connection: Connection, url: str, *, name: str, severity_min: str, language: str) -> int:
    """Push to a browser of whoever asks, from now on to nobody else there; its number."""
    cursor = await connection.execute("SELECT push_on(%s, %s, %s, %s)", [url, name, severity_min, language])
    row = await cursor.fetchone()
    return row[0] if row else 0


async def gone(connection: Connection, target_id: int) -> None:
    """Forget a browser that its service does not know any more."""
    await connection.execute("SELECT push_gone(%s)", [target_id])


async def hearers(connection: Connection) -> dict[int, Hearer]:
    """By person, those who have a browser switched on."""
    async with connection.cursor(row_factory=class_row(Hearer)) as cursor:
        await cursor.execute("SELECT * FROM push_hearers()")
        return {row.person: row for row in await cursor.fetchall()}
