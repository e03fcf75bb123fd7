"""Documents signed by the platform's authority: one line of JSON, a signature, and who signed; no files, no clock.

A device that is told to move, and whoever holds a certificate of erasure, checks them by the root that they carry.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from kraj import certificates
from kraj.certificates import Authority, Certificate, RequestError
from kraj.errors import PayloadError

DOCUMENT_CHARS_MAX = 1 << 20
"""A certificate counts rows of some fifty tables; a device's command is far below."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A document as it was signed. ``text`` is what the signature covers, byte for byte in UTF-8."""

    text: str
    signature: bytes
    issuer: str
    """The issuing certificate (PEM), which a root has signed."""

    def as_json(self) -> dict[str, str]:
        """As it travels and is kept."""
        return {
            "document": self.text,
            "signature": base64.b64encode(self.signature).decode(),
            "issuer": self.issuer,
        }


def canonical(document: Mapping[str, Any]) -> str:
    """The one way to write a document: keys by name, no spaces, no escapes that need not be."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sign(by: Authority, document: Mapping[str, Any]) -> Signed:
    """Sign a document with the issuing key (ECDSA on P-256 over SHA-256)."""
    text = canonical(document)
    return Signed(text, by.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())), certificates.pem(by.certificate))


def read(found: object) -> Signed:
    """What ``Signed.as_json`` wrote; raises ``PayloadError('signed_form')``."""
    try:
        given = cast("Mapping[str, Any]", found)
        text, signature, issuer = given["document"], given["signature"], given["issuer"]
        if not (isinstance(text, str) and isinstance(issuer, str) and len(text) <= DOCUMENT_CHARS_MAX):
            raise TypeError
        return Signed(text, base64.b64decode(signature, validate=True), issuer)
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise PayloadError("signed_form", "a signed document has the texts document, signature and issuer") from error


def check(signed: Signed, roots: Iterable[Certificate]) -> dict[str, Any]:
    """The document, if an authority below one of these roots has signed exactly this text.

    Raises ``PayloadError``: ``signed_form``, ``signed_by`` (no root of these) or ``signature``.
    """
    try:
        issuer = certificates.read_certificate(signed.issuer.encode())
        key = certificates.public_key(issuer)
    except RequestError as error:
        raise PayloadError("signed_form", str(error)) from error
    if not _authority(issuer) or not any(_issued(issuer, root) for root in roots):
        raise PayloadError("signed_by", "the document is not signed by an authority below a root that is trusted here")
    try:
        key.verify(signed.signature, signed.text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise PayloadError("signature", "the document was changed after it was signed") from error
    return parsed(signed)


def parsed(signed: Signed) -> dict[str, Any]:
    """The document, whoever has signed it; raises ``PayloadError('signed_form')``."""
    try:
        document: object = json.loads(signed.text)
    except (ValueError, RecursionError) as error:
        raise PayloadError("signed_form", "the document is no JSON") from error
    if not isinstance(document, dict):
        raise PayloadError("signed_form", "the document is no object")
    return cast("dict[str, Any]", document)


def _authority(issuer: Certificate) -> bool:
    """Whether it may issue: a device's own certificate, which a root stands above as well, signs no orders."""
    try:
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _issued(issuer: Certificate, root: Certificate) -> bool:
    try:
        issuer.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
