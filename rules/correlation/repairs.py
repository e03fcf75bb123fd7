"""Causes that somebody has called fixed: proven once they hold no more and enough of the group has reported since."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kraj.alerts import Repair, Step
from rules.correlation.book import Book
from rules.correlation.causes import Cause
from rules.correlation.journal import Journal, Journaled
from rules.correlation.judging import Judge
from rules.correlation.records import Cell, Open, Repaired, key_of
from rules.elapsed import PROOF_MS

Newest = Callable[[Sequence[str], Sequence[int]], list[int]]
"""Kinds and assets → the time of each one's newest reading."""
_ROUNDING = 1e-9


class Repairs:
    """Open repairs of causes, by the cause's cell."""

    def __init__(self, journal: Journal, book: Book, judge: Judge) -> None:
        self.open: Journaled[Cell, Repaired] = Journaled(journal)
        self._book = book
        self._judge = judge

    def provable(self, name: str) -> bool:
        """Whether a cause's repair can be proven by what its group reports."""
        cause = self._judge.cause(name)
        return cause is not None and cause.proven_ms > 0

    def begin(self, repairs: Sequence[Repair]) -> None:
        """Somebody has called these fixed."""
        for repair in repairs:
            self.open[repair.rule, repair.scope] = Repaired(repair.fixed_ms)

    def hear(self, newest_ms: Newest, now_ms: int) -> None:
        """Note of which causes enough of the group has reported since."""
        for cell, repaired in self._listed():
            cause = self._judge.cause(cell[0])
            if cause is None or repaired.heard_ms is not None:
                continue
            group = self._judge.group(cell)
            fresh = sum(ms > repaired.fixed_ms for ms in newest_ms(cause.kinds, group))
            if group and fresh >= math.ceil(cause.back * len(group) - _ROUNDING):
                self.open[cell] = replace(repaired, heard_ms=now_ms)

    def look(self, now_ms: int) -> None:
        """Say which are proven by now, each at the moment at which it was."""
        for cell, repaired in self._listed():
            cause, alert = self._judge.cause(cell[0]), self._book.get(cell)
            # Lamps that have fallen silent again make a cause suspected minutes before it is raised again.
            suspected = cell in self._judge.suspected
            if cause is None or alert is None or suspected or _void(repaired, alert, now_ms):
                self.open.pop(cell, None)
                continue
            due_ms = _due_ms(cause, repaired, alert)
            if due_ms is not None and due_ms <= now_ms:
                self.open.pop(cell, None)
                self._book.note(cell, Step.VERIFIED, due_ms, {"members": len(self._judge.group(cell))})

    def restore(self, repaired: Mapping[Cell, Repaired]) -> None:
        """Back from a checkpoint."""
        self.open.update(repaired)

    def _listed(self) -> list[tuple[Cell, Repaired]]:
        return sorted(self.open.items(), key=lambda item: key_of(item[0], 0)) if self.open else []


def _void(repaired: Repaired, alert: Open, now_ms: int) -> bool:
    """Whether it came back, flaps, or nobody can tell any more: that is left to time."""
    again = bool(alert.raised) and alert.raised[-1] > repaired.fixed_ms
    return again or alert.flaps or now_ms - repaired.fixed_ms >= PROOF_MS


def _due_ms(cause: Cause, repaired: Repaired, alert: Open) -> int | None:
    """When it was proven, or will be if it does not come back."""
    if alert.cleared_ms is None or repaired.heard_ms is None:
        return None
    return max(alert.cleared_ms, repaired.heard_ms) + cause.proven_ms
