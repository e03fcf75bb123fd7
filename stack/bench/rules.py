"""``kraj bench rules``: what judging a reading costs with the whole catalogue on, from a thousand assets to a million.

Each size runs in a process of its own. The clock is the processor's, so that other programs do not count; one core is
used. What is measured is ``Watch.step`` and ``commit``: every rule, ticks and correlation among them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import psutil

from kraj.errors import UnavailableError
from rules.catalogue import load
from rules.twin import Twin
from rules.watch import Watch
from stack.bench import street
from stack.bench.processes import environment

CURVE = (1_000, 10_000, 100_000, 1_000_000)
BATCH = 100_000
WARM_ROUNDS = 5
"""Until the faults have become alerts: ten minutes after switching on, and ten more."""
ROUNDS, ROUNDS_LARGE = 12, 4
"""An hour, in which every lamp is learnt from once; less where a round is a million readings."""
LARGE = 200_000
TWIN_DEVICES, TWIN_ROUNDS = 100, 3
SIZE_S_MAX = 1800


def run(devices: int, curve: Sequence[int], batch: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure, and give what ``kraj bench rules --json`` prints."""
    found = {size: _in_a_process(size, batch, say) for size in sorted({devices, *curve})}
    main = found[devices]
    twin_ns = _twin_ns()
    say(f"slow twin: {twin_ns / 1000:,.0f} µs a reading")
    return {
        **main,
        "readings_per_s": round(1e9 / main["ns_per_reading"]),
        "speedup": round(twin_ns / main["ns_per_reading"]),
        "rules": len(load()),
        "curve": [{"devices": size, "ns_per_reading": found[size]["ns_per_reading"]} for size in sorted(curve)],
    }


def _in_a_process(devices: int, batch: int, say: Callable[[str], None]) -> dict[str, Any]:
    command = [sys.executable, "-m", "stack.bench.rules", str(devices), str(batch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=SIZE_S_MAX)
    if done.returncode:
        raise UnavailableError(f"measuring {devices} devices failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    say(f"{devices:,} devices: {found['ns_per_reading']} ns a reading by night, {found['ns_per_reading_noon']} at noon")
    return found


def measure(devices: int, batch: int) -> dict[str, Any]:
    """One size: by night, when lamps are lit, and at noon, when roofs produce."""
    night = _moment(devices, batch, street.NIGHT_MS)
    rss_mb = round(psutil.Process().memory_info().rss / 2**20)
    noon = _moment(devices, batch, street.NOON_MS)
    return {
        "devices": devices,
        "ns_per_reading": round(1e9 * night[0]),
        "ns_per_reading_noon": round(1e9 * noon[0]),
        "batch_ms": round(1000 * night[1], 1),
        "batch_readings": min(devices, batch),
        "rss_mb": rss_mb,
    }


def _moment(devices: int, batch: int, start_ms: int) -> tuple[float, float]:
    """Seconds of the processor a reading, and a batch (the median)."""
    estate = street.estate(devices)
    watch, load_of = Watch(estate, load()), street.Load(estate, batch, start_ms)
    count, spent = 0, list[float]()
    for number in range(WARM_ROUNDS + (ROUNDS if devices < LARGE else ROUNDS_LARGE)):
        for readings, now_ms in load_of.round(number):
            before = time.process_time()
            watch.step(readings, [], now_ms)
            watch.commit()
            if number >= WARM_ROUNDS:
                spent.append(time.process_time() - before)
                count += sum(map(len, readings))
    if watch.failures:
        raise UnavailableError(f"rules have failed: {watch.failures}")
    return sum(spent) / count, median(spent)


def _twin_ns() -> float:
    estate = street.estate(TWIN_DEVICES)
    twin, load_of = Twin(estate, load()), street.Load(estate, TWIN_DEVICES, street.NIGHT_MS)
    count, before = 0, time.process_time()
    for number in range(TWIN_ROUNDS):
        for readings, now_ms in load_of.round(number):
            twin.step(readings, [], now_ms)
            count += sum(map(len, readings))
    return (time.process_time() - before) / count * 1e9


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))  # noqa: T201  # for whoever measures
