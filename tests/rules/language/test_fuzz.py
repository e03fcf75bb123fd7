"""Whatever anybody types, the language answers with a compiled condition or a ``RuleTextError``, and soon."""

import time

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from rules.language import RuleTextError, compile_condition
from rules.language.lexer import SPELLINGS, TEXT_MAX
from tests.rules.language.texts import condition
from tests.rules.language.twin import SYMBOLS

SECONDS_MAX = 2.0
"""A hundred times what the worst text takes here; as other programs share the machine, processor time."""
WORDS = (
    "and or not has known( abs( min( max( clip( first_known( a b c d door_open settled mode alarms __import__ lambda"
)
SIGNS = '( ) , + - * / < <= > >= == != = ! . : ; # [ ] { } % ° ² é " \' "auto" "hot" 0 1 3.5 1e9'
PIECES = [*WORDS.split(), *SIGNS.split(), *SPELLINGS, " ", "\n", "\t", "\0"]


def tried(text: str) -> None:
    began = time.thread_time()
    refused = refusal(text)
    assert time.thread_time() - began < SECONDS_MAX
    if refused is not None:
        assert refused.line is not None
        assert 1 <= refused.line <= text.count("\n") + 1
        assert refused.column is not None
        assert str(refused)


def refusal(text: str) -> RuleTextError | None:
    """The refusal, or None where the text was compiled and answered."""
    try:
        compiled = compile_condition(text, SYMBOLS)
    except RuleTextError as error:
        return error
    assert compiled.evaluate(lambda _: np.array([0.0, 1.0, np.nan])).shape == (3,)
    assert compiled.refute(lambda _: np.array([0.0, 1.0, np.nan])).shape == (3,)
    return None


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
@example("\ud800")
def test_any_text_is_refused_or_compiled(text: str) -> None:
    tried(text)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_compiled(content: bytes) -> None:
    tried(content.decode("latin-1"))


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40), st.sampled_from(["", " "]))
def test_any_soup_of_the_languages_own_pieces_is_refused_or_compiled(pieces: list[str], between: str) -> None:
    tried(between.join(pieces))


@settings(max_examples=400, deadline=None)
@given(condition(), st.data())
def test_any_damaged_condition_is_refused_or_compiled(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = min(len(text), begin + data.draw(st.integers(0, 4)))
        text = text[:begin] + data.draw(st.sampled_from(PIECES)) + text[end:]
    tried(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * TEXT_MAX,
        "-" * TEXT_MAX,
        "not " * (TEXT_MAX // 4),
        "a" * TEXT_MAX,
        "a+" * (TEXT_MAX // 2),
        "a<" * (TEXT_MAX // 2),
        "a*" * 120 + "a > 1",
        "max(a,a)*" * 30 + "a>1",
        "1e15*" * 100 + "a>1",
        "1e-15*" * 100 + "a>1",
        "0." + "9" * (TEXT_MAX - 10),
        '"' * TEXT_MAX,
        "\n" * TEXT_MAX,
        "a>1 and " * 60 + "a>1",
        "not(" * 29 + "a>1" + ")" * 29,
        "1 W/m²" * 200,
        "a > 1 W/m²*" * 100,
    ],
)
def test_the_worst_texts_take_no_time(text: str) -> None:
    tried(text[:TEXT_MAX])
