"""What is wrong with a program is told in the words of its form, in the reader's language, where it stands."""

import re
from typing import Any

import pytest

from api import texts
from api.lighting import wording
from api.problems import ProblemDetails
from kraj import dimming
from kraj.dimming import DAYS, ProgramError

STEP = {"at": "22:00", "level_pct": 70}
MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"steps": [STEP | {"at": "22 h"}]}, "Plán 1, krok 1: '22 h' není čas; napište třeba 22:00"),
    ({"steps": [STEP | {"at": "sunset+999"}]}, "je od slunce příliš daleko"),
    ({"steps": [STEP, STEP | {"at": "23:00", "level_pct": 20}]}, "Plán 1, krok 2, Úroveň: 20 % je pod tím, co třída"),
    ({"steps": [STEP, STEP]}, "Plán 1, krok 2: čas 22:00 je tu dvakrát"),
    ({"steps": [STEP | {"level_pct": "hodně"}]}, "Plán 1, krok 1, Úroveň: patří sem celé číslo bez jednotky."),
    ({"steps": [STEP | {"level_pct": 101}]}, "číslo smí být nejvýš 100"),
    ({"steps": [STEP | {"ramp_s": -1}]}, "Přechod: číslo musí být nejméně 0"),
    ({"steps": [STEP], "days": []}, "Večery: není vybraný žádný večer"),
    ({"steps": [STEP], "holidays": True, "dates": ["2026-12-31"]}, "udělejte z nich dva plány"),
    ({"steps": [STEP], "from": "31.12."}, "Od (měsíc-den): '31.12.' není měsíc a den"),
]


@pytest.mark.parametrize(("plan", "said"), MISTAKES)
def test_each_mistake_is_told_where_it_stands(plan: dict[str, Any], said: str) -> None:
    with pytest.raises(ProgramError) as raised:
        dimming.read({"plans": [{"days": list(DAYS), **plan}]}, floor=40)
    detail = f"Segment Školní: {raised.value}"
    problem = ProblemDetails(type="/problems/below_class", title="", status=400, detail=detail, hint="", instance="/")
    for language, catalogue in texts.catalogues().items():
        found = wording.told(problem, catalogue).detail
        assert found.startswith("Segment Školní: ")
        assert (said in found) is (language == "cs")
        assert not re.search(r"plans\[|`|found", found), found


def test_what_is_about_something_else_is_left_alone() -> None:
    other = ProblemDetails(type="/problems/locked", title="", status=423, detail="found 5 again", hint="", instance="/")
    assert wording.told(other, texts.catalogues()["cs"]) is other
