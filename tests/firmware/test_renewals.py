"""Platform, simulated devices and firmware mean the same by an order to renew: one word for each that is refused."""

import json
from datetime import UTC, datetime

import pytest

from kraj import certificates, moving, renewing
from kraj.errors import PayloadError
from kraj.renewing import Own
from tests.firmware import renewals

FOUND = json.loads(renewals.FILE.read_text())
NOW = datetime.fromtimestamp(FOUND["now_ms"] / 1000, UTC)
OWN = Own(FOUND["device"], moving.authorities(FOUND["have"]["cert"]), moving.authorities(FOUND["have"]["roots"]))


@pytest.mark.parametrize("case", FOUND["cases"], ids=lambda case: case["title"])
def test_an_order_is_followed_or_refused_as_a_device_does(case: dict[str, object]) -> None:
    order = json.loads(json.dumps(case["order"]))
    try:
        found, said = renewing.obey(order, OWN, NOW), ""
    except PayloadError as error:
        found, said = OWN, error.reason
    assert said == case["expected"]
    if not said and "again" not in str(case["title"]):
        assert found.serial != OWN.serial == FOUND["have"]["serial"]
        assert certificates.public_key(found.chain[0]) == certificates.public_key(OWN.chain[0])


def test_the_vectors_are_those_of_the_script() -> None:
    """Signatures differ each time, what is asked does not."""
    made = renewals.build()
    assert [(case["title"], case["expected"]) for case in made["cases"]] == [
        (case["title"], case["expected"]) for case in FOUND["cases"]
    ]
    assert made["now_ms"] == FOUND["now_ms"]


def test_without_the_time_a_device_takes_none() -> None:
    with pytest.raises(PayloadError, match="time"):
        renewing.obey(FOUND["cases"][0]["order"], OWN, None)
