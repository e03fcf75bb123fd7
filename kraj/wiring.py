"""What tells how lamps are really wired: outages, lamps as they are registered, and readings around outages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from kraj.readings import Floats, Ints

MARGIN = timedelta(minutes=10)
"""An outage's lamps fall silent within so long of its beginning (lighting.md feeder_outage); only what is read later
tells of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One that is over: of a ``feeder``, or where that is None of all that hangs on ``cabinet``. ``key`` names it."""

    key: int
    feeder: str | None
    cabinet: str | None
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The lamps of a municipality as they are registered: arrays and lists of length ``n``; NaN and None: unknown."""

    asset_id: Ints
    feeder: Sequence[str | None]
    cabinet: Sequence[str | None]
    latitude: Floats
    longitude: Floats

    def __len__(self) -> int:
        return len(self.asset_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Readings around outages, shapes ``(k,)``, one element for an outage and a lamp, both by their places.

    ``losses_before`` is ``supply_losses`` of the last reading before the outage, at ``before_ms``; the others are of
    the first reading later than ``MARGIN`` after its beginning. NaN: there is no such reading, or it does not say.
    ``restarted`` tells whether the device's last start was for want of power (1), for another reason (0), or NaN.
    """

    outage: Ints
    lamp: Ints
    before_ms: Floats
    losses_before: Floats
    ts_ms: Floats
    uptime_s: Floats
    losses: Floats
    restarted: Floats
    voltage_v: Floats
