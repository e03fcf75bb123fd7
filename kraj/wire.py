"""The wire format of readings: a strict fast path (msgspec) and a patient one that says what is wrong.

Both give the same columns. The fast path refuses a whole message on the first surprise; the patient path then
reads the same bytes with the standard library, keeps what is good, and gives a reason for each thing that is not.
"""

import json
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from itertools import starmap
from typing import Annotated, Any, Self, cast

import msgspec
import numpy as np

from kraj.errors import PayloadError
from kraj.metrics import COUNTER_MAX, Kind, Metric, Type
from kraj.quarantine import PAYLOAD_BYTES_MAX, printable
from kraj.readings import Floats

READINGS_PER_MESSAGE_MAX = 64
"""A device keeps at most this many readings unacknowledged, so it has no reason to send a longer list."""
BOOT_MAX = 2**31 - 1
CHANNEL_MAX = 999
EVENT_CHARS_MAX = 64
UNKNOWN_KEYS_MAX = 32
"""Of one message; 64 KiB have room for 10,000, and a few are enough to see what the device wants to say."""
WHOLE_DIGITS_MAX = 100
"""Longer whole numbers are not converted: that costs the square of their length, and no field takes them."""
TEXT = r"^[^\x00-\x1f\x7f\ud800-\udfff]*\Z"
"""Texts of devices are stored as PostgreSQL's text and JSON, which hold neither NUL nor lone surrogates."""

CORE: dict[str, tuple[int, int]] = {
    "ts": (-COUNTER_MAX, COUNTER_MAX),
    "boot": (0, BOOT_MAX),
    "seq": (0, COUNTER_MAX),
    "uptime_ms": (0, COUNTER_MAX),
    "channel": (0, CHANNEL_MAX),
}
"""The whole numbers that place a reading, with their limits; ``event`` is the one text."""


class Record(msgspec.Struct, gc=False):
    """A reading of the patient path; ``None`` is absent. Kinds add their metrics as fields."""

    ts: int | None = None
    boot: int | None = None
    seq: int | None = None
    uptime_ms: int | None = None
    channel: int | None = None
    event: str | None = None


@cache
def record_type(kind: Kind) -> type[Record]:
    """The record of a kind: the core and one optional field a metric, nothing else."""
    fields: list[tuple[str, Any, Any]] = [(m.name, float | bool | str | None, None) for m in kind.metrics]
    return cast("type[Record]", msgspec.defstruct(f"{kind.name.title()}Record", fields, bases=(Record,), gc=False))


NAN = float("nan")


class _Word(StrEnum):
    """A word of a state; as a number it is its code. So msgspec reads a whole reading as things that are numbers."""

    _code: float

    def __new__(cls, word: str) -> Self:
        made = str.__new__(cls, word)
        made._value_ = word
        made._code = float(len(cls.__members__))
        return made

    def __float__(self) -> float:
        return self._code


def _number_type(metric: Metric) -> Any:
    match metric.type:
        case Type.STATE:
            return _Word(metric.name, [(f"state_{code}", word) for code, word in enumerate(metric.states)])
        case Type.BOOLEAN:
            return bool
        case _:
            return float


@cache
def decoder(kind: Kind) -> "msgspec.json.Decoder[Any]":
    """The fast path: bytes to one struct or a list of them, for ``matrix``; raises on anything unusual (then
    ``examine`` the bytes).

    Their fields are ``CORE`` and the kind's metrics, in order; absent is NaN and null is not taken, so that every
    field is a number. There is no ``event``, as only the patient path puts those into the device's history.
    """
    fields: list[tuple[str, Any, Any]] = [
        (name, Annotated[int, msgspec.Meta(ge=low, le=high)], NAN) for name, (low, high) in CORE.items()
    ]
    fields += [(m.name, _number_type(m), NAN) for m in kind.metrics]
    numbers = msgspec.defstruct(f"{kind.name.title()}Numbers", fields, gc=False, forbid_unknown_fields=True)
    many = Annotated[list[numbers], msgspec.Meta(min_length=1, max_length=READINGS_PER_MESSAGE_MAX)]
    return msgspec.json.Decoder(numbers | many)


def matrix(kind: Kind, found: list[Any]) -> Floats:
    """What ``decoder`` has found as columns, shape (n, core and metrics); absent is NaN, states are their codes.

    Packing each row into bytes costs a fourth of what ``np.array`` does, which looks at every number twice.
    """
    return _matrix(kind, map(msgspec.structs.astuple, found))


def matrix_of_records(kind: Kind, records: list[Record]) -> Floats:
    """The same of what ``examine`` has found."""
    names = (*CORE, *kind.by_name)
    codes = {m.name: {word: float(code) for code, word in enumerate(m.states)} for m in kind.metrics if m.states}

    def number(record: Record, name: str) -> float:
        value = getattr(record, name)
        return NAN if value is None else codes[name][value] if name in codes else value

    return _matrix(kind, ([number(record, name) for name in names] for record in records))


def _matrix(kind: Kind, rows: Iterable[Iterable[float]]) -> Floats:
    width = len(CORE) + len(kind.metrics)
    packed = bytearray().join(starmap(struct.Struct(f"{width}d").pack, rows))
    return np.frombuffer(packed, np.float64).reshape(-1, width)


FAST_PATH_REFUSALS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, OverflowError)
"""What the fast path raises on bad input (a ``ValidationError`` is a ``DecodeError``)."""


@dataclass(slots=True)
class Refusal:
    """One thing that the patient path did not take: a value (``metric`` set), or else a whole reading."""

    reason: str
    detail: str
    boot: int | None = None
    seq: int | None = None
    metric: str | None = None


@dataclass(slots=True)
class Examined:
    """What the patient path made of a message; ``readings`` counts the accepted and the refused ones."""

    records: list[tuple[Kind, Record]] = field(default_factory=list[tuple[Kind, Record]])
    refusals: list[Refusal] = field(default_factory=list[Refusal])
    unknown_keys: set[str] = field(default_factory=set[str])

    @property
    def readings(self) -> int:
        return len(self.records) + sum(r.metric is None for r in self.refusals)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with its keys in order and duplicates kept."""


class _NotANumber:
    """What stands for NaN, Infinity and numbers beyond all bounds."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _number(text: str) -> float | _NotANumber:
    value = float(text)
    return value if abs(value) != float("inf") else _NotANumber(text)


def _whole(text: str) -> int | _NotANumber:
    return int(text) if len(text) <= WHOLE_DIGITS_MAX else _NotANumber(text)


def parse(payload: bytes) -> Any:
    """Bytes to JSON with duplicates kept; raise ``PayloadError`` with what a person needs to find the fault."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise PayloadError("too_large", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PayloadError("not_utf8", f"byte {payload[error.start]:#04x} at offset {error.start}") from error
    try:
        return json.loads(
            text, object_pairs_hook=_Pairs, parse_constant=_NotANumber, parse_float=_number, parse_int=_whole
        )
    except RecursionError as error:
        raise PayloadError("too_deep", "nested beyond what any reading needs") from error
    except ValueError as error:
        start = text[:40] + ("…" if len(text) > 40 else "")
        raise PayloadError("not_json", f"{error}; the message begins {start!r}") from error


def examine(payload: bytes, kind_of: Callable[[int | None], Kind | None]) -> Examined:
    """The patient path: keep every good value, and say of each other thing what is wrong with it.

    ``kind_of`` tells the kind behind a reading's ``channel``, or None where the device serves nothing there.
    Raises ``PayloadError`` when the message as a whole is unusable (it then counts as one reading).
    """
    document = parse(payload)
    objects: list[Any] = [document] if isinstance(document, _Pairs) else document
    if not isinstance(document, list):
        raise PayloadError("shape", f"found {_what(document)}")
    if not 1 <= len(objects) <= READINGS_PER_MESSAGE_MAX:
        raise PayloadError("shape", f"found a list of {len(objects)} readings")
    out = Examined()
    for item in objects:
        if isinstance(item, _Pairs):
            _examine_one(kind_of, item, out)
        else:
            out.refusals.append(Refusal("shape", f"found {_what(item)} in place of a reading"))
    return out


def _what(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _Pairs():
            return "an object"
        case list():
            return "a list"
        case str():
            return f"the text {value[:60]!r}"
        case _:
            return f"the number {value!r}"[:80]


def _examine_one(kind_of: Callable[[int | None], Kind | None], pairs: _Pairs, out: Examined) -> None:
    fields, ambiguous = _fields(pairs)
    core, problem = _core(fields, ambiguous)
    mark = (core.get("boot"), core.get("seq"))
    if problem:
        out.refusals.append(Refusal("core", problem, *mark))
        return
    kind = kind_of(core.get("channel"))
    if kind is None:
        out.refusals.append(Refusal("channel", f"channel {core.get('channel', 'absent')}", *mark))
        return
    values: dict[str, Any] = {}
    for key, value in fields.items():
        if key in CORE or key == "event":
            continue
        metric = kind.by_name.get(key)
        if metric is None:
            if len(out.unknown_keys) < UNKNOWN_KEYS_MAX:
                out.unknown_keys.add(printable(key[:80]))
        elif key in ambiguous:
            out.refusals.append(Refusal("value_ambiguous", f"{key} stands twice", *mark, key))
        elif value is not None:
            good, wrong = _value(metric, value)
            if wrong:
                out.refusals.append(Refusal("value_type", f"{key}: {wrong}", *mark, key))
            else:
                values[key] = good
    out.records.append((kind, record_type(kind)(**core, **values)))


def _fields(pairs: _Pairs) -> tuple[dict[str, Any], set[str]]:
    """The pairs by key, and the keys that stand more than once with different values."""
    fields: dict[str, Any] = {}
    ambiguous: set[str] = set()
    for key, value in pairs:
        if key in fields and not _same(fields[key], value):
            ambiguous.add(key)
        fields[key] = value
    return fields, ambiguous


def _same(one: object, other: object) -> bool:
    """Whether both are the same plain value; lists and objects belong nowhere and may be too deep to compare."""
    plain = isinstance(one, str | int | float | None) and isinstance(other, str | int | float | None)
    return plain and one == other and isinstance(one, bool) == isinstance(other, bool)


def _core(fields: dict[str, Any], ambiguous: set[str]) -> tuple[dict[str, Any], str]:
    """The core of a reading and, when something in it is wrong, what; boot and seq are kept where they are good."""
    core: dict[str, Any] = {}
    problems: list[str] = []
    for name, (low, high) in CORE.items():
        value = fields.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None:
            continue
        if name in ambiguous:
            problems.append(f"{name} stands twice with different values")
        elif isinstance(value, bool) or not isinstance(value, int):
            problems.append(f"{name} must be a whole number, found {_what(value)}")
        elif not low <= value <= high:
            problems.append(f"{name} must lie between {low} and {high}")
        else:
            core[name] = value
    event = fields.get("event")
    if event is not None:
        fits = isinstance(event, str) and 1 <= len(event) <= EVENT_CHARS_MAX and re.search(TEXT, event)
        if fits and "event" not in ambiguous:
            core["event"] = event
        else:
            problems.append(
                f"event must be one text of 1 to {EVENT_CHARS_MAX} printable characters, found {_what(event)}"
            )
    return core, "; ".join(problems)


def _value(metric: Metric, value: object) -> tuple[Any, str]:
    """The value as its wire type, or what is wrong with it."""
    match metric.type:
        case Type.STATE:
            good, wanted = value in metric.states, f"one of {', '.join(metric.states)}"
        case Type.BOOLEAN:
            good, wanted = isinstance(value, bool), "true or false"
        case _:
            good, wanted = isinstance(value, int | float) and not isinstance(value, bool), "a number"
            if isinstance(value, int) and abs(value) > COUNTER_MAX:
                good, wanted = False, "a number within ±2^53"
    if not good:
        return None, f"must be {wanted}; found {_what(value)}"
    return (float(value) if isinstance(value, int | float) and not isinstance(value, bool) else value), ""


class Mark(msgspec.Struct, gc=False):
    """Which reading this is, read from a message whose kind is not known."""

    boot: Annotated[int, msgspec.Meta(ge=0, le=BOOT_MAX)] | None = None
    seq: Annotated[int, msgspec.Meta(ge=0, le=COUNTER_MAX)] | None = None
    channel: int | None = None


_marks: "msgspec.json.Decoder[Mark | list[Mark]]" = msgspec.json.Decoder(Mark | list[Mark])


def marks(payload: bytes) -> list[Mark]:
    """The marks of a message's readings; empty when they cannot be read."""
    try:
        found = _marks.decode(payload)
    except FAST_PATH_REFUSALS:
        return []
    return found[:READINGS_PER_MESSAGE_MAX] if isinstance(found, list) else [found]


def encode_ack(boot: int, seqs: list[int]) -> bytes:
    """The payload of ``ack``: ``{"boot":7,"seq":[[1230,1240]]}`` with the numbers joined into closed ranges.

    ``boot`` is left out where the device does not send one (-1).
    """
    ranges: list[list[int]] = []
    for seq in sorted(seqs):
        if ranges and seq <= ranges[-1][1] + 1:
            ranges[-1][1] = seq
        else:
            ranges.append([seq, seq])
    return msgspec.json.encode({"seq": ranges} if boot < 0 else {"boot": boot, "seq": ranges})


class Status(msgspec.Struct, omit_defaults=True):
    """The payload of ``status``, also of the will."""

    online: bool
    boot: Annotated[int, msgspec.Meta(ge=0, le=BOOT_MAX)] | None = None
    firmware: Annotated[str, msgspec.Meta(max_length=64, pattern=TEXT)] | None = None
    reset: Annotated[str, msgspec.Meta(max_length=64, pattern=TEXT)] | None = None
    safe_mode: bool | None = None
    certificate: Annotated[str, msgspec.Meta(max_length=64, pattern=TEXT)] | None = None
    """The serial number of the certificate by which it is connected, from firmware that can be given the next."""


_status = msgspec.json.Decoder(Status)


def decode_status(payload: bytes) -> Status:
    """Read a status; raise ``PayloadError``."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise PayloadError("too_large", f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")
    try:
        return _status.decode(payload)
    except FAST_PATH_REFUSALS as error:
        parse(payload)
        raise PayloadError("shape", f"status: {error}") from error
