"""How a region's lamps are fed: cabinets with their feeders, villages without controllers, and the grid above them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

LAMPS_PER_FEEDER = 25
FEEDER_SPAN = (20, 30)
"""A feeder carries twenty to thirty lamps, in a small town fewer."""
FEEDERS_PER_CABINET = (1, 2, 2, 3, 3)
"""To draw from."""
VILLAGE_FROM = 12
VILLAGE_EVERY = 400
"""The second town has a village once it has so many lighting devices, every town one more for each so many."""
VILLAGE_LAMPS = (24, 60)
AREA_CABINETS = (3, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeder:
    """A circuit: ``switched`` is cut by day, ``part_night`` lamps go dark in the small hours."""

    lamps: int
    switched: bool = False
    part_night: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A cabinet and what it feeds; without feeders it is a village's, whose lamps have no controllers.

    ``gateway`` is the name of the gateway that its lamps speak through, ``report_interval_s`` what that allows.
    ``supply_area`` is the distributor's, the same for neighbours and sometimes across towns.
    """

    feeders: tuple[Feeder, ...]
    unmetered: int
    supply_area: str = ""
    gateway: str | None = None
    report_interval_s: int | None = None

    @property
    def switched(self) -> bool:
        """Whether its contactor cuts anything by day; lamps without controllers need it."""
        return not self.feeders or any(feeder.switched for feeder in self.feeders)


def plan(random: Random, lighting: Sequence[int]) -> list[list[Circuit]]:
    """The circuits of each town, from how many lighting devices (lamps and cabinets) each has.

    Circuits and lamps of a town make up exactly its number, but a single device is a lamp on its own, without circuit.
    What is rare is dealt by counting and not by chance, so that a small region has one of each too.
    """
    drafts = [_town(random, count, villages=_villages(number, count)) for number, count in enumerate(lighting)]
    areas = iter(_areas(random, sum(len(town) for town in drafts)))
    out: list[list[Circuit]] = []
    cabinet = feeder = 0  # those with controllers behind them, so far
    for number, town in enumerate(drafts):
        out.append([])
        for draft in town:
            if not draft.feeders:
                out[-1].append(replace(draft, supply_area=next(areas)))
                continue
            kinds = [_switched(cabinet, place) for place in range(len(draft.feeders))]
            feeders = tuple(
                replace(f, switched=switched, part_night=(feeder + place) % 8 == 3)
                for place, (f, switched) in enumerate(zip(draft.feeders, kinds, strict=True))
            )
            gated = cabinet % 3 == 1
            out[-1].append(
                replace(
                    draft,
                    feeders=feeders,
                    unmetered=random.randint(2, 6) if cabinet % 4 == 3 else 0,
                    supply_area=next(areas),
                    # Two cabinets of a town within reach of each other share one.
                    gateway=f"gw-{number + 1:02d}-{len(out[-1]) // 6 + 1:02d}" if gated else None,
                    report_interval_s=(900, 3600)[cabinet // 6 % 2] if gated and cabinet % 6 == 4 else None,
                )
            )
            cabinet, feeder = cabinet + 1, feeder + len(feeders)
    return out


def _switched(cabinet: int, place: int) -> bool:
    """Two cabinets of nine cut all their feeders by day, one all but its first: about a third in all."""
    return cabinet % 9 in {2, 5} or (cabinet % 9 == 7 and place > 0)


def _villages(town: int, lighting: int) -> int:
    return int(town == 1 and lighting >= VILLAGE_FROM) + lighting // VILLAGE_EVERY


def _town(random: Random, lighting: int, *, villages: int) -> list[Circuit]:
    """Circuits of one town: each cabinet takes a device, the rest are lamps."""
    rest = lighting - villages
    hamlets = [Circuit(feeders=(), unmetered=random.randint(*VILLAGE_LAMPS)) for _ in range(villages)]
    if rest <= 1:
        return hamlets
    left = max(round(rest / (LAMPS_PER_FEEDER + 0.5)), math.ceil(rest / (FEEDER_SPAN[1] + 0.5)))
    sizes: list[int] = []
    while left:
        sizes.append(min(left, random.choice(FEEDERS_PER_CABINET)))
        left -= sizes[-1]
    lamps = _shares(random, rest - len(sizes), sum(sizes))
    circuits: list[Circuit] = []
    for size in sizes:
        circuits.append(Circuit(feeders=tuple(Feeder(lamps=n) for n in lamps[:size]), unmetered=0))
        lamps = lamps[size:]
    return circuits + hamlets


def _shares(random: Random, total: int, parts: int) -> list[int]:
    """``total`` in about equal parts, two lamps more or less where a feeder's span allows it."""
    shares = [total // parts + (n < total % parts) for n in range(parts)]
    least, most = FEEDER_SPAN
    for a in range(0, parts - 1, 2):
        moved = random.randint(-2, 2)
        if all(least <= n <= most for n in (shares[a] + moved, shares[a + 1] - moved)):
            shares[a] += moved
            shares[a + 1] -= moved
    return shares


def _areas(random: Random, cabinets: int) -> list[str]:
    """The supply area of each cabinet in order: three to five each, all in one where there are fewer."""
    least, most = AREA_CABINETS
    out: list[str] = []
    number = 0
    while len(out) < cabinets:
        left = cabinets - len(out)
        # Never leave fewer than an area needs.
        sizes = [n for n in range(least, most + 1) if left - n == 0 or left - n >= least] or [left]
        number += 1
        out += [f"DO-{number:03d}"] * random.choice(sizes)
    return out
