"""Clocks jump by an hour, the lamps' and then the platform's: what they say is stored, or kept whole in quarantine."""

import asyncio
import mmap
import struct
from collections.abc import Callable
from typing import Any

from kraj.errors import UnavailableError
from stack.bench.processes import stop
from stack.bench.survive_clocked import FILE
from stack.bench.survive_crew import Crew
from stack.bench.survive_oracle import judge
from stack.bench.survive_site import Site

LAMPS = 60
INTERVAL_S = 0.5
HOUR_S = 3600.0
SPAN_S = 10.0
SETTLE_S = 30.0
MUST_BE_NONE = (
    "clock_jump_lost",
    "clock_jump_acknowledged_falsely",
    "clock_jump_duplicates",
    "clock_jump_ingest_ended",
)


async def run(site: Site, say: Callable[[str], None], *, lamps: int = LAMPS, span_s: float = SPAN_S) -> dict[str, Any]:
    """Six spans: all right; a third of the lamps an hour ahead and a third behind; right; the platform ahead; behind;
    right."""
    names = await asyncio.to_thread(site.lamps, "clock", lamps)
    file = site.folder / "ahead"
    file.write_bytes(bytes(8))
    with file.open("r+b") as opened:
        ahead = mmap.mmap(opened.fileno(), 8)
    ingest = await asyncio.to_thread(site.start_ingest, module="stack.bench.survive_clocked", **{FILE: str(file)})
    try:
        await asyncio.to_thread(site.ready)
        async with Crew(names, [site.broker.port], interval_s=INTERVAL_S) as crew:
            for lamps_s, platform_s in (
                (0.0, 0.0),
                (HOUR_S, 0.0),
                (0.0, 0.0),
                (0.0, HOUR_S),
                (0.0, -HOUR_S),
                (0.0, 0.0),
            ):
                crew.ahead_s = {name: (-lamps_s, 0.0, lamps_s)[number % 3] for number, name in enumerate(names)}
                ahead[:8] = struct.pack("d", platform_s)
                await crew.report(span_s)
                counted = f"{len(crew.acknowledged)} of {len(crew.made)} readings acknowledged"
                say(f"  lamps ±{lamps_s:.0f} s, platform {platform_s:+.0f} s: {counted}")
            await crew.settle(SETTLE_S)
        ended = ingest.poll() is not None
    finally:
        await asyncio.to_thread(stop, ingest)
    stored = await asyncio.to_thread(site.stored, names)
    kept = await asyncio.to_thread(site.kept, names)
    if not kept or not stored:
        raise UnavailableError("no clock was seen to be wrong: the measurement is worth nothing")
    return judge(crew.made, crew.acknowledged, stored, kept).figures("clock_jump") | {
        "clock_jump_quarantined": len(kept),
        "clock_jump_ingest_ended": int(ended),
    }
