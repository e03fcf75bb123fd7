"""What can be reported: every rule that explains a report exists, and addresses are one address."""

import pytest

from kraj.kinds import KINDS
from kraj.service_requests import EMAIL, SERVICES
from rules import catalogue
from rules.correlation import causes


def test_what_explains_a_report_is_a_rule_or_a_cause() -> None:
    known = {rule.name for rule in catalogue.load()} | {cause.name for cause in causes.load()}
    for service in SERVICES.values():
        assert set(service.rules) <= known, service.code
        assert set(service.kinds) <= KINDS.keys()


@pytest.mark.parametrize(
    "given", ["jana@example.cz", "a.b+c_d%e@x-y.example.com", "1@2.cz", "jana@xn--hkyrky-ptac70bc.cz"]
)
def test_an_address_is_taken(given: str) -> None:
    assert EMAIL.fullmatch(given)


@pytest.mark.parametrize(
    "given",
    [
        *("jana", "@example.cz", "jana@", "jana@example", "a@b.cz,c@d.cz", "a b@c.cz", "a@b..cz", ".a@b.cz", "a.@b.cz"),
        *("a@b.cz\n", "<a@b.cz>", '"a"@b.cz', "a@b.cz?bcc=c@d.cz", "a&to=x@b.cz", "a@-b.cz", "á@b.cz"),
    ],
)
def test_what_is_no_single_address_is_refused(given: str) -> None:
    assert not EMAIL.fullmatch(given)
