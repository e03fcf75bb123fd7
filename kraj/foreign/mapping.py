"""The mapping language: a small JSON document that says where in a message each metric stands; checked, never run."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from zoneinfo import ZoneInfo

from kraj.errors import PayloadError
from kraj.foreign import times
from kraj.foreign.payloads import Path, check_depth, number, what
from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.wire import CHANNEL_MAX

DOCUMENT_BYTES_MAX = 32_768
LEVELS_MAX = 12
PARTS_MAX = 64
TABLE_MAX = 256
CONDITIONS_MAX = 8
TOPIC_CHARS_MAX = 200
ERRORS_MAX = 20
COMMANDS = ("set_level", "report", "set_interval")

Scalar = str | int | float | bool


class MappingError(PayloadError):
    """The document is wrong; ``errors`` are pairs of a place in it and a sentence."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("foreign_mapping", "; ".join(f"{place}: {sentence}" for place, sentence in errors[:3]))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value stands and how it becomes ours: through the table, or times ``factor`` plus ``offset``."""

    path: Path
    factor: float = 1.0
    offset: float = 0.0
    table: Mapping[str, Scalar | None] | None = None
    unknown: frozenset[str] = frozenset()
    """Values that stand for "not measured"."""


@dataclass(frozen=True, slots=True)
class Time:
    """Where the time of a reading stands."""

    path: Path
    pattern: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A part is for messages in which a path has one of these values."""

    path: Path
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Part:
    """One reading, or one for each of ``records``."""

    kind: Kind
    metrics: Mapping[str, Source]
    topic: str | None = None
    when: tuple[Condition, ...] = ()
    records: Path | None = None
    time: Time | None = None
    channel: int | Source | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A command as the device takes it: where to send it, and what, with ``$level_pct`` and others filled in."""

    topic: str | None
    payload: Any
    f_port: int | None = None
    hexadecimal: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A checked mapping, or the few settings that a known system needs."""

    zone: ZoneInfo
    parts: tuple[Part, ...] = ()
    merge: bool = False
    decimal_comma: bool = False
    channels: Mapping[str, int] = field(default_factory=dict[str, int])
    commands: Mapping[str, Template] = field(default_factory=dict[str, Template])
    application: str | None = None


def read(given: Any, *, parts_needed: bool = True) -> Document:
    """Check a document; raises ``MappingError`` with everything that is wrong, each with its place."""
    return _Reader().document(given, parts_needed=parts_needed)


def read_text(given: str, *, parts_needed: bool = True) -> Document:
    """The same from text."""
    try:
        return read(json.loads(given), parts_needed=parts_needed)
    except (ValueError, RecursionError) as error:
        raise MappingError([("", f"no JSON: {error}")]) from error


def key(value: Any) -> str:
    """A value as a table's key is written: true, 1, 2.5, open."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


class _Reader:
    """Collects what is wrong on the way."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, str]] = []

    def document(self, given: Any, *, parts_needed: bool) -> Document:
        try:
            check_depth(given, LEVELS_MAX)
            size = len(json.dumps(given, ensure_ascii=False).encode())
        except (PayloadError, ValueError, TypeError) as error:
            raise MappingError([("", str(error))]) from error
        if size > DOCUMENT_BYTES_MAX:
            raise MappingError([("", f"{size} bytes; a mapping has at most {DOCUMENT_BYTES_MAX}")])
        known = {"zone", "readings", "merge", "decimal", "channels", "commands", "application"}
        found = self.object(given, "", known, {"readings"} if parts_needed else set())
        zone = times.zone(times.ZONE_DEFAULT)
        try:
            zone = times.zone(self.text(found, "zone", "", times.ZONE_DEFAULT) or times.ZONE_DEFAULT)
        except ValueError as error:
            self.wrong("zone", str(error))
        parts = self.list_(found.get("readings", []), "readings", PARTS_MAX)
        if parts_needed and "readings" in found and not parts:
            self.wrong("readings", "at least one reading is expected")
        document = Document(
            zone,
            tuple(p for n, item in enumerate(parts) if (p := self.part(item, f"readings[{n}]")) is not None),
            self.truth(found, "merge"),
            self.choice(found, "decimal", (".", ",")) == ",",
            self.channels(found.get("channels", {})),
            self.commands(found.get("commands", {})),
            self.text(found, "application", "", None),
        )
        if self.errors:
            raise MappingError(self.errors[:ERRORS_MAX])
        return document

    def part(self, given: Any, place: str) -> Part | None:
        known = {"kind", "metrics", "topic", "when", "records", "time", "channel"}
        found = self.object(given, place, known, {"kind", "metrics"})
        kind = KINDS.get(str(found.get("kind")))
        if kind is None:
            if "kind" in found:
                self.wrong(f"{place}.kind", f"unknown kind {what(found['kind'])}; known are {', '.join(KINDS)}")
            return None
        metrics = self.object(found.get("metrics"), f"{place}.metrics", set(kind.by_name), set(), "metric")
        sources = {
            name: source
            for name, item in metrics.items()
            if name in kind.by_name
            and (source := self.source(item, f"{place}.metrics.{name}", kind.by_name[name].states)) is not None
        }
        if isinstance(found.get("metrics"), dict) and not metrics:
            self.wrong(f"{place}.metrics", "at least one metric is expected")
        channel = found.get("channel")
        told: int | Source | None = None
        if isinstance(channel, dict):
            told = self.source(channel, f"{place}.channel")
        elif channel is not None:
            told = self.channel(channel, f"{place}.channel")
        return Part(
            kind,
            sources,
            self.topic(found.get("topic"), f"{place}.topic"),
            tuple(
                condition
                for n, item in enumerate(self.list_(found.get("when", []), f"{place}.when", CONDITIONS_MAX))
                if (condition := self.condition(item, f"{place}.when[{n}]")) is not None
            ),
            self.path(found["records"], f"{place}.records") if "records" in found else None,
            self.time(found["time"], f"{place}.time") if "time" in found else None,
            told,
        )

    def source(self, given: Any, place: str, states: tuple[str, ...] = ()) -> Source | None:
        if isinstance(given, str):
            given = {"path": given}
        found = self.object(given, place, {"path", "factor", "offset", "table", "unknown"}, {"path"})
        path = self.path(found.get("path"), f"{place}.path") if "path" in found else None
        table: dict[str, Scalar | None] | None = None
        if "table" in found:
            table = {}
            items = self.object(found["table"], f"{place}.table", None, set())
            if len(items) > TABLE_MAX:
                self.wrong(f"{place}.table", f"at most {TABLE_MAX} lines")
            for name, value in items.items():
                if value is not None and not isinstance(value, str | int | float):
                    self.wrong(f"{place}.table.{name}", f"a plain value is expected, found {what(value)}")
                elif states and value is not None and value not in states:
                    self.wrong(f"{place}.table.{name}", f"{what(value)} is none of {', '.join(states)}")
                else:
                    table[name] = value
            if "factor" in found or "offset" in found:
                self.wrong(place, "either a table, or factor and offset")
        unknown = self.list_(found.get("unknown", []), f"{place}.unknown", CONDITIONS_MAX)
        factor, offset = self.real(found, "factor", place, 1.0), self.real(found, "offset", place, 0.0)
        if factor == 0:
            self.wrong(f"{place}.factor", "a factor of 0 makes everything 0")
        return Source(path, factor, offset, table, frozenset(map(key, unknown))) if path is not None else None

    def time(self, given: Any, place: str) -> Time | None:
        if isinstance(given, str):
            given = {"path": given}
        found = self.object(given, place, {"path", "format"}, {"path"})
        path = self.path(found.get("path"), f"{place}.path") if "path" in found else None
        pattern = self.text(found, "format", place, "iso") or "iso"
        problem = times.check_format(pattern)
        if problem:
            self.wrong(f"{place}.format", problem)
        return Time(path, pattern) if path is not None else None

    def condition(self, given: Any, place: str) -> Condition | None:
        found = self.object(given, place, {"path", "is"}, {"path", "is"})
        path = self.path(found.get("path"), f"{place}.path") if "path" in found else None
        wanted = found.get("is", [])
        values = self.list_(wanted if isinstance(wanted, list) else [wanted], f"{place}.is", TABLE_MAX)
        return Condition(path, frozenset(map(key, values))) if path is not None else None

    def channels(self, given: Any) -> dict[str, int]:
        found = self.object(given, "channels", None, set())
        told = {name: self.channel(value, f"channels.{name}") for name, value in list(found.items())[:TABLE_MAX]}
        return {name: value for name, value in told.items() if value is not None}

    def commands(self, given: Any) -> dict[str, Template]:
        out: dict[str, Template] = {}
        for name, item in self.object(given, "commands", set(COMMANDS), set(), "command").items():
            place = f"commands.{name}"
            found = self.object(item, place, {"topic", "payload", "f_port", "hex"}, set())
            port = found.get("f_port")
            if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 223):
                self.wrong(f"{place}.f_port", "a whole number from 1 to 223 is expected")
            digits = self.text(found, "hex", place, None)
            if digits is not None and not re.fullmatch(r"(?:[0-9a-fA-F]{2}|\$level_pct|\$seconds){1,64}", digits):
                self.wrong(f"{place}.hex", "pairs of hexadecimal digits are expected, with $level_pct for one byte")
            topic = self.topic(found.get("topic"), f"{place}.topic")
            if topic is not None and ("+" in topic or "#" in topic):
                self.wrong(f"{place}.topic", "a topic to publish on has no + and no #")
            out[name] = Template(topic, found.get("payload"), port, digits)
        return out

    def channel(self, given: Any, place: str) -> int | None:
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= CHANNEL_MAX:
            self.wrong(place, f"a whole number from 0 to {CHANNEL_MAX} is expected, found {what(given)}")
            return None
        return given

    def topic(self, given: Any, place: str) -> str | None:
        if given is None:
            return None
        if not isinstance(given, str) or not 1 <= len(given) <= TOPIC_CHARS_MAX or not given.isprintable():
            self.wrong(place, f"the part of the topic behind the device's name is expected, found {what(given)}")
            return None
        levels = given.split("/")
        if any(("+" in level and level != "+") or ("#" in level and level != "#") for level in levels) or (
            "#" in levels[:-1]
        ):
            self.wrong(place, "+ stands for one whole level, # for all the rest and only at the end")
        return given

    def path(self, given: Any, place: str) -> Path | None:
        if not isinstance(given, str):
            self.wrong(place, f"a path is expected, found {what(given)}")
            return None
        try:
            return Path.read(given)
        except ValueError as error:
            self.wrong(place, str(error))
            return None

    def object(
        self, given: Any, place: str, known: set[str] | None, needed: set[str], what_key: str = "key"
    ) -> dict[str, Any]:
        if not isinstance(given, dict):
            if given is not None or not place.endswith(".metrics"):
                self.wrong(place, f"an object is expected, found {what(given)}")
            return {}
        found = cast("dict[str, Any]", given)
        for name in found:
            if known is not None and name not in known:
                shown = ", ".join(sorted(known)) if len(known) <= 10 else "those in docs/metrics.md"
                self.wrong(f"{place}.{name}".lstrip("."), f"unknown {what_key}; known are {shown}")
        for name in sorted(needed - found.keys()):
            self.wrong(f"{place}.{name}".lstrip("."), "is missing")
        return found

    def list_(self, given: Any, place: str, most: int) -> list[Any]:
        if not isinstance(given, list):
            self.wrong(place, f"a list is expected, found {what(given)}")
            return []
        found = cast("list[Any]", given)
        if len(found) > most:
            self.wrong(place, f"at most {most} of them")
        return found[:most]

    def text(self, found: dict[str, Any], name: str, place: str, default: str | None) -> str | None:
        value = found.get(name, default)
        if value is not None and not isinstance(value, str):
            self.wrong(f"{place}.{name}".lstrip("."), f"a text is expected, found {what(value)}")
            return default
        return value

    def real(self, found: dict[str, Any], name: str, place: str, default: float) -> float:
        value = number(found.get(name, default))
        if value is None or not abs(value) < 1e12:
            self.wrong(f"{place}.{name}", f"a number is expected, found {what(found.get(name))}")
            return default
        return value

    def truth(self, found: dict[str, Any], name: str) -> bool:
        value = found.get(name, False)
        if not isinstance(value, bool):
            self.wrong(name, f"true or false is expected, found {what(value)}")
            return False
        return value

    def choice(self, found: dict[str, Any], name: str, known: tuple[str, ...]) -> str:
        value = found.get(name, known[0])
        if value not in known:
            self.wrong(name, f"one of {' '.join(known)} is expected, found {what(value)}")
        return str(value)

    def wrong(self, place: str, sentence: str) -> None:
        self.errors.append((place, sentence))
