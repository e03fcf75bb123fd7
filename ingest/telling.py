"""Commands that others have left in the database are told to their devices, as soon as each listens."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from ingest.database import Database
from ingest.session import Link
from kraj.errors import UnavailableError
from kraj.store import telling
from kraj.topics import Channel, Topic

PAUSE_S = 5.0
EXPIRY_S = 3600
"""How long the broker keeps it at most for a device that has a session and is away."""

log: Any = structlog.get_logger(__name__)


async def tell_commands(database: Database, link: Callable[[], Link | None]) -> None:
    """Look for commands for ever. ``link`` gives the open session, or None."""
    while True:
        try:
            await _round(database, link())
        except UnavailableError as error:
            log.warning("cannot look for commands yet", error=str(error))
        await asyncio.sleep(PAUSE_S)


async def _round(database: Database, link: Link | None) -> None:
    if link is None or not link.is_open:
        return
    async with database.writer() as writer:
        found = await telling.waiting(writer.connection, database.now())
    told: list[int] = []
    for one in found:
        topic = str(Topic(one.municipality, one.device, Channel.COMMAND))
        left_s = max(1, int((one.expires_at - database.now()).total_seconds()))
        if await link.deliver([topic], one.payload.encode(), min(EXPIRY_S, left_s)):
            told.append(one.device_command_id)
    if told:
        async with database.writer() as writer:
            await telling.done(writer.connection, told, database.now())
        log.info("told commands to devices", told=len(told), of=len(found))
