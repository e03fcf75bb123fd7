"""What one transaction of ingest writes, and what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kraj.alerts import AlertChange
from kraj.readings import Mask, Readings
from kraj.store.foreign import ForeignMessage
from kraj.store.quarantine import Quarantined


@dataclass(frozen=True, slots=True)
class StatusRow:
    """A device's word (or its will) that it is online."""

    device_id: int
    online: bool
    boot: int | None
    firmware: str | None
    reset: str | None
    safe_mode: bool | None = None
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """A message for the device's history: status, event, reported, result. ``body`` is JSON."""

    device_id: int
    municipality_id: int
    channel: str
    body: bytes
    message: int


@dataclass(slots=True)
class Batch:
    """Everything of one transaction. ``blame(message, detail)`` is the quarantine record of a message that turns out
    to be refused by the database itself."""

    batch_id: int
    registry_version: int
    at: datetime
    readings: list[Readings]
    blame: Callable[[int, str], Quarantined]
    quarantined: list[Quarantined] = field(default_factory=list[Quarantined])
    readings_quarantined: int = 0
    received: int = 0
    """Readings that the batch's messages held, as they were decoded."""
    statuses: list[StatusRow] = field(default_factory=list[StatusRow])
    events: list[EventRow] = field(default_factory=list[EventRow])
    epochs: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    unknown_keys: dict[tuple[int, str], int] = field(default_factory=dict[tuple[int, str], int])
    foreign: list[ForeignMessage] = field(default_factory=list[ForeignMessage])
    """What foreign devices said, for people who look whether their device is understood."""
    taken: Sequence[int] = ()
    """Rows of the quarantine whose messages this batch holds: they are taken in, ``taken_times`` readings of them."""
    taken_times: int = 0
    outcome: "Outcome | None" = None
    """Set before COMMIT is sent: what became of the batch if that COMMIT turns out to have taken place."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch; masks are parallel to ``Batch.readings``."""

    duplicate: list[Mask]
    refused: list[tuple[int, int, str]] = field(default_factory=list[tuple[int, int, str]])
    """(position in ``Batch.readings``, row, what the database said): quarantined in the same transaction."""
    events_refused: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """(message, what the database said), likewise."""
    not_stored: list[int] = field(default_factory=list[int])
    """Positions in ``Batch.quarantined`` (behind them: ``refused``) beyond the quota: counted, not stored, not to be
    acknowledged."""
    committed: int = 0
    alerts: Sequence[AlertChange] = ()
    """Steps of alerts that were committed with the readings."""
    judging_failed: str | None = None
    """What the database said to the steps where it refused them; the readings are committed all the same."""

    @property
    def duplicates(self) -> int:
        return sum(int(mask.sum()) for mask in self.duplicate)


class RegistryChangedError(Exception):
    """The registry has moved on since the batch was decoded: read it again, decode again."""
