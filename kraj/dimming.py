"""What a dimming program is, as people write it: plans of steps, the classes of EN 13201, and what may not be asked.

A segment of a street is lit by its **designed class**; its **permitted class** is the darkest that it may be given.
Their ratio of light is the floor below which no automation goes (ČSN EN 13201-2: M1–M6 in cd/m², P1–P6 in lx).
"""

import math
import re
from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec

from kraj.errors import KrajError

CLASSES: Final = {
    **dict(zip(("M1", "M2", "M3", "M4", "M5", "M6"), (2.0, 1.5, 1.0, 0.75, 0.5, 0.3), strict=True)),
    **dict(zip(("P1", "P2", "P3", "P4", "P5", "P6"), (15.0, 10.0, 7.5, 5.0, 3.0, 2.0), strict=True)),
}
"""Average light that must be kept: luminance of the road in cd/m², illuminance of the pavement in lx."""

Anchor = Literal["sunset", "clock", "sunrise"]
ANCHORS: Final = ("sunset", "clock", "sunrise")
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PLANS_MAX, STEPS_MAX, DATES_MAX = 12, 12, 60
SHIFT_MIN_MAX, RAMP_S_MAX = 360, 3600
PERIODS_S: Final = (1, 3600)
NEIGHBOURS_MAX = 10
AT = re.compile(r"(?:(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)|(?P<anchor>sunset|sunrise)(?P<shift>[+-]\d{1,3})?)")
OF_YEAR = re.compile(r"(?P<month>\d{2})-(?P<day>\d{2})")

Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Shift = Annotated[int, msgspec.Meta(ge=-SHIFT_MIN_MAX, le=SHIFT_MIN_MAX)]
Seconds = Annotated[int, msgspec.Meta(ge=PERIODS_S[0], le=PERIODS_S[1])]


class ProgramError(KrajError):
    """A program that cannot be followed, or that would leave people in the dark."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From ``at`` (``22:00``, ``sunset+60``, ``sunrise-30``) this level, reached within ``ramp_s`` seconds."""

    at: str
    level_pct: Percent
    ramp_s: Annotated[int, msgspec.Meta(ge=0, le=RAMP_S_MAX)] = 0

    @property
    def moment(self) -> tuple[Anchor, int]:
        """What it counts from, and the minutes: after midnight on the wall, or after the sun's event."""
        match = AT.fullmatch(self.at)
        if match is None:
            raise ProgramError(f"found at {self.at!r}, expected a time as 22:00, sunset+60 or sunrise-30")
        if match["anchor"] is None:
            return "clock", int(match["hour"]) * 60 + int(match["minute"])
        shift = int(match["shift"] or 0)
        if abs(shift) > SHIFT_MIN_MAX:
            raise ProgramError(f"found at {self.at!r}, expected at most {SHIFT_MIN_MAX} minutes from the sun's event")
        return ("sunset" if match["anchor"] == "sunset" else "sunrise"), shift


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done in some nights, each belonging to its evening's date.

    Until the first step the level is 100 %; lit from ``on_min`` minutes after sunset until ``off_min`` after sunrise.
    ``holidays`` holds on Czech public holidays, ``dates`` on these dates; both leave ``days`` and the season aside.
    """

    steps: Annotated[tuple[Step, ...], msgspec.Meta(max_length=STEPS_MAX)] = ()
    title: Annotated[str, msgspec.Meta(max_length=80)] = ""
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = DAYS
    from_: str = msgspec.field(default="01-01", name="from")
    to: str = "12-31"
    dates: Annotated[tuple[date, ...], msgspec.Meta(max_length=DATES_MAX)] = ()
    holidays: bool = False
    on_min: Shift = 0
    off_min: Shift = 0


class Sensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Motion raises the level (and never lowers it) for a while; every time given in seconds.

    ``neighbours`` so many lamps on each side rise, too, as far as the platform hears of it (a light train).
    """

    level_pct: Percent = 100
    up_s: Seconds = 2
    hold_s: Seconds = 45
    down_s: Seconds = 20
    neighbours: Annotated[int, msgspec.Meta(ge=0, le=NEIGHBOURS_MAX)] = 0


class Program(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first plan that fits an evening holds; in a night without one the lamps are at 100 %."""

    plans: Annotated[tuple[Plan, ...], msgspec.Meta(max_length=PLANS_MAX)] = ()
    sensor: Sensor | None = None


def floor_pct(designed: str | None, permitted: str | None) -> int:
    """The least level in per cent; 100 where no class is known, as nobody has permitted anything then.

    Raises:
        ProgramError: an unknown class, classes of two kinds, or one permitted that is brighter than the designed one.
    """
    if designed is None or permitted is None:
        return 100
    for name in (designed, permitted):
        if name not in CLASSES:
            raise ProgramError(f"found class {name!r}, expected one of {', '.join(CLASSES)}")
    if designed[0] != permitted[0]:
        raise ProgramError(
            f"found designed class {designed} and permitted class {permitted}, expected both M or both P"
        )
    if CLASSES[permitted] > CLASSES[designed]:
        raise ProgramError(f"found permitted class {permitted}, expected {designed} or a darker one")
    return math.ceil(100 * CLASSES[permitted] / CLASSES[designed])


def read(document: Any, floor: int = 0) -> Program:
    """A program from JSON's types, checked but for what hangs on the sun; ``floor`` in per cent.

    Raises:
        ProgramError: what is wrong, where (``plans[0].steps[1].level_pct``), and what was expected.
    """
    try:
        program = msgspec.convert(document, Program, strict=True)
    except msgspec.ValidationError as error:
        raise ProgramError(str(error).replace("`$.", "`").replace("`$`", "the program")) from error
    for number, plan in enumerate(program.plans):
        where = f"plans[{number}]"
        _check_when(plan, where)
        _check_steps(plan.steps, floor, where)
    if program.sensor is not None and program.sensor.level_pct < floor:
        raise ProgramError(
            f"sensor.level_pct: found {program.sensor.level_pct} %, expected at least the floor, {floor} %"
        )
    return program


def _check_when(plan: Plan, where: str) -> None:
    for name, value in (("from", plan.from_), ("to", plan.to)):
        of_year(value, f"{where}.{name}")
    if not plan.days:
        raise ProgramError(f"{where}.days: found none, expected at least one of {', '.join(DAYS)}")
    if plan.holidays and plan.dates:
        raise ProgramError(f"{where}: found both holidays and dates, expected a plan for each")


def _check_steps(steps: tuple[Step, ...], floor: int, where: str) -> None:
    seen: dict[tuple[Anchor, int], int] = {}
    for number, step in enumerate(steps):
        at = f"{where}.steps[{number}]"
        try:
            moment = step.moment
        except ProgramError as error:
            raise ProgramError(f"{at}: {error}") from error
        if step.level_pct < floor:
            raise ProgramError(
                f"{at}.level_pct: found {step.level_pct} %, expected at least {floor} %, the street's class"
            )
        if moment in seen:
            raise ProgramError(f"{at}: found {step.at} again (as steps[{seen[moment]}]), expected one level at a time")
        seen[moment] = number


def of_year(text: str, where: str = "date") -> int:
    """``MM-DD`` as the number MMDD.

    Raises:
        ProgramError: not a day of a year.
    """
    match = OF_YEAR.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        return date(2024, int(match["month"]), int(match["day"])).month * 100 + int(
            match["day"]
        )  # 2024 had a 29 February
    except ValueError:
        raise ProgramError(f"{where}: found {text!r}, expected month and day as 11-01") from None
