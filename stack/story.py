"""What happens in a demo: its hour, what lay before, and which faults befall the region while one looks."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from kraj.clock import real
from kraj.errors import ConfigurationError
from simulators.asset import Region
from simulators.faults import one, scenario
from simulators.physics.frame import DAY_MS, Fault
from stack.secrets import write_private

ZONE = ZoneInfo("Europe/Prague")
AHEAD_DAYS = 3
"""A demo that runs for longer lives on without new faults."""
RATE = 4.0
"""A hundred devices have few faults a month; four times as many fill a list without hiding what is healthy."""
RESTLESS_MS = 6 * 3_600_000
PIECES = (("door_open", 2, 1.0), ("feeder_outage", 4, 0.7), ("knock_down", 7, 3.0), ("lamp_out", 9, 12.0))
"""What befalls the region soon after the start: the cause, minutes from then, hours that it lasts."""


@dataclass(frozen=True, slots=True)
class Story:
    """``start_ms`` is the region's time at the demo's first start; ``offset_s`` is what its clock is ahead of ours."""

    start_ms: int
    offset_s: float
    history_days: int
    faults: tuple[Fault, ...]
    fault_file: Path
    resumed: bool = False
    """It began at an earlier start, whose hour and history stay."""

    @staticmethod
    def of(folder: Path, region: Region, start: str, history_days: int) -> "Story":
        """The story that the folder's data belong to, or a new one that is written beside them.

        Raises ``ConfigurationError`` where ``start`` is no time of day.
        """
        file = folder / "story.json"
        resumed = file.exists()
        if resumed:
            kept = json.loads(file.read_text())
            start_ms, offset_s, history_days = kept["start_ms"], kept["offset_s"], kept["history_days"]
        else:
            begins = _begins(start)
            start_ms, offset_s = round(begins.timestamp() * 1000), (begins - real()).total_seconds()
            kept = {"start_ms": start_ms, "offset_s": offset_s, "history_days": history_days}
            write_private(file, json.dumps(kept) + "\n")
        first = (start_ms // DAY_MS - history_days) * DAY_MS
        usual = scenario(region.seed, region, first, history_days + AHEAD_DAYS, rate=RATE)
        faults = (*usual, *_pieces(region, start_ms))
        write_private(folder / "faults.json", json.dumps([asdict(fault) for fault in faults]) + "\n")
        return Story(start_ms, offset_s, history_days, faults, folder / "faults.json", resumed)

    @property
    def history_start_ms(self) -> int:
        """Midnight (UTC) of the first day before; without a history the start itself."""
        return (self.start_ms // DAY_MS - self.history_days) * DAY_MS if self.history_days else self.start_ms

    def now(self) -> datetime:
        """The region's local time."""
        return (real() + timedelta(seconds=self.offset_s)).astimezone(ZONE)

    def restless(self) -> set[str]:
        """What a fault befalls in the first hours; keys of assets."""
        soon_ms = self.start_ms + RESTLESS_MS
        befallen = [fault for fault in self.faults if fault.start_ms < soon_ms and fault.end_ms > self.start_ms]
        return {target for fault in befallen for target in fault.targets}

    def announce(self) -> str:
        """The next faults, a line each."""
        now_ms = round(self.now().timestamp() * 1000)
        soon = sorted((f for f in self.faults if 0 <= f.start_ms - now_ms < 60 * 60_000), key=lambda f: f.start_ms)
        lines = (
            f"           {datetime.fromtimestamp(f.start_ms / 1000, ZONE):%H:%M}  {f.cause} on {f.name}\n"
            for f in soon[:6]
        )
        return "".join(lines)


def _pieces(region: Region, start_ms: int) -> list[Fault]:
    """The faults to look at; a region that is too small for one goes without it."""
    found: list[Fault] = []
    for cause, minutes, hours in PIECES:
        try:
            found.append(one(cause, region, region.seed, start_ms + minutes * 60_000, hours=hours))
        except ConfigurationError:
            continue
    return found


def _begins(start: str) -> datetime:
    now = real()
    if start == "now":
        return now
    try:
        at = datetime.strptime(start, "%H:%M").time()  # noqa: DTZ007 - a time of day
    except ValueError as error:
        raise ConfigurationError(f"--start {start}: write a local time like 16:30, or now") from error
    return datetime.combine(now.astimezone(ZONE).date(), at, ZONE).astimezone(UTC)
