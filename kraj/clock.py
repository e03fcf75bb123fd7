"""The one place that reads the wall clock; everything else is given the time.

An installation lives now. A demo may live at another hour: one offset, kept with its database and shared by all its
processes. Sessions, certificates and the audit log use real time all the same.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def real() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def shifted(offset_s: float) -> Clock:
    """A clock that runs ``offset_s`` seconds ahead of the real one (behind it where negative)."""
    if not offset_s:
        return real
    offset = timedelta(seconds=offset_s)
    return lambda: real() + offset
