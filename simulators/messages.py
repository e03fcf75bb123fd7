"""What the platform says to a device and what a device answers, as far as simulated ones understand it."""

from typing import Annotated

import msgspec


class Ack(msgspec.Struct):
    """The payload of ``ack``: closed ranges of one boot."""

    boot: int
    seq: list[tuple[int, int]]


class Name(msgspec.Struct):
    """The one part of a command without which it cannot be answered."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Command(Name):
    """The payload of ``command``; the bounds belong to ``resend``, the texts to ``move``, the rest to lamps."""

    do: str
    from_ts: int | None = None
    to_ts: int | None = None
    from_seq: int | None = None
    to_seq: int | None = None
    document: str | None = None
    signature: str | None = None
    issuer: str | None = None
    channel: int = 0
    level_pct: int | None = None
    reason: str | None = None
    until: int | None = None


class Result(msgspec.Struct, omit_defaults=True):
    """The payload of ``result``; ``readings`` counts what a ``resend`` will send, ``certificate`` is its own (DER)."""

    id: str
    ok: bool
    error: str | None = None
    readings: int | None = None
    certificate: str | None = None


class Reported(msgspec.Struct, omit_defaults=True):
    """The payload of ``reported``: the version that is applied, and of one that is not why not."""

    version: int
    ok: bool
    error: str | None = None
    wanted: int | None = None


ACK = msgspec.json.Decoder(Ack)
COMMAND = msgspec.json.Decoder(Command)
NAME = msgspec.json.Decoder(Name)
