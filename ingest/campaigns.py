"""Campaigns of firmware at the broker: blocks of releases kept there, updates offered, what came of them noted."""

import math
import time
from datetime import datetime
from typing import Any

import msgspec
import structlog

from ingest.session import Link, Outgoing
from kraj.errors import UnavailableError
from kraj.store import offering
from kraj.store.connection import Connection
from kraj.store.offering import Kept, Offer
from kraj.topics import Channel, Topic

OFFERS_MAX = 500
"""On their way at a time: each makes a device load a hundred kilobytes."""
OFFER_S = 3600
"""An offer counts at the broker for so long; then it is told again."""
RENEW_S = 60.0
"""Between two times that a release's blocks are given to the broker anew because devices could not take them."""
LOOK_S, LOOK_SHARE = 1.0, 0.05
"""Between looks at what devices say that they run, at least; and how much of the time looking may take."""

log: Any = structlog.get_logger(__name__)


class Campaigns:
    """What the dispatcher does for campaigns, on its connection."""

    def __init__(self) -> None:
        self._look_at = -math.inf
        self._remind = False
        self._renewed: dict[int, float] = {}

    async def tend(self, connection: Connection, now: datetime) -> None:
        """What time and what devices say bring: outcomes, the next stage, an end."""
        began = time.monotonic()
        if began < self._look_at:
            return
        async with connection.transaction():
            await offering.settle(connection, now)
            if changed := await offering.step(connection, now):
                log.info("campaigns of firmware went on", campaigns=changed)
            await self._renew(connection, now, began)
        self._remind = True
        done = time.monotonic()
        self._look_at = done + max(LOOK_S, (done - began) / LOOK_SHARE)

    async def tell(self, connection: Connection, link: Link, now: datetime) -> None:
        """Have the broker keep what it is to keep, forget what was withdrawn, and offer what is due."""
        for kept in await offering.to_clear(connection):
            topics = [topic for topic, _ in offering.messages(kept)]
            if all(await link.deliver_each([(topic, b"", None) for topic in topics], retain=True)):
                await offering.cleared(connection, kept.release_id, now)
        for kept in await offering.unpublished(connection):
            await self._publish(connection, link, kept, now)
        claimed = await offering.claim(connection, now, OFFERS_MAX)
        if self._remind:
            claimed += await offering.claim(connection, now, OFFERS_MAX - len(claimed), "accepted")
            self._remind = False
        offers = [one for one in claimed if one.sending]
        try:
            await link.deliver_each([offer(one) for one in offers])
        except UnavailableError:
            await offering.again(connection, [one.command_id for one in offers], now)
            raise

    async def _renew(self, connection: Connection, now: datetime, at: float) -> None:
        """Replace blocks that devices could not take, whoever has put them there: ours are retained over them."""
        found = await offering.doubted(connection, now)
        due = [one for one in found if at - self._renewed.get(one, -math.inf) >= RENEW_S]
        if due:
            await offering.renew(connection, due)
            self._renewed |= dict.fromkeys(due, at)
            log.warning("devices could not take a firmware release; giving it to the broker anew", releases=due)

    async def _publish(self, connection: Connection, link: Link, kept: Kept, now: datetime) -> None:
        there = await link.deliver_each(
            [(topic, payload, None) for topic, payload in offering.messages(kept)], retain=True
        )
        if all(there):
            await offering.published(connection, kept.release_id, now)
            log.info("firmware release published", release=kept.digest, blocks=len(there) - 1)
        else:
            log.warning("the broker does not keep a firmware release; check its ACL", release=kept.digest)


def offer(one: Offer) -> Outgoing:
    """The message that offers an update."""
    topic = str(Topic(one.municipality, one.device, Channel.COMMAND))
    return topic, msgspec.json.encode(offering.offered(one)), OFFER_S
