"""One seed from its first reading until everything has settled: devices, broker, ingest, database, faults, people."""

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache, partial
from uuid import UUID

import structlog

from kraj.store.batch import Batch, Outcome
from kraj.store.resend import MARGIN, VERSIONS_LOST_MAX, Request
from rules import catalogue
from rules.rule import Rule
from stack.seeds import oracle, plan
from stack.seeds.database import Server
from stack.seeds.devices import RATED_W, Lamp
from stack.seeds.network import Broker
from stack.seeds.plan import INTERVAL_S, SPAN_S, Fault
from stack.seeds.service import Service
from stack.seeds.tables import Command, Desired, Tables
from stack.seeds.telling import order
from stack.seeds.virtual import EndlessError, Loop, chance

SETTLE_S_MAX = 5400.0
SETTLE_LOOK_S = 60.0
ORDERS = 16
CHANGES = 10
TOGETHER = 4
"""Lamps that read at the same moment."""
RULES = """
[overload]
kind = "lamp"
when = "power_w > 100 W"
for = "2 min"
clear_when = "power_w < 80 W"
clear_for = "2 min"
severity = "major"
critical_when = "power_w > 150 W"
loses = "power_w - 60 W"
guards = []
title = "Takes too much"

[undervoltage]
kind = "lamp"
when = "voltage_v < 200 V"
severity = "minor"
guards = []
title = "Too little voltage"
"""
"""What is judged: with ``for``, ``clear_for``, a worsening and energy; the whole catalogue would cost tenfold."""


@cache
def rules() -> tuple[Rule, ...]:
    """The rules of all seeds."""
    return tuple(catalogue.parse(RULES, "simulation"))


@dataclass(slots=True)
class Result:
    """What became of a seed; ``events`` are readings made, messages carried, and faults."""

    seed: int
    devices: int
    readings: int
    events: int
    faults: int
    unruly: int
    violations: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    trace: list[str] = field(default_factory=list[str])


def run(seed: int, *, trace: bool = False) -> Result:
    """Run one seed; the same seed gives the same, to the letter."""
    with _quiet():
        loop = Loop()
        try:
            asyncio.set_event_loop(loop)
            world = World(seed, loop, trace=trace)
            try:
                loop.run_until_complete(world.run())
            except EndlessError as error:
                world.violated("progress", str(error))
            loop.begin_anew()
            loop.run_until_complete(world.end())
            return world.result()
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@contextmanager
def _quiet() -> Generator[None]:
    """What the product logs of faults is its everyday life here."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


class World:
    """See the module."""

    def __init__(self, seed: int, loop: Loop, *, trace: bool) -> None:
        self.seed, self.loop = seed, loop
        self.plan = plan.draw(seed)
        self.violations: list[tuple[str, str]] = []
        self.acknowledged_at: dict[tuple[str, int, int], float] = {}
        self._tracing = trace
        self._trace: list[str] = []
        self._random = chance(seed, "world")
        self.broker = Broker(loop, chance(seed, "broker"), self.plan.unruly)
        self.lamps = [
            Lamp(n, loop, self.broker, chance(seed, f"lamp {n}"), self, clock=n not in self.plan.clockless)
            for n in range(self.plan.devices)
        ]
        self.by_name = {lamp.name: lamp for lamp in self.lamps}
        self.server = Server(loop, chance(seed, "database"), list(self.by_name))
        self.server.committed = self._committed
        self.service = Service(loop, self.broker, self.server, rules(), self, random=chance(seed, "ingest"))
        self._backups: list[tuple[float, Tables]] = []
        self._restoring = False

    # What is told

    def say(self, *words: object) -> None:
        if self._tracing:
            self._trace.append(f"{self.loop.time():10.4f} " + " ".join(map(str, words)))

    def violated(self, invariant: str, why: str) -> None:
        self.violations.append((invariant, f"{self.loop.time():.1f} s: {why}"))
        self.say("VIOLATED", invariant, why)

    def acknowledged(self, name: str, boot: int, seqs: list[int]) -> None:
        """A device forgets: what it forgets must be stored."""
        self.say(name, "acknowledged", boot, seqs)
        tables, lamp = self.server.tables, self.by_name[name]
        for seq in seqs:
            if (lamp.asset_id, seq) not in tables.by_seq and (name, seq) not in tables.refused:
                self.violated("acknowledged", f"{name} forgets {seq} of boot {boot}, which is not stored")

    def _committed(self, batch: Batch, outcome: Outcome) -> None:
        self.say("committed", batch.batch_id, outcome.committed, "duplicates", outcome.duplicates)
        for change in outcome.alerts:
            self.say("alert", change.key, change.step, change.at_ms)

    # What happens

    async def run(self) -> None:
        """Everything, and the verdict."""
        random = self._random
        for lamp in self.lamps:
            for _ in range(random.choice((0, 1, 1, 2))):
                begin = random.uniform(60, SPAN_S - 300)
                lamp.bad.append((begin, begin + random.uniform(30, 400), random.choice((40.0, 120.0, 120.0, 180.0))))
            lamp.begin()
            self.server.tables.desired[lamp.number + 1] = Desired(lamp.number + 1, lamp.name, self.loop.now())
        self.service.start()
        self.loop.call_at(INTERVAL_S, self._turn, 1)
        for fault in self.plan.faults:
            self.loop.call_at(fault.at_s, self._strike, fault)
        for _ in range(ORDERS):
            self.loop.call_at(random.uniform(60, SPAN_S), self._order)
        for _ in range(CHANGES):
            self.loop.call_at(random.uniform(60, SPAN_S), self._change)
        await asyncio.sleep(SPAN_S)
        self._cease()
        while self.loop.time() < SPAN_S + SETTLE_S_MAX:
            await asyncio.sleep(SETTLE_LOOK_S)
            if self.violations or not oracle.unsettled(self):
                break
        for error in self.loop.trouble:
            self.violated("exception", f"{type(error).__name__}: {error}")
        oracle.judge(self)

    async def end(self) -> None:
        """Leave nothing behind in the loop."""
        await self.service.end()
        mine = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not mine:
                task.cancel()
        await asyncio.sleep(0)
        await self.loop.shutdown_asyncgens()

    @staticmethod
    def _sample(lamps: list[Lamp]) -> None:
        for lamp in lamps:
            lamp.sample()

    def _turn(self, number: int) -> None:
        """Once a minute: a reading of each, what must hold at any moment, and a backup."""
        for first in range(0, len(self.lamps), TOGETHER):
            self.loop.call_later(self._random.uniform(0, 1.5), self._sample, self.lamps[first : first + TOGETHER])
        if (number + 1) * INTERVAL_S < SPAN_S:
            self.loop.call_at((number + 1) * INTERVAL_S, self._turn, number + 1)
        if self.service.alive and self.service.imbalance():
            self.violated("balance", f"received exceeds its parts by {self.service.imbalance():g}")
        if any(fault.kind == "backup restored" for fault in self.plan.faults):
            self._backups.append((self.loop.time(), self.server.tables.backup()))

    def _order(self) -> None:
        random, now = self._random, self.loop.now()
        lamp = random.choice(self.lamps)
        order(
            self.server.tables,
            Command(
                command_id=str(UUID(int=random.getrandbits(128), version=4)),
                device_id=lamp.number + 1,
                device=lamp.name,
                level_pct=random.randrange(101),
                until=now + timedelta(seconds=random.choice((300, 14_400, 14_400, 14_400))),
                requested_at=now,
                next_at=now,
            ),
        )

    def _change(self) -> None:
        desired = self._random.choice(list(self.server.tables.desired.values()))
        desired.version += 1
        desired.changed_at = self.loop.now()

    def _strike(self, fault: Fault) -> None:
        self.say("FAULT", fault.kind, f"{fault.lasts_s:.0f} s", fault.point, fault.whom)
        strikes: Mapping[str, Callable[[Fault], None]] = {
            "partition": self._part,
            "power cut": self._cut,
            "clock jump": self._jump,
            "broker forgets": self._crash,
            "broker restarts": self._crash,
            "ingest killed": self._arm,
            "answer of COMMIT lost": lambda _: setattr(self.server, "fate", "unheard"),
            "COMMIT lost": lambda _: setattr(self.server, "fate", "lost"),
            "database away": self._away,
            "backup restored": self._restore,
            "registry changed": self._register,
            "link cut": lambda _: self.service.cut(),
        }
        strikes[fault.kind](fault)

    def _part(self, fault: Fault) -> None:
        for lamp in (self.lamps[n] for n in fault.whom):
            lamp.part()
            self.loop.call_later(fault.lasts_s, lamp.join)

    def _cut(self, fault: Fault) -> None:
        known = fault.amount < plan.CLOCK_KNOWN
        for lamp in (self.lamps[n] for n in fault.whom):
            lamp.cut()
            self.loop.call_later(fault.lasts_s, partial(lamp.restore, clock_known=known))

    def _jump(self, fault: Fault) -> None:
        for lamp in (self.lamps[n] for n in fault.whom):
            lamp.offset_ms = int(fault.amount)
            self.loop.call_later(fault.lasts_s, setattr, lamp, "offset_ms", 0)

    def _crash(self, fault: Fault) -> None:
        self.broker.crash(forget=fault.kind == "broker forgets")
        self.loop.call_later(fault.lasts_s, setattr, self.broker, "up", True)

    def _arm(self, fault: Fault) -> None:
        """It dies where it next comes by; otherwise after a minute, wherever it is."""
        self.service.armed = fault.point
        self.loop.call_later(60 + fault.lasts_s, self._revive)

    def _away(self, fault: Fault) -> None:
        self.server.go_away()
        self.loop.call_later(fault.lasts_s, setattr, self.server, "up", True)

    def _register(self, fault: Fault) -> None:
        del fault
        self.server.tables.version += 1

    def _revive(self) -> None:
        if self.server.up and not self._restoring:
            self.service.kill()
            self.loop.call_later(1, self.service.start)
        else:
            self.loop.call_later(10, self._revive)

    def _restore(self, fault: Fault) -> None:
        """As `kraj restore` does it: services stopped, the newest backup of a while ago, and what it leaves behind."""
        if self._restoring:  # one at a time: services stay stopped until it is done
            return
        self.service.kill()
        self._restoring = True
        self.loop.call_later(fault.lasts_s, self._restored, self.loop.time() - fault.amount)

    def _restored(self, wanted_s: float) -> None:
        found = [tables for at_s, tables in self._backups if at_s <= wanted_s]
        if found:
            tables = self.server.tables = found[-1].backup()
            self.server.break_connections()
            self._backups = [one for one in self._backups if one[0] <= wanted_s]
            last = max((batch.at for batch in tables.batches.values()), default=None)
            if last is not None:
                number = len(tables.resends) + 1
                name = f"resend-{number}-{self.loop.now_ms}"
                tables.resends[number] = (Request(number, name, last - MARGIN), False)
            for desired in tables.desired.values():
                desired.version += VERSIONS_LOST_MAX
            self.say("restored", len(tables.rows), "readings")
        self._restoring = False
        self.service.start()

    def _cease(self) -> None:
        """No more faults: everybody is in reach, has power and the right time."""
        self.say("faults cease")
        self.broker.up = self.server.up = True
        self.server.fate = self.service.armed = ""
        unruly = self.broker.unruly
        unruly.lost = unruly.doubled = unruly.late = 0.0
        for lamp in self.lamps:
            lamp.offset_ms = 0
            lamp.join()
            lamp.restore(clock_known=True)
        if not self._restoring:
            self.loop.call_later(1, self.service.start)

    def result(self) -> Result:
        readings = sum(len(lamp.made) for lamp in self.lamps)
        return Result(
            seed=self.seed,
            devices=len(self.lamps),
            readings=readings,
            events=readings + self.broker.delivered + len(self.plan.faults),
            faults=len(self.plan.faults),
            unruly=self.broker.lost,
            violations=self.violations,
            trace=self._trace,
        )


__all__ = ["RATED_W", "RULES", "Result", "World", "rules", "run"]
