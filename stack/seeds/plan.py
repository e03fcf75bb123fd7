"""What befalls a seed: drawn by its number alone, before anything begins."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from stack.seeds.network import Unruly
from stack.seeds.service import POINTS
from stack.seeds.virtual import chance

DEVICES = (20, 26)
SPAN_S = 1000.0
"""So long readings are made and faults begin; then everything settles."""
INTERVAL_S = 45.0
FAULTS = (7, 11)
CLOCK_KNOWN = 0.6
QUIET_S = 90.0
"""Before the first fault, and behind the last."""
KINDS: Mapping[str, int] = {
    "partition": 4,
    "broker forgets": 2,
    "broker restarts": 2,
    "ingest killed": 5,
    "answer of COMMIT lost": 2,
    "COMMIT lost": 1,
    "power cut": 4,
    "clock jump": 2,
    "database away": 2,
    "backup restored": 1,
    "registry changed": 1,
    "link cut": 1,
}
"""By weight."""
LASTS_S: Mapping[str, tuple[float, float]] = {
    "partition": (20, 600),
    "power cut": (5, 400),
    "clock jump": (90, 500),
    "ingest killed": (1, 120),
    "database away": (2, 200),
    "backup restored": (30, 120),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; ``whom`` are devices, ``point`` is where ingest dies; ``amount`` is how far a clock jumps (ms), how
    old a backup is (s), or whether (below ``CLOCK_KNOWN``) a device knows the time again."""

    at_s: float
    kind: str
    lasts_s: float
    whom: tuple[int, ...] = ()
    point: str = ""
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """See the module."""

    devices: int
    clockless: frozenset[int]
    unruly: Unruly
    faults: tuple[Fault, ...]


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    random = chance(seed, "plan")
    devices = random.randint(*DEVICES)
    clockless = frozenset(random.sample(range(devices), random.randint(2, 5)))
    unruly = Unruly(*(random.choice((0.0, 0.01, 0.04, 0.08)) for _ in range(3)))
    moments = sorted(random.uniform(QUIET_S, SPAN_S - QUIET_S) for _ in range(random.randint(*FAULTS)))
    kinds = random.choices(list(KINDS), list(KINDS.values()), k=len(moments))
    faults = tuple(_fault(random, at_s, kind, devices) for at_s, kind in zip(moments, kinds, strict=True))
    return Plan(devices, clockless, unruly, faults)


def _fault(random: Random, at_s: float, kind: str, devices: int) -> Fault:
    """All are drawn alike, and each kind has its own spans of time."""
    whom = tuple(sorted(random.sample(range(devices), random.randint(1, devices // 2))))
    lasts_s = random.uniform(*LASTS_S.get(kind, (1, 90)))
    amounts = {
        "clock jump": random.choice((-3_600_000, 3_600_000)),
        "power cut": random.random(),
        "backup restored": random.uniform(60, 500),
    }
    return Fault(at_s, kind, lasts_s, whom, random.choice(POINTS), amounts.get(kind, 0.0))
