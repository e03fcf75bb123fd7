"""Trying an adapter or a mapping on a pasted message: what would be read, and what ingest would say to each value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kraj.errors import PayloadError
from kraj.foreign import adapters, verdict
from kraj.foreign.mapping import Document, MappingError, Source
from kraj.foreign.records import Adapter, Context
from kraj.foreign.verdict import JudgedReading
from kraj.metrics import Kind


@dataclass(slots=True)
class Trial:
    """What came of it; ``errors`` are of the mapping itself, ``reason`` is of the message."""

    errors: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    reason: str | None = None
    detail: str | None = None
    ignored: str | None = None
    online: bool | None = None
    notes: list[str] = field(default_factory=list[str])
    readings: list[JudgedReading] = field(default_factory=list[JudgedReading])


def attempt(
    adapter: Adapter,
    given: Any,
    tail: str,
    payload: bytes,
    *,
    now_ms: int,
    kinds: Mapping[int, Kind] | None = None,
) -> Trial:
    """Read a message as ingest would. Without ``kinds`` the mapping says which assets there are."""
    out = Trial()
    try:
        document = adapters.check(adapter, given)
    except MappingError as error:
        out.errors = error.errors
        return out
    there = dict(kinds) if kinds else described(document)
    try:
        told = adapters.read(adapter, tail, payload, document, Context(there, now_ms))
    except PayloadError as error:
        out.reason, out.detail = error.reason, str(error)
        return out
    out.ignored, out.online, out.notes = told.ignored, told.online, told.notes
    only = next(iter(there.values())) if len(there) == 1 else None
    flat = [adapters.flat(reading, now_ms) for reading in told.readings]
    out.readings = verdict.judge(
        flat, lambda channel: only or there.get(0) if channel is None else there.get(channel), now_ms
    )
    return out


def described(document: Document) -> dict[int, Kind]:
    """The assets that a mapping speaks of, by channel."""
    out: dict[int, Kind] = {}
    for part in document.parts:
        channel = part.channel
        if isinstance(channel, Source):
            for value in (channel.table or {}).values():
                if isinstance(value, int):
                    out.setdefault(value, part.kind)
        else:
            out.setdefault(channel or 0, part.kind)
    return out
