"""What may be asked of lamps, and how what may not is told."""

from typing import Any

import pytest

from kraj.dimming import CLASSES, ProgramError, floor_pct, of_year, read


def plan(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"plans": [{"steps": list(steps)} | more]}


def step(at: str = "22:00", level_pct: Any = 60, **more: Any) -> dict[str, Any]:
    return {"at": at, "level_pct": level_pct} | more


def test_a_program_is_read_with_its_defaults() -> None:
    program = read(plan(step("sunset+60"), step("5:00", 100, ramp_s=30), **{"from": "11-01"}), floor=40)
    (mine,) = program.plans
    assert [s.moment for s in mine.steps] == [("sunset", 60), ("clock", 300)]
    assert (mine.from_, mine.to, len(mine.days), mine.on_min, program.sensor) == ("11-01", "12-31", 7, 0, None)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (
            plan(step(level_pct=39)),
            "plans[0].steps[0].level_pct: found 39 %, expected at least 40 %, the street's class",
        ),
        (plan(step(level_pct=101)), "Expected `int` <= 100 - at `plans[0].steps[0].level_pct`"),
        (plan(step(level_pct=-1)), "Expected `int` >= 0 - at `plans[0].steps[0].level_pct`"),
        (plan(step(level_pct="60")), "Expected `int`, got `str` - at `plans[0].steps[0].level_pct`"),
        (plan(step(), step()), "plans[0].steps[1]: found 22:00 again (as steps[0]), expected one level at a time"),
        (plan(step("25:00")), "plans[0].steps[0]: found at '25:00', expected a time as 22:00, sunset+60 or sunrise-30"),
        (plan(step("noon")), "plans[0].steps[0]: found at 'noon', expected a time as 22:00, sunset+60 or sunrise-30"),
        (plan(step("sunset+999")), "expected at most 360 minutes from the sun's event"),
        (plan(step(ramp_s=9999)), "Expected `int` <= 3600 - at `plans[0].steps[0].ramp_s`"),
        (
            plan(step(), days=[]),
            "plans[0].days: found none, expected at least one of mon, tue, wed, thu, fri, sat, sun",
        ),
        (plan(step(), days=["monday"]), "Invalid enum value 'monday'"),
        (plan(step(), to="02-30"), "plans[0].to: found '02-30', expected month and day as 11-01"),
        (plan(step(), holidays=True, dates=["2026-12-24"]), "plans[0]: found both holidays and dates"),
        (plan(step(), at_night=True), "Object contains unknown field `at_night` - at `plans[0]`"),
        ({"plans": [], "sensor": {"level_pct": 30}}, "sensor.level_pct: found 30 %, expected at least the floor, 40 %"),
        ([], "Expected `object`, got `array`"),
        ({"plans": [{"title": ""}] * 13}, "Expected `array` of length <= 12 - at `plans`"),
        (plan(*(step(f"2{n}:1{n}") for n in range(4)), *(step(f"{n}:00") for n in range(9))), "of length <= 12"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(ProgramError) as refused:
        read(document, floor=40)
    assert said in str(refused.value)


def test_the_floor_is_the_share_of_light_that_the_permitted_class_keeps() -> None:
    assert floor_pct("M4", "M6") == 40
    assert floor_pct("P2", "P4") == 50
    assert floor_pct("M1", "M1") == 100
    assert floor_pct("P1", "P6") == 14  # 13.3 %: rounded up, as the floor is what must be kept
    assert floor_pct(None, "M6") == floor_pct("M4", None) == 100
    for kind in "MP":
        levels = [floor_pct(f"{kind}1", name) for name in CLASSES if name[0] == kind]
        assert levels == sorted(levels, reverse=True)


@pytest.mark.parametrize(
    ("designed", "permitted", "said"),
    [
        ("M4", "M2", "found permitted class M2, expected M4 or a darker one"),
        ("M4", "P4", "found designed class M4 and permitted class P4, expected both M or both P"),
        ("M4", "M7", "found class 'M7', expected one of M1, M2"),
    ],
)
def test_classes_that_do_not_go_together_are_refused(designed: str, permitted: str, said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        floor_pct(designed, permitted)


def test_a_day_of_the_year_is_month_and_day() -> None:
    assert of_year("02-29") == 229
    for wrong in ("2-1", "13-01", "00-10", "", "11-31"):
        with pytest.raises(ProgramError, match="expected month and day as 11-01"):
            of_year(wrong)
