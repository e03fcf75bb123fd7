"""Nights and days the slow way: every reading is kept, and all is summed up in the end."""

from dataclasses import dataclass, field
from datetime import date, timedelta

from kraj import sun
from rules.rule import Per

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
Values = dict[str, float | None]


@dataclass
class Entry:
    """A reading whose values hold until the next one; ``beat_ms`` is how soon that is expected."""

    ts: int
    values: Values
    beat_ms: int


@dataclass
class Counter:
    """A counter that believes what is plausible."""

    base: float | None = None
    base_ms: int = 0
    doubt: float | None = None
    doubt_ms: int = 0
    grown: list[tuple[int, int, float]] = field(default_factory=list[tuple[int, int, float]])
    known_ms: list[int] = field(default_factory=list[int])

    def read(self, value: float | None, ts: int, before: int | None, max_per_h: float | None) -> None:
        if value is None or value <= 0:
            return
        if self.base is None or before is None:
            self.base, self.base_ms = value, ts
            self.known_ms.append(ts)
            return
        step = value - self.base
        most = float("inf") if max_per_h is None else max_per_h * (ts - self.base_ms) / HOUR_MS + 1
        if -1 <= step <= most:
            self.known_ms.append(ts)
            self.doubt = None
            if step > 0:
                self.grown.append((before, ts, step))
            if step >= 0:
                self.base, self.base_ms = value, ts
        elif self.doubt is not None and value >= self.doubt - 1:
            if ts - self.doubt_ms >= HOUR_MS / 2 and value > self.doubt:
                self.known_ms.append(ts)
                self.grown.append((self.doubt_ms, ts, value - self.doubt))
                self.base, self.base_ms, self.doubt = value, ts, None
        else:
            self.doubt, self.doubt_ms = value, ts


@dataclass
class Diary:
    """Of one asset."""

    latitude: float
    longitude: float
    per: Per
    line: list[Entry] = field(default_factory=list[Entry])
    points: list[tuple[int, Values]] = field(default_factory=list[tuple[int, Values]])
    hole: tuple[int, int] | None = None
    newest: Entry | None = None
    counters: dict[str, Counter] = field(default_factory=dict[str, Counter])

    def read(self, ts: int, values: Values, beat_ms: int, counted: dict[str, float | None]) -> None:
        """A reading in time. ``counted`` names counters, with how much they rise in an hour at most."""
        before = self.newest
        if before is not None and ts - before.ts > 3 * before.beat_ms:
            self.hole = (before.ts, ts)
        for name, most in counted.items():
            counter = self.counters.setdefault(name, Counter())
            counter.read(values[name], ts, None if before is None else before.ts, most)
        self.newest = Entry(ts, values, beat_ms)
        self.line.append(self.newest)
        self.points.append((ts, values))

    def read_late(self, ts: int, values: Values, beat_ms: int) -> None:
        """A late one fills the last hole, from its beginning on."""
        self.points.append((ts, values))
        if self.hole is not None and self.hole[0] < ts < self.hole[1]:
            self.hole = (ts, self.hole[1])
            self.line.append(Entry(ts, values, beat_ms))
            self.line.sort(key=lambda entry: entry.ts)

    def number(self, ts: float) -> int:
        return int((ts + self._shift()) // DAY_MS)

    def _shift(self) -> int:
        return int(self.longitude / 360 * DAY_MS - (DAY_MS / 2 if self.per is Per.NIGHT else 0))

    def _spans(self, day: int) -> list[tuple[float, float, Values]]:
        begins = day * DAY_MS - self._shift()
        found: list[tuple[float, float, Values]] = []
        for a, b in zip(self.line, self.line[1:], strict=False):
            start, end = max(a.ts, begins), min(b.ts, begins + DAY_MS)
            if b.ts - a.ts <= 3 * a.beat_ms and end > start:
                found.append((start, end, a.values))
        return found

    def held(self, day: int, name: str, how: str) -> float | None:
        total = hours = 0.0
        for start, end, values in self._spans(day):
            value = values[name]
            if value is not None:
                total += value * (end - start) / HOUR_MS
                hours += (end - start) / HOUR_MS
        return None if hours == 0 else total if how == "integral" else total / hours

    def covered_h(self, day: int) -> float:
        (rise,), (set_,) = (x.tolist() for x in sun.rise_and_set([f"{_date(day)}"], [self.latitude], [self.longitude]))
        (next_rise,), _ = (
            x.tolist() for x in sun.rise_and_set([f"{_date(day + 1)}"], [self.latitude], [self.longitude])
        )
        low, high = (set_, next_rise) if self.per is Per.NIGHT else (rise, set_)
        return sum(max(0.0, min(end, high) - max(start, low)) for start, end, _ in self._spans(day)) / HOUR_MS

    def pointed(self, day: int, name: str) -> list[float]:
        return [v[name] for ts, v in self.points if self.number(ts) == day and v[name] is not None]  # type: ignore[misc]

    def increased(self, day: int, name: str) -> float | None:
        counter, begins = self.counters[name], day * DAY_MS - self._shift()
        total, known = 0.0, any(self.number(ts) == day for ts in counter.known_ms)
        for since, until, amount in counter.grown:
            overlap = min(until, begins + DAY_MS) - max(since, begins)
            if overlap > 0:
                total, known = total + amount * overlap / (until - since), True
        return total if known else None


def _date(day: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
