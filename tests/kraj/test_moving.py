"""A device follows an order to move only when it is signed, meant for it, and not too old."""

from datetime import timedelta
from typing import Any

import pytest

from kraj import certificates, moving
from kraj.errors import ConfigurationError, PayloadError
from tests.kraj.test_certificates import AUTHORITY, NOW, authority

NEW_ROOT = certificates.pem(authority().root)
TO = moving.server("mqtt.obec.example:8883", NEW_ROOT)
ORDER = moving.order(AUTHORITY, "lamp-1", "olsinka", TO, "move-1", NOW)
NOW_MS = int(NOW.timestamp() * 1000)


def refused(order: dict[str, Any], device: str = "lamp-1", later: timedelta = timedelta(0)) -> str:
    with pytest.raises(PayloadError) as caught:
        moving.obey(order, device, [AUTHORITY.root], NOW_MS + int(later.total_seconds() * 1000))
    return caught.value.reason


def test_a_good_order_names_the_new_server_and_its_authority() -> None:
    assert moving.obey(ORDER, "lamp-1", [AUTHORITY.root], NOW_MS) == TO
    assert len(moving.authorities(TO.authority)) == 1


def test_an_order_for_another_device_or_under_another_id_is_not_followed() -> None:
    assert refused(ORDER, "lamp-2") == "move_other"
    assert refused(ORDER | {"id": "move-2"}) == "move_other", "or it could be told again for ever"


def test_an_old_order_is_not_followed() -> None:
    assert refused(ORDER, later=moving.LASTS) == "move_expired"
    assert moving.obey(ORDER, "lamp-1", [AUTHORITY.root], NOW_MS + 1000) == TO


def test_an_order_of_somebody_else_is_not_followed() -> None:
    assert refused(moving.order(authority(), "lamp-1", "olsinka", TO, "move-1", NOW)) == "signed_by"
    assert refused(ORDER | {"document": ORDER["document"].replace("8883", "8884")}) == "signature"


@pytest.mark.parametrize(
    "address", ["", "host", "host:", "host:0", "host:65536", ":8883", "ho st:1", "host:1x", "-h:1"]
)
def test_what_no_device_can_reach_is_refused_before_it_is_signed(address: str) -> None:
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        moving.server(address, NEW_ROOT)
    with pytest.raises(ConfigurationError, match="--authority"):
        moving.server("host:1", "no certificate")


def test_an_address_of_ipv6_is_a_host() -> None:
    assert moving.server("[2001:db8::7]:8883", NEW_ROOT).host == "2001:db8::7"
