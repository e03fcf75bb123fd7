"""Numbers, spans of time and instants as people write them in Czech and English; ``static/live.js`` does the same."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from api.texts import Catalogue

NO_BREAK_SPACE = "\u00a0"


def local_zone() -> ZoneInfo:
    """The zone of the region; UTC where the system knows no zones."""
    try:
        return ZoneInfo("Europe/Prague")
    except ZoneInfoNotFoundError:
        return ZoneInfo("UTC")


def number(value: float, language: str) -> str:
    """With as many decimals as a person cares for: 1 234, 41.2, 0.53."""
    size = abs(value)
    decimals = 0 if isinstance(value, int) or size >= 1000 else 1 if size >= 10 else 2
    # Halves go up as they do in browsers, where f-strings would make 77.25 a 77.2.
    text = f"{Decimal(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):,}"
    if decimals:
        text = text.rstrip("0").rstrip(".")
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    text = text.replace("-", "−")
    if language == "cs":
        text = text.replace(",", NO_BREAK_SPACE).replace(".", ",")
    return text


def ago(since: datetime, at: datetime, say: Catalogue) -> str:
    """How long ago, in the largest unit that says enough."""
    seconds = int((at - since).total_seconds())
    if seconds < 2:  # also what is ahead of us: clocks of devices may be
        return say("ago.now")
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return say("ago", span=f"{seconds // size}{NO_BREAK_SPACE}{say(f'ago.{unit}')}")
    return say("ago", span=f"{seconds}{NO_BREAK_SPACE}{say('ago.s')}")


def duration(span: timedelta, say: Catalogue) -> str:
    """A length of time in its largest unit."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size}{NO_BREAK_SPACE}{say(f'ago.{unit}')}"
    return f"{seconds}{NO_BREAK_SPACE}{say('ago.s')}"


def instant(when: datetime, language: str, zone: ZoneInfo) -> str:
    """Date and time of day in the region."""
    local = when.astimezone(zone)
    if language == "cs":
        return f"{local.day}.{NO_BREAK_SPACE}{local.month}.{NO_BREAK_SPACE}{local.year} {local:%H:%M:%S}"
    return f"{local.day}{NO_BREAK_SPACE}{local:%b} {local.year} {local:%H:%M:%S}"


def iso(when: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as everywhere in the API."""
    return when.astimezone(ZoneInfo("UTC")).isoformat(timespec="milliseconds").replace("+00:00", "Z")
