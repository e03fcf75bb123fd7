"""After a restore: ask every device, as soon as it can be reached, to send again what the backup did not hold."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from ingest.database import Database
from ingest.routes import Route
from ingest.session import Link, Outgoing
from kraj.errors import UnavailableError
from kraj.store import resend
from kraj.topics import Channel, Topic

PAUSE_S = (2.0, 600.0)
"""Between rounds, doubling: devices come back within seconds after we do, some tomorrow."""
PATIENCE = timedelta(days=7)
"""A device not heard for this long after the restore is not asked any more; its ring is the likelier loss."""
AT_ONCE = 50
"""Their readings of eight days are looked through at a time, which holds up what is coming in now."""
EXPIRY_S = 3600
"""An answer is waited for so long; then a device is asked again."""

log: Any = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Asked:
    """What we know of one request; a restart begins anew, and no device does anything twice."""

    since_event: int = 0
    done: set[int] = field(default_factory=set[int])
    until: dict[int, float] = field(default_factory=dict[int, float])
    """By device until when it is not asked again."""
    lowest: dict[int, int | None] = field(default_factory=dict[int, "int | None"])


async def grant_resends(database: Database, link: Callable[[], Link | None], store: Any = resend) -> None:
    """Grant what is asked for in the database, then end. ``link`` gives the open session, or None; ``store`` is the
    port to what is asked for, as the module ``resend`` of the store is."""
    asked: dict[str, _Asked] = {}
    pause = PAUSE_S[0]
    while await _round(database, link(), asked, store):
        await asyncio.sleep(pause)
        pause = min(2 * pause, PAUSE_S[1])


async def _round(database: Database, link: Link | None, asked: dict[str, _Asked], store: Any) -> bool:
    """Ask the devices that have not answered yet; tell whether there is more to do."""
    requests: list[resend.Request] = []
    try:
        async with database.writer() as writer:
            requests = await store.open_requests(writer.connection)
            routes = await database.routes() if requests else None
        if link is None or not link.is_open or routes is None:
            return link is None or not link.is_open or bool(requests)
        devices = [route for route in routes.all if route.sending]
        for request in requests:
            one = asked.setdefault(request.name, _Asked())
            async with database.writer() as writer:
                one.since_event, found = await store.answered(writer.connection, request.name, one.since_event)
                one.done |= found
            left = [route for route in devices if route.device_id not in one.done]
            if not left or database.now() - request.since > PATIENCE:
                async with database.writer() as writer:
                    await store.close_request(writer.connection, request.resend_id, database.now())
                log.info("devices have been asked to send again", done=len(one.done), of=len(devices))
            else:
                await _ask(database, link, request, one, left, store=store)
    except UnavailableError as error:
        log.warning("cannot ask devices to send again yet", error=str(error))
        return True
    return bool(requests)


async def _ask(
    database: Database, link: Link, request: resend.Request, one: _Asked, left: Sequence[Route], *, store: Any
) -> None:
    """Ask those that were not asked of late: an answer, and not the broker's word, tells that one has heard of it."""
    now_s = asyncio.get_running_loop().time()
    due = [route for route in left if one.until.get(route.device_id, now_s) <= now_s]
    for start in range(0, len(due), AT_ONCE):
        some = due[start : start + AT_ONCE]
        unknown = [route.device_id for route in some if route.device_id not in one.lowest]
        if unknown:
            async with database.writer() as writer:
                found: dict[int, int] = await store.lowest_missing(writer.connection, unknown, request.since)
            one.lowest |= {device_id: found.get(device_id) for device_id in unknown}
        reached = await link.deliver_each([_command(route, request, one.lowest[route.device_id]) for route in some])
        one.until |= {route.device_id: now_s + EXPIRY_S for route, there in zip(some, reached, strict=True) if there}
    log.info("asked devices to send again", since=request.since.isoformat(), asked=len(due), left=len(left))


def _command(route: Route, request: resend.Request, from_seq: int | None) -> Outgoing:
    body: dict[str, Any] = {"id": request.name, "do": "resend"}
    if from_seq is not None:
        body["from_seq"] = from_seq
    return str(Topic(route.municipality, route.name, Channel.COMMAND)), json.dumps(body).encode(), EXPIRY_S
