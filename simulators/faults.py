"""Labelled faults for a simulation: one by one, or a seeded scenario of many."""

from collections import defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from random import Random

from kraj.errors import ConfigurationError
from simulators.asset import Region
from simulators.causes import CAUSES, VARIANTS, Cause
from simulators.physics.frame import DAY_MS, Fault
from simulators.physics.lighting import CREW_TEST
from simulators.targets import Grounds, Target

HOUR_MS = 3_600_000
YEAR_MS = 365.25 * DAY_MS
USUAL = 12.0
"""At rate 1 a month of a scenario holds what a year brings: 5 % of all lamps a year would leave little to score."""
APART_MS = 2 * DAY_MS
"""Between two faults of one asset, so that rules over nights have seen that the first one is over."""
TRIES = 20
CHILD_SHARE = 0.15
"""Of outages: one of the lamps fails meanwhile for itself, and stays dark when the others are back."""
CHILD_AFTER = (0.2, 0.8)
BREAKER_SHARE = 0.5
"""Of outages of a cabinet's only feeder: its breaker says that it has tripped."""
PARENTS = frozenset({"feeder_outage", "cabinet_outage", "grid_outage"})
TESTS_PER_FEEDER_YEAR = 4.0
TEST_HOURS = (0.3, 1.5)
TEST_HOUR_SPAN = (7, 13)
"""UTC."""
NONE, SCENARIO = "none", "scenario"


def chosen(spec: str, region: Region, *, seed: int, start_ms: int, days: int, rate: float = 1.0) -> tuple[Fault, ...]:
    """The faults that ``spec`` asks for: ``none``, ``scenario``, ``CAUSE`` or ``CAUSE@TARGET``; several by commas.

    A target is an asset's label or ``municipality/label``, or the name of a group; it may contain commas. Single faults
    begin at once. Raises ``ConfigurationError`` for what there is not.
    """
    found: list[Fault] = []
    for part in _parts(spec):
        if part == SCENARIO:
            found += scenario(seed, region, start_ms, days, rate=rate)
        elif part != NONE:
            cause, _, target = part.partition("@")
            found.append(one(cause, region, seed, start_ms, target=target or None))
    return tuple(found)


def _parts(spec: str) -> Iterator[str]:
    """A comma ends a target only where another cause follows it: labels hold addresses, and those hold commas."""
    part = ""
    for piece in spec.split(","):
        if (
            "@" in part
            and piece.strip()
            and piece.partition("@")[0].strip() not in {NONE, SCENARIO, *CAUSES, *VARIANTS}
        ):
            part += f",{piece}"
            continue
        if part.strip():
            yield part.strip()
        part = piece
    if part.strip():
        yield part.strip()


def one(
    cause: str,
    region: Region,
    seed: int,
    start_ms: int,
    *,
    target: str | None = None,
    hours: float | None = None,
    size: float | None = None,
) -> Fault:
    """A single fault from ``start_ms`` on; what is not given is drawn.

    Raises ``ConfigurationError`` for an unknown cause, and where the region has nothing that it can strike.
    """
    every = {**CAUSES, **VARIANTS}
    known = every.get(cause)
    if known is None:
        near = get_close_matches(cause, every, 1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(every)}"
        raise ConfigurationError(f"unknown fault {cause!r}{hint}")
    targets = known.targets(Grounds(region))
    if target is not None:
        targets = [t for t in targets if target in {t.name, f"{t.municipality}/{t.name}"}]
    if not targets:
        where = f" called {target!r}" if target else ""
        raise ConfigurationError(f"this region has nothing{where} that {cause} can strike")
    random = Random(f"{seed} {cause} {target}")
    struck = random.choice(targets)
    lasts = random.uniform(*known.hours) if hours is None else hours
    return _fault(known, struck, start_ms, lasts, known.size(random, struck.lead) if size is None else size)


def scenario(seed: int, region: Region, start_ms: int, days: int, *, rate: float = 1.0) -> tuple[Fault, ...]:
    """What befalls a region within ``days``, in order of time.

    Shares are those of life, the number is ``rate`` times ``USUAL`` as high. No asset has two faults at a time or
    shortly after one another, but for stories of parent and child: a lamp that fails during an outage of its feeder,
    and a breaker that tells of one.
    """
    grounds = Grounds(region)
    diary = _Diary()
    for cause in CAUSES.values():
        random = Random(f"{seed} {cause.name}")
        targets = cause.targets(grounds)
        expected = len(targets) * cause.per_year * USUAL * rate * days * DAY_MS / YEAR_MS
        for _ in range(int(expected + random.random()) if targets else 0):
            for _ in range(TRIES):
                struck = random.choice(targets)
                begins = start_ms + int(random.random() * days * DAY_MS)
                size = cause.size(random, struck.lead)
                fault = _fault(cause, struck, begins, random.uniform(*cause.hours), size)
                if diary.enter(fault, struck):
                    for child, at in _children(fault, struck, grounds, random):
                        diary.enter(child, at, during=True)
                    break
    return tuple(sorted(diary.faults, key=lambda f: (f.start_ms, f.cause, f.name)))


def disturbances(seed: int, region: Region, start_ms: int, days: int) -> tuple[Fault, ...]:
    """What is no fault and must raise none: crews test feeders by day, at the cabinet or from afar.

    They are given to the models as faults are; nothing has to tell of them.
    """
    random = Random(f"{seed} tests")
    found: list[Fault] = []
    for feeder in Grounds(region).feeders:
        if random.random() < TESTS_PER_FEEDER_YEAR * days * DAY_MS / YEAR_MS:
            day = start_ms // DAY_MS + random.randrange(days)
            begins = int((day * 24 + random.uniform(*TEST_HOUR_SPAN)) * HOUR_MS)
            at_cabinet = random.random() < 0.5
            assets = (*feeder.assets, *feeder.beside) if at_cabinet else feeder.assets
            found.append(
                Fault(
                    cause=CREW_TEST,
                    scope=feeder.scope,
                    municipality=feeder.municipality,
                    name=feeder.name,
                    targets=tuple(asset.key for asset in assets),
                    start_ms=begins,
                    end_ms=begins + int(random.uniform(*TEST_HOURS) * HOUR_MS),
                    size=2.0 if at_cabinet else 1.0,
                )
            )
    return tuple(sorted(found, key=lambda f: (f.start_ms, f.name)))


def _fault(cause: Cause, struck: Target, start_ms: int, hours: float, size: float) -> Fault:
    assets = struck.assets
    if cause.name == "phase_lost":  # only what hangs on that phase, and the cabinet that sees it
        assets = tuple(a for a in assets if a.kind == "cabinet" or a.number("phase") == size)
    return Fault(
        cause=cause.name,
        scope=struck.scope,
        municipality=struck.municipality,
        name=struck.name,
        targets=tuple(asset.key for asset in assets),
        start_ms=start_ms,
        end_ms=start_ms + int(hours * HOUR_MS),
        size=size,
    )


def _children(fault: Fault, struck: Target, grounds: Grounds, random: Random) -> Iterator[tuple[Fault, Target]]:
    """What happens beneath an outage."""
    if fault.cause not in PARENTS:
        return
    lamps = [asset for asset in struck.assets if asset.kind == "lamp"]
    if lamps and random.random() < CHILD_SHARE:
        lamp = random.choice(lamps)
        cause = CAUSES["lamp_out"]
        at = Target("asset", lamp.municipality, lamp.label, (lamp,))
        begins = fault.start_ms + int(random.uniform(*CHILD_AFTER) * (fault.end_ms - fault.start_ms))
        yield _fault(cause, at, begins, random.uniform(*cause.hours), cause.size(random, lamp)), at
    if fault.cause == "feeder_outage" and struck.beside and random.random() < BREAKER_SHARE:
        cabinet = struck.beside[0]
        if sum(f.beside == struck.beside for f in grounds.feeders) == 1:
            at = Target("asset", cabinet.municipality, cabinet.label, (cabinet,))
            hours = (fault.end_ms - fault.start_ms) / HOUR_MS
            yield _fault(CAUSES["breaker"], at, fault.start_ms, hours, 1.0), at


class _Diary:
    """Faults so far, and when which asset has one."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._taken: dict[str, list[tuple[int, int, bool]]] = defaultdict(list)

    def enter(self, fault: Fault, struck: Target, *, during: bool = False) -> bool:
        """Take a fault, if all that it touches is free then; ``during`` it may begin within an outage."""
        begins = fault.start_ms
        keys = [*fault.targets, *(asset.key for asset in struck.beside)]
        if any(
            begins < end + APART_MS
            and start < fault.end_ms + APART_MS
            and not (during and outage and start <= begins < end)
            for key in keys
            for start, end, outage in self._taken[key]
        ):
            return False
        for key in keys:
            self._taken[key].append((fault.start_ms, fault.end_ms, fault.cause in PARENTS))
        self.faults.append(fault)
        return True
