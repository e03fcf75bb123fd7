"""Fetching vendors' clouds: what is due is asked, read by its device's mapping, and delivered as readings."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from ingest.foreign import history, known
from ingest.foreign.acknowledged import Feed
from ingest.foreign.fetching import ANSWER_BYTES_MAX
from ingest.foreign.history import Judgement
from ingest.foreign.inbox import Feeding, connection_of
from kraj.clock import Clock
from kraj.errors import ConfigurationError, PayloadError, UnavailableError
from kraj.sealing import Sealer
from kraj.store import foreign, pulls
from kraj.store.connection import Connection
from kraj.store.foreign import ForeignMessage
from kraj.store.pulls import DuePull

LOOK_S = 5.0
AT_ONCE_MAX = 20
BACKOFF_MAX = timedelta(hours=6)
"""A cloud that refuses us all day is still asked four times."""

log: Any = structlog.get_logger(__name__)
Fetch = Callable[[str, Mapping[str, str]], Awaitable[bytes]]


async def keep_pulling(database_url: str, feeding: Feeding, now: Clock, sealer: Sealer, fetch: Fetch) -> None:
    """Fetch what is due until cancelled."""
    while True:
        try:
            async with connection_of(database_url) as connection:
                due = await pulls.due(connection, now(), limit=AT_ONCE_MAX)
                if due:
                    async with feeding() as feed:
                        for pull in due:
                            await take(pull, connection, feed, now, sealer, fetch)
        except UnavailableError as error:
            log.warning("pulls wait", error=str(error))
        await asyncio.sleep(LOOK_S)


async def take(  # noqa: PLR0917 - what the loop has in its hands
    pull: DuePull, connection: Connection, feed: Feed, now: Clock, sealer: Sealer, fetch: Fetch
) -> bool:
    """Fetch one; whether readings came of it. Whatever goes wrong is written down with the next time."""
    moment = now()
    error: str | None = None
    judged = Judgement()
    content = b""
    found: known.Known | None = None
    reasons: list[dict[str, Any]] = []
    try:
        found = await known.find(connection, pull.device, int(moment.timestamp() * 1000))
        headers = sealer.open(pull.headers) if pull.headers is not None else {}
        content = await fetch(pull.url, headers)
        judged = await asyncio.to_thread(history.of_json, content, found.document, found.context, ANSWER_BYTES_MAX)
        await feed.deliver(found.municipality, found.device, judged.accepted)
        if not judged.accepted:
            error = "; ".join(judged.refused[:3]) or "no reading in the answer"
    except PayloadError as refusal:
        error = f"{refusal.reason}: {refusal}"
        reasons.append({"reason": refusal.reason, "detail": str(refusal)})
    except (UnavailableError, ConfigurationError) as trouble:
        error = str(trouble)
        reasons.append({"detail": error})
    failures = 0 if error is None else pull.failures + 1
    due_at = following(moment, pull.interval_s, failures)
    await pulls.done(connection, pull.pull_id, at=moment, due_at=due_at, error=error, failures=failures)
    if found is not None:
        reasons += [{"detail": line} for line in judged.refused[:20]]
        verdict = "refused" if error is not None else "partly" if judged.counts else "stored"
        shown = ForeignMessage(
            found.device_id,
            found.municipality_id,
            f"pull/{found.municipality}/{found.device}/{pull.name}",
            content,
            judged.accepted[:5],
            verdict,
            reasons,
        )
        await foreign.keep(connection, [shown], moment)
    log.info("fetched", pull=pull.name, stored=len(judged.accepted), error=error)
    return error is None


def following(moment: datetime, interval_s: int, failures: int) -> datetime:
    """When next: after the interval, doubled with each failure, with jitter so that not all ask at once."""
    wait = min(timedelta(seconds=interval_s) * 2 ** min(failures, 12), max(BACKOFF_MAX, timedelta(seconds=interval_s)))
    return moment + wait * random.uniform(0.95, 1.05)  # noqa: S311 - jitter
