"""What time alone will bring, by its moment: the idle step asks for the earliest and is done."""

import heapq
from enum import IntEnum
from itertools import count
from typing import Any


class Due(IntEnum):
    """What is due, in the order in which it is done at one moment: causes are found before anybody is told."""

    RELEASE = 0
    """A window that silenced a symptom is over."""
    CALM = 1
    """A flapping alert has been calm for long enough."""
    JUDGE = 2
    """Enough of a group suffer, and the others have had their time to show."""
    LET_GO = 3
    """A cause has held its children down for long enough."""
    TELL = 4
    """Nothing has explained an alert."""
    FORGET = 5
    """An alert was over a day ago."""


class Agenda:
    """Moments with their subjects. An entry is only a hint: who takes it out checks that it still is due, because plans
    change. It is made again from what is remembered after a rollback, and so needs no journal."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, Due, str, int, Any]] = []
        self._number = count()
        self._passed_ms = 0

    def put(self, due_ms: int, what: Due, name: str, subject: Any) -> None:
        """``name`` orders what is due at the same moment. What was due before ``clear`` has been done."""
        if due_ms > self._passed_ms:
            heapq.heappush(self._heap, (due_ms, what, name, next(self._number), subject))

    def next_ms(self, since_ms: int, every_ms: int) -> int:
        """The first of the moments that follow ``since_ms`` at this distance that was not due before ``clear``."""
        return since_ms + every_ms * max(1, (self._passed_ms - since_ms) // every_ms + 1)

    def take(self, now_ms: int) -> tuple[int, Due, Any] | None:
        """The next that is due by now: its moment, what, and its subject."""
        if not self._heap or self._heap[0][0] > now_ms:
            return None
        due_ms, what, _, _, subject = heapq.heappop(self._heap)
        return due_ms, what, subject

    def follows(self, due_ms: int, what: Due) -> bool:
        """Whether more of this is due at this moment."""
        return bool(self._heap) and self._heap[0][:2] == (due_ms, what)

    def clear(self, passed_ms: int) -> None:
        """Plan anew from here."""
        self._heap.clear()
        self._passed_ms = passed_ms

    def __len__(self) -> int:
        return len(self._heap)
