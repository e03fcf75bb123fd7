"""Both languages say the same things, and every text that is asked for is there."""

import re
import string
from pathlib import Path

import pytest

from api import texts
from api.language import accepted
from kraj.kinds import KINDS

API = Path(texts.__file__).parents[1]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    czech, english = texts.read("cs"), texts.read("en")
    assert czech.keys() == english.keys()
    for key in czech:
        assert placeholders(czech[key]) == placeholders(english[key]), key
        assert czech[key].strip(), key


def test_every_text_that_a_template_or_the_code_names_is_there() -> None:
    known = texts.read("cs")
    sources = [*API.glob("templates/*.html"), *API.glob("*.py"), *API.glob("static/*.js")]
    pattern = re.compile(r"""(?:say\(|texts\[|texts\.)["'`]?([a-z_]+(?:\.[a-z_]+)+)["']""")
    named = {key for source in sources for key in pattern.findall(source.read_text("utf-8"))}
    assert named
    assert named - known.keys() == set()


def test_every_problem_has_its_title_detail_and_hint() -> None:
    known = texts.read("cs")
    codes = {c for p in API.glob("*.py") for c in re.findall(r'Problem\(\s*"([a-z_]+)"', p.read_text("utf-8"))}
    for code in codes:
        assert {f"problem.{code}.{part}" for part in ("title", "detail", "hint")} <= known.keys(), code


def test_czech_words_are_those_of_the_kinds() -> None:
    words = {word for kind in KINDS.values() for metric in kind.metrics for word in (*metric.states, *metric.bits)}
    assert texts.read("words").keys() - words == set()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "cs"),
        ("en", "en"),
        ("en-GB,en;q=0.9,cs;q=0.8", "en"),
        ("cs;q=0.9,en;q=0.8", "cs"),
        ("sk,en;q=0.5", "cs"),
        ("de,fr", "cs"),
        ("en;q=x", "cs"),
        ("en;q=0", "cs"),
        ("*", "cs"),
    ],
)
def test_the_language_follows_the_browser(header: str, language: str) -> None:
    assert accepted(header) == language
