"""After a restore: ask every device, as soon as it can be reached, to send again what the backup did not hold."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog

from ingest.database import Database
from ingest.session import Link
from kraj.errors import UnavailableError
from kraj.store import resend
from kraj.topics import Channel, Topic

PAUSE_S = (2.0, 600.0)
"""Between rounds, doubling: devices come back within seconds after we do, some tomorrow."""
PATIENCE = timedelta(days=7)
"""A device not seen for this long after the restore is not asked any more; its ring is the likelier loss."""
AT_ONCE = 500
EXPIRY_S = 3600

log: Any = structlog.get_logger(__name__)


async def grant_resends(database: Database, link: Callable[[], Link | None]) -> None:
    """Grant what is asked for in the database, then end. ``link`` gives the open session, or None."""
    asked: dict[int, set[str]] = {}
    pause = PAUSE_S[0]
    while await _round(database, link(), asked):
        await asyncio.sleep(pause)
        pause = min(2 * pause, PAUSE_S[1])


async def _round(database: Database, link: Link | None, asked: dict[int, set[str]]) -> bool:
    """Ask the devices that were not reached yet; tell whether there is more to do."""
    try:
        async with database.writer() as writer:
            requests = await resend.open_requests(writer.connection)
            routes = await database.routes() if requests else None
        if link is None or not link.is_open or routes is None:
            return link is None or not link.is_open or bool(requests)
        now = database.now()
        topics = [str(Topic(r.municipality, r.name, Channel.COMMAND)) for r in routes.all if r.sending]
        for resend_id, since in requests:
            done = asked.setdefault(resend_id, set())
            payload = json.dumps(
                {"id": f"resend-{resend_id}", "do": "resend", "from_ts": int(since.timestamp() * 1000)}
            )
            waiting = [topic for topic in topics if topic not in done]
            for start in range(0, len(waiting), AT_ONCE):
                done |= await link.deliver(waiting[start : start + AT_ONCE], payload.encode(), EXPIRY_S)
            log.info("asked devices to send again", since=since.isoformat(), reached=len(done), of=len(topics))
            if len(done) == len(topics) or now - since > PATIENCE:
                async with database.writer() as writer:
                    await resend.close_request(writer.connection, resend_id, now)
    except UnavailableError as error:
        log.warning("cannot ask devices to send again yet", error=str(error))
        return True
    return bool(requests)
