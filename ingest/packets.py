"""Outgoing MQTT 5 packets built many at a time: PUBACKs as one array, ``ack`` publishes from a prepared head."""

import numpy as np
from numpy.typing import NDArray


def pubacks(packet_ids: NDArray[np.uint16]) -> bytes:
    """PUBACK with reason Success for each id, in order (MQTT 5, 3.4: remaining length 2 means Success)."""
    out = np.empty((len(packet_ids), 4), np.uint8)
    out[:, 0] = 0x40
    out[:, 1] = 2
    out[:, 2] = packet_ids >> 8
    out[:, 3] = packet_ids & 0xFF
    return out.tobytes()


def publish_head(topic: str) -> bytes:
    """What stands between the remaining length and the payload of a QoS 0 PUBLISH: topic and no properties."""
    name = topic.encode()
    return len(name).to_bytes(2, "big") + name + b"\0"


def publish(head: bytes, payload: bytes) -> bytes:
    """A QoS 0 PUBLISH (MQTT 5, 3.3) with a head from ``publish_head``."""
    length = len(head) + len(payload)
    if length < 128:
        return b"\x30" + length.to_bytes(1, "big") + head + payload
    encoded = bytearray(b"\x30")
    while length:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
    return bytes(encoded) + head + payload
