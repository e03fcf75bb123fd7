"""Applying a mapping to a message: values along its paths, tables and factors, times and channels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from kraj.errors import PayloadError
from kraj.foreign import payloads, times
from kraj.foreign.mapping import Document, Part, Source, key
from kraj.foreign.payloads import MISSING, what
from kraj.foreign.places import fitted
from kraj.foreign.records import Context, Reading, Told
from kraj.metrics import Metric, Type
from kraj.wire import READINGS_PER_MESSAGE_MAX

NOTES_MAX = 20
_YES = frozenset({"true", "on", "1", "yes", "ano"})
_NO = frozenset({"false", "off", "0", "no", "ne"})
"""Not "open" or "closed": a door that is open and a breaker that is closed are both true. They need a table."""


def read(tail: str, payload: bytes, document: Document, context: Context) -> Told:
    """Readings of one MQTT message; raises ``PayloadError`` with the reason when there is none."""
    parts = [part for part in document.parts if part.topic is None or fits(part.topic, tail)]
    if not parts:
        return Told(ignored=f"no part of the mapping is for the topic {tail[:120]!r}")
    try:
        message = payloads.parse(payload)
    except PayloadError as error:
        if error.reason != "not_json":
            raise
        message = payloads.text(payload).strip()  # one plain value, as many devices send it
        if message[:1] in ("{", "["):
            raise
    return apply(message, parts, document, context, limit=READINGS_PER_MESSAGE_MAX)


def apply(
    message: Any,
    parts: Sequence[Part],
    document: Document,
    context: Context,
    *,
    limit: int,
    live: bool = True,
) -> Told:
    """Readings of a parsed message; ``live`` is whether it tells of now (and not of history, as lines of a file)."""
    told = Told(merge=document.merge)
    work = _Applying(message, document, context, context.now_ms if live else None)
    applied = False
    for part in parts:
        if not all(_holds(condition.path.find(message, message), condition.values) for condition in part.when):
            continue
        applied = True
        for record in _records(message, part, limit):
            reading = work.reading(record, part)
            if reading.values:
                told.readings.append(reading)
            if len(told.readings) > limit:
                raise PayloadError("shape", f"more than {limit} readings in one message")
    told.notes += [f"nothing at {path}" for path in work.missing][:NOTES_MAX]
    if not applied:
        told.ignored = "no part of the mapping is for this message (see `when`)"
    elif not told.readings:
        looked = ", ".join(work.missing) or "values that stand for nothing"
        raise PayloadError("foreign_mapping", f"the mapping finds no value in the message; it looked for {looked}")
    return told


def fits(pattern: str, tail: str) -> bool:
    """Whether a topic fits a filter with ``+`` and ``#``, as MQTT understands them."""
    wanted, given = pattern.split("/"), tail.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(given) or level not in ("+", given[position]):
            return False
    return len(wanted) == len(given)


def _holds(value: Any, values: frozenset[str]) -> bool:
    return value is not MISSING and key(value) in values


def _records(message: Any, part: Part, limit: int) -> Iterator[Any]:
    if part.records is None:
        yield message
        return
    found = part.records.find(message, message)
    if found is MISSING:
        raise PayloadError("foreign_mapping", f"there are no records at {part.records.shown}")
    records = cast("list[Any]", found) if isinstance(found, list) else [found]
    if len(records) > limit:
        raise PayloadError("shape", f"{len(records)} records at {part.records.shown}; at most {limit}")
    yield from records


@dataclass(slots=True)
class _Applying:
    """One message under one document; ``now_ms`` is None for history, ``missing`` what paths lead nowhere."""

    message: Any
    document: Document
    context: Context
    now_ms: int | None
    missing: dict[str, None] = field(default_factory=dict[str, None])

    def reading(self, record: Any, part: Part) -> Reading:
        values: dict[str, Any] = {}
        for name, source in part.metrics.items():
            found = self._value(source, record, part.kind.by_name[name])
            if found is MISSING:
                self.missing[source.path.shown] = None
            elif found is not None:
                values[name] = fitted(part.kind, name, found)
        if not values:
            return Reading(values)
        return Reading(values, self._channel(record, part), self._time(record, part))

    def _channel(self, record: Any, part: Part) -> int | None:
        channel = part.channel
        if isinstance(channel, Source):
            found = self._plain(channel, record)
            if isinstance(found, bool) or not isinstance(found, int | float) or not float(found).is_integer():
                raise PayloadError("channel", f"the channel at {channel.path.shown} is {what(found)}, no whole number")
            channel = int(found)
        kinds = self.context.kinds
        if channel is None and len(kinds) == 1:
            (channel,) = kinds
        kind = kinds.get(0 if channel is None else channel)
        if kind is not None and kind is not part.kind:
            there = f"on channel {channel or 0} is a {kind.name}"
            raise PayloadError("foreign_mapping", f"the mapping is for a {part.kind.name}, and {there}")
        return channel

    def _time(self, record: Any, part: Part) -> int | None:
        if part.time is None:
            return None
        given = part.time.path.find(self.message, record)
        if given is MISSING or given is None:
            raise PayloadError("time_missing", f"there is no time at {part.time.path.shown}")
        return times.read(given, part.time.pattern, self.document.zone, self.now_ms)

    def _value(self, source: Source, record: Any, metric: Metric) -> Any:
        found = self._plain(source, record)
        if metric.type is Type.BOOLEAN and not isinstance(found, bool) and found is not None and source.table is None:
            word = key(found).strip().lower()
            return True if word in _YES else False if word in _NO else found
        return found

    def _plain(self, source: Source, record: Any) -> Any:
        """The value as ours, None for one that stands for nothing; what cannot be converted stays as it is."""
        found: Any = source.path.find(self.message, record)
        if found is MISSING or found is None or isinstance(found, dict | list):
            return cast("Any", found)
        if key(found) in source.unknown or found == "":
            return None
        if source.table is not None:
            return source.table.get(key(found), found)
        if isinstance(found, str):
            found = _number(found, comma=self.document.decimal_comma)
        linear = (source.factor, source.offset) != (1.0, 0.0)
        if linear and isinstance(found, int | float) and not isinstance(found, bool):
            return found * source.factor + source.offset
        return found


def _number(given: str, *, comma: bool) -> float | str:
    text = given.strip().replace("\u00a0", "").replace(" ", "")
    if comma:
        text = text.replace(".", "").replace(",", ".") if text.count(",") == 1 else text
    try:
        value = float(text)
    except ValueError:
        return given
    return value if abs(value) < 1e300 and not text.lower().startswith(("nan", "inf")) else given
