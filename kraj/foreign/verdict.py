"""What ingest would say to readings, value by value: for trying a mapping, and for reports on files."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kraj import wire
from kraj.metrics import Kind, Metric, Type
from kraj.readings import DAY_MS, FUTURE_MINUTES_MAX, PAST_DAYS_MAX

STORED, FLAGGED, REFUSED = "stored", "flagged", "refused"


@dataclass(frozen=True, slots=True)
class Judged:
    """One value: ``stored``, ``flagged`` (stored as unusual) or ``refused`` with the reason's code and its detail."""

    metric: str
    value: Any
    verdict: str
    reason: str | None = None
    detail: str | None = None


@dataclass(slots=True)
class JudgedReading:
    """One reading with its values; ``reason`` is set where it is refused as a whole."""

    reading: dict[str, Any]
    kind: str | None = None
    reason: str | None = None
    detail: str | None = None
    values: list[Judged] = field(default_factory=list[Judged])

    @property
    def taken(self) -> bool:
        return self.reason is None and any(value.verdict != REFUSED for value in self.values)


def judge(
    readings: list[dict[str, Any]], kind_of: Callable[[int | None], Kind | None], now_ms: int
) -> list[JudgedReading]:
    """Judge flat readings as ingest does: the same decoder, the same spans and limits of time."""
    return [_judge(reading, kind_of, now_ms) for reading in readings]


def _judge(reading: dict[str, Any], kind_of: Callable[[int | None], Kind | None], now_ms: int) -> JudgedReading:
    out = JudgedReading(reading)
    examined = wire.examine(json.dumps(reading).encode(), kind_of)
    refused = {r.metric: r for r in examined.refusals if r.metric is not None}
    whole = next((r for r in examined.refusals if r.metric is None), None)
    if whole is not None or not examined.records:
        out.reason, out.detail = (whole.reason, whole.detail) if whole else ("shape", "no reading")
        return out
    kind, record = examined.records[0]
    out.kind = kind.name
    out.reason, out.detail = _time(record, now_ms)
    for name, value in reading.items():
        if name in wire.CORE or name == "event":
            continue
        metric = kind.by_name.get(name)
        if metric is None:
            out.values.append(Judged(name, value, REFUSED, "unknown_key", f"a {kind.name} has no metric {name}"))
        elif name in refused:
            out.values.append(Judged(name, value, REFUSED, refused[name].reason, refused[name].detail))
        elif value is not None:
            out.values.append(_span(metric, value))
    return out


def _time(record: wire.Record, now_ms: int) -> tuple[str | None, str | None]:
    ts = record.ts
    if ts is None:
        return "time_missing", "neither ts nor boot with uptime_ms"
    if ts < now_ms - PAST_DAYS_MAX * DAY_MS:
        return "time_past", f"ts is {ts}"
    if ts > now_ms + FUTURE_MINUTES_MAX * 60_000:
        return "time_future", f"ts is {ts}"
    return None, None


def _span(metric: Metric, given: Any) -> Judged:
    if metric.type is Type.STATE:
        return Judged(metric.name, given, STORED)
    value = float(given)
    low, high = metric.possible
    if not low <= value <= high:
        detail = f"{metric.name} is {value:g}; possible are {low:g} to {high:g}"
        return Judged(metric.name, given, REFUSED, "value_impossible", detail)
    if metric.type.whole and not value.is_integer():
        return Judged(
            metric.name, given, REFUSED, "value_type", f"{metric.name} must be a whole number, found {value:g}"
        )
    if metric.plausible and not metric.plausible[0] <= value <= metric.plausible[1]:
        span = f"{metric.plausible[0]:g} to {metric.plausible[1]:g}"
        return Judged(metric.name, given, FLAGGED, None, f"{metric.name} is {value:g}; usual are {span}")
    return Judged(metric.name, given, STORED)


def as_json(found: JudgedReading) -> dict[str, Any]:
    """For the API and reports."""
    return {
        "reading": found.reading,
        "kind": found.kind,
        "verdict": STORED if found.taken else REFUSED,
        "reason": found.reason,
        "detail": found.detail,
        "values": [
            {
                name: item
                for name in ("metric", "value", "verdict", "reason", "detail")
                if (item := getattr(v, name)) is not None
            }
            for v in found.values
        ],
    }
