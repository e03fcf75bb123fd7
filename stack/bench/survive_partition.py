"""A partition: for a minute nothing goes through between lamps, broker, ingest and database; some lines stay mute.

Half of the lamps' lines go on where they were cut off. The other half, and those of ingest to broker and database, stay
half-open: nobody closes them and nobody answers. Whoever holds such a line has to find out by itself.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from psycopg import conninfo

from kraj.errors import UnavailableError
from stack.bench.processes import stop
from stack.bench.survive_crew import CONNECT_S_MAX, Crew
from stack.bench.survive_oracle import judge
from stack.bench.survive_proxy import Proxy
from stack.bench.survive_site import Site

LAMPS = 100
INTERVAL_S = 0.5
PARTED_S = 60.0
CALM_S = 4.0
SETTLE_S = 45.0
KEEPALIVE_S = 15
"""Of the lamps; those of the field find a mute line in a minute."""
ANSWER_TIMEOUT_S = 5.0
MUST_BE_NONE = (
    "partition_lost",
    "partition_acknowledged_falsely",
    "partition_duplicates",
    "partition_ingest_ended",
)


async def run(
    site: Site,
    say: Callable[[str], None],
    *,
    lamps: int = LAMPS,
    parted_s: float = PARTED_S,
    settle_s: float = SETTLE_S,
    calm_s: float = CALM_S,
    mute: bool = True,
) -> dict[str, Any]:
    """Part all lines for ``parted_s``; then lamps have ``settle_s`` to deliver what they hold."""
    names = await asyncio.to_thread(site.lamps, "part", lamps)
    url = site.database.url("kraj_ingest")
    socket = conninfo.conninfo_to_dict(url)
    upstream = f"{socket['host']}/.s.PGSQL.{socket['port']}"
    broker = ("127.0.0.1", site.broker.port)
    async with AsyncExitStack() as stack:
        field, session, store = [await stack.enter_async_context(Proxy(one)) for one in (broker, broker, upstream)]
        through = conninfo.make_conninfo(url, host="127.0.0.1", port=str(store.port))
        settings = {"KRAJ_MQTT_HOST": "127.0.0.1", "KRAJ_MQTT_PORT": str(session.port)}
        ingest = await asyncio.to_thread(site.start_ingest, through, **settings)
        try:
            await asyncio.to_thread(site.ready)
            async with Crew(
                names,
                [field.port],
                interval_s=INTERVAL_S,
                keepalive_s=KEEPALIVE_S,
                answer_timeout_s=ANSWER_TIMEOUT_S,
            ) as crew:
                reporting = asyncio.create_task(crew.report(1e9))
                await asyncio.sleep(calm_s)
                await crew.heard(CONNECT_S_MAX)
                before = len(crew.acknowledged)
                for proxy in (field, session, store):
                    proxy.part()
                say(f"  parted; {before} readings were acknowledged before")
                await asyncio.sleep(parted_s)
                unheard = len(crew.made) - len(crew.acknowledged)
                field.heal(lambda number: mute and number % 2 == 0)
                for proxy in (session, store):
                    proxy.heal(lambda _: mute)
                say(f"  lines go through again; {unheard} readings wait")
                healed = asyncio.get_running_loop().time()
                await asyncio.sleep(calm_s)
                reporting.cancel()
                settling_s = await crew.settle(settle_s)
                first = min((at for at in crew.acknowledged.values() if at > healed), default=None)
            ended = ingest.poll() is not None
        finally:
            await asyncio.to_thread(stop, ingest)
    stored = await asyncio.to_thread(site.stored, names)
    if not before or not unheard:
        raise UnavailableError(
            "nothing was acknowledged before, or nothing was held back: the measurement is worth nothing"
        )
    return judge(crew.made, crew.acknowledged, stored).figures("partition") | {
        "partition_held_back": unheard,
        "partition_ingest_ended": int(ended),
        "partition_first_ack_s": None if first is None else round(first - healed, 1),
        "partition_settling_s": round(settling_s + calm_s, 1),
    }
