"""What became of the readings of a fleet, in numbers."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Sums over the fleet. ``sent`` counts each sending, ``resent`` those of readings sent before."""

    devices: int
    connected: int
    reconnects: int
    produced: int
    sent: int
    resent: int
    acknowledged: int
    pending: int
    thinned: int
    malformed: int

    def __str__(self) -> str:
        return "  ".join(f"{f.name} {getattr(self, f.name)}" for f in fields(self))
