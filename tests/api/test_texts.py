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


SOURCES = "\n".join(path.read_text("utf-8") for form in ("html", "py", "js") for path in sorted(API.rglob(f"*.{form}")))
FORMED = re.compile(r"""["'`]([a-z0-9_.]*(?:\$?\{[^}]*\}[a-z0-9_.]*)+)["'`]""")
"""A key with a gap, as ``f"problem.{code}.title"``."""
BEGUN = re.compile(r"""["'`]([a-z0-9_]+(?:\.[a-z0-9_]+)*(?:\.(?=["'`])|[._]?(?=["'`]\s*[~+])))["'`]""")
"""A key that is only begun, as ``"severity." ~ row.severity``."""
WORTH = re.compile(r"(?!problem)[a-z][a-z0-9]+(?:_|\\\.)|\[a-z0-9_\.\]\+_(?:title|symptom)$")
"""Not every text of the code that has a gap is the name of one."""
SAME = {
    *("account.token", "alerts.scope_region", "crew.near_hint", "door.email", "fleet.no_value", "import.nav"),
    *("lighting.program", "lighting.segment", "metering.distributor", "metering.theirs", "page.title", "people.role"),
    *("firmware.nav", "public.col_co2", "public.service.wifi", "registry.firmware", "requests.sources.open311"),
}
"""Words that both languages have, names and examples."""
ENGLISH = re.compile(r"\b(the|and|with|of|this|that|is|are|not|what|which|has|have|been)\b")
CZECH = re.compile(r"[ěščřžýůďťňĚŠČŘŽÝŮĎŤŇ]|\b(je|se|na|pro|nebo|není|jsou|který)\b")


def test_every_text_that_a_template_or_the_code_names_is_there() -> None:
    known = texts.read("cs")
    pattern = re.compile(r"""(?:say\(|texts\[|texts\.)["'`]?([a-z_0-9]+(?:\.[a-z_0-9]+)+)["'](?!\s*~)""")
    named = set(pattern.findall(SOURCES))
    assert named
    assert named - known.keys() == set()


def test_every_text_is_said_somewhere() -> None:
    said = set(re.findall(r"""["'`]([a-z0-9_]+(?:\.[a-z0-9_]+)*)["'`]""", SOURCES))
    gap = "[a-z0-9_.]+"
    formed = [gap.join(map(re.escape, re.split(r"\$?\{[^}]*\}", one))) for one in FORMED.findall(SOURCES)]
    begun = [re.escape(one) + gap for one in BEGUN.findall(SOURCES)]
    anyhow = re.compile("|".join({one for one in (*formed, *begun) if WORTH.match(one)}))

    def used(key: str) -> bool:
        name = key.split(".")[1] if key.startswith("problem.") else key
        return not said.isdisjoint({key, name}) or anyhow.fullmatch(name) is not None

    assert [key for key in texts.read("cs") if not used(key)] == []


def test_what_both_languages_say_alike_is_no_forgotten_translation() -> None:
    czech, english = texts.read("cs"), texts.read("en")
    units = re.compile(r"(?:\{[a-z_]+\}|[A-ZČ]{0,3}[a-zč]{0,3}(?:/kWh)?|\W)+")
    alike = {key for key, text in czech.items() if text == english[key] and not units.fullmatch(text)}
    assert alike - SAME - {key for key in alike if key.startswith("foreign.adapter.")} == set()
    assert {key for key in czech if czech[key] == english[key]} >= SAME, "no longer alike: take it off the list"


def test_no_text_is_in_the_other_language() -> None:
    """A Czech text has no English words, an English one no Czech letters but in names of places and of papers."""

    def plain(text: str) -> str:
        return re.sub(r"\{[a-z_]+\}|`[^`]*`|„[^“]*“|“[^”]*”|\"[^\"]*\"|\([^)]*\)|/[a-z0-9/_{}.-]+", " ", text)

    named = re.compile(r"\b[A-ZČŠŽ]\w*[ěščřžýůďťň]\w*(?:\s\w*[ěščřžýůďťňáíé]\w*)*|Kč|ČEZ")
    assert [key for key, text in texts.read("cs").items() if len(ENGLISH.findall(plain(text))) > 1] == []
    english = {key: named.sub("", plain(text)) for key, text in texts.read("en").items()}
    assert [(key, text) for key, text in english.items() if CZECH.search(text)] == []


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
