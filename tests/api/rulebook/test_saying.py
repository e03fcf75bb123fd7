"""A mistake in a rule is told in Czech where we have the words, and is marked as English where we have not."""

import pytest

from api import texts
from api.rulebook import keeping, saying

RULE = """\
[moje_pravidlo]
kind = "lamp"
when = "power_w > 100 and level_commanded_pct < 50"
severity = "major"
title = { cs = "A", en = "A" }
"""
MISTAKES = [
    (("[moje_pravidlo]", "[moje pravidlo]"), "text nejde přečíst"),
    (('severity = "major"\n', ""), "chybí klíč severity"),
    (("power_w", "power"), "neznámé jméno 'power'"),
    (("power_w", "power"), "jméno z tohoto druhu, nebo práh"),
    (("power_w", "power_v"), "nemysleli jste 'power_w'?"),
    ((" and ", " an "), "desetinné číslo se píše s tečkou a hvězdička se nevynechává"),
    (("major", "velká"), "jedno z: "),
    (("50", "50 V"), "%, jako má level_commanded_pct"),
    (("> 100", "> 100 W)"), "tahle závorka nemá začátek"),
    (("> 100", "= 100"), "rovnost se píše =="),
    (("power_w > 100 and level_commanded_pct < 50", "power_w + 5 W"), "podmínka"),
]


@pytest.mark.parametrize(("change", "said"), MISTAKES)
def test_each_mistake_is_told_in_czech(change: tuple[str, str], said: str) -> None:
    _, mistake = keeping.wrong(RULE.replace(*change))
    assert mistake is not None
    found = saying.parts(mistake, texts.catalogues()["cs"])
    assert any(said in one.text and one.language == "cs" for _, one in found), found
    english = saying.parts(mistake, texts.catalogues()["en"])
    assert {one.language for _, one in english} == {"en"}


def test_what_we_have_no_words_for_is_marked_as_english() -> None:
    found = saying.said("proof_when beside it", texts.catalogues()["cs"])
    assert (found.text, found.language) == ("proof_when beside it", "en")
