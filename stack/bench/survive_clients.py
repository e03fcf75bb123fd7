"""Thousands of devices that all come back at once: plain sockets in one process, each with the packets of a device.

As a program it reads a plan, connects everybody, says ``ready``, and after ``go`` waits until everybody has lost the
connection and is back: connected, subscribed, and its status taken by the broker. Prints one JSON object.
"""

import heapq
import json
import selectors
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

import mqtt5
import msgspec

PER_ADDRESS = 5000
"""Clients by source address: the system has some 28,000 ports for each, and those of the dead rest in TIME-WAIT."""
IP_BIND_ADDRESS_NO_PORT = 24
"""Choose the port when connecting, so that it need be free for this address and server alone (ip(7))."""
BACKOFF_S = (0.5, 30.0)
"""As devices have it: each pause is drawn between half and the whole, doubling."""
AWAY_S_MAX = 15.0
"""A connection that is neither made nor answered in this time is given up, as by a device."""
FIRST_AT_ONCE = 200
TURN_S = 0.01
LOOK_S = 1.0
AWAY, CONNECTING, HANDSHAKING, ASKED, THERE = range(5)
CONNACK, PUBACK, SUBACK = 0x20, 0x40, 0x90
SESSION_EXPIRY_S = 3600
KEEPALIVE_S = 60


class Plan(msgspec.Struct):
    """Whom to play; read from a JSON file. ``folder`` has ``NAME.pem`` of each and ``roots.pem`` where TLS is meant."""

    port: int
    town: str
    names: list[str]
    seconds_max: float
    folder: str = ""


@dataclass(slots=True, eq=False)
class _Client:
    """One device."""

    number: int
    hello: bytes
    context: ssl.SSLContext | None
    wire: socket.socket | None = None
    answers: bytes = b""
    phase: int = 0
    since: float = 0.0
    failures: int = 0
    tries: int = 0


class Crowd:
    """All clients on one selector."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._selector = selectors.EpollSelector()
        self._random = Random(1)  # noqa: S311 - jitter
        self._clients = [
            _Client(number, _hello(plan.town, name), _context(Path(plan.folder), name) if plan.folder else None)
            for number, name in enumerate(plan.names)
        ]
        self._due: list[tuple[float, int]] = []
        self._back_at: dict[int, float] = {}
        self._there = self._busy = 0
        self._looked_at = 0.0

    def connect(self) -> None:
        """Everybody for the first time, some at a time."""
        waiting = list(reversed(self._clients))
        until = time.monotonic() + self._plan.seconds_max
        while self._there < len(self._clients) and time.monotonic() < until:
            while waiting and self._busy < FIRST_AT_ONCE:
                self._begin(waiting.pop())
            self._turn()

    def come_back(self) -> dict[str, float]:
        """Wait until everybody has been lost and is back; moments are of the monotonic clock."""
        self._back_at.clear()
        until, cpu_s = time.monotonic() + self._plan.seconds_max, time.process_time()
        while len(self._back_at) < len(self._clients) and time.monotonic() < until:
            self._turn()
        moments = sorted(self._back_at.values())
        return {
            "back": len(moments),
            "half_at": moments[len(moments) // 2] if moments else 0.0,
            "last_at": moments[-1] if moments else 0.0,
            "tries": sum(client.tries for client in self._clients) - len(self._clients),
            "cpu_s": time.process_time() - cpu_s,
        }

    def _turn(self) -> None:
        """What is ready, and who is due."""
        for key, events in self._selector.select(TURN_S):
            self._serve(key.data, events)
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            self._begin(self._clients[heapq.heappop(self._due)[1]])
        if now - self._looked_at > LOOK_S:
            self._looked_at = now
            for client in self._clients:
                if client.phase not in (AWAY, THERE) and now - client.since > AWAY_S_MAX:
                    self._lose(client)

    def _begin(self, client: _Client) -> None:
        client.phase, client.since, client.answers = CONNECTING, time.monotonic(), b""
        client.tries += 1
        self._busy += 1
        wire = socket.socket()
        wire.setblocking(False)
        wire.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        wire.bind((f"127.0.1.{1 + client.number // PER_ADDRESS}", 0))
        wire.connect_ex(("127.0.0.1", self._plan.port))
        client.wire = wire
        self._selector.register(wire, selectors.EVENT_WRITE, client)

    def _serve(self, client: _Client, events: int) -> None:
        try:
            if client.phase == CONNECTING:
                self._connected(client)
            if client.phase == HANDSHAKING:
                self._handshake(client)
            elif client.phase in (ASKED, THERE) and events & selectors.EVENT_READ:
                self._read(client)
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            self._lose(client)

    def _connected(self, client: _Client) -> None:
        wire = client.wire
        if wire is None:
            return
        if error := wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "not connected")
        if client.context is None:
            self._ask(client)
            return
        self._selector.unregister(wire)
        client.wire = client.context.wrap_socket(wire, server_hostname="localhost", do_handshake_on_connect=False)
        client.phase = HANDSHAKING
        self._selector.register(client.wire, selectors.EVENT_READ, client)

    def _handshake(self, client: _Client) -> None:
        if not isinstance(client.wire, ssl.SSLSocket):
            raise TypeError("a handshake is of TLS")
        try:
            client.wire.do_handshake()
        except ssl.SSLWantReadError:
            return
        self._ask(client)

    def _ask(self, client: _Client) -> None:
        """Everything at once: what a device says first fits into any socket's buffer."""
        if client.wire is not None:
            client.phase = ASKED
            client.wire.send(client.hello)
            self._selector.modify(client.wire, selectors.EVENT_READ, client)

    def _read(self, client: _Client) -> None:
        if client.wire is None:
            return
        try:
            data = client.wire.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        if not data:
            raise ConnectionError("closed")
        if client.phase == ASKED:
            client.answers += data
            if complete(client.answers):
                client.phase = THERE
                self._busy -= 1
                self._there += 1
                self._back_at[client.number] = time.monotonic()
                client.failures = 0

    def _lose(self, client: _Client) -> None:
        """Wait as a device does, and come again."""
        if client.phase == THERE:
            self._there -= 1
        else:
            self._busy -= 1
        if client.wire is not None:
            self._selector.unregister(client.wire)
            client.wire.close()
            client.wire = None
        client.phase = AWAY
        longest = min(BACKOFF_S[1], BACKOFF_S[0] * 2 ** min(client.failures, 16))
        client.failures += 1
        heapq.heappush(self._due, (time.monotonic() + self._random.uniform(longest / 2, longest), client.number))


def complete(answers: bytes) -> bool:
    """Whether the broker has taken session, subscriptions and status. Raises ``ValueError`` when it refuses."""
    found: set[int] = set()
    while len(answers) >= 2 and len(answers) >= 2 + answers[1]:  # answers to these packets are short
        packet, answers = answers[: 2 + answers[1]], answers[2 + answers[1] :]
        if packet[0] == CONNACK and packet[3]:
            raise ValueError(f"the broker refuses with {packet[3]}")
        found.add(packet[0])
    return found >= {CONNACK, PUBACK, SUBACK}


def _hello(town: str, name: str) -> bytes:
    """CONNECT with a will, SUBSCRIBE and the status: what a device says when it comes."""
    topic = f"kraj/{town}/{name}/"
    will = mqtt5.Will(topic + "status", payload=b'{"online":false}', qos=mqtt5.QoS.AT_LEAST_ONCE, retain=True)
    connect = mqtt5.ConnectPacket(
        name, clean_start=False, keep_alive=KEEPALIVE_S, session_expiry_interval=SESSION_EXPIRY_S, will=will
    )
    filters = [
        mqtt5.TopicFilter(topic + "ack", max_qos=mqtt5.QoS.AT_MOST_ONCE),
        mqtt5.TopicFilter(topic + "command", max_qos=mqtt5.QoS.AT_LEAST_ONCE),
    ]
    status = b'{"online":true,"boot":1,"firmware":"1.0","reset":"power_on"}'
    said = mqtt5.PublishPacket(topic + "status", status, qos=mqtt5.QoS.AT_LEAST_ONCE, retain=True, packet_id=2)
    return connect.write() + mqtt5.SubscribePacket(1, filters).write() + said.write()


def _context(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(folder / "roots.pem")
    context.load_cert_chain(folder / f"{name}.pem")
    return context


if __name__ == "__main__":
    crowd = Crowd(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
    crowd.connect()
    print("ready", flush=True)  # noqa: T201  # the signal to whoever measures
    sys.stdin.readline()
    print(json.dumps(crowd.come_back()), flush=True)  # noqa: T201  # the result
