"""The rules beside the pipeline: their state follows the slot's committed batches, and nothing else.

A step is taken inside a batch's transaction and settled with it. A process that takes the slot loads the newest
checkpoint and replays the batches behind it, so that it knows what the one before it knew.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from ingest import curves
from ingest.counters import Counters
from kraj.alerts import AlertChange, Repair
from kraj.assets import DeviceStatus, Judged
from kraj.errors import ConfigurationError, KrajError
from kraj.readings import Readings, as_stored
from kraj.store import alerts, judged
from kraj.store.batch import Batch
from kraj.store.connection import Connection
from rules import catalogue, correlation
from rules.estate import Estate
from rules.inputs import of_kind
from rules.rule import Rule
from rules.watch import Watch

CHECKPOINT_S_MIN = 10.0
CHECKPOINT_BYTES_PER_S = 2 << 20
"""A state of 20 MB is written every ten seconds, one of 200 MB every hundred: a restart replays what came since."""
TICK_S = 5.0
"""Silence is looked for this often where no readings come; while they come, with each batch."""
ATTENTIVE_AFTER_S = 90.0
"""So long after the broker is back, devices may still be on their way: nobody's silence counts."""
LISTEN_S = 1.0
"""How long at most nobody asks what people have called fixed, while readings come."""
WINDOWS_KEPT = timedelta(days=1)

log: Any = structlog.get_logger(__name__)


class Judge:
    """One ``Watch`` and what it takes to keep it in step with the database, which it knows by two ports: ``history``
    and ``book``, as the modules ``judged`` and ``alerts`` of the store are. ``rules``: the catalogue's unless told."""

    def __init__(
        self,
        counters: Counters,
        clock: Callable[[], float] = time.monotonic,
        *,
        rules: Sequence[Rule] | None = None,
        checkpoint_s: float = CHECKPOINT_S_MIN,
        history: Any = judged,
        book: Any = alerts,
    ) -> None:
        self._counters = counters
        self._clock = clock
        self._own_rules = rules
        self._history = history
        self._book = book
        self._checkpoint_s_min = checkpoint_s
        self._watch: Watch | None = None
        self._slot_id = 0
        self._version = -1
        self._last = 0
        """The last batch that the state follows."""
        self._pending: int | None = None
        self._pending_at: datetime | None = None
        self._settled_at: datetime | None = None
        self._checkpoint_at = clock()
        self._checkpoint_s = checkpoint_s
        self._stepped_at = clock()
        self._listening_since: float | None = None
        self._repairs: list[Repair] = []
        """Called fixed, and not yet told to the watch in a step that was committed."""
        self._listened_at = clock() - LISTEN_S
        self._told: set[str] = set()
        self._curves = curves.Curves()
        self._causes = [cause.name for cause in correlation.load()]

    def listening(self, on: bool) -> None:
        """The session at the broker is open, or it is not: then silence is our own."""
        self._listening_since = self._clock() if on else None

    async def resume(self, connection: Connection, slot_id: int, at: datetime) -> None:
        """The slot is ours (again): keep the state if it is the database's last word, else build it from history."""
        last = await self._history.last_batch(connection, slot_id)
        if self._watch is not None and slot_id == self._slot_id:
            if self._pending is not None and last == self._pending:
                self.settle(committed=True)
                return
            self.settle(committed=False)
            if last == self._last:
                return
        self._slot_id = slot_id
        await self._build(connection, at)

    async def _build(self, connection: Connection, at: datetime) -> None:
        found = await self._history.read(connection, at - WINDOWS_KEPT)
        estate, rules = self._arranged(found)
        checkpoint = await self._history.load_checkpoint(connection, self._slot_id)
        started, count = self._clock(), 0
        self._last = 0
        self._watch = watch = Watch(estate, rules)
        if checkpoint is not None:
            self._last = checkpoint[0]
            try:
                self._watch = watch = Watch.restore(checkpoint[1], estate, rules)
            except (KrajError, ValueError, KeyError) as error:
                log.warning("checkpoint is of no use, replaying everything", error=str(error))
                self._last = 0
        changes: list[AlertChange] = []
        async for batch in self._history.replay(connection, self._slot_id, self._last):
            changes += watch.step(
                [as_stored(r) for r in batch.readings],
                batch.statuses,
                _ms(batch.at),
                attentive=False,
                repairs=batch.repairs,
            )
            watch.commit()
            self._last, count = batch.batch_id, count + 1
        if watch.retry(found.failed):
            watch.move(estate, rules)
        self._version = found.version
        log.info("rules ready", rules=len(rules), replayed=count, seconds=round(self._clock() - started, 2))
        await self._reconcile(connection, changes, at)

    async def _reconcile(self, connection: Connection, changes: Sequence[AlertChange], at: datetime) -> None:
        """Take what the replay says (the store knows most of it) and end what nothing supports any more; what another
        slot tells of is not known here, and is that slot's to end."""
        if self._watch is None:
            return
        async with connection.transaction():
            new = await self._book.take(connection, changes, self._last)
            known = await self._book.active_keys(connection, self._slot_id)
            stale = sorted(known.keys() - self._watch.active.keys())
            await self._book.end(connection, stale, at, self._last)
        if new or stale:
            log.info("alerts reconciled", new=new, ended=len(stale))

    async def reload(self, connection: Connection, at: datetime) -> None:
        """The registry has changed."""
        found = await self._history.read(connection, at - WINDOWS_KEPT)
        if self._watch is not None and found.version != self._version:
            self.settle(committed=False)
            self._watch.retry(found.failed)
            self._watch.move(*self._arranged(found))
            self._version = found.version

    def _arranged(self, found: Judged) -> tuple[Estate, list[Rule]]:
        rules = list(catalogue.load() if self._own_rules is None else self._own_rules)
        names = {rule.name for rule in rules}
        for custom in found.custom_rules:
            where = f"custom rule {custom.custom_rule_id}"
            try:
                for rule in catalogue.parse(custom.text, where):
                    if rule.name in names:
                        raise ConfigurationError(f"{where}: there is a rule {rule.name} already")
                    catalogue.check(rule, of_kind, causes=self._causes, where=where)
                    names.add(rule.name)
                    rules.append(replace(rule, municipality_id=custom.municipality_id))
            except KrajError as error:
                log.warning("a custom rule is left out", rule=where, error=str(error))
        return Estate.of(found.version, found.assets, found.windows, found.overrides), rules

    def step(
        self, batch_id: int, readings: Sequence[Readings], statuses: Sequence[DeviceStatus], at: datetime
    ) -> list[AlertChange]:
        """Judge what a transaction has inserted; to be settled with it."""
        if self._watch is None:
            return []
        self.settle(committed=False)
        since = self._listening_since
        attentive = since is not None and self._clock() - since >= ATTENTIVE_AFTER_S
        self._pending, self._pending_at = batch_id, at
        changes = self._watch.step(
            [as_stored(r) for r in readings], statuses, _ms(at), attentive=attentive, repairs=self._repairs
        )
        self._stepped_at = self._clock()
        return changes

    async def listen(self, connection: Connection) -> None:
        """Learn what people have called fixed; before a step, which tells it to the watch."""
        watch = self._watch
        if watch is None or self._clock() - self._listened_at < LISTEN_S:
            return
        self._listened_at = self._clock()
        self._repairs = [repair for repair in await self._history.repairs(connection) if watch.provable(repair)]

    def judging(self, batch: Batch, fresh: Sequence[Readings]) -> list[AlertChange]:
        """Judge a batch's new readings, as the writer asks for it."""
        at_ms = _ms(batch.at)
        statuses = [
            DeviceStatus(device_id=s.device_id, online=s.online, ts_ms=at_ms, boot=s.boot, reset=s.reset)
            for s in batch.statuses
        ]
        return self.step(batch.batch_id, fresh, statuses, batch.at)

    def settle(self, *, committed: bool) -> None:
        """The pending step's transaction took place, or it did not."""
        if self._watch is None or self._pending is None:
            return
        if committed:
            self._watch.commit()
            self._repairs = []
            self._last, self._settled_at = self._pending, self._pending_at
        else:
            self._watch.rollback()
        self._pending = None

    @property
    def active(self) -> frozenset[str]:
        """Keys of the alerts whose symptom holds, as far as it knows."""
        return frozenset() if self._watch is None else frozenset(self._watch.active)

    @property
    def tick_due(self) -> bool:
        """Whether nothing has been judged for so long that silence must be looked for."""
        return self._watch is not None and self._clock() - self._stepped_at >= TICK_S

    def note_failures(self) -> None:
        """Rules that raised are off; the operator reads why, in the log and in the alert."""
        failures = {} if self._watch is None else self._watch.failures
        for rule, error in failures.items():
            if rule not in self._told:
                log.error("a rule failed and is off", rule=rule, error=error)
        self._told = set(failures)

    @property
    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is so old that a restart would replay for long."""
        return self._settled_at is not None and self._clock() - self._checkpoint_at >= self._checkpoint_s

    async def checkpoint(self, connection: Connection) -> None:
        """Write the state; between two batches only."""
        watch, at = self._watch, self._settled_at
        if watch is None or at is None or self._pending is not None:
            return
        state = watch.checkpoint()
        await self._history.save_checkpoint(connection, self._slot_id, self._last, at, state)
        self._checkpoint_at = self._clock()
        self._checkpoint_s = max(self._checkpoint_s_min, len(state) / CHECKPOINT_BYTES_PER_S)
        self._counters.checkpoint_bytes.set(len(state))
        found = watch.remembered("lamp", curves.STATE)
        if found is not None:
            asset_id, learnt = self._curves.news(*found)
            if len(asset_id):
                await self._history.save_curves(connection, asset_id, learnt, at)
                self._curves.told(found[1])


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
