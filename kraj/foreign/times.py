"""Times as strangers write them: Unix, ISO 8601, or a pattern in a zone, to Unix milliseconds."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kraj.errors import PayloadError
from kraj.foreign.payloads import number, what
from kraj.readings import FUTURE_MINUTES_MAX

ZONE_DEFAULT = "Europe/Prague"
FORMATS = ("iso", "unix_s", "unix_ms")
CLOCK_SET_MS = int(datetime(2015, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""Before this a device has just been switched on and has not asked for the time yet: it knows none."""

_DIRECTIVES = frozenset("dmyYHMSfzjIp%")


def check_format(given: str) -> str | None:
    """What is wrong with a format, or None."""
    if given in FORMATS:
        return None
    found = re.findall(r"%(.?)", given)
    if not found or len(given) > 60:
        return f"{given[:60]!r} is no format; take {', '.join(FORMATS)}, or a pattern such as %d.%m.%Y %H:%M:%S"
    unknown = [f"%{letter}" for letter in found if letter not in _DIRECTIVES]
    return f"{unknown[0]} is not taken; known are {' '.join(f'%{d}' for d in sorted(_DIRECTIVES))}" if unknown else None


def zone(name: str) -> ZoneInfo:
    """A zone by its name; raises ``ValueError``."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown zone {name[:60]!r}; names are such as {ZONE_DEFAULT} or UTC") from error


def read(value: Any, pattern: str, local: ZoneInfo, now_ms: int | None) -> int | None:
    """Milliseconds, or None where the device's clock is not set yet; raises ``PayloadError`` for what is no time.

    ``now_ms`` is when the message came; None for what is older, such as lines of a file.
    """
    try:
        found = _read(value, pattern, local, now_ms)
    except (ValueError, OverflowError, OSError) as error:
        raise PayloadError("time_missing", f"{what(value)} is no time as {pattern}") from error
    return found if found >= CLOCK_SET_MS else None


def _read(value: Any, pattern: str, local: ZoneInfo, now_ms: int | None) -> int:
    if pattern in ("unix_s", "unix_ms"):
        found = number(value) if not isinstance(value, str) else float(value.replace(",", "."))
        if found is None or not abs(found) < 1e15:
            raise ValueError("no number")
        return round(found * (1000 if pattern == "unix_s" else 1))
    if not isinstance(value, str):
        raise ValueError("no text")  # all of them become one PayloadError
    given = value.strip()
    when = datetime.fromisoformat(given) if pattern == "iso" else datetime.strptime(given, pattern)  # noqa: DTZ007
    if when.tzinfo is not None:
        return _ms(when)
    return local_ms(when, local, now_ms)


def local_ms(when: datetime, local: ZoneInfo, now_ms: int | None) -> int:
    """A local time without an offset. The hour that comes twice a year is the later one, unless that is yet to come;
    of history (``now_ms`` None) it is the first."""
    first, second = (_ms(when.replace(tzinfo=local, fold=fold)) for fold in (0, 1))
    if now_ms is None or second <= first or second > now_ms + FUTURE_MINUTES_MAX * 60_000:
        return first
    return second


def _ms(when: datetime) -> int:
    return (when.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
