"""Reasons are a promise, details are safe to print and to store."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj.quarantine import DETAIL_CHARS_MAX, REASONS, VALUE_REASONS, Rejection, printable

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence_in_both_languages(reason: str) -> None:
    title = REASONS[reason]
    for sentence in (title.cs, title.en):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert title.cs != title.en


def test_the_reasons_of_values_are_reasons() -> None:
    assert set(REASONS) > VALUE_REASONS
    assert all(Rejection(0, reason, "").of_value == (reason in VALUE_REASONS) for reason in REASONS)


def test_a_reason_that_nobody_promised_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="unknown quarantine reason 'bad'"):
        Rejection(0, "bad", "")


@given(ANY_TEXT)
def test_a_detail_is_short_and_any_terminal_and_postgresql_can_take_it(text: str) -> None:
    detail = Rejection(0, "shape", text).detail
    assert len(detail) == min(len(text), DETAIL_CHARS_MAX)
    assert detail.isprintable()
    assert "\0" not in detail
    assert detail.encode().decode() == detail
    assert printable(detail) == detail


def test_printable_text_stays_as_it_is() -> None:
    assert printable("Žluťoučký kůň 🐎 21 °C") == "Žluťoučký kůň 🐎 21 °C"
    assert printable("a\0b\x1b[31m\ud800\n") == "a�b�[31m��"


def test_the_page_for_device_builders_has_every_reason_in_both_languages() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wire.md").read_text("utf-8")
    missing = [code for code, title in REASONS.items() if f"| `{code}` | {title.en}<br>*{title.cs}* |" not in page]
    assert missing == []
