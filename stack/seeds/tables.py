"""The model of the database: what PostgreSQL promises to ingest, and no more; ``tests`` hold it against the real one.

Readings are unique by (asset_id, ts, seq). A transaction is committed as a whole or not at all, and whoever asked may
never hear which. What was committed is there for ever, unless a backup takes its place.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from kraj import wire
from kraj.alerts import AlertChange, Step
from kraj.assets import DeviceStatus
from kraj.readings import Mask, Readings, as_stored
from kraj.store.batch import Batch
from kraj.store.quarantine import QUOTA_PER_SOURCE_AND_DAY, Quarantined
from kraj.store.resend import Request
from kraj.store.write import in_order

Key = tuple[int, int, int]
"""asset_id, ts_ms, seq."""
SLOT_ID = 1


@dataclass(slots=True)
class Alert:
    """A row of ``alert``, as far as telemetry writes it."""

    rule: str
    scope: tuple[str, str, int | None]
    active: bool
    since_ms: int


@dataclass(slots=True)
class Command:
    """A row of ``command``; times in seconds of virtual time."""

    command_id: str
    device_id: int
    device: str
    level_pct: int
    until: datetime
    requested_at: datetime
    next_at: datetime
    state: str = "requested"
    attempts: int = 0


@dataclass(slots=True)
class Desired:
    """A row of ``desired``."""

    device_id: int
    device: str
    changed_at: datetime
    version: int = 1
    sent_version: int | None = None
    sent_at: datetime | None = None
    reported_version: int | None = None
    reported_at: datetime | None = None
    outgrown_at: datetime | None = None


@dataclass(slots=True)
class Stored:
    """A batch as history has it."""

    batch_id: int
    at: datetime
    readings: list[Readings]
    statuses: list[DeviceStatus]


@dataclass(slots=True)
class Totals:
    """The slot's sums."""

    received: int = 0
    committed: int = 0
    duplicate: int = 0
    quarantined: int = 0


@dataclass(slots=True)
class Tables:
    """Everything that is stored; ``doubled`` are readings that stand in it under two times."""

    version: int = 1
    next_batch_id: int = 1
    rows: dict[Key, tuple[int, float]] = field(default_factory=dict[Key, tuple[int, float]])
    """Boot and power, as they are given back."""
    by_seq: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    doubled: list[Key] = field(default_factory=list[Key])
    batches: dict[int, Stored] = field(default_factory=dict[int, Stored])
    epochs: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    quarantine: dict[bytes, int] = field(default_factory=dict[bytes, int])
    by_source: dict[str, int] = field(default_factory=dict[str, int])
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    refused: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])
    """Device and number of readings that the quarantine holds, and why."""
    alerts: dict[str, Alert] = field(default_factory=dict[str, Alert])
    events: dict[tuple[str, str, int], None] = field(default_factory=dict[tuple[str, str, int], None])
    """Key, step and moment of what was told, in order."""
    totals: Totals = field(default_factory=Totals)
    checkpoint: tuple[int, bytes] | None = None
    commands: dict[str, Command] = field(default_factory=dict[str, Command])
    desired: dict[int, Desired] = field(default_factory=dict[int, Desired])
    resends: dict[int, tuple[Request, bool]] = field(default_factory=dict[int, tuple[Request, bool]])
    """What is asked for, and whether it was granted."""
    results: dict[tuple[int, str], None] = field(default_factory=dict[tuple[int, str], None])
    """Devices that have said yes to a command by its name."""

    def backup(self) -> "Tables":
        """What a backup holds: nothing of it changes with us any more."""
        out = copy.copy(self)
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, dict):
                kept: dict[Any, Any] = {
                    key: copy.copy(one) if isinstance(one, Alert | Command | Desired) else one
                    for key, one in value.items()  # pyright: ignore[reportUnknownVariableType]
                }
                setattr(out, name, kept)
            elif isinstance(value, list | Totals):
                setattr(out, name, copy.copy(value))  # pyright: ignore[reportUnknownArgumentType]
        return out

    # Readings

    def find(self, readings: Readings, seen: set[Key]) -> tuple[Mask, Readings]:
        """Which of these are there already (``seen``: in this transaction), and those that are new."""
        order, repeated = in_order(readings)
        duplicate = np.zeros(len(readings), bool)
        duplicate[order[repeated]] = True
        for row, key in enumerate(keys(readings)):
            duplicate[row] |= key in self.rows or key in seen
        new = readings.take(order[~duplicate[order]])
        seen.update(keys(new))
        return duplicate, new

    def quota(self, refused: Sequence[Quarantined]) -> list[int]:
        """Positions of refusals beyond their source's quota."""
        used, new, out = dict(self.by_source), set[bytes](), list[int]()
        for position, one in enumerate(refused):
            if one.digest in self.quarantine or one.digest in new:
                continue
            if used.get(one.source, 0) >= QUOTA_PER_SOURCE_AND_DAY:
                out.append(position)
                continue
            used[one.source] = used.get(one.source, 0) + 1
            new.add(one.digest)
        return out

    def write(self, batch: Batch, fresh: Sequence[Readings], committed: int, duplicates: int) -> None:
        """The readings of a transaction, and its totals."""
        if batch.batch_id in self.batches:
            raise RuntimeError(f"batch {batch.batch_id} is there already")
        for new in fresh:
            stored = as_stored(new)
            power = stored.values[:, stored.kind.positions["power_w"]].tolist()
            for key, boot, watts in zip(keys(new), new.boot.tolist(), power, strict=True):
                if (key[0], key[2]) in self.by_seq:
                    self.doubled.append(key)
                self.by_seq[key[0], key[2]] = key[1]
                self.rows[key] = (boot, watts)
        at_ms = round(batch.at.timestamp() * 1000)
        statuses = [
            DeviceStatus(device_id=s.device_id, online=s.online, ts_ms=at_ms, boot=s.boot, reset=s.reset)
            for s in batch.statuses
        ]
        self.batches[batch.batch_id] = Stored(batch.batch_id, batch.at, [r for r in fresh if len(r)], statuses)
        for boot, epoch in batch.epochs.items():
            self.epochs.setdefault(boot, epoch)
        self.totals.received += batch.received
        self.totals.committed += committed
        self.totals.duplicate += duplicates
        self.totals.quarantined += batch.readings_quarantined

    def refuse(self, refused: Sequence[Quarantined], not_stored: Sequence[int]) -> None:
        """Keep refusals but for those beyond the quota."""
        beyond = set(not_stored)
        for position, one in enumerate(refused):
            if position in beyond:
                continue
            if one.digest not in self.quarantine:
                self.by_source[one.source] = self.by_source.get(one.source, 0) + 1
                self.reasons[one.reason] = self.reasons.get(one.reason, 0) + 1
            self.quarantine[one.digest] = self.quarantine.get(one.digest, 0) + 1
            for mark in wire.marks(one.payload):
                if mark.seq is not None:
                    self.refused[one.source, mark.seq] = one.reason

    # Alerts

    def take(self, changes: Sequence[AlertChange]) -> int:
        """``take_alert_changes``, as far as telemetry's steps go; how many were new."""
        taken = 0
        for change in changes:
            scope = (change.scope.type, change.scope.name, change.scope.municipality_id)
            if change.step in {Step.OPENED, Step.RECORDED}:
                self._begin(change, scope)
            known = self.alerts.get(change.key)
            event = (change.key, str(change.step), change.at_ms)
            if known is None or event in self.events or change.step in {Step.VERIFIED, Step.REOPENED}:
                continue
            self.events[event] = None
            taken += 1
            if change.step is Step.CLEARED:
                known.active = False
            elif change.step is Step.RAISED_AGAIN and self.open(known.rule, scope) is None:
                known.active = True
        return taken

    def _begin(self, change: AlertChange, scope: tuple[str, str, int | None]) -> None:
        opened = change.step is Step.OPENED
        if change.key in self.alerts:
            return
        before = self.open(change.rule, scope) if opened else None
        if before is not None:  # the same cause, by another restart's reckoning
            self.alerts[change.key] = self.alerts.pop(before)
            return
        self.alerts[change.key] = Alert(change.rule, scope, opened, change.since_ms)

    def open(self, rule: str, scope: tuple[str, str, int | None]) -> str | None:
        """The key of the active alert of a cause."""
        return next((k for k, a in self.alerts.items() if a.active and (a.rule, a.scope) == (rule, scope)), None)


def keys(readings: Readings) -> list[Key]:
    """What readings are unique by."""
    return list(zip(readings.asset_id.tolist(), readings.ts_ms.tolist(), readings.seq.tolist(), strict=True))
