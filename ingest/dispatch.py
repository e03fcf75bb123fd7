"""Commands and what devices are to keep go from the database to their devices, on a connection beside the slot's."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog

from ingest import trains
from ingest.campaigns import Campaigns
from ingest.recompile import recompile
from ingest.session import Link, Outgoing
from kraj.clock import Clock
from kraj.errors import UnavailableError
from kraj.store import dimming, dispatching, holding
from kraj.store.connection import Connection, translated
from kraj.store.dispatching import RENEWAL_S, Due, Unsent
from kraj.topics import Channel, Topic

PAUSE_S = 1.0
"""Between looks, unless NOTIFY tells of something."""
COMMANDS_MAX = 2000
"""On their way at a time; half a megabyte."""
DESIRED_MAX = 1000
"""Likewise; each is some 4 kB."""
DESIRED_LOOK_MAX = 10_000
"""Looked for at a time: each look passes by what was told since the table was tidied."""
LOOKED_AT_MAX = 5000
"""Commands held against readings, or ended, at a time."""
DOCUMENTS_MAX = 4000
"""Compiled programs kept in memory, 16 MB; there is one a segment."""
RECOMPILE_S = 10.0
"""Between looks at a few segments' programs; each is looked at once a day."""
BACKOFF_S = 1.0

log: Any = structlog.get_logger(__name__)


class Dispatcher:
    """Tells devices what waits for them. ``link`` gives the open session, or None; ``store`` is the port to what waits,
    as the module ``dispatching`` of the store is."""

    def __init__(self, url: str, link: Callable[[], Link | None], now: Clock, *, store: Any = dispatching) -> None:
        self._url = url
        self._store = store
        self._link = link
        self._now = now
        self._met: Link | None = None
        self._documents: dict[int, bytes] = {}
        self._campaigns = Campaigns()
        self._tended_at = self._recompiled_at = -math.inf

    async def run(self) -> None:
        """Until cancelled. Whatever goes wrong here must not hold up readings: it is logged and tried again."""
        while True:
            connection: Connection | None = None
            try:
                connection = await dispatching.connect(self._url)
                with translated(connection):
                    await self._rounds(connection)
            except UnavailableError as error:
                log.warning("cannot dispatch commands yet", error=str(error).strip())
            except Exception:
                log.exception("dispatching commands failed; trying again")
            finally:
                if connection is not None:
                    await connection.close()
            await asyncio.sleep(BACKOFF_S)

    async def _rounds(self, connection: Connection) -> None:
        while True:
            link = self._link()
            if link is not None and link.is_open:
                await self._round(connection, link)
            async for _ in connection.notifies(timeout=PAUSE_S, stop_after=1):
                pass

    async def _round(self, connection: Connection, link: Link) -> None:
        if link is not self._met:
            # Not whether the session is there: who made it may have died before it could forget.
            if not link.marked:
                forgotten = await self._store.forget_sent(connection, self._now())
                log.info("the broker has kept nothing: telling devices again what they keep", devices=forgotten)
                link.mark()
            self._met = link
        if time.monotonic() - self._tended_at >= PAUSE_S:
            await self._tend(connection)
            self._tended_at = time.monotonic()
        await self._follow(connection)
        while (
            await self._left(connection, link)
            or await self._commands(connection, link)
            or await self._desired(connection, link)
        ):
            pass
        await self._campaigns.tell(connection, link, self._now())

    async def _follow(self, connection: Connection) -> None:
        await trains.follow(connection, self._now())

    async def _tend(self, connection: Connection) -> None:
        """What time alone brings: proof, expiry, higher versions, the next step of rollouts, programs compiled anew."""
        now = self._now()
        await self._store.confirm(connection, now, LOOKED_AT_MAX)
        await self._store.expire(connection, now, LOOKED_AT_MAX)
        await holding.hold_contactors(connection, now)
        outgrown = await self._store.outgrow(connection, now)
        if outgrown:
            log.warning("devices keep later versions than are desired: the versions were raised", devices=outgrown)
        async with connection.transaction():
            await dimming.step_rollouts(connection, now)
        await self._campaigns.tend(connection, now)
        if time.monotonic() - self._recompiled_at >= RECOMPILE_S:
            await recompile(connection, now)
            self._recompiled_at = time.monotonic()

    async def _commands(self, connection: Connection, link: Link) -> bool:
        """Tell a batch; whether there may be more."""
        now = self._now()
        found = await self._store.claim(connection, now, COMMANDS_MAX)
        due = [one for one in found if one.sending]
        ids = [one.command_id for one in due]
        try:
            reached = await link.deliver_each([command(one, now) for one in due])
        except UnavailableError:
            await self._store.again(connection, ids, now)
            raise
        taken: list[UUID] = [id_ for id_, there in zip(ids, reached, strict=True) if there]
        if taken:
            await self._store.sent(connection, taken, now)
        return len(found) == COMMANDS_MAX

    async def _left(self, connection: Connection, link: Link) -> bool:
        """Empty topics that nobody reads any more; whether there may be more."""
        found = await self._store.left(connection, DESIRED_MAX)
        if found:
            topics = [str(Topic(row.municipality, row.device, Channel.DESIRED)) for row in found]
            kept = await link.deliver_each([(topic, b"", None) for topic in topics], retain=True)
            gone = [row for row, there in zip(found, kept, strict=True) if there]
            await self._store.cleared(connection, gone, self._now())
            return len(gone) == DESIRED_MAX
        return False

    async def _desired(self, connection: Connection, link: Link) -> bool:
        """Tell what to keep; whether there may be more. Commands, which are in a hurry, go in between."""
        found = await self._store.unsent(connection, self._now(), DESIRED_LOOK_MAX)
        kept: list[Unsent] = []
        for start in range(0, len(found), DESIRED_MAX):
            kept = await self._keep(connection, link, found[start : start + DESIRED_MAX], kept)
            await self._commands(connection, link)
        await self._store.told(connection, kept, self._now())
        return len(found) == DESIRED_LOOK_MAX

    async def _keep(
        self, connection: Connection, link: Link, found: list[Unsent], before: list[Unsent]
    ) -> list[Unsent]:
        """Give these to the broker, and meanwhile note that it has those before; return those that it has now."""
        await self._read_documents(connection, found)
        known = [row for row in found if all(number in self._documents for number in row.programs.values())]
        noting: Awaitable[None] = self._store.told(connection, before, self._now())
        kept, _ = await asyncio.gather(
            link.deliver_each([desired(row, self._documents) for row in known], retain=True), noting
        )
        return [row for row, there in zip(known, kept, strict=True) if there]

    async def _read_documents(self, connection: Connection, rows: list[Unsent]) -> None:
        wanted = {number for row in rows for number in row.programs.values()}
        if len(self._documents) + len(wanted) > DOCUMENTS_MAX:
            self._documents = {number: text for number, text in self._documents.items() if number in wanted}
        missing = wanted - self._documents.keys()
        if missing:
            self._documents |= await self._store.documents(connection, list(missing))


def command(one: Due, now: datetime) -> Outgoing:
    """The message that tells a command; it ends with the command."""
    topic = str(Topic(one.municipality, one.device, Channel.COMMAND))
    if one.payload is not None:  # large, and told again by itself: no more than one waits at the broker
        return topic, one.payload.encode(), RENEWAL_S
    body: dict[str, Any] = {"id": str(one.command_id), "do": one.do, "channel": one.channel, "reason": one.reason}
    if one.level_pct is not None:
        body |= {"level_pct": one.level_pct, "until": round(one.until.timestamp() * 1000)}
    expiry_s = max(1, math.ceil((one.until - now).total_seconds()))
    return topic, msgspec.json.encode(body), expiry_s


def desired(row: Unsent, documents: Mapping[int, bytes]) -> Outgoing:
    """The message that tells what to keep; ``documents`` are ready-made JSON."""
    programs = {channel: msgspec.Raw(documents[number]) for channel, number in row.programs.items()}
    body: dict[str, Any] = {"version": row.version, "programs": programs}
    if row.interval_s is not None:
        body["interval_s"] = row.interval_s
    return str(Topic(row.municipality, row.device, Channel.DESIRED)), msgspec.json.encode(body), None
