"""A signed document is believed word for word, and only below a root that is trusted."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj import certificates, signed
from kraj.errors import PayloadError
from tests.kraj.test_certificates import AUTHORITY, NOW, authority

DOCUMENT: dict[str, Any] = {"obec": "Žďárná", "rows": {"b": 2, "a": 1}}
SIGNED = signed.sign(AUTHORITY, DOCUMENT)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


def reason(given: signed.Signed, *roots: certificates.Certificate) -> str:
    with pytest.raises(PayloadError) as caught:
        signed.check(given, roots)
    return caught.value.reason


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES, max_size=4))
def test_what_is_signed_comes_back_as_it_was(document: dict[str, Any]) -> None:
    made = signed.sign(AUTHORITY, document)
    assert signed.check(signed.read(made.as_json()), [AUTHORITY.root]) == document
    assert signed.canonical(dict(reversed(document.items()))) == made.text


def test_one_changed_letter_is_one_too_many() -> None:
    assert reason(replace(SIGNED, text=SIGNED.text.replace("1", "2")), AUTHORITY.root) == "signature"
    assert reason(replace(SIGNED, text=SIGNED.text + " "), AUTHORITY.root) == "signature"
    assert reason(replace(SIGNED, signature=SIGNED.signature[:-1]), AUTHORITY.root) == "signature"


def test_an_authority_that_is_not_trusted_signs_nothing() -> None:
    other = authority()
    assert reason(SIGNED, other.root) == "signed_by"
    assert reason(SIGNED) == "signed_by"
    assert reason(signed.sign(other, DOCUMENT), AUTHORITY.root) == "signed_by", "the same name, another key"


def test_a_device_with_a_good_certificate_signs_nothing() -> None:
    key = certificates.new_key()
    own = certificates.issue_device(AUTHORITY, key.public_key(), "lamp-1", NOW)
    forged = signed.sign(replace(AUTHORITY, key=key, certificate=own), DOCUMENT)
    assert reason(forged, AUTHORITY.root, AUTHORITY.certificate) == "signed_by"


@pytest.mark.parametrize(
    "given",
    [None, [], {}, {"document": "{}", "signature": "?", "issuer": ""}, {"document": 1, "signature": "", "issuer": ""}],
)
def test_what_is_no_signed_document_is_said_to_be_none(given: object) -> None:
    with pytest.raises(PayloadError) as caught:
        signed.check(signed.read(given), [AUTHORITY.root])
    assert caught.value.reason == "signed_form"
