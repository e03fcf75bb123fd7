"""The error tree: whose fault it is decides what happens next."""

import pytest

from kraj.errors import ConfigurationError, KrajError, PayloadError, UnavailableError

PARTIES = (PayloadError, ConfigurationError, UnavailableError)


@pytest.mark.parametrize("kind", PARTIES)
def test_every_error_is_a_kraj_error_and_of_one_party_only(kind: type[KrajError]) -> None:
    assert issubclass(kind, KrajError)
    assert [other for other in PARTIES if issubclass(kind, other)] == [kind]


def test_a_payload_error_carries_its_code_beside_the_sentence() -> None:
    error = PayloadError("shape", "found null")
    assert (error.reason, str(error)) == ("shape", "found null")
