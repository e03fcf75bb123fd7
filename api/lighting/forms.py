"""Programs as forms: fields of plans and steps to a document and back, with what is wrong beside its field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request

from api import acting, problems
from api.problems import Problem, ProblemDetails
from api.service import Service
from kraj.dimming import DAYS, PLANS_MAX, STEPS_MAX

FIELDS_MAX = PLANS_MAX * (STEPS_MAX * 3 + 20)
SPARE_STEPS = 2
"""Empty rows for more; without scripts a form grows when it is sent."""
IN_PLACE: Final = frozenset({400, 409, 423})
"""What is told beside the form that was sent; the rest is a page of its own."""
OTHER_CLOCK = re.compile(r"^(\d{1,2})\.(\d{2})$")
"""22.00, as Czech people write it, too."""
PLACE = re.compile(r"plans\[(\d+)\](?:\.steps\[(\d+)\])?(?:\.(\w+))?")


@dataclass(frozen=True, slots=True)
class StepFields:
    """A row of a plan's steps as it stands in the form."""

    at: str = ""
    level_pct: str = ""
    ramp_s: str = ""


@dataclass(frozen=True, slots=True)
class PlanFields:
    """A plan as it stands in the form."""

    title: str = ""
    days: tuple[str, ...] = DAYS
    since: str = "01-01"
    to: str = "12-31"
    dates: str = ""
    holidays: bool = False
    on_min: str = "0"
    off_min: str = "0"
    steps: tuple[StepFields, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, and where: number of the plan and of its step, name of the field; None where it is the whole."""

    plan: int | None = None
    step: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """A program as a form."""

    name: str = ""
    plans: tuple[PlanFields, ...] = field(default_factory=tuple[PlanFields, ...])
    sensor: Mapping[str, str] = field(default_factory=dict[str, str])


async def read(request: Request) -> dict[str, str]:
    """The fields of a large form, the first of each name."""
    raw = (await acting.bounded(request)).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise Problem("body", 400, name="form", value="") from error
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value.replace("\r\n", "\n").replace("\0", ""))
    return found


def document(given: Mapping[str, str]) -> dict[str, Any]:
    """The document that a form's fields say; what is empty is left out, what is no number stays as it was written."""
    plans = [_plan(given, f"p{n}.") for n in range(PLANS_MAX) if f"p{n}.from" in given and not given.get(f"p{n}.drop")]
    found: dict[str, Any] = {"plans": [plan for plan in plans if plan is not None]}
    if given.get("sensor.on"):
        names = ("level_pct", "up_s", "hold_s", "down_s")
        found["sensor"] = {name: _number(given.get(f"sensor.{name}", "")) for name in names}
        found["sensor"]["neighbours"] = _number(given.get("sensor.neighbours") or "0")
    return found


def _plan(given: Mapping[str, str], prefix: str) -> dict[str, Any] | None:
    def of(name: str) -> str:
        return given.get(prefix + name, "").strip()

    steps: list[dict[str, Any]] = []
    for m in range(STEPS_MAX + SPARE_STEPS):
        step = {name: of(f"s{m}.{name}") for name in ("at", "level_pct", "ramp_s")}
        if step["at"] or step["level_pct"]:
            steps.append(
                {
                    "at": OTHER_CLOCK.sub(r"\1:\2", step["at"]),
                    "level_pct": _number(step["level_pct"]),
                    "ramp_s": _number(step["ramp_s"] or "0"),
                }
            )
    if not steps and of("new"):
        return None
    found: dict[str, Any] = {
        "steps": steps,
        "title": of("title"),
        "days": [day for day in DAYS if of(f"day.{day}")],
        "from": of("from"),
        "to": of("to"),
        "on_min": _number(of("on_min") or "0"),
        "off_min": _number(of("off_min") or "0"),
    }
    if of("dates"):
        found["dates"] = of("dates").replace(",", " ").split()
    if of("holidays"):
        found["holidays"] = True
    return found


def fields(name: str, written: Mapping[str, Any]) -> Form:
    """A document as a form shows it, also one that cannot be followed."""
    sensor: Mapping[str, Any] = written.get("sensor") or {}
    return Form(
        name,
        tuple(_fields(plan) for plan in written.get("plans", ())),
        {key: str(value) for key, value in sensor.items()},
    )


def _fields(plan: Mapping[str, Any]) -> PlanFields:
    return PlanFields(
        title=str(plan.get("title", "")),
        days=tuple(plan.get("days", DAYS)),
        since=str(plan.get("from", "01-01")),
        to=str(plan.get("to", "12-31")),
        dates=" ".join(map(str, plan.get("dates", ()))),
        holidays=bool(plan.get("holidays", False)),
        on_min=str(plan.get("on_min", 0)),
        off_min=str(plan.get("off_min", 0)),
        steps=tuple(
            StepFields(str(step.get("at", "")), str(step.get("level_pct", "")), str(step.get("ramp_s", 0)))
            for step in plan.get("steps", ())
        ),
    )


def mistake(detail: str) -> Mistake:
    """Where the first thing is wrong, by what ``kraj.dimming`` says."""
    match = PLACE.search(detail)
    if match is None:
        return Mistake()
    plan, step, name = match.groups()
    return Mistake(int(plan), None if step is None else int(step), name)


def told(service: Service, request: Request, problem: Problem) -> ProblemDetails:
    """A problem as it stands beside the form; raised on where it is no matter of the form."""
    if problem.status not in IN_PLACE:
        raise problem
    return problems.details(service, request, problem)


def _number(text: str) -> int | str:
    try:
        return int(text.removesuffix("%").strip())
    except ValueError:
        return text
