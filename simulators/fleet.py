"""The fleet: steps the region's signals, gives each device its readings, and counts what became of them."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Any

from aiomqtt import MqttError

from kraj.errors import ConfigurationError
from kraj.settings import Settings
from simulators.device import Link, SimulatedDevice
from simulators.region import Region
from simulators.ring import CAPACITY, Resend, Ring
from simulators.signals import World

SLOTS = 10
"""Parts of an interval; a device reports in one of them, so that the fleet sends evenly."""
REPORT_S = 10.0
DRAIN_S = 2.0
BOOTS_FROM_S = 1_735_689_600
"""2025-01-01: boots are numbered by the second of the start from here, so a new process has a number never used."""

Clock = Callable[[], int]


def wall_clock_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


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


class Fleet:
    """All devices of a region, each with its own connection.

    ``credentials`` maps device names to passwords; without it devices connect without a name and password.
    ``interval_s`` is the time between two readings of a device. ``clock`` gives the wall time of readings in
    Unix milliseconds. With ``keep_acknowledged``, ``acknowledged`` holds every ``(device, boot, seq)`` that the
    platform confirmed, as an oracle for what it must hold.
    """

    def __init__(
        self,
        region: Region,
        link: Link,
        *,
        credentials: Mapping[str, str] | None = None,
        interval_s: float = 10.0,
        clock: Clock = wall_clock_ms,
        boot: int | None = None,
        ring_capacity: int = CAPACITY,
        resend: Resend | None = None,
        keep_acknowledged: bool = False,
    ) -> None:
        missing = [d.name for d in region.devices if credentials is not None and d.name not in credentials]
        if missing:
            raise ConfigurationError(
                f"{len(missing)} of {len(region.devices)} devices have no password, the first is {missing[0]}; "
                "the credentials must come from a region of the same seed and number of devices"
            )
        if interval_s <= 0:
            raise ConfigurationError(f"the interval must be above 0 s, not {interval_s}")
        self.acknowledged: set[tuple[str, int, int]] = set()
        self._clock = clock
        self._interval_s = interval_s
        self._hushed = False
        self._world = World(region, SLOTS)
        boot = clock() // 1000 - BOOTS_FROM_S if boot is None else boot
        self.devices: dict[str, SimulatedDevice] = {}
        for number, device in enumerate(region.devices):
            # A seed of its own for each device: adding one changes nothing for the others.
            random = Random(f"{region.seed} {number}")
            self.devices[device.name] = SimulatedDevice(
                device,
                Ring(boot, random, capacity=ring_capacity, resend_after=resend),
                link,
                random,
                password=credentials[device.name] if credentials is not None else None,
                acknowledged=self._keep if keep_acknowledged else None,
            )

    async def run(self, stop: asyncio.Event, *, drain_s: float = DRAIN_S) -> None:
        """Simulate until ``stop`` is set, then send what waits for at most ``drain_s`` and disconnect."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_ignore_lost_sockets)
        tasks = [asyncio.create_task(device.run(), name=name) for name, device in self.devices.items()]
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
            for device in self.devices.values():
                device.stop(drain_s)
            _, late = await asyncio.wait(tasks, timeout=drain_s + 1)
            for task in late:
                task.cancel()
            await asyncio.wait([sampling, stopping, *tasks])
            loop.set_exception_handler(None)
        for task in (sampling, *tasks):
            if not task.cancelled() and (fault := task.exception()):
                raise fault

    def hush(self) -> None:
        """Make no more readings; what the rings hold is still delivered."""
        self._hushed = True

    def counts(self) -> Counts:
        """What became of the readings so far."""
        devices = self.devices.values()
        rings = [d.ring for d in devices]
        return Counts(
            devices=len(self.devices),
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

    def _keep(self, device: str, boot: int, seqs: Sequence[int]) -> None:
        self.acknowledged.update((device, boot, seq) for seq in seqs)

    async def _sample(self) -> None:
        loop = asyncio.get_running_loop()
        step_s = self._interval_s / SLOTS
        start, tick = loop.time(), 0
        while True:
            ts_ms = self._clock()
            if self._hushed:
                return
            for device, channel, metrics in self._world.step(ts_ms, tick % SLOTS):
                self.devices[device].record(metrics, ts_ms, channel)
            # A late tick is skipped, not caught up: a stalled machine must not answer with a burst.
            tick = max(tick + 1, int((loop.time() - start) / step_s))
            await asyncio.sleep(start + tick * step_s - loop.time())


def _ignore_lost_sockets(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
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
    interval_s: float = 10.0,
    clock: Clock = wall_clock_ms,
    report: Callable[[Counts], None] | None = None,
) -> Counts:
    """Simulate ``region`` against the broker in ``settings`` until ``stop`` is set; gives the final counts.

    ``report`` is called every ``REPORT_S`` seconds and once at the end.
    """
    link = Link(host=settings.mqtt_host, port=settings.mqtt_port)
    fleet = Fleet(region, link, credentials=credentials, interval_s=interval_s, clock=clock)

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
