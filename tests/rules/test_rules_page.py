"""The page that teaches rules: its rules work, its conditions compile, its errors are the real ones."""

import re
from pathlib import Path

import pytest

from kraj.kinds import KINDS
from rules.catalogue import RuleTextError, check, parse
from rules.catalogue.reading import KEYS
from rules.correlation import causes
from rules.inputs import of_kind
from rules.language import compile_condition, symbols
from rules.language.dimensions import COUNTED, SYMBOLS
from rules.language.functions import FUNCTIONS, KNOWN
from rules.language.lexer import TEXT_MAX, TOKENS_MAX
from rules.language.parser import NESTING_MAX

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text("utf-8")
CZECH, ENGLISH = PAGE.split("## English")
BLOCKS = re.findall(r"```toml\n(.*?)```(?:\n\n```error\n(.*?)```)?", PAGE, re.DOTALL)


def table(part: str, head: str) -> list[str]:
    """The first cells of the table with this head."""
    rows = part.split(f"| {head} |\n| --- | --- |\n")[1].split("\n\n")[0]
    return [row.split(" | ")[0].removeprefix("| ") for row in rows.splitlines()]


CONDITIONS = [cell.strip("`") for cell in table(CZECH, "podmínka | platí, když")]


@pytest.mark.parametrize(("text", "told"), BLOCKS, ids=[text.split("]")[0][1:] for text, _ in BLOCKS])
def test_every_rule_works_or_gives_exactly_the_error_below_it(text: str, told: str) -> None:
    file = "moje.toml" if text in CZECH else "mine.toml"
    assert judged(text, file) == told


def judged(text: str, file: str) -> str:
    """What ``kraj`` says of the rule, nothing where it is right."""
    try:
        for rule in parse(text, file):
            check(rule, causes=[cause.name for cause in causes.load()], where=file)
    except RuleTextError as error:
        return f"error: {error}\n"
    return ""


def test_the_page_has_examples_of_both_in_both_languages() -> None:
    for part in (CZECH, ENGLISH):
        assert sum(text in part for text, told in BLOCKS if not told) >= 4
        assert sum(text in part for text, told in BLOCKS if told) >= 4


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_of_the_table_compiles(condition: str) -> None:
    compile_condition(condition, symbols(KINDS["lamp"], of_kind("lamp").inputs))


def test_both_languages_teach_the_same() -> None:
    assert [cell.strip("`") for cell in table(ENGLISH, "condition | holds when")] == CONDITIONS
    for part, head in ((CZECH, "klíč | význam"), (ENGLISH, "key | meaning")):
        assert {key for cell in table(part, head) for key in re.findall(r"\w+", cell)} == set(KEYS)
        assert all(f"`{name}`" in part or f"`{name}(" in part for name in (*FUNCTIONS, KNOWN))
        assert all(str(limit) in part for limit in (TEXT_MAX, TOKENS_MAX, NESTING_MAX))
        assert all(re.search(rf"[` ]{re.escape(symbol)}[` ]", part) for symbol in SYMBOLS if symbol != COUNTED)
