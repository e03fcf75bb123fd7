"""What lamps and contactors were told: programs on board, and people's orders; kept with their times.

So a day can be redone. Without anything told nothing here has an effect: lamps follow the program they came with
(``physics.program``), contactors their photocells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import numpy as np

from rules.dimming import Programs
from simulators.physics.frame import DAY_MS, Floats, Ints, Mask, Rows

EMERGENCY, CABINET, MANUAL, PROGRAM, FALLBACK = 0.0, 1.0, 2.0, 4.0, 5.0
"""Of ``level_reason``."""
REASONS: Final[Mapping[str, float]] = {"emergency": EMERGENCY, "manual": MANUAL}
"""Of orders: the first goes before the cabinet's switch, the second before programs."""
DAY_S = DAY_MS // 1000
REPORTED_MS = 600_000
"""So long after it was told something a lamp has reported what came of it."""
COURSES_MAX = 4096
"""Days of documents kept: a lamp asks for two of them, and lamps of a segment share theirs."""


@dataclass(frozen=True, slots=True)
class Order:
    """A level that a person gave one lamp, from ``from_ms`` until ``until_ms``."""

    row: int
    reason: float
    level_pct: float
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Document:
    key: int
    programs: Programs


@dataclass
class Told:
    """What lamps, or contactors, were told, by row; times are true ones, as the lamps' models have them."""

    clockless: frozenset[int] = frozenset()
    """Rows of lamps that cannot tell the time: a program on board means nothing to them."""
    changes: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Row and moment of everything that was told: when a lamp has a reason to report."""
    _orders: list[Order] = field(default_factory=list[Order])
    _programs: dict[int, tuple[tuple[int, _Document | None], ...]] = field(
        default_factory=dict[int, tuple[tuple[int, "_Document | None"], ...]]
    )
    _documents: dict[bytes, _Document] = field(default_factory=dict[bytes, _Document])
    _courses: dict[tuple[int, int], tuple[Ints, Floats]] = field(
        default_factory=dict[tuple[int, int], tuple[Ints, Floats]]
    )

    @property
    def any(self) -> bool:
        """Whether anything was told that may hold."""
        return bool(self._orders or self._programs)

    def program(self, row: int, document: Mapping[str, Any] | None, from_ms: int) -> None:
        """From now on this document holds; None is the program that the lamp came with."""
        made = None
        if document is not None:
            written = msgspec.json.encode(document, order="sorted")
            made = self._documents.get(written)
            if made is None:
                made = self._documents[written] = _Document(len(self._documents), Programs.of([document]))
        self._programs[row] = (*self._programs.get(row, ()), (from_ms, made))
        self.changes.append((row, from_ms))

    def order(self, row: int, reason: str, level_pct: float, from_ms: int, until_ms: int) -> None:
        """A level by a person's order; a new one takes the place of the one before it."""
        self.release(row, reason, from_ms)
        self._orders.append(Order(row, REASONS[reason], level_pct, from_ms, until_ms))
        self.changes += [(row, from_ms), (row, until_ms)]

    def release(self, row: int, reason: str | None, now_ms: int) -> bool:
        """Orders for this reason (None: all of them, as after a restart) end; gives whether there was one."""
        ended = False
        for place, one in enumerate(self._orders):
            fits = one.row == row and (reason is None or one.reason == REASONS[reason])
            if fits and one.until_ms > now_ms:
                self._orders[place] = replace(one, until_ms=now_ms)
                ended = True
        if ended:
            self.changes.append((row, now_ms))
        return ended

    def now(self) -> "Told":
        """What was told so far; a day is computed in another thread, while lamps go on being told."""
        return replace(self, _orders=list(self._orders), _programs=dict(self._programs))

    def forget(self, before_ms: int) -> None:
        """What was over before a moment is of no day to come."""
        self._orders = [one for one in self._orders if one.until_ms > before_ms]
        self.changes = [one for one in self.changes if one[1] > before_ms - REPORTED_MS]
        for row, held in self._programs.items():
            over = sum(since <= before_ms for since, _ in held)
            self._programs[row] = held[max(over - 1, 0) :]

    def events(self, start_ms: int) -> list[tuple[Rows, Ints]]:
        """Rows and moments of the day from ``start_ms`` at which what holds may change."""
        found = [(np.full(2, one.row), np.array([one.from_ms, one.until_ms])) for one in self._orders]
        for row, held in self._programs.items():
            for since_ms, document in held:
                found.append((np.full(1, row), np.array([since_ms])))
                if document is not None:
                    moments = self._course(document, start_ms // 1000)[0] * 1000
                    found.append((np.full(len(moments), row), moments))
        return found

    def commanded(  # noqa: PLR0917 - what would hold without, then where and when, then what the clock says
        self, level: Floats, reason: Floats, row: Rows, ts_ms: Ints, ahead_ms: Ints, lost: Mask, dark: Mask
    ) -> tuple[Floats, Floats]:
        """Level and reason with what was told, given those without it; all of shape ``(e,)``, in order of ``row``.

        ``ahead_ms`` is how far a clock is ahead, ``lost`` whether it is refused; then ``dark``, the photocell, decides.
        """
        if not self.any:
            return level, reason
        level, reason = level.copy(), reason.copy()
        by_itself = reason >= PROGRAM
        for one, held in self._programs.items():
            ends = [since for since, _ in held[1:]] + [np.inf]
            part = _of(row, one)
            for (since_ms, document), end in zip(held, ends, strict=True):
                mine = part[(ts_ms[part] >= since_ms) & (ts_ms[part] < end) & by_itself[part]]
                if document is None or not len(mine):
                    continue
                blind = lost[mine] | (one in self.clockless)
                by_program = self._pct(document, (ts_ms + ahead_ms)[mine] // 1000)
                level[mine] = np.where(blind, np.where(dark[mine], 100.0, 0.0), by_program)
                reason[mine] = np.where(blind, FALLBACK, PROGRAM)
        # The emergency last: it goes before everything.
        for order in sorted(self._orders, key=lambda one: (-one.reason, one.from_ms)):
            part = _of(row, order.row)
            mine = part[(ts_ms[part] >= order.from_ms) & (ts_ms[part] < order.until_ms)]
            if order.reason == MANUAL:
                mine = mine[reason[mine] != CABINET]
            level[mine] = 100.0 if order.reason == EMERGENCY else order.level_pct
            reason[mine] = order.reason
        return level, reason

    def _pct(self, document: _Document, utc_s: Ints) -> Floats:
        """The document's level at these seconds, of whatever day."""
        out = np.empty(len(utc_s))
        start = utc_s // DAY_S * DAY_S
        for day in np.unique(start).tolist():
            moments, levels = self._course(document, day)
            mine = start == day
            out[mine] = levels[np.searchsorted(moments, utc_s[mine], "right") - 1]
        return out

    def _course(self, document: _Document, start_s: int) -> tuple[Ints, Floats]:
        """A day of a document: from which second on which level; worked out once for all lamps that share it."""
        found = self._courses.get((document.key, start_s))
        if found is None:
            every = np.arange(start_s, start_s + DAY_S)
            levels = document.programs.levels_pct(np.zeros(DAY_S, np.int64), every)
            first = np.concatenate([[0], np.flatnonzero(np.diff(levels)) + 1])
            if len(self._courses) >= COURSES_MAX:
                self._courses.clear()
            found = self._courses[document.key, start_s] = every[first], levels[first].astype(np.float64)
        return found


def _of(row: Rows, one: int) -> Rows:
    """The places of a row in sorted rows."""
    return np.arange(np.searchsorted(row, one), np.searchsorted(row, one + 1), dtype=np.intp)
