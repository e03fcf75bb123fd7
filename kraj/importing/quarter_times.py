"""Times of quarter-hours as portals write them: local, by beginning or end, with a doubled or missing hour."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from kraj.importing.quarter_columns import Layout
from kraj.importing.table import Cell, Line
from kraj.meters import QUARTER_S, ZONE

QUARTER = timedelta(seconds=QUARTER_S)
DATE = re.compile(r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})|(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})/(\d{1,2})/(\d{4})")
TIME = re.compile(r"(\d{1,2})[:.](\d{2})(?::(\d{2})(?:\.0+)?)?([AaBb]?)")
EXACT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})")
YEARS = range(2000, 2100)


class TimeError(ValueError):
    """A row's time cannot be taken; ``code`` says why."""

    def __init__(self, code: str, value: str) -> None:
        self.code, self.value = code, value
        super().__init__(code, value)


@dataclass(frozen=True, slots=True)
class When:
    """A row's time: exact, or local with the letter of the doubled hour (A the first, B the second)."""

    naive: datetime
    letter: str
    exact: datetime | None
    text: str


def written(line: Line, known: Layout) -> When:
    """The time in a row; raises ``TimeError``."""
    day = line.cells[known.day] if known.day is not None and known.day < len(line.cells) else None
    clock = line.cells[known.clock] if known.clock is not None and known.clock < len(line.cells) else None
    text = " ".join(str(cell).strip() for cell in (day, clock) if cell is not None)[:60]
    if isinstance(day, datetime) and clock is None:
        naive = day.replace(tzinfo=None)
        # Excel keeps a day as a fraction: 00:14:59.999 is a quarter past.
        naive = (naive + timedelta(milliseconds=500)).replace(microsecond=0)
        return When(naive, "", None, text)
    if EXACT.fullmatch(text):
        try:
            exact = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise TimeError("time", text) from error
        return When(exact.astimezone(ZONE).replace(tzinfo=None), "", exact, text)
    if clock is None and isinstance(day, str):
        parts = day.replace("T", " ").strip().rsplit(" ", 1)
        day, clock = parts if len(parts) == 2 else (day, None)
    try:
        minutes, letter = _minutes(clock)
        return When(datetime.combine(day_of(day), time()) + timedelta(minutes=minutes), letter, None, text)
    except (ValueError, OverflowError) as error:
        raise TimeError("time", text) from error


def day_of(cell: Cell) -> date:
    """A cell as a day; raises ``ValueError``."""
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    match = DATE.fullmatch(str(cell).strip())
    if match is None:
        raise ValueError(cell)
    groups = [int(group) for group in match.groups() if group]
    year, month, day = groups if match[4] else reversed(groups)
    if year not in YEARS:
        raise ValueError(cell)
    return date(year, month, day)


def _minutes(cell: Cell) -> tuple[int, str]:
    """Minutes after midnight, up to 1440 (24:00)."""
    if isinstance(cell, datetime):
        cell = cell.time()
    if isinstance(cell, time):
        return cell.hour * 60 + cell.minute, ""
    match = TIME.fullmatch(str(cell).strip())
    if match is None or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > 1440 or int(match[3] or 0):
        raise ValueError(cell)
    return int(match[1]) * 60 + int(match[2]), match[4].upper()


class Clock:
    """Turns local times of one series, in the order of the file, into beginnings in UTC seconds."""

    def __init__(self, *, ends: bool) -> None:
        self._ends = ends
        self._seen: dict[datetime, int] = {}
        self._before: datetime | None = None

    def bucket(self, when: When) -> int:
        """The beginning of the quarter-hour; raises ``TimeError``."""
        if when.exact is not None:
            start = when.exact - (QUARTER if self._ends else timedelta(0))
            return self._on_grid(int(start.timestamp()), when)
        naive = self._beginning(when)
        if naive.minute % 15 or naive.second or naive.microsecond:
            raise TimeError("grid", when.text)
        first, second = (naive.replace(tzinfo=ZONE, fold=fold).timestamp() for fold in (0, 1))
        if first > second:  # the missing hour of spring
            raise TimeError("no_such_hour", when.text)
        number = self._seen.get(naive, 0)
        self._seen[naive] = number + 1
        later = second != first and (when.letter == "B" or (not when.letter and number > 0))
        return int(second if later else first)

    def unclear(self) -> list[tuple[date, tuple[int, ...]]]:
        """Days on which the doubled hour of autumn was given once: nobody knows which, nor whether it is both."""
        found: dict[date, set[int]] = {}
        for naive, times in self._seen.items():
            first, second = (naive.replace(tzinfo=ZONE, fold=fold).timestamp() for fold in (0, 1))
            if second > first and times == 1:
                found.setdefault(naive.date(), set()).update((int(first), int(second)))
        return [(day, tuple(sorted(hour))) for day, hour in sorted(found.items())]

    def _beginning(self, when: When) -> datetime:
        naive, before = when.naive, self._before
        if not self._ends:
            return naive
        if naive.time() == time() and before == naive + timedelta(hours=23, minutes=45):
            naive += timedelta(days=1)  # 00:00 that stands under the day which it ends
        self._before = when.naive
        start = naive - QUARTER
        if _changes(start) == 1 and start.time() == time(2, 45) and not self._seen.get(start.replace(hour=1)):
            return start.replace(hour=1)  # its end by the new time
        if _changes(start) == -1 and start.time() == time(1, 45) and self._seen.get(start):
            return start.replace(hour=2)  # the end of the first doubled hour, by the new time
        return start

    def _on_grid(self, start_s: int, when: When) -> int:
        if start_s % QUARTER_S:
            raise TimeError("grid", when.text)
        return start_s


def _changes(naive: datetime) -> int:
    """1 on the day of spring when an hour is missing, -1 on the one of autumn, else 0."""
    midnight = naive.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=ZONE)
    before, after = midnight.utcoffset(), midnight.replace(hour=12).utcoffset()
    return 0 if before == after or before is None or after is None else 1 if after > before else -1
