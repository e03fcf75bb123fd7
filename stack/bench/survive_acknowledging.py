"""How long a reading waits until its device knows that it is stored: while all is calm, and while servers die."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from kraj.errors import UnavailableError
from stack.bench.chaos import TARGETS, Servers
from stack.bench.processes import stop, wait_until
from stack.bench.survive_crew import Crew
from stack.bench.survive_oracle import judge, percentile, waits_ms
from stack.bench.survive_site import Site

LAMPS = 100
INTERVAL_S = 0.2
CALM_S = 20.0
CHAOS_S = 60.0
KILLS = 12
"""One after the other, evenly: where they overlap, waits tell how dense they were."""
SETTLE_S = 20.0
WARM_UP_S = 2.0
MUST_BE_NONE = ("ack_lost", "ack_acknowledged_falsely", "ack_duplicates")


async def run(
    site: Site,
    say: Callable[[str], None],
    *,
    lamps: int = LAMPS,
    calm_s: float = CALM_S,
    chaos_s: float = CHAOS_S,
    kills: int = KILLS,
    targets: Sequence[str] = TARGETS,
) -> dict[str, Any]:
    """Each wait is from the reading's making to its ``ack``, whatever was dead or connecting meanwhile."""
    rng = random.Random(1)  # noqa: S311  # a reproducible order of kills
    names = await asyncio.to_thread(site.lamps, "ack", lamps)
    servers = Servers(site.folder, site.database, site.broker, site.metrics_port)
    await asyncio.to_thread(servers.start_ingest)
    try:
        await asyncio.to_thread(wait_until, lambda: site.figure("broker_up") == 1, "ingest")
        async with Crew(names, [site.broker.port], interval_s=INTERVAL_S) as crew:
            loop = asyncio.get_running_loop()
            await crew.report(WARM_UP_S)
            calm_from = loop.time()
            await crew.report(calm_s)
            chaos_from = loop.time()
            say(f"  calm: {len(crew.made)} readings; now {kills} kills")
            reporting = asyncio.create_task(crew.report(chaos_s))
            order = [targets[number % len(targets)] for number in range(kills)]
            rng.shuffle(order)
            for number, target in enumerate(order):
                await asyncio.sleep(max(0.0, chaos_from + number * chaos_s / kills - loop.time()))
                await asyncio.to_thread(servers.kill, target)
            await reporting
            await crew.settle(SETTLE_S)
            end = loop.time()
    finally:
        if servers.ingest is not None:
            await asyncio.to_thread(stop, servers.ingest)
    stored = await asyncio.to_thread(site.stored, names)
    calm = {mark: at for mark, at in crew.made.items() if calm_from <= at < chaos_from}
    chaos = {mark: at for mark, at in crew.made.items() if at >= chaos_from}
    if not calm or not chaos:
        raise UnavailableError("no reading was made: the measurement is worth nothing")
    quiet, hard = (waits_ms(part, crew.acknowledged, until=end) for part in (calm, chaos))
    return judge(crew.made, crew.acknowledged, stored).figures("ack") | {
        "ack_kills": len(servers.kills),
        "ack_ms_p50": round(percentile(quiet, 50), 1),
        "ack_ms_p99": round(percentile(quiet, 99), 1),
        "ack_ms_p50_chaos": round(percentile(hard, 50), 1),
        "ack_ms_p99_chaos": round(percentile(hard, 99), 1),
    }
