"""``kraj bench seeds``: thousands of seeds of the deterministic simulation, and faults put in on purpose that it finds.

Each processor runs its share in a process of its own, which prints a line a seed.
"""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from kraj.errors import UnavailableError
from stack.bench.processes import environment
from stack.process import mortal
from stack.seeds import mutants
from stack.seeds.world import Result
from stack.seeds.world import run as run_seed

SAY_EVERY = 200
TRACE_LINES = 25
FAILURES_SHOWN = 10
GC_THRESHOLDS = (50_000, 20, 100)
"""A seed leaves little behind, and what is imported stays."""


def run(seeds: int, first: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run so many seeds from ``first`` on, then the mutants; gives what ``kraj bench seeds --json`` prints."""
    began, cores = time.monotonic(), os.cpu_count() or 1
    shares = [["seeds", str(first + n), str(first + seeds), str(cores)] for n in range(cores)]
    found: list[dict[str, Any]] = []
    for one in _together(shares):
        found.append(one)
        if one["violations"]:
            say(f"seed {one['seed']}: {one['violations'][0][0]}: {one['violations'][0][1]}")
        if len(found) % SAY_EVERY == 0:
            say(f"{len(found)} seeds in {time.monotonic() - began:.0f} s")
    seconds = time.monotonic() - began
    caught = list(_together([["mutants", str(n), str(cores)] for n in range(cores)]))
    for one in caught:
        say(f"{one['mutant']}: {'seed ' + str(one['seed']) if one['caught'] else 'NOT FOUND'} ({one['invariant']})")
    return {
        "seeds": len(found),
        "devices": sum(one["devices"] for one in found),
        "readings": sum(one["readings"] for one in found),
        "events": sum(one["events"] for one in found),
        "faults": sum(one["faults"] for one in found),
        "messages_disturbed": sum(one["unruly"] for one in found),
        **{f"{name}_min": min((one[name] for one in found), default=0) for name in ("devices", "events", "faults")},
        "violations": sum(bool(one["violations"]) for one in found),
        "failed_seeds": sorted(one["seed"] for one in found if one["violations"])[:FAILURES_SHOWN],
        "mutants": len(mutants.MUTANTS),
        "mutants_caught": sum(one["caught"] for one in caught),
        "mutant_seeds_max": max((one["seeds"] for one in caught), default=0),
        "processor_ms_per_seed": round(1000 * sum(one["processor_s"] for one in found) / max(1, len(found))),
        "seconds": round(seconds, 1),
    }


def show(seed: int, *, whole: bool) -> tuple[str, bool]:
    """One seed as a text with its trace (the end of it, unless ``whole``), and whether everything held."""
    result = run_seed(seed, trace=True)
    lines = result.trace
    if not whole:
        end = next((n for n, line in enumerate(lines) if " VIOLATED " in line), len(lines))
        lines = lines[max(0, end - TRACE_LINES) : end + 5]
    counts = f"{result.devices} devices, {result.events} events, {result.faults} faults"
    head = [f"seed {seed}: {counts}, {len(result.violations)} violations"]
    return "\n".join([*head, *lines, *(f"{name}: {why}" for name, why in result.violations)]), not result.violations


def _together(shares: list[list[str]]) -> Iterator[dict[str, Any]]:
    """What processes print, line by line; they end with us."""
    command = mortal([sys.executable, "-m", "stack.bench.seeds"])
    with ExitStack() as stack:
        running = [
            stack.enter_context(subprocess.Popen([*command, *share], stdout=subprocess.PIPE, env=environment()))
            for share in shares
        ]
        for process in running:  # the others' lines wait in their pipes, or they do
            for line in process.stdout or ():
                yield json.loads(line)
        for process in running:
            if process.wait():
                raise UnavailableError(f"{process.args} ended with {process.returncode}")


def _plain(seed: int) -> dict[str, Any]:
    began = time.process_time()
    result: Result = run_seed(seed)
    names = ("seed", "devices", "readings", "events", "faults", "unruly")
    return {name: getattr(result, name) for name in names} | {
        "violations": result.violations[:3],
        "processor_s": time.process_time() - began,
    }


def hunt(name: str) -> dict[str, Any]:
    """Look for one mutant, seed by seed."""
    with mutants.applied(name):
        for seed in range(mutants.SEEDS_MAX):
            found = run_seed(seed).violations
            if found:
                return {"mutant": name, "caught": True, "seed": seed, "seeds": seed + 1, "invariant": found[0][0]}
    return {"mutant": name, "caught": False, "seed": None, "seeds": mutants.SEEDS_MAX, "invariant": "none"}


def _main(what: str, *numbers: str) -> None:
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    given = [int(number) for number in numbers]
    hunted = list(mutants.MUTANTS)
    for one in map(_plain, range(*given)) if what == "seeds" else map(hunt, hunted[given[0] :: given[1]]):
        print(json.dumps(one), flush=True)  # noqa: T201 - for whoever measures


if __name__ == "__main__":
    _main(*sys.argv[1:])
