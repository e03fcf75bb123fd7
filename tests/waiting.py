"""How long tests wait: a wait that bounds failures alone is long, and a claim on time is kept by the best of a few."""

from collections.abc import Callable
from contextlib import suppress

import psutil

PATIENCE_S = 90.0
"""For what must come at last; a busy machine may take its time, and only a failure takes all of it."""
ATTEMPTS = 12


def best(measure: Callable[[], float], bound: float) -> float:
    """The least time that a few measurements give; the first within the bound is the last.

    A busy machine can only make something look slower than it is.
    """
    least = measure()
    for _ in range(ATTEMPTS - 1):
        if least < bound:
            break
        least = min(least, measure())
    return least


def cpu_s() -> float:
    """The processor time of this process and of all that it has started, in seconds; others' programs add none to it.

    The test's PostgreSQL is among them, with connections that have ended.
    """
    taken = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            taken += times.user + times.system + times.children_user + times.children_system
    return taken
