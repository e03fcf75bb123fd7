"""What a file or a cloud's answer says: records to judged readings, by a device's mapping; pure."""

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kraj.errors import PayloadError
from kraj.foreign import adapters, mapped, payloads, verdict
from kraj.foreign.mapping import Document
from kraj.foreign.records import Context
from kraj.foreign.verdict import JudgedReading

FILE_BYTES_MAX = 16 << 20
ROWS_MAX = 100_000
"""A year of quarters of an hour makes 35,000."""
COLUMNS_MAX = 200
REPORTED_MAX = 200
"""Lines of a report about what was refused; the counts tell of all."""


@dataclass(slots=True)
class Judgement:
    """Readings that are to be delivered, and what is to be said about the others."""

    accepted: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    refused: list[str] = field(default_factory=list[str])
    """``line 7: the reason``, at most ``REPORTED_MAX`` of them."""
    counts: Counter[str] = field(default_factory=Counter[str])
    repeated: int = 0

    def refuse(self, place: str, reason: str, detail: str) -> None:
        """Count it, and keep the first ones' words."""
        self.counts[reason] += 1
        if len(self.refused) < REPORTED_MAX:
            self.refused.append(f"{place}: {reason}: {detail}")


def of_csv(content: bytes, document: Document, context: Context) -> Judgement:
    """Lines of a file with a header; the columns' names are the paths. Raises ``PayloadError`` for what is no such
    file."""
    rows = table(content)
    out = Judgement()
    for line, row in rows:
        if None in row or not any(row.values()):
            if None in row:
                out.refuse(f"line {line}", "shape", "more values than columns")
            continue
        _take(out, f"line {line}", row, document, context, live=False)
    return _each_once(out)


def of_json(content: bytes, document: Document, context: Context, bytes_max: int) -> Judgement:
    """An answer of a cloud."""
    out = Judgement()
    message = payloads.parse(content, bytes_max)
    _take(out, "answer", message, document, context, live=True)
    return _each_once(out)


def table(content: bytes) -> list[tuple[int, dict[str | None, Any]]]:
    """Rows with their line numbers; comma, semicolon or tabulator, UTF-8 or the Windows code page of Czech."""
    if len(content) > FILE_BYTES_MAX:
        raise PayloadError("too_large", f"{len(content)} bytes; at most {FILE_BYTES_MAX}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1250", "replace")
    if "\0" in text:
        raise PayloadError("foreign_message", "this is no text; export the table as CSV")
    header = text.split("\n", 1)[0]
    delimiter = max(";,\t", key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, dict[str | None, Any]]] = []
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        if not names or len(names) > COLUMNS_MAX or len(set(names)) != len(names):
            raise PayloadError("foreign_message", "the first line must name the columns, each once, at most 200")
        for row in reader:
            if len(rows) == ROWS_MAX:
                raise PayloadError("too_large", f"more than {ROWS_MAX} lines; cut the file")
            plain: dict[str | None, Any] = {k: v.strip() if isinstance(v, str) else v for k, v in row.items()}
            rows.append((reader.line_num, plain))
    except csv.Error as error:
        raise PayloadError("foreign_message", f"line {reader.line_num}: {error}") from error
    return rows


def _take(out: Judgement, place: str, message: Any, document: Document, context: Context, *, live: bool) -> None:
    try:
        told = mapped.apply(message, document.parts, document, context, limit=ROWS_MAX, live=live)
    except PayloadError as error:
        out.refuse(place, error.reason, str(error))
        return
    if told.ignored is not None:
        out.refuse(place, "foreign_mapping", told.ignored)
    several = len(told.readings) > 1
    for number, reading in enumerate(told.readings, 1):
        where = f"{place}, record {number}" if several else place
        if reading.ts_ms is None and not live:
            out.refuse(where, "time_missing", "a file tells of the past: the mapping needs a time")
            continue
        (judged,) = verdict.judge([adapters.flat(reading, context.now_ms)], _kind_of(context), context.now_ms)
        _sort(out, where, judged)


def _kind_of(context: Context) -> Any:
    only = next(iter(context.kinds.values())) if len(context.kinds) == 1 else None

    def kind_of(channel: int | None) -> Any:
        return (only or context.kinds.get(0)) if channel is None else context.kinds.get(channel)

    return kind_of


def _sort(out: Judgement, place: str, judged: JudgedReading) -> None:
    """What is wrong stays here with its reason; what is sent goes on to be checked by ingest once more."""
    if judged.reason is not None:
        out.refuse(place, judged.reason, judged.detail or "")
        return
    reading = dict(judged.reading)
    for value in judged.values:
        if value.verdict == verdict.REFUSED:
            out.refuse(place, value.reason or "", value.detail or "")
            del reading[value.metric]
    if judged.taken:
        out.accepted.append(reading)


def _each_once(out: Judgement) -> Judgement:
    """The same line twice is one reading; numbers must be unique within what waits for ``ack``."""
    seen: dict[tuple[Any, int, int], dict[str, Any]] = {}
    for reading in out.accepted:
        seen.setdefault((reading.get("channel"), reading["ts"], reading["seq"]), reading)
    out.repeated = len(out.accepted) - len(seen)
    out.accepted = list(seen.values())
    return out
