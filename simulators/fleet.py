"""The fleet: lives through the region's days, gives each device its readings, and counts what became of them."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from aiomqtt import MqttError

from kraj import moving
from kraj.errors import ConfigurationError
from kraj.settings import Settings
from simulators.agenda import Agenda, Due, Event, Turn
from simulators.asset import Asset
from simulators.attention import Attention
from simulators.controller import Controller
from simulators.counts import Counts
from simulators.device import Link, SimulatedDevice
from simulators.fault_file import turned
from simulators.firmware.crew import FirmwareCrew
from simulators.firmware.device import FirmwareDevice
from simulators.identity import ROOTS, contexts
from simulators.pace import Pace
from simulators.physics.cabinet import CabinetModel
from simulators.physics.frame import DAY_MS, Fault
from simulators.physics.lamp import LampModel
from simulators.presence import Day
from simulators.radio import RADIOS
from simulators.region import Region
from simulators.renewing import Credential
from simulators.ring import CAPACITY, Resend, Ring
from simulators.roster import Duty, Roster
from simulators.stamps import Stamps
from simulators.wording import readings
from simulators.world import World

SLOTS = 10
"""Parts of an interval; a device reports in one of them, so that the fleet sends evenly."""
LOOK_S = 0.5
"""The fleet looks so often, or when something is due, what there is to do."""
REPORT_S = 10.0
DRAIN_S = 2.0
OBEYING = ("lamp", "cabinet")
"""What gives light when told."""
BOOTS_FROM_S = 1_735_689_600
"""2025-01-01: boots are numbered by the second of the start from here, so a new process has a number never used."""


def wall_clock_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Fleet:
    """All devices of a region, each with its own connection.

    ``credentials`` maps device names to passwords, ``identities`` is a folder of their certificates; without both,
    devices connect without name and password.
    ``pace`` gives the simulated time. Devices report by their own habits, and lose power and network as the region's
    days and ``faults`` bring it; with ``interval_s`` they do nothing but report so often, day and night, powered or
    not: a load for the platform. Lamps and contactors obey what they are told over MQTT: ``controllers`` has those of
    their devices. ``befalling`` is asked at each look for other faults than before (None: as they were). With
    ``keep_acknowledged``, ``acknowledged`` holds every ``(device, boot, seq)`` that the platform confirmed: an oracle
    for what it must hold. Those in ``firmware`` run on the real firmware, and keep to its own habits.
    """

    def __init__(
        self,
        region: Region,
        link: Link,
        *,
        credentials: Mapping[str, str] | None = None,
        identities: Path | None = None,
        interval_s: float | None = None,
        faults: Sequence[Fault] = (),
        pace: Pace | None = None,
        befalling: Callable[[], Sequence[Fault] | None] | None = None,
        world: World | None = None,
        boot: int | None = None,
        ring_capacity: int = CAPACITY,
        resend: Resend | None = None,
        keep_acknowledged: bool = False,
        firmware: FirmwareCrew | None = None,
    ) -> None:
        missing = [d.name for d in region.devices if credentials is not None and d.name not in credentials]
        if missing:
            raise ConfigurationError(
                f"{len(missing)} of {len(region.devices)} devices have no password, the first is {missing[0]}; "
                "the credentials must come from a region of the same seed and number of devices"
            )
        if interval_s is not None and interval_s <= 0:
            raise ConfigurationError(f"the interval must be above 0 s, not {interval_s}")
        self.acknowledged: set[tuple[str, int, int]] = set()
        self._pace = pace or Pace.of(wall_clock_ms)
        self._interval_s = interval_s
        self._hushed = False
        self._told = False
        self._looked_ms = 0
        self._world = world or World(region)
        self._faults = tuple(faults)
        self._befalling = befalling
        self._attention = Attention(self._world.models)
        self._boot = self._pace.now_ms() // 1000 - BOOTS_FROM_S if boot is None else boot
        self._stamps = Stamps(region, faults, RADIOS["ordinary"])
        channels = np.array([i.channel for device in region.devices for i in device.installed])
        self._channel = {kind: channels[places] for kind, places in self._world.asset.items()}
        tls = {} if identities is None else contexts(identities, [device.name for device in region.devices])
        roots = () if identities is None else moving.authorities((identities / ROOTS).read_text())
        self.controllers = self._controllers()
        self._firmware = firmware or FirmwareCrew.none()
        self.devices: dict[str, SimulatedDevice] = {}
        for number, device in enumerate(region.devices):
            if device.name in self._firmware.devices:
                continue
            # A seed of its own for each device: adding one changes nothing for the others.
            random = Random(f"{region.seed} {number}")
            self.devices[device.name] = SimulatedDevice(
                device,
                Ring(self._boot, random, capacity=ring_capacity, resend_after=resend),
                link,
                random,
                password=credentials[device.name] if credentials is not None else None,
                tls=tls.get(device.name),
                credential=None if identities is None else Credential(identities, device.name),
                acknowledged=self._keep if keep_acknowledged else None,
                roots=roots,
                controller=self.controllers.get(device.name),
            )
        self._by_name: dict[str, SimulatedDevice | FirmwareDevice] = {**self.devices, **self._firmware.devices}
        self._by_place = [self._by_name[device.name] for device in region.devices]

    async def run(self, stop: asyncio.Event, *, drain_s: float = DRAIN_S) -> None:
        """Simulate until ``stop`` is set, then send what waits for at most ``drain_s`` and disconnect."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(ignore_lost_sockets)
        await self._begin()
        tasks = [asyncio.create_task(device.run(), name=name) for name, device in self._by_name.items()]
        sampling = asyncio.create_task(self._sample(), name="sampling")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            # A device ends only after stop: one that ends before has found a fault of ours, which must show.
            await asyncio.wait([sampling, stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            if sampling.done() and not sampling.exception():  # hushed
                await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sampling.cancel()
            stopping.cancel()
            for device in self._by_place:
                device.stop(drain_s)
            _, late = await asyncio.wait(tasks, timeout=drain_s + 1)
            for task in late:
                task.cancel()
            await asyncio.wait([sampling, stopping, *tasks])
            loop.set_exception_handler(None)
        for task in (sampling, *tasks):
            if not task.cancelled() and (fault := task.exception()):
                raise fault

    @property
    def duty(self) -> Duty:
        """The day that the fleet lives through, as it was planned first."""
        return self._today.duty

    def hush(self) -> None:
        """Make no more readings; what the rings hold is still delivered."""
        self._hushed = True

    def counts(self) -> Counts:
        """What became of the readings so far."""
        devices = self._by_place
        rings = [d.ring for d in devices]
        return Counts(
            devices=len(devices),
            connected=sum(d.connected for d in devices),
            reconnects=sum(d.reconnects for d in devices),
            produced=sum(r.counters.produced for r in rings),
            sent=sum(r.counters.sent for r in rings),
            resent=sum(r.counters.resent for r in rings),
            acknowledged=sum(r.counters.acknowledged for r in rings),
            pending=sum(r.pending for r in rings),
            thinned=sum(r.counters.thinned for r in rings),
            malformed=sum(d.malformed for d in devices),
        )

    def _controllers(self) -> dict[str, Controller]:
        """Of the devices with lamps, and of cabinets whose contactor switches."""
        found: dict[str, Controller] = {}
        for kind in OBEYING:
            model = self._world.models.get(kind)
            if not isinstance(model, LampModel | CabinetModel):
                continue
            row = {asset.key: n for n, asset in enumerate(model.assets) if _obeys(asset)}
            for device in self._world.region.devices:
                rows = {i.channel: row[i.asset.key] for i in device.installed if i.asset.key in row}
                if rows:
                    found[device.name] = Controller(
                        rows,
                        model.told,
                        self._pace.now_ms,
                        self._take_notice,
                        clock=device.clock,
                        kind=kind,
                        obeyed=self._attention.draw,
                    )
        return found

    def _take_notice(self) -> None:
        """Lamps were told something: the day is planned again at the next look."""
        self._told = True

    def _keep(self, device: str, boot: int, seqs: Sequence[int]) -> None:
        self.acknowledged.update((device, boot, seq) for seq in seqs)

    async def _begin(self) -> None:
        """Before anybody connects it must be known who has power."""
        if self._interval_s is not None:
            return
        # A past begins where it was said to, however long the fleet took to be built.
        now_ms = self._pace.start_ms if self._pace.past else self._pace.now_ms()
        self._roster = Roster(self._world, self._faults, now_ms, boot=self._boot, fresh=True)
        self._looked_ms = now_ms - 1
        self._today = await self._plan(now_ms // DAY_MS * DAY_MS)
        for device in self._today.skip(now_ms):
            self._by_place[device].lose()

    async def _plan(self, start_ms: int) -> Agenda:
        return Agenda(await asyncio.to_thread(self._roster.day, start_ms))

    async def _sample(self) -> None:
        if self._interval_s is not None:
            await self._load(self._interval_s)
        while not self._hushed:
            await self._day(self._today)
            next_ms = self._today.duty.start_ms + DAY_MS
            self._forget(next_ms)
            self._today = await self._plan(next_ms)

    def _forget(self, before_ms: int) -> None:
        for model in self._world.models.values():
            if isinstance(model, LampModel | CabinetModel):
                model.told.forget(before_ms)

    async def _again(self, agenda: Agenda) -> Agenda:
        """The same day with what lamps were told since the last look; what was reported until then stays reported."""
        self._told = False
        self._roster.faults = self._faults
        for kind in OBEYING:
            told = [one for one in self.controllers.values() if one.kind == kind]
            self._roster.every(kind, {row: one.interval_s for one in told for row in one.rows})
        planned = Agenda(await asyncio.to_thread(self._roster.again, agenda.duty))
        planned.skip(self._looked_ms + 1)
        return planned

    async def _day(self, agenda: Agenda) -> None:
        end_ms = agenda.duty.start_ms + DAY_MS
        self._looked_ms = max(self._looked_ms, agenda.duty.start_ms - 1)
        while not self._hushed:
            self._turn(self._looked_ms + 1)
            if self._told:
                agenda = await self._again(agenda)
            now_ms = min(self._pace.now_ms(), end_ms - 1)
            for event in agenda.happened(now_ms):
                self._befall(event)
            for due in (*agenda.due(now_ms), *self._attention.due(now_ms)):
                self._record(due, agenda.duty.presence)
            if self._firmware.feed(self._world, now_ms):
                self._told = True
            self._looked_ms = now_ms
            if self._pace.now_ms() >= end_ms:
                return
            await asyncio.sleep(min(LOOK_S, self._pace.wait_s(agenda.next_ms())))

    def _turn(self, now_ms: int) -> None:
        """Take other faults, where somebody has written them."""
        found = None if self._befalling is None else self._befalling()
        if found is not None:
            self._faults = turned(self._faults, found, now_ms)
            self._stamps = Stamps(self._world.region, self._faults, RADIOS["ordinary"])
            self._told = True

    def _befall(self, event: Event) -> None:
        device = self._by_place[event.device]
        match event.turn:
            case Turn.LOSE:
                device.lose()
            case Turn.CUT:
                device.cut()
            case Turn.RESTART:
                device.restart()
                if controller := self.controllers.get(device.device.name):
                    controller.restart()
            case Turn.BACK:
                device.back()

    def _record(self, due: Due, presence: Day) -> None:
        """Measure and put into the rings; order of time within each device."""
        kind = self._world.models[due.kind].kind
        device = self._world.device[due.kind][due.rows]
        health = self._stamps.health(device, due.ts_ms, presence)
        own_ms = due.ts_ms + self._stamps.off_ms(device, due.ts_ms).astype(np.int64)
        found = readings(kind, {**self._world.at(due.kind, due.rows, due.ts_ms), **health})
        # Who cannot tell the time is stamped when ingest hears of it; of the past it could only lie.
        past = self._pace.past
        up_ms = due.ts_ms - presence.boots(device, due.ts_ms)[1]
        columns = (device, own_ms, self._channel[due.kind][due.rows], up_ms)
        numbers: list[tuple[int, int, int, int]] = list(zip(*(column.tolist() for column in columns), strict=True))
        for (place, ts_ms, channel, uptime_ms), metrics in zip(numbers, found, strict=True):
            self._by_place[place].record(metrics, ts_ms, channel, past=past, uptime_ms=uptime_ms)

    async def _load(self, interval_s: float) -> None:
        """A part of the devices reports in each tick."""
        loop = asyncio.get_running_loop()
        rows = {kind: np.arange(len(model.assets)) for kind, model in self._world.models.items()}
        step_s = interval_s / SLOTS
        start, tick, day = loop.time(), 0, -1
        devices = len(self._by_place)
        began_ms = self._pace.now_ms()
        while not self._hushed:
            ts_ms = self._pace.now_ms()
            self._turn(ts_ms)
            if ts_ms // DAY_MS != day or self._told:
                day, self._told = ts_ms // DAY_MS, False
                await asyncio.to_thread(self._world.prepare, day * DAY_MS, self._faults)
            running = Day.quiet(devices, self._boot, began_ms)
            for kind, everyone in rows.items():
                turn = everyone[self._world.device[kind] % SLOTS == tick % SLOTS]
                if len(turn):
                    self._record(Due(kind, turn, np.full(len(turn), ts_ms)), running)
            # A late tick is skipped, not caught up: a stalled machine must not answer with a burst.
            tick = max(tick + 1, int((loop.time() - start) / step_s))
            await asyncio.sleep(start + tick * step_s - loop.time())


def _obeys(asset: Asset) -> bool:
    return asset.kind == "lamp" or asset.number("feeder_switched") > 0


def ignore_lost_sockets(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """aiomqtt asks the loop to watch a socket that the broker's death has closed meanwhile, and leaves futures behind
    that tell of it; the reconnect follows."""
    error, message = context.get("exception"), str(context.get("message"))
    lost = (isinstance(error, OSError) and "add_writer" in message) or isinstance(error, MqttError)
    if not lost:
        loop.default_exception_handler(context)


async def run(
    settings: Settings,
    region: Region,
    stop: asyncio.Event,
    *,
    credentials: Mapping[str, str] | None = None,
    identities: Path | None = None,
    interval_s: float | None = None,
    faults: Sequence[Fault] = (),
    pace: Pace | None = None,
    befalling: Callable[[], Sequence[Fault] | None] | None = None,
    report: Callable[[Counts], None] | None = None,
    firmware: FirmwareCrew | None = None,
) -> Counts:
    """Simulate ``region`` against the broker in ``settings`` until ``stop`` is set; gives the final counts.

    ``report`` is called every ``REPORT_S`` seconds and once at the end.
    """
    link = Link(host=settings.mqtt_host, port=settings.mqtt_port)
    fleet = Fleet(
        region,
        link,
        credentials=credentials,
        identities=identities,
        interval_s=interval_s,
        faults=faults,
        pace=pace,
        befalling=befalling,
        firmware=firmware,
    )

    async def reporting() -> None:
        while report:
            await asyncio.sleep(REPORT_S)
            report(fleet.counts())

    task = asyncio.create_task(reporting())
    try:
        await fleet.run(stop)
    finally:
        task.cancel()
    counts = fleet.counts()
    if report:
        report(counts)
    return counts
