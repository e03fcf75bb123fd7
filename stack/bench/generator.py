"""The load: thousands of devices on many connections in one process, cheap enough not to be what is measured.

Devices that really speak cost some 100 µs a message in Python, so a hundred of them would be all that two cores can
drive. Here every message of a round is a row of one byte matrix, of which numpy patches time, number and packet id;
the sockets are written and read round by round.
"""

import json
import mmap
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mqtt5
import msgspec
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

OUTSTANDING_MAX = 30_000
"""Messages sent and not yet known to be committed: more than the window of ingest, less than the broker's queue."""
CONNECTIONS_PER_STEP = 100
CONNECTIONS_PER_PACED_STEP = 10
"""Paced readings come in small steps, so that a second's worth does not arrive in one clap."""
SETTLE_S_MAX = 30.0


class Plan(msgspec.Struct):
    """What to send; read from a JSON file."""

    port: int
    connections: int
    topics: list[str]
    payloads: list[str]
    """One JSON reading a device with ``TTTTTTTTTTTTT`` in place of the 13 digits of ts and ``NNNNNNNNNN`` of seq."""
    progress: str
    """File of 8 bytes: how many messages are known to be handled, written by who measures."""
    seconds: float
    readings_per_message: int = 1
    messages_per_s: float | None = None
    acks: bool = False
    seq_start: int = 1_000_000_000
    age_ms: int = 0
    """How long ago readings were made: a backlog."""
    messages: int | None = None
    """Send no more than about this many (whole steps)."""


@dataclass(slots=True)
class _Matrix:
    """All messages of a round, one row a device, and where to patch them."""

    rows: Bytes
    ts: list[int]
    seq: list[int]
    packet_id: int


def _matrix(plan: Plan) -> _Matrix:
    bodies: list[bytes] = []
    for payload in plan.payloads:
        body = payload.encode()
        bodies.append(
            body if plan.readings_per_message == 1 else b"[" + b",".join([body] * plan.readings_per_message) + b"]"
        )
    width = max(map(len, bodies))
    topic_width = {len(topic) for topic in plan.topics}
    if len(topic_width) != 1:
        raise ValueError("topics must be of one length")
    rows: list[bytes] = []
    for topic, body in zip(plan.topics, bodies, strict=True):
        packet = mqtt5.PublishPacket(topic, body.ljust(width), qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1).write()
        rows.append(packet)
    first = rows[0]
    matrix = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), len(first)).copy()
    packet_id = first.index(plan.topics[0].encode()) + len(plan.topics[0])
    head = len(first) - width
    if len({len(payload) for payload in plan.payloads}) != 1:
        raise ValueError("payloads must be of one length")
    step = len(plan.payloads[0]) + 1
    start = head + (0 if plan.readings_per_message == 1 else 1)
    in_reading_ts = plan.payloads[0].index("T" * 13)
    in_reading_seq = plan.payloads[0].index("N" * 10)
    starts = [start + step * i for i in range(plan.readings_per_message)]
    return _Matrix(matrix, [s + in_reading_ts for s in starts], [s + in_reading_seq for s in starts], packet_id)


class _Connection:
    """One socket: what is not yet written, and how many PUBACKs and acknowledged readings came back."""

    __slots__ = ("acked", "pending", "pubacked", "rest", "sent", "socket")

    def __init__(self, port: int, number: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""
        self.rest = b""
        self.sent = 0
        self.pubacked = 0
        self.acked = 0
        self.socket.sendall(mqtt5.ConnectPacket(f"load-{number}", clean_start=True, keep_alive=0).write())

    def await_packet(self, kind: type[Any]) -> None:
        data = b""
        while True:
            data += self.socket.recv(4096)
            try:
                packet, _ = mqtt5.read(memoryview(data))
            except IndexError:
                continue
            if not isinstance(packet, kind):
                raise RuntimeError(f"expected {kind.__name__}, got {packet}")
            return

    def write(self, data: bytes) -> None:
        self.pending = self.pending + data if self.pending else data
        self.flush()

    def flush(self) -> None:
        if self.pending:
            try:
                size = self.socket.send(self.pending)
            except BlockingIOError:
                return
            self.pending = self.pending[size:]

    def read(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("the broker closed a connection")
        data = self.rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            if data[at] == 0x40 and data[at + 1] == 2:
                if end - at < 4:
                    break
                self.pubacked += 1
                at += 4
                continue
            try:
                packet, size = mqtt5.read(memoryview(data)[at:])
            except IndexError:
                break
            at += size
            if isinstance(packet, mqtt5.PublishPacket):
                self.acked += sum(last - first + 1 for first, last in json.loads(packet.payload)["seq"])
            elif isinstance(packet, mqtt5.PubAckPacket):
                raise RuntimeError(f"broker refused a message: {packet.reason_code}")
        self.rest = data[at:]


def _connect(plan: Plan) -> list[_Connection]:
    out: list[_Connection] = []
    share = len(plan.topics) // plan.connections
    for number in range(plan.connections):
        connection = _Connection(plan.port, number)
        connection.await_packet(mqtt5.ConnAckPacket)
        if plan.acks:
            topics = plan.topics[number * share : (number + 1) * share]
            filters = [mqtt5.TopicFilter(t.rsplit("/", 1)[0] + "/ack", max_qos=mqtt5.QoS.AT_MOST_ONCE) for t in topics]
            connection.socket.sendall(mqtt5.SubscribePacket(1, filters).write())
            connection.await_packet(mqtt5.SubAckPacket)
        connection.socket.setblocking(False)
        out.append(connection)
    return out


def generate(plan: Plan) -> dict[str, float]:
    """Send for ``seconds``, then wait until everything is acknowledged by the broker (and by ``ack`` where asked)."""
    matrix = _matrix(plan)
    connections = _connect(plan)
    share = len(plan.topics) // plan.connections
    step = CONNECTIONS_PER_STEP if plan.messages_per_s is None else CONNECTIONS_PER_PACED_STEP
    with Path(plan.progress).open("r+b") as file:
        progress = mmap.mmap(file.fileno(), 8)
    print("ready", flush=True)  # noqa: T201  # the signal to whoever measures
    sys.stdin.readline()
    started = time.perf_counter()
    until = started + plan.seconds
    sent = steps = 0
    while time.perf_counter() < until and (plan.messages is None or sent < plan.messages):
        turn, first = divmod(steps * step, len(connections))
        if plan.messages_per_s is None:
            _throttle(connections, sent, progress, until)
        else:
            time.sleep(max(0.0, started + sent / plan.messages_per_s - time.perf_counter()))
        group = connections[first : first + step]
        rows = matrix.rows[first * share : (first + len(group)) * share]
        _fill(rows, matrix, plan, turn)
        for i, connection in enumerate(group):
            connection.write(rows[i * share : (i + 1) * share].tobytes())
            connection.sent += share
            connection.read()
        sent += len(rows)
        steps += 1
    elapsed = time.perf_counter() - started
    settled = _settle(connections, plan)
    return {
        "messages": sent,
        "seconds": elapsed,
        "pubacked": sum(c.pubacked for c in connections),
        "acked": sum(c.acked for c in connections),
        "settle_s": settled,
        "cpu_s": time.process_time(),
    }


def _fill(rows: Bytes, matrix: _Matrix, plan: Plan, turn: int) -> None:
    """Patch the rows of one step: the time of now, each device's next numbers, each connection's next packet ids."""
    now = int(time.time() * 1000) - plan.age_ms
    seq = plan.seq_start + turn * plan.readings_per_message
    for k, (ts_at, seq_at) in enumerate(zip(matrix.ts, matrix.seq, strict=True)):
        rows[:, ts_at : ts_at + 13] = np.frombuffer(b"%013d" % (now - len(matrix.ts) + 1 + k), np.uint8)
        rows[:, seq_at : seq_at + 10] = np.frombuffer(b"%010d" % (seq + k), np.uint8)
    share = len(plan.topics) // plan.connections
    ids = (np.arange(len(rows)) % share + turn * share) % 65_535 + 1
    rows[:, matrix.packet_id] = ids >> 8
    rows[:, matrix.packet_id + 1] = ids & 0xFF


def _throttle(connections: list[_Connection], sent: int, progress: mmap.mmap, until: float) -> None:
    """Hold while too much is under way; what comes back meanwhile waits in the sockets, at some bytes a message."""
    while time.perf_counter() < until:
        (handled,) = struct.unpack("q", progress[:8])
        if sent - handled <= OUTSTANDING_MAX and not any(c.pending for c in connections):
            return
        for connection in connections:
            connection.flush()
        time.sleep(0.002)


def _serve(connections: list[_Connection]) -> None:
    for connection in connections:
        connection.flush()
        connection.read()


def _settle(connections: list[_Connection], plan: Plan) -> float:
    started = time.perf_counter()
    wanted = plan.readings_per_message if plan.acks else 0
    while time.perf_counter() - started < SETTLE_S_MAX:
        _serve(connections)
        if all(c.pubacked == c.sent and c.acked >= c.sent * wanted for c in connections):
            break
        time.sleep(0.002)
    return time.perf_counter() - started


if __name__ == "__main__":
    result = generate(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan))
    print(json.dumps(result), flush=True)  # noqa: T201  # the result
