"""What became of readings, told from what devices made, what they were told and what the database holds: pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

Mark = tuple[str, int, int]
"""Device, boot and seq of a reading."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``lost`` of the readings are nowhere at the end; ``acknowledged_falsely`` were confirmed and are nowhere."""

    readings: int
    acknowledged: int
    lost: int
    acknowledged_falsely: int
    duplicates: int

    def figures(self, part: str) -> dict[str, float]:
        """As keys of the result."""
        return {
            f"{part}_readings": self.readings,
            f"{part}_lost": self.lost,
            f"{part}_acknowledged_falsely": self.acknowledged_falsely,
            f"{part}_duplicates": self.duplicates,
        }


def judge(
    made: Iterable[Mark], acknowledged: Collection[Mark], stored: Mapping[Mark, int], kept: Collection[Mark] = ()
) -> Verdict:
    """Hold what devices made and were told against rows ``stored`` (mark → how often) and ``kept`` in quarantine."""
    safe = stored.keys() | set(kept)
    readings = set(made)
    return Verdict(
        readings=len(readings),
        acknowledged=len(acknowledged),
        lost=len(readings - safe),
        acknowledged_falsely=len(set(acknowledged) - safe),
        duplicates=sum(times - 1 for times in stored.values()),
    )


def waits_ms(made: Mapping[Mark, float], acknowledged: Mapping[Mark, float], *, until: float = np.inf) -> list[float]:
    """How long each reading waited for its acknowledgement, times in seconds of one clock; who still waits counts up to
    ``until``."""
    return [1000 * (min(acknowledged.get(mark, np.inf), until) - at) for mark, at in made.items()]


def percentile(waits: Collection[float], share: float) -> float:
    """NaN of nothing."""
    return float(np.percentile(list(waits), share)) if waits else float("nan")
