"""The command ``renew``: a device gets the next certificate for its key, by an order that the authority has signed.

That it holds the key it proves by each connection under mutual TLS; so the key stays, and nothing secret travels. What
is signed covers the roots, too: neither the broker nor ingest can give a device whom to trust.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm

from kraj import certificates, moving, signed
from kraj.certificates import Authority, Certificate
from kraj.errors import PayloadError

DO = "renew"
LASTS = timedelta(days=7)
"""A device that was away for longer gets another order when it is there again."""
PEM_CHARS_MAX = 2000
"""What a small device takes of a certificate, of the one above it, and of the roots."""


@dataclass(frozen=True, slots=True)
class Own:
    """What a device has: its name, its certificate with those above it, the roots by which it knows the broker."""

    device: str
    chain: Sequence[Certificate]
    roots: Sequence[Certificate]

    @property
    def serial(self) -> str:
        """By which it says in its status what it has."""
        return certificates.serial_text(self.chain[0])


def order(by: Authority, device: str, issued: Certificate, roots: Sequence[Certificate], id_: str) -> dict[str, Any]:
    """The payload of the command to one device."""
    document = {
        "do": DO,
        "id": id_,
        "device": device,
        "certificate": certificates.pem(issued),
        "roots": certificates.pem(*roots),
    }
    return {"id": id_, "do": DO, **signed.sign(by, document).as_json()}


def obey(payload: dict[str, Any], own: Own, now: datetime | None) -> Own:
    """What a device has once it follows; ``own`` itself where it has that certificate already.

    Raises ``PayloadError``, whose reasons are the words that a device answers: ``form``, ``size``, ``other`` (another
    device, command or id), ``key``, ``name``, ``clock``, ``expired``, ``older``, ``signed_by``, ``signature``.
    """
    new, issuer, roots = _read(payload, own)
    before = own.chain[0]
    if certificates.public_key(new) != certificates.public_key(before):
        raise PayloadError("key", "the certificate is for another key")
    if new.subject != before.subject:
        raise PayloadError("name", "the certificate names somebody else")
    if now is None:
        raise PayloadError("clock", "the time is not known")
    if not new.not_valid_before_utc <= now < new.not_valid_after_utc:
        raise PayloadError("expired", f"the certificate holds until {new.not_valid_after_utc:%F}")
    if new.not_valid_after_utc < before.not_valid_after_utc:
        raise PayloadError("older", "the certificate ends before the present one")
    try:
        signed.check(signed.read(payload), own.roots)
    except PayloadError as error:
        raise PayloadError(error.reason.replace("signed_form", "form"), str(error)) from error
    return own if new == before else Own(own.device, (new, issuer), roots)


def _read(payload: dict[str, Any], own: Own) -> tuple[Certificate, Certificate, list[Certificate]]:
    try:
        document = signed.parsed(signed.read(payload))
        leaf, roots, issuer = document["certificate"], document["roots"], payload["issuer"]
        if max(len(leaf), len(roots), len(issuer)) > PEM_CHARS_MAX:
            raise PayloadError("size", f"PEM of more than {PEM_CHARS_MAX} characters")
        (new,), (above, *_), trusted = (moving.authorities(pem) for pem in (leaf, issuer, roots))
        for one in (new, above, *trusted):
            certificates.public_key(one)
        whose = document["do"], document["device"], document["id"]
    except (KeyError, TypeError, ValueError, AttributeError, PayloadError, UnsupportedAlgorithm) as error:
        if isinstance(error, PayloadError) and error.reason == "size":
            raise
        raise PayloadError("form", "an order to renew names certificate, roots, device and id") from error
    if whose != (DO, own.device, payload.get("id")):
        raise PayloadError("other", "the signed document is not about this command to this device")
    return new, above, trusted
