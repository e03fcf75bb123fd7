"""An event loop whose time is a number: it jumps to whatever is due next, and nothing ever waits."""

import asyncio
import selectors
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random

BEGIN = datetime(2026, 11, 2, 18, tzinfo=UTC)
"""Where virtual time begins: an ordinary evening."""


def chance(seed: int, what: str) -> Random:
    """The chance that befalls one part of a seed: the same again, and none of another part's."""
    return Random(f"{what} {seed}")  # noqa: S311 - nothing is secret here


TURNS_MAX = 60_000
"""Ten times what a seed takes: whatever goes in circles ends here."""


class EndlessError(Exception):
    """Something happens again and again, and nothing comes of it."""


class _Jump(selectors.SelectSelector):
    """Waits for nobody: instead of sleeping, time has passed."""

    now_s = 0.0
    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        self.turns += 1
        if self.turns > TURNS_MAX:
            raise EndlessError(f"{TURNS_MAX} turns, and no end after {self.now_s:.0f} s")
        self.now_s += max(0.0, timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """Seconds since ``BEGIN``; two runs that do the same see the same times."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self.set_exception_handler(_raise_later)
        self.trouble: list[BaseException] = []

    def time(self) -> float:
        return self._jump.now_s

    def begin_anew(self) -> None:
        """Count turns from here."""
        self._jump.turns = 0

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.time())

    @property
    def now_ms(self) -> int:
        return round(self.now().timestamp() * 1000)


def _raise_later(loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """An exception in a callback is a finding, not a line in a log."""
    error = context.get("exception")
    if isinstance(loop, Loop) and isinstance(error, BaseException):
        loop.trouble.append(error)
