"""The chain without a database: every way of tampering is told, whichever entry it strikes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kraj.audit import ORIGIN, Entry, Head, Tampering, canonical, digest, genuine, head_of_json, sign, verify
from kraj.errors import ConfigurationError

AT = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LENGTH = 12


def chained(count: int = LENGTH, *, word: str = "changed", origin: bytes = ORIGIN) -> list[Entry]:
    found: list[Entry] = []
    for number in range(1, count + 1):
        bare = Entry(
            entry_id=number,
            at=AT + timedelta(microseconds=number),
            pseudonym="8f14e45f-ceea-467f-a0e6-8e1b0f1d1a11" if number % 2 else None,
            action=word,
            subject="asset",
            municipality_id=number % 3 or None,
            detail=f'{{"keys": [{number}], "columns": ["label"]}}',
            previous=found[-1].digest if found else origin,
            digest=b"",
        )
        found.append(replace(bare, digest=digest(bare)))
    return found


def head(entries: list[Entry]) -> Head:
    return sign(KEY, entries[-1].entry_id, entries[-1].digest, AT)


def kind(entries: list[Entry], *heads: Head) -> Tampering | None:
    found = verify(entries, heads, KEY.public_key())
    return found and found.kind


def test_a_whole_log_is_whole_with_and_without_heads() -> None:
    entries = chained()
    assert kind(entries) is None
    assert kind(entries, head(entries[:5]), head(entries)) is None
    assert kind([], sign(KEY, 0, ORIGIN, AT)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"action": "removed"},
        {"subject": "device"},
        {"detail": "{}"},
        {"pseudonym": "00000000-0000-0000-0000-000000000000"},
        {"municipality_id": 7},
        {"at": AT},
        {"digest": bytes(32)},
        {"previous": bytes(range(32))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_altering_any_field_of_any_entry_is_told(change: dict[str, object]) -> None:
    for place in range(LENGTH):
        entries = chained()
        entries[place] = replace(entries[place], **change)  # pyright: ignore[reportArgumentType]
        found = verify(entries)
        assert found is not None, place
        assert found.kind is Tampering.ALTERED
        assert found.entry_id == place + 1


def test_deleting_any_entry_is_told() -> None:
    whole = head(chained())
    for place in range(LENGTH):
        entries = chained()
        del entries[place]
        expected = Tampering.TRUNCATED if place == LENGTH - 1 else Tampering.DELETED
        assert kind(entries, whole) is expected
    shifted = [replace(entry, entry_id=n) for n, entry in enumerate(chained()[3:], start=1)]
    assert kind(shifted, whole) is Tampering.REORDERED


def test_swapping_any_two_entries_is_told() -> None:
    for one in range(LENGTH):
        for other in range(one + 1, LENGTH):
            entries = chained()
            entries[one], entries[other] = (
                replace(entries[other], entry_id=one + 1),
                replace(entries[one], entry_id=other + 1),
            )
            assert kind(entries) is Tampering.REORDERED
    assert kind([*chained()[:4], *chained()[3:]]) is Tampering.REORDERED


def test_cutting_the_end_off_is_told_by_a_signed_head() -> None:
    whole = head(chained())
    for left in range(LENGTH):
        assert kind(chained(left), whole) is Tampering.TRUNCATED
    assert verify(chained(3)) is None, "without a head nobody can tell"


def test_writing_the_whole_log_anew_is_told_by_a_signed_head() -> None:
    honest = chained()
    assert kind(chained(word="created"), head(honest)) is Tampering.ALTERED
    assert kind(chained(word="created"), head(honest[:3])) is Tampering.ALTERED
    assert kind(chained(origin=bytes([1] * 32))) is Tampering.ALTERED


def test_a_head_that_somebody_else_signed_is_no_proof() -> None:
    entries = chained()
    foreign = sign(Ed25519PrivateKey.generate(), LENGTH, entries[-1].digest, AT)
    assert not genuine(foreign, KEY.public_key())
    assert kind(entries, foreign) is Tampering.FORGED
    assert kind(entries, replace(head(entries), entry_id=LENGTH - 1)) is Tampering.FORGED
    assert kind(entries, replace(head(entries), at=AT + timedelta(days=1))) is Tampering.FORGED


def test_a_head_comes_back_from_its_line() -> None:
    made = head(chained())
    assert head_of_json(made.as_json()) == made
    for wrong in ("", "{}", "[]", '{"entry_id": 1}', made.as_json().replace("+00:00", ""), "\x00"):
        with pytest.raises(ConfigurationError, match="kraj audit head"):
            head_of_json(wrong)


@given(st.lists(st.text(max_size=8), min_size=2, max_size=2), st.lists(st.text(max_size=8), min_size=2, max_size=2))
def test_no_two_entries_have_the_same_bytes(one: list[str], other: list[str]) -> None:
    first = chained(1)[0]
    made = [canonical(replace(first, action=a, subject=b)) for a, b in (one, other)]
    assert (made[0] == made[1]) == (one == other)
