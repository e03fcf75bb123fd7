"""The topic grammar ``kraj/{municipality}/{device}/{channel}``: who speaks, and about what."""

import re
from dataclasses import dataclass
from enum import StrEnum

from kraj.errors import PayloadError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
"""Names of municipalities and devices. Names of our own services contain ``_``, so no device can have one."""

ROOT = "kraj"


class Channel(StrEnum):
    """The channels of communication, in the order of the wire contract."""

    TELEMETRY = "telemetry"
    EVENT = "event"
    STATUS = "status"
    ACK = "ack"
    DESIRED = "desired"
    REPORTED = "reported"
    COMMAND = "command"
    RESULT = "result"


UP = (Channel.TELEMETRY, Channel.EVENT, Channel.STATUS, Channel.REPORTED, Channel.RESULT)
"""What devices may write."""
DOWN = (Channel.ACK, Channel.DESIRED, Channel.COMMAND)
"""What devices may read."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic."""

    municipality: str
    device: str
    channel: Channel

    def __str__(self) -> str:
        return f"{ROOT}/{self.municipality}/{self.device}/{self.channel}"


def parse(topic: str) -> Topic:
    """Read a topic; raise ``PayloadError('topic', …)`` that names the offending part."""
    parts = topic.split("/")
    if len(parts) != 4 or parts[0] != ROOT:
        raise PayloadError("topic", f"the topic must be {ROOT}/municipality/device/channel, not {topic[:120]!r}")
    _, municipality, device, channel = parts
    for what, name in (("municipality", municipality), ("device", device)):
        if not NAME.fullmatch(name):
            raise PayloadError("topic", f"the {what} name {name[:80]!r} must match {NAME.pattern}")
    if channel not in Channel.__members__.values():
        raise PayloadError("topic", f"unknown channel {channel[:80]!r}; known are {', '.join(Channel)}")
    return Topic(municipality, device, Channel(channel))


def subscriptions() -> tuple[str, ...]:
    """The topic filters of an ingest slot that serves every municipality."""
    return tuple(f"{ROOT}/+/+/{channel}" for channel in UP)
