"""``kraj bench survive``: what befalls a platform from outside, part by part, and whether a reading was lost by it.

Each part is under two minutes on two cores, and has devices that note what they made and what they were told: whatever
an ``ack`` named must be in the database, and in the end all of it.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kraj.errors import ConfigurationError
from kraj.store.migrate import migrate
from stack.bench import (
    survive_acknowledging,
    survive_clock,
    survive_disk,
    survive_drain,
    survive_inputs,
    survive_partition,
    survive_poison,
    survive_storm,
)
from stack.bench.survive_site import Site
from stack.broker import Broker
from stack.database import EmbeddedPostgres

Say = Callable[[str], None]


def _on_a_site(measure: Callable[[Site, Say], Any]) -> Callable[[Path, Say], dict[str, Any]]:
    """A part that needs a database and a broker of its own."""

    def run(folder: Path, say: Say) -> dict[str, Any]:
        with ExitStack() as stack:
            database = stack.enter_context(EmbeddedPostgres(folder / "database"))
            broker = stack.enter_context(Broker(folder / "broker", open=True))
            migrate(database.url())
            return asyncio.run(measure(Site(folder, database, broker), say))

    return run


PARTS: dict[str, Callable[[Path, Say], dict[str, Any]]] = {
    "disk": survive_disk.measure,
    "partition": _on_a_site(survive_partition.run),
    "poison": _on_a_site(survive_poison.run),
    "clock": _on_a_site(survive_clock.run),
    "drain": _on_a_site(survive_drain.run),
    "inputs": _on_a_site(survive_inputs.run),
    "storm": survive_storm.measure,
    "ack": _on_a_site(survive_acknowledging.run),
}

MUST_BE_NONE = (
    *survive_disk.MUST_BE_NONE,
    *survive_partition.MUST_BE_NONE,
    *survive_poison.MUST_BE_NONE,
    *survive_clock.MUST_BE_NONE,
    *survive_drain.MUST_BE_NONE,
    *survive_inputs.MUST_BE_NONE,
    *survive_storm.MUST_BE_NONE,
    *survive_acknowledging.MUST_BE_NONE,
)


def failed(result: dict[str, Any]) -> list[str]:
    """The figures that must be none and are not; what was not measured is no failure, and stands in the result."""
    return [name for name in MUST_BE_NONE if result.get(name)]


def chosen(only: str) -> list[str]:
    """The parts named, joined by commas, in our order; all of them when none is. Raises ``ConfigurationError``."""
    wanted = [part.strip() for part in only.split(",") if part.strip()]
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        raise ConfigurationError(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return [part for part in PARTS if part in wanted or not wanted]


def run(parts: Sequence[str], say: Say) -> dict[str, Any]:
    """Run the parts; ``PART_took_s`` in the result is how long each took."""
    result: dict[str, Any] = {}
    for part in parts:
        say(part)
        folder = Path(tempfile.mkdtemp(prefix="kraj-survive-"))
        folder.chmod(0o755)
        began = time.monotonic()
        try:
            result |= PARTS[part](folder, say)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        result[f"{part}_took_s"] = round(time.monotonic() - began, 1)
    return result
