"""What Grafana makes of a statement before PostgreSQL sees it: macros and variables, for checks and measurements."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

INTERVALS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MACRO = re.compile(r"\$__(\w+)\(([^)]*)\)")
VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")


@dataclass(frozen=True, slots=True)
class Span:
    """The dashboard's time range, in UTC."""

    since: datetime
    until: datetime

    def interval(self, points: int = 1000) -> timedelta:
        """About what Grafana's ``$__interval`` is for so many points."""
        return max(timedelta(seconds=1), (self.until - self.since) / points)


def expand(statement: str, span: Span, variables: Mapping[str, str | Sequence[str]]) -> str:
    """The statement as Grafana sends it.

    A value alone has its quotes doubled, a list is quoted and joined by commas. Raises ``KeyError`` for a variable and
    ``ValueError`` for a macro that nobody knows.
    """
    said = {
        "__from": str(round(span.since.timestamp() * 1000)),
        "__to": str(round(span.until.timestamp() * 1000)),
        "__interval": f"{span.interval().total_seconds():.0f}s",
        **variables,
    }

    def variable(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        if name.startswith("__") and name not in said:
            return match[0]  # a macro; they come after variables
        value = said[name]
        if isinstance(value, str):
            return value.replace("'", "''")
        return ",".join("'" + one.replace("'", "''") + "'" for one in value)

    return MACRO.sub(lambda match: _macro(match, span), VARIABLE.sub(variable, statement))


def _macro(match: re.Match[str], span: Span) -> str:
    name, *arguments = match[1], *(part.strip() for part in match[2].split(","))
    since, until = (f"'{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}Z'" for moment in (span.since, span.until))
    match name:
        case "time":
            return f'{arguments[0]} AS "time"'
        case "timeFilter":
            return f"{arguments[0]} BETWEEN {since} AND {until}"
        case "timeFrom":
            return since
        case "timeTo":
            return until
        case "timeGroup" | "timeGroupAlias":
            width = arguments[1].strip("'")
            seconds = int(width[:-1]) * INTERVALS[width[-1]]
            grouped = f"floor(extract(epoch from {arguments[0]})/{seconds})*{seconds}"
            return grouped + (' AS "time"' if name == "timeGroupAlias" else "")
        case "unixEpochFilter":
            first, last = int(span.since.timestamp()), int(span.until.timestamp())
            return f"{arguments[0]} >= {first} AND {arguments[0]} <= {last}"
        case _:
            raise ValueError(f"no macro of Grafana's: {match[0]}")
