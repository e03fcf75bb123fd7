"""A device of the simulation: the real ring, node and controller, with modelled power, clock and connection."""

from asyncio import TimerHandle
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

import msgspec

from kraj.topics import Channel, Topic
from simulators.asset import Device
from simulators.controller import Controller
from simulators.messages import Command, Result
from simulators.node import OFFLINE, Node
from simulators.physics.told import Told
from simulators.ring import Ring
from stack.seeds.network import KEEPALIVE_GONE_S, Broker, Packet, Session, Wire
from stack.seeds.virtual import Loop

TOWN = "lhota"
CAPACITY = 400
"""Readings that a ring holds: more than are made, so that nothing is thinned out on purpose."""
SESSION_EXPIRY_S = 400.0
BACKOFF_S = (0.5, 30.0)
NOTICES_S = (20.0, 70.0)
"""A device finds its connection dead by a ping that nobody answers."""
CLOCK_UNKNOWN_S = 250.0
RATED_W = 60.0


@dataclass(frozen=True, slots=True)
class Made:
    """A reading as it was made: what the store must say of it."""

    boot: int
    ts_ms: int | None
    uptime_ms: int
    power_w: float
    at_ms: int


class Listener(Protocol):
    """Who is told what happens to devices."""

    def say(self, *words: object) -> None: ...
    def acknowledged(self, name: str, boot: int, seqs: "list[int]") -> None: ...
    def violated(self, invariant: str, why: str) -> None: ...


class _Counted(Controller):
    """Knows which commands were done since the power came."""

    done: set[str]
    heard: Callable[[str], None]

    def obey(self, command: Command, expiry_s: int | None) -> Result:
        if command.id in self.done:
            self.heard(command.id)
        self.done.add(command.id)
        return super().obey(command, expiry_s)


class Lamp:
    """See the module. What is in ``ring`` and the controller's version survive a loss of power, as in flash."""

    def __init__(
        self, number: int, loop: Loop, broker: Broker, random: Random, listener: Listener, *, clock: bool
    ) -> None:
        self.number = number
        self.asset_id = number + 1
        self.name = f"lamp-{number:02d}"
        self.made: dict[int, Made] = {}
        self.offset_ms = 0
        self.reach = True
        """False while the network does not carry."""
        self.powered = True
        self.ring = Ring(1, random, capacity=CAPACITY)
        self.bad: list[tuple[float, float, float]] = []
        """From, to (seconds) and the power (W) that it takes then."""
        self._loop = loop
        self._broker = broker
        self._random = random
        self._listener = listener
        self._with_clock = clock
        self._device = Device(name=self.name, municipality=TOWN, installed=(), clock=clock)
        self.controller = _Counted({0: 0}, Told(), self._wall_ms, lambda: None, clock=clock)
        self.controller.done, self.controller.heard = set(), self._twice
        self.node = Node(self._device, self.ring, acknowledged=self._acknowledged, controller=self.controller)
        self._booted_s = loop.time()
        self._wire: Wire | None = None
        self._session: Session | None = None
        self._connected = False
        self._outbox: list[tuple[Channel, bytes, bool]] = []
        self._waiting = False
        self._timer: TimerHandle | None = None
        self._retry: TimerHandle | None = None
        self._failures = 0

    def begin(self) -> None:
        """Connect some time soon."""
        self._later(self._random.uniform(0, 3))

    @property
    def desired_topic(self) -> str:
        return str(Topic(TOWN, self.name, Channel.DESIRED))

    # Readings

    def sample(self) -> None:
        """Make a reading, and send it when that can be."""
        if not self.powered:
            return
        now_s = self._loop.time()
        watts = next((w for begin, end, w in self.bad if begin <= now_s < end), RATED_W)
        power_w = watts + self.ring.counters.produced % 8 / 8
        uptime_ms = int((now_s - self._booted_s) * 1000)
        timed = self.node.device.clock
        metrics: dict[str, object] = {"power_w": power_w, "voltage_v": 190 if watts < RATED_W else 231}
        ts_ms = self._wall_ms()
        seq = self.node.record(metrics, ts_ms, uptime_ms=uptime_ms)
        if seq in self.made:
            self._listener.violated("seq", f"{self.name} gives number {seq} a second time")
        made = Made(self.ring.boot, ts_ms if timed else None, uptime_ms, power_w, self._loop.now_ms)
        self.made[seq] = made
        self._send()

    def _wall_ms(self) -> int:
        return self._loop.now_ms + self.offset_ms

    def _acknowledged(self, name: str, boot: int, seqs: object) -> None:
        self._listener.acknowledged(name, boot, list(seqs))  # pyright: ignore

    def _twice(self, command_id: str) -> None:
        self._listener.violated("command twice", f"{self.name} does {command_id} again in boot {self.ring.boot}")

    # Power and network

    def cut(self) -> None:
        """Power is gone: what was in memory with it."""
        if not self.powered:
            return
        self.powered = False
        self._listener.say(self.name, "loses power")
        self._silent()
        self._drop()

    def restore(self, *, clock_known: bool) -> None:
        """Power is there again."""
        if self.powered:
            return
        self.powered = True
        self._booted_s = self._loop.time()
        self.node.restart()
        self.controller.restart()
        self.controller.done = set()
        self._listener.say(self.name, "boots", self.ring.boot, "" if clock_known else "without the time")
        if self._with_clock and not clock_known:
            self.node.device = replace(self._device, clock=False)
            self._loop.call_later(CLOCK_UNKNOWN_S, self._learn_time)
        self._later(self._random.uniform(0.1, 3))

    def _learn_time(self) -> None:
        self.node.device = self._device

    def part(self) -> None:
        """The network carries nothing from now on, and nobody is told."""
        self.reach = False
        self._listener.say(self.name, "out of reach")
        if self._connected:
            self._silent()
            self._loop.call_later(self._random.uniform(*NOTICES_S), self._lost)

    def join(self) -> None:
        self.reach = True
        self._listener.say(self.name, "in reach")
        if not self._connected and self.powered:
            self._later(self._random.uniform(0, 5))

    def _silent(self) -> None:
        """The wire is dead; the broker finds out later."""
        wire, session = self._wire, self._session
        if wire is not None and session is not None:
            wire.alive = False
            self._loop.call_later(self._random.uniform(10, KEEPALIVE_GONE_S), self._broker.gone, session, wire)

    def _drop(self) -> None:
        self._connected = self._waiting = False
        self._wire = self._session = None
        self._outbox.clear()
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        self._timer = self._retry = None

    def _lost(self) -> None:
        if self._wire is not None and not self._wire.alive:
            self._drop()
            if self.powered:
                self._back_off()

    def _back_off(self) -> None:
        longest = min(BACKOFF_S[1], BACKOFF_S[0] * 2 ** min(self._failures, 16))
        self._failures += 1
        self._later(self._random.uniform(longest / 2, longest))

    def _later(self, seconds: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self._loop.call_later(seconds, self._connect)

    # The connection

    def _connect(self) -> None:
        self._retry = None
        if self._connected or not self.powered or not self.reach:
            return
        wire = Wire(self._loop, self._random)
        will = self._packet(Channel.STATUS, msgspec.json.encode(OFFLINE))
        session = self._broker.connect(self.name, wire, self._receive, self._lost, will=will, expiry_s=SESSION_EXPIRY_S)
        if session is None:
            self._back_off()
            return
        self._failures = 0
        self._wire, self._session, self._connected = wire, session, True
        self._broker.subscribed(session, self.desired_topic)
        self._publish(Channel.STATUS, msgspec.json.encode(self.node.online()), retain=True)
        self.ring.reconnect()
        self._send()

    def _receive(self, packets: list[tuple[Packet, int]]) -> None:
        session, wire = self._session, self._wire
        if session is None or wire is None:
            return
        if any(packet_id for _, packet_id in packets):
            wire.carry(True, self._broker.puback, session, [packet_id for _, packet_id in packets])
        for packet, _ in packets:
            self._hear(packet)
        self._send()

    def _hear(self, packet: Packet) -> None:
        if packet.channel == Channel.ACK:
            self.node.take_ack(packet.payload)
        elif packet.channel == Channel.DESIRED:
            before = self.controller.version
            answer = self.node.take_desired(packet.payload)
            if self.controller.version < before:
                self._listener.violated("desired", f"{self.name} goes from {before} to {self.controller.version}")
            if answer is not None:
                self._publish(Channel.REPORTED, answer, retain=True)
        else:
            left_s = None if packet.ends_s is None else max(1, round(packet.ends_s - self._loop.time()))
            self._publish(Channel.RESULT, self.node.obey(packet.payload, left_s))

    def _publish(self, channel: Channel, payload: bytes, *, retain: bool = False) -> None:
        self._outbox.append((channel, payload, retain))
        self._pump()

    def _packet(self, channel: Channel, payload: bytes) -> Packet:
        return Packet(str(Topic(TOWN, self.name, channel)), channel, payload, 1)

    def _pump(self) -> None:
        """One message at a time: the next when the broker has the one before."""
        wire = self._wire
        if wire is None or self._waiting or not self._outbox:
            return
        channel, payload, retain = self._outbox.pop(0)
        self._waiting = True
        wire.carry(True, self._arrive, wire, self._packet(channel, payload), retain)

    def _arrive(self, wire: Wire, packet: Packet, retain: bool) -> None:
        self._broker.publish(packet, retain=retain)
        wire.carry(False, self._taken, packet)

    def _taken(self, packet: Packet) -> None:
        """PUBACK: the broker has it, and that is all."""
        self._waiting = False
        self._pump()
        self._send()

    def _send(self) -> None:
        if not self._connected or self._outbox or self._waiting:
            return
        now_ms = self._loop.time() * 1000
        for message in self.node.messages(now_ms):
            self._publish(Channel.TELEMETRY, message)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ms = self.ring.due_ms(now_ms)
        if due_ms is not None and not self._outbox:
            self._timer = self._loop.call_at(max(due_ms / 1000, self._loop.time() + 0.001), self._send)
