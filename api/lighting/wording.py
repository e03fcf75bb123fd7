"""What is wrong with a program, in the words of its form: ``kraj.dimming`` speaks to who writes JSON."""

import re

from api.lighting.forms import PLACE
from api.problems import ProblemDetails
from api.texts import Catalogue

FIELDS = {
    "at": "step_at",
    "level_pct": "level",
    "ramp_s": "ramp",
    "from": "season_from",
    "to": "season_to",
    **{name: name for name in ("on_min", "off_min", "dates", "days")},
}
"""By the names of the document, the form's."""
WORDS = tuple(
    (re.compile(pattern), key)
    for pattern, key in (
        (r"found at (?P<found>'.*?'), expected a time", "time"),
        (r"found at (?P<found>'.*?'), expected at most (?P<most>\d+) minutes", "sun"),
        (r"found (?P<found>-?\d+) %, expected at least (?P<least>\d+) %, the street's class", "below"),
        (r"found (?P<found>-?\d+) %, expected at least the floor, (?P<least>\d+) %", "below"),
        (r"found (?P<found>\S+) again", "again"),
        (r"found none, expected at least one of", "days_none"),
        (r"found both holidays and dates", "both"),
        (r"found (?P<found>'.*?'), expected month and day", "season"),
        (r"Expected `int`, got `str`", "whole"),
        (r"Expected `int` >= (?P<least>-?\d+)", "least"),
        (r"Expected `int` <= (?P<most>-?\d+)", "most"),
        (r"Expected `array` of length <= (?P<most>\d+)", "many"),
        (r"Expected `array` of length >= 1", "none"),
        (r"Expected `str` (?:matching regex|of length)", "text"),
    )
)
"""What is said of a program → the text that says it to people."""


def told(problem: ProblemDetails, say: Catalogue) -> ProblemDetails:
    """The problem with its detail in the words of the form, where it is about a program and we have them."""
    if problem.type not in {"/problems/program_wrong", "/problems/below_class"}:
        return problem
    for pattern, key in WORDS:
        if match := pattern.search(problem.detail):
            at = PLACE.search(problem.detail)
            begins = min(match.start(), match.start() if at is None else at.start())
            before = problem.detail[:begins].removesuffix("sensor.level_pct: ")
            said = _place(at, say) + say(f"lighting.wrong.{key}", **match.groupdict())
            return problem.model_copy(update={"detail": before + said})
    return problem


def _place(match: re.Match[str] | None, say: Catalogue) -> str:
    if match is None:
        return ""
    plan, step, name = match.groups()
    parts = [say("lighting.plan", number=int(plan) + 1)]
    parts += [] if step is None else [say("lighting.wrong.step", number=int(step) + 1)]
    parts += [say(f"lighting.{FIELDS[name]}")] if name in FIELDS else []
    return ", ".join(parts) + ": "
