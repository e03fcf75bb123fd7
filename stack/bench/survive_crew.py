"""A crew of simulated lamps that report evenly and note what they made, and when they were told that it is safe."""

import asyncio
from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Self

from simulators.asset import Device
from simulators.device import Link, SimulatedDevice
from simulators.fleet import ignore_lost_sockets, wall_clock_ms
from simulators.ring import Resend, Ring
from stack.bench.survive_oracle import Mark
from stack.bench.survive_site import READING, TOWN

RING = 20_000
"""Nothing is thinned out in the length of a measurement."""
RESEND = Resend(first_ms=2000, longest_ms=10_000)
"""Quicker than devices of the field are, so that two minutes suffice."""
TICK_S = 0.02
BEHIND_S_MAX = 0.5
"""Who was held up for longer does not answer with a burst."""
LOOK_S = 0.05
CONNECTS_PER_S = 100
CONNECT_S_MAX = 30.0


class Crew:
    """Lamps with a connection of their own each; ``ports`` are those by which they reach the broker, in turn.

    Use as an asynchronous context: they run in it. ``made`` and ``acknowledged`` hold each reading with the time of
    the loop in seconds.
    """

    def __init__(
        self,
        names: Sequence[str],
        ports: Sequence[int],
        *,
        interval_s: float,
        boot: int = 1,
        keepalive_s: int = 60,
        answer_timeout_s: float = 10.0,
        resend: Resend = RESEND,
    ) -> None:
        self.made: dict[Mark, float] = {}
        self.acknowledged: dict[Mark, float] = {}
        self.ahead_s: dict[str, float] = {}
        """How far a lamp's clock is ahead of the real time."""
        self._interval_s = interval_s
        self._turn = 0
        self.devices: list[SimulatedDevice] = []
        for number, name in enumerate(names):
            random = Random(name)  # noqa: S311 - jitter
            link = Link(
                host="127.0.0.1",
                port=ports[number % len(ports)],
                keepalive_s=keepalive_s,
                answer_timeout_s=answer_timeout_s,
                backoff_longest_s=2.0,
                connect_spread_s=len(names) / CONNECTS_PER_S,
            )
            ring = Ring(boot, random, capacity=RING, resend_after=resend)
            device = Device(name=name, municipality=TOWN, installed=())
            self.devices.append(SimulatedDevice(device, ring, link, random, acknowledged=self._keep))

    def _keep(self, device: str, boot: int, seqs: Sequence[int]) -> None:
        now = asyncio.get_running_loop().time()
        for seq in seqs:
            self.acknowledged[device, boot, seq] = now

    async def __aenter__(self) -> Self:
        asyncio.get_running_loop().set_exception_handler(ignore_lost_sockets)
        self._tasks = [asyncio.create_task(device.run()) for device in self.devices]
        async with asyncio.timeout(CONNECT_S_MAX):
            while not all(device.connected for device in self.devices):  # noqa: ASYNC110 - told by no event
                await asyncio.sleep(LOOK_S)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for device in self.devices:
            device.stop()
        _, late = await asyncio.wait(self._tasks, timeout=2)
        for task in late:
            task.cancel()
        await asyncio.wait(self._tasks)
        asyncio.get_running_loop().set_exception_handler(None)
        for task in self._tasks:
            if not task.cancelled() and (fault := task.exception()):
                raise fault

    async def report(self, seconds: float) -> None:
        """Each lamp makes a reading every ``interval_s``, evenly one after the other."""
        loop = asyncio.get_running_loop()
        began, rate = loop.time(), len(self.devices) / self._interval_s
        done = 0.0
        while (elapsed := loop.time() - began) < seconds:
            done = max(done, (elapsed - BEHIND_S_MAX) * rate)
            while done < elapsed * rate:
                self.record()
                done += 1
            await asyncio.sleep(TICK_S)

    def record(self) -> Mark:
        """The next lamp makes a reading."""
        device = self.devices[self._turn % len(self.devices)]
        self._turn += 1
        name = device.device.name
        seq = device.record(dict(READING), wall_clock_ms() + int(1000 * self.ahead_s.get(name, 0.0)))
        mark = name, device.ring.boot, seq
        self.made[mark] = asyncio.get_running_loop().time()
        return mark

    @property
    def pending(self) -> int:
        """Readings that nobody has confirmed."""
        return sum(device.ring.pending for device in self.devices)

    async def heard(self, seconds: float) -> None:
        """Wait until the first acknowledgement has come, for so long at most."""
        async with asyncio.timeout(seconds):
            while not self.acknowledged:  # noqa: ASYNC110 - told by no event
                await asyncio.sleep(LOOK_S)

    async def settle(self, seconds: float) -> float:
        """Let them deliver what they hold; return how long it took, or ``seconds`` when it is not done by then."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self.pending and loop.time() - began < seconds:  # noqa: ASYNC110 - told by no event
            await asyncio.sleep(LOOK_S)
        return loop.time() - began
