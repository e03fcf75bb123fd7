"""A device hears of exactly those of its readings that are safe: committed, there already, or kept in quarantine."""

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import mqtt5
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.acks import ack_packets
from ingest.decode import Decoded, Message, decode
from ingest.flood import FloodGuard, FloodGuards
from ingest.routes import Routes
from kraj.quarantine import Rejection
from kraj.store.registry import Installation

NOW_MS = 1_795_212_345_000
ROUTES = Routes(
    1,
    [Installation("lhota", f"lamp-{n}", n, 1, "active", 0, 10 + n, "lamp", 1) for n in (1, 2, 3)]
    + [Installation("lhota", "stolen-1", 4, 1, "suspended", 0, 14, "lamp", 1)]
    + [Installation("lhota", "spare-1", 5, 1, "active", None, None, None, None)],
)
Told = dict[tuple[str, int | None], set[int]]


def told(data: bytes, count: int) -> Told:
    """What the packets say, by topic and boot; each pair has one packet, its ranges are sorted and do not touch."""
    out: Told = {}
    position = packets = 0
    while position < len(data):
        packet, size = mqtt5.read(memoryview(data)[position:])
        position += size
        packets += 1
        assert isinstance(packet, mqtt5.PublishPacket)
        assert packet.qos == mqtt5.QoS.AT_MOST_ONCE
        document = json.loads(packet.payload)
        ranges: list[list[int]] = document["seq"]
        key = packet.topic, document.get("boot")
        assert key not in out
        assert all(first <= last for first, last in ranges)
        assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))
        out[key] = {seq for first, last in ranges for seq in range(first, last + 1)}
    assert packets == count
    return out


def reading(boot: int | None, seq: int | None, ts: int = NOW_MS, **more: object) -> dict[str, object]:
    return {k: v for k, v in {"ts": ts, "boot": boot, "seq": seq, "power_w": 5, **more}.items() if v is not None}


def message(topic: str, *readings: dict[str, object]) -> Message:
    return topic, json.dumps(readings[0] if len(readings) == 1 else readings).encode(), 1


READINGS = st.builds(
    reading,
    st.sampled_from([0, 1, 1, 1, None]),
    st.one_of(st.integers(0, 12), st.none(), st.just(2**53)),
    st.sampled_from([NOW_MS] * 4 + [0]),
    voltage_v=st.sampled_from([None, None, 230, 1e6, "x"]),
)
DEVICES = ("lamp-1", "lamp-1", "lamp-2", "stolen-1", "spare-1", "nobody-1")
STRANGE_TOPICS = ["kraj/X/lamp-1/telemetry", "kraj/dvory/lamp-3/telemetry"]
TOPICS = [*STRANGE_TOPICS, *(f"kraj/lhota/{name}/telemetry" for name in DEVICES)]
ROWS = st.tuples(st.integers(0, 2), st.integers(0, 20))


@st.composite
def sent(draw: st.DrawFn) -> Message:
    return message(draw(st.sampled_from(TOPICS)), *draw(st.lists(READINGS, min_size=1, max_size=6)))


@given(
    st.lists(sent(), max_size=12),
    st.sets(st.integers(0, 40)),
    st.sets(ROWS),
    st.booleans(),
)
def test_acknowledged_is_what_is_safe_and_nothing_else(
    messages: list[Message], not_stored: set[int], lost: set[tuple[int, int]], fault: bool
) -> None:
    decoded = decode(messages, ROUTES, {}, NOW_MS, FloodGuards(FloodGuard(1, 9)))
    if fault and decoded.rejections:
        decoded.rejections[0] = replace(decoded.rejections[0], reason="internal")
    lost = {(p, row) for p, row in lost if p < len(decoded.readings) and row < len(decoded.readings[p])}

    expected: defaultdict[tuple[str, int | None], set[int]] = defaultdict(set)

    def safe(of_message: int, boot: int | None, seq: int | None) -> None:
        _, town, device, _ = messages[of_message][0].split("/")
        if seq and town != "X":
            expected[f"kraj/{town}/{device}/ack", boot].add(seq)

    for position, readings in enumerate(decoded.readings):
        for n in range(len(readings)):
            if (position, n) not in lost:
                boot = int(readings.boot[n])
                safe(int(readings.message[n]), None if boot < 0 else boot, int(readings.seq[n]))
    for position, rejection in enumerate(decoded.rejections):
        if position not in not_stored and rejection.metric is None and rejection.reason not in ("flood", "internal"):
            safe(rejection.message, rejection.boot, rejection.seq)

    assert told(*ack_packets(messages, decoded, ROUTES, not_stored, lost)) == expected


def acks(messages: list[Message], *, not_stored: set[int] | None = None) -> tuple[Decoded, Told]:
    decoded = decode(messages, ROUTES, {}, NOW_MS)
    return decoded, told(*ack_packets(messages, decoded, ROUTES, not_stored or set()))


LAMP_1, NOBODY = "kraj/lhota/lamp-1/telemetry", "kraj/lhota/nobody-1/telemetry"


def test_numbers_are_joined_into_ranges_by_boot() -> None:
    readings = [reading(boot, seq) for boot, seq in ((1, 5), (1, 7), (1, 6), (2, 8), (1, 9), (1, 6))]
    messages = [message(LAMP_1, *readings)]
    data, count = ack_packets(messages, decode(messages, ROUTES, {}, NOW_MS), ROUTES, set())
    assert (b'{"boot":1,"seq":[[5,7],[9,9]]}' in data, b'{"boot":2,"seq":[[8,8]]}' in data, count) == (True, True, 2)


def test_a_reading_that_lost_a_value_is_acknowledged_once() -> None:
    _, found = acks([message(LAMP_1, reading(1, 5, voltage_v=1e6))])
    assert found == {("kraj/lhota/lamp-1/ack", 1): {5}}


def test_what_is_beyond_the_quota_is_not_acknowledged() -> None:
    decoded, found = acks([message(LAMP_1, reading(1, 5, ts=0), reading(1, 6, ts=1))], not_stored={0})
    assert [r.reason for r in decoded.rejections] == ["time_past", "time_past"]
    assert found == {("kraj/lhota/lamp-1/ack", 1): {6}}


def test_a_stranger_hears_on_its_own_topic_that_its_reading_is_kept() -> None:
    _, found = acks([message(NOBODY, reading(1, 5)), message(NOBODY, reading(None, 6))])
    assert found == {("kraj/lhota/nobody-1/ack", 1): {5}, ("kraj/lhota/nobody-1/ack", None): {6}}


def test_our_own_fault_is_not_acknowledged() -> None:
    messages = [message(LAMP_1, reading(1, 5))]
    decoded = Decoded(rejections=[Rejection(0, "internal", "", 1, 5)], routes=np.zeros(1, np.int64))
    assert ack_packets(messages, decoded, ROUTES, set()) == (b"", 0)
