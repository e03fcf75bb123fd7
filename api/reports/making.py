"""From the database to a document: who is asked about, which month, and how rules are called."""

from datetime import date, datetime
from typing import Any

import psycopg

from api.alert_schemas import title
from api.notifications.wordings import Wordings
from api.reports.document import Document, compose
from kraj import reports
from kraj.errors import ConfigurationError
from kraj.store import outbox
from kraj.store import reports as store
from kraj.store.reports import Building, Progress, Town

Connection = psycopg.AsyncConnection[Any]


async def made(
    connection: Connection,
    of: Town,
    month: date,
    at: datetime,
    *,
    language: str,
    building: Building | None = None,
    progress: Progress | None = None,
) -> Document:
    """The document of a month, as the principal sees it; titles of rules in the language."""
    words = Wordings()
    words.take(await outbox.own_rules(connection))

    def called(name: str) -> str:
        rule = words.rule(name)
        return title(rule, language) if rule is not None else str(getattr(words.of(name).title, language))

    return compose(await store.gather(connection, of, month, at, building=building, progress=progress), called)


async def found_building(connection: Connection, of: Town, number: int) -> Building | None:
    """A building of the municipality by its number."""
    return next((one for one in await store.buildings(connection, of.municipality_id) if one.group_id == number), None)


def month_of(text: str, today: date) -> date:
    """The first day of ``2026-10``; raises ``ConfigurationError`` for what is no month, or has not begun."""
    try:
        found = date.fromisoformat(f"{text}-01") if len(text) == len("2026-10") else None
    except ValueError:
        found = None
    if found is None or not reports.FIRST <= found <= today:
        raise ConfigurationError(f"month: found {text[:20]!r}, expected one that has begun, as 2026-10")
    return found
