"""Quarter-hours of the distributors and of the EDC, and plain tables of them → watt-hours by EAN, or what is wrong."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from kraj.importing import values
from kraj.importing.findings import Finding
from kraj.importing.quarter_columns import Layout, Series, layout, table
from kraj.importing.quarter_times import Clock, TimeError, When, written
from kraj.importing.table import Cell, Line, blank, folded
from kraj.meters import QUARTER_S, is_ean

FOUND_MAX: Final = 200
"""Findings that are kept; with more, a person mends the cause of the first ones."""
WH_MAX: Final = 1_000_000_000
"""A quarter-hour of 4 GW."""
MEASURED: Final = ("namer", "mer", "ok", "valid", "plat", "w", "1", "measured", "skutecn")
"""How the words begin by which portals mark a value as measured; whatever else is marked is a substitute."""
NOTES: Final = frozenset({"doubled_same", "hour_unclear", "unknown_ean", "no_such_hour", "direction_taken"})


@dataclass(frozen=True, slots=True)
class Found:
    """Something in a file; ``row`` as Excel numbers it, None: the whole file."""

    code: str
    row: int | None = None
    values: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def wrong(self) -> bool:
        """Whether it keeps the file from being taken."""
        return self.code not in NOTES

    def as_json(self) -> dict[str, Any]:
        """What is stored; the sentence is made when somebody reads it."""
        return {"code": self.code, "row": self.row, "values": self.values}


@dataclass(slots=True)
class Quarter:
    """What a file says of a quarter-hour."""

    import_wh: int | None = None
    export_wh: int | None = None
    shared_wh: int | None = None
    status: str = "measured"


@dataclass(slots=True)
class Quarters:
    """A file as understood: by EAN and by the quarter-hour's beginning in UTC seconds."""

    format: str
    encoding: str | None
    layout: str
    rows: int
    by_ean: dict[str, dict[int, Quarter]]
    found: list[Found]
    wrong: int
    doubled: dict[str, int]


@dataclass(frozen=True, slots=True)
class Given:
    """What whoever uploads says of a file that does not say it."""

    ean: str | None = None
    direction: str | None = None
    times: str | None = None
    """``start`` or ``end``: what the only time of a row is."""


def parse(data: bytes, given: Given, now: datetime) -> Quarters:
    """Read a file; raise ``Unreadable`` where nothing of it can be had. Values are kept where nothing is wrong."""
    read = table(data)
    known, below = layout(read.lines, given.direction)
    reader = _Reader(known, given, int(now.timestamp()))
    for code, told in known.found:
        reader.say(code, None, **told)
    for line in below:
        reader.line(line)
    reader.finish()
    return Quarters(
        read.format.value, read.encoding, known.name, len(below), reader.by_ean, reader.found, reader.wrong,
        reader.doubled,
    )  # fmt: skip


class _Reader:
    """Rows one after another, as which of two equal hours is meant hangs on their order."""

    def __init__(self, known: Layout, given: Given, now_s: int) -> None:
        self.known, self.given, self.now_s = known, given, now_s
        self.by_ean: dict[str, dict[int, Quarter]] = {}
        self.doubled: dict[str, int] = {}
        self.found: list[Found] = []
        self.wrong = 0
        self._clocks: dict[str, Clock] = {}
        self._lines: list[tuple[Line, When]] = []

    def say(self, code: str, row: int | None, **told: Any) -> None:
        found = Found(code, row, told)
        self.wrong += found.wrong
        if len(self.found) < FOUND_MAX:
            self.found.append(found)

    def line(self, line: Line) -> None:
        if all(blank(cell) for cell in line.cells):
            return
        try:
            self._lines.append((line, written(line, self.known)))
        except TimeError as error:
            self.say(error.code, line.number, value=error.value)

    def finish(self) -> None:
        """Once all times are known: whether they are beginnings or ends, and which of two equal hours each is."""
        ends = self.known.ends
        if ends is None and self.given.times in {"start", "end"}:
            ends = self.given.times == "end"
        if ends is None:
            ends = _ends([when for _, when in self._lines])
        if ends is None and self._lines:
            self.say("times_unclear", None)
            return
        for line, when in self._lines:
            ean = self._ean(line)
            if ean is not None:
                self._place(line, when, ean, self._clocks.setdefault(ean, Clock(ends=bool(ends))))
        for ean, clock in self._clocks.items():
            for day, hour in clock.unclear():
                self.say("hour_unclear", None, day=day.isoformat())
                self._forget(ean, hour)
        self.by_ean = {ean: held for ean, held in self.by_ean.items() if held}

    def _place(self, line: Line, when: When, ean: str, clock: Clock) -> None:
        try:
            bucket = clock.bucket(when)
        except TimeError as error:
            self.say(error.code, line.number, value=error.value)
            return
        if bucket + QUARTER_S > self.now_s + 86_400:
            self.say("future", line.number, value=when.text)
        else:
            self._values(line, ean, bucket)

    def _forget(self, ean: str, hour: tuple[int, ...]) -> None:
        for name, held in self.by_ean.items():
            if ean in {"", name}:
                for bucket in hour:
                    held.pop(bucket, None)

    def _ean(self, line: Line) -> str | None:
        """Whose row it is: an EAN, or "" where the columns say it."""
        if self.known.ean is None:
            if all(series.ean for series in self.known.series):
                return ""
            if self.given.ean is None:
                if not any(found.code == "no_ean" for found in self.found):
                    self.say("no_ean", None)
                return None
            return self.given.ean
        text = values.text(_at(line, self.known.ean))
        if not isinstance(text, str) or not is_ean(text.replace(" ", "")):
            self.say("ean", line.number, value=str(_at(line, self.known.ean))[:40])
            return None
        return text.replace(" ", "")

    def _values(self, line: Line, ean: str, bucket: int) -> None:
        status = "measured" if all(_measured(_at(line, place)) for place in self.known.statuses) else "substitute"
        before: dict[str, int] = {}
        refused: set[str] = set()
        for series in self.known.series:
            cell = _at(line, series.place)
            if blank(cell):
                continue
            name = series.ean or ean
            if series.after and name in refused:
                continue  # what is wrong was said of its IN
            refused.add(name)
            number = values.number(cell)
            if number is None or isinstance(number, Finding):
                self.say("number", line.number, column=series.heading, value=str(cell)[:40])
                continue
            if number < 0 and not series.negative:
                self.say("negative", line.number, column=series.heading, value=str(cell)[:40])
                continue
            wh = round(abs(number) * series.wh)
            if wh > WH_MAX:
                self.say("large", line.number, column=series.heading, value=str(cell)[:40])
                continue
            refused.discard(name)
            if series.after:  # what is left after sharing
                shared = before.get(name, 0) - wh
                if name not in before or shared < 0:
                    self.say("shared", line.number, column=series.heading, value=str(cell)[:40])
                    continue
                self._keep(line, (name, bucket), "shared_wh", shared, status)
            else:
                before[name] = wh
                self._keep(line, (name, bucket), _field(series), wh, status)

    def _keep(self, line: Line, place: tuple[str, int], name: str, wh: int, status: str) -> None:
        ean, bucket = place
        quarter = self.by_ean.setdefault(ean, {}).setdefault(bucket, Quarter(status=status))
        held = getattr(quarter, name)
        if held is None:
            setattr(quarter, name, wh)
            quarter.status = status if quarter.status == "measured" else quarter.status
            return
        self.doubled[ean] = self.doubled.get(ean, 0) + 1
        self.say("doubled_same" if held == wh else "doubled", line.number, ean=ean)


def _field(series: Series) -> str:
    return "export_wh" if series.direction == "export" else "import_wh"


def _at(line: Line, place: int) -> Cell:
    return line.cells[place] if place < len(line.cells) else None


def _measured(cell: Cell) -> bool:
    text = folded(str(cell)) if not blank(cell) else ""
    return not text or text.startswith(MEASURED)


def _ends(lines: list[When]) -> bool | None:
    """Whether the only time of each row is the end of its quarter-hour, told by a file of whole days."""
    if not lines:
        return None
    first, last = lines[0].naive, lines[-1].naive
    if (first.hour, first.minute) == (0, 15) and (last.hour, last.minute) == (0, 0):
        return True
    if (first.hour, first.minute) == (0, 0) and (last.hour, last.minute) == (23, 45):
        return False
    return None
