"""Packets that we build by hand are those that an MQTT 5 parser reads."""

import mqtt5
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import packets


def read_all(data: bytes) -> list[mqtt5.Packet]:
    found: list[mqtt5.Packet] = []
    position = 0
    while position < len(data):
        packet, size = mqtt5.read(memoryview(data)[position:])
        found.append(packet)
        position += size
    return found


@given(st.lists(st.integers(1, 65535), max_size=200))
def test_pubacks_name_every_packet_in_order(ids: list[int]) -> None:
    found = read_all(packets.pubacks(np.array(ids, np.uint16)))
    assert [type(p) for p in found] == [mqtt5.PubAckPacket] * len(ids)
    assert [p.packet_id for p in found if isinstance(p, mqtt5.PubAckPacket)] == ids
    assert all(p.reason_code == mqtt5.PubAckReasonCode.SUCCESS for p in found if isinstance(p, mqtt5.PubAckPacket))


def check(topic: str, payload: bytes) -> None:
    data = packets.publish(packets.publish_head(topic), payload)
    (packet,) = read_all(data)
    assert isinstance(packet, mqtt5.PublishPacket)
    assert (packet.topic, packet.payload, packet.qos, packet.retain) == (
        topic,
        payload,
        mqtt5.QoS.AT_MOST_ONCE,
        False,
    )


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80), st.binary(max_size=400))
def test_a_publish_is_read_back(topic: str, payload: bytes) -> None:
    check(topic, payload)


@pytest.mark.parametrize("total", [126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 2_097_151, 2_097_152])
def test_a_publish_is_read_back_where_its_length_takes_another_byte(total: int) -> None:
    topic = "kraj/lhota/lamp-1/ack"
    check(topic, b"x" * (total - len(packets.publish_head(topic))))
