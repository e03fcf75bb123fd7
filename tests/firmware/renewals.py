"""Orders to renew, good and bad, with what a device must say of each: made by the platform's code, judged by both.

``python -m tests.firmware.renewals`` writes ``renewals.json``; keys and signatures are drawn.
"""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from kraj import certificates, renewing, signed
from kraj.certificates import Authority, Certificate

FILE = Path(__file__).with_name("renewals.json")
NOW = datetime.fromtimestamp(1795212345, UTC)
DEVICE, ID = "lamp-1", "5b0c5b0e-7a52-4e3c-9b53-7a4f2f0d9c11"
YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Place:
    """Two generations of an authority, and the root that stands by for the third."""

    roots: tuple[Certificate, Certificate, Certificate]
    issuing: tuple[Authority, Authority]

    @classmethod
    def new(cls) -> "Place":
        keys = [certificates.new_key() for _ in range(3)]
        begin = NOW - 2 * YEAR
        first, second, third = (certificates.make_root(key, n + 1, begin) for n, key in enumerate(keys))
        issuing = [
            certificates.make_issuing(certificates.new_key(), keys[n], root, n + 1, begin)
            for n, root in enumerate((first, second))
        ]
        return cls((first, second, third), (issuing[0], issuing[1]))


def resigned(order: dict[str, Any], by: Authority, **changed: Any) -> dict[str, Any]:
    """The order with another document, signed all the same; ``None`` leaves a word out."""
    document = {k: v for k, v in (json.loads(order["document"]) | changed).items() if v is not None}
    return order | signed.sign(by, document).as_json()


def flipped(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def low(signature: str, r: int) -> str:
    """The signature with another r: a number that no signature has."""
    _, s = decode_dss_signature(base64.b64decode(signature))
    return base64.b64encode(encode_dss_signature(r, s)).decode()


def build() -> dict[str, Any]:
    """``have`` is what the device has, in PEM; ``cases`` are orders, and what it says of each."""
    place, theirs = Place.new(), Place.new()
    (one, two), key = place.issuing, certificates.new_key()
    before = certificates.issue_device(one, key.public_key(), DEVICE, NOW - 1.5 * YEAR)

    def issued(
        by: Authority = one, name: str = DEVICE, at: datetime = NOW, of: ec.EllipticCurvePrivateKey = key
    ) -> Certificate:
        return certificates.issue_device(by, of.public_key(), name, at)

    def order(by: Authority = one, new: Certificate | None = None, roots: Any = place.roots[:2]) -> dict[str, Any]:
        return renewing.order(by, DEVICE, new or issued(by), roots, ID)

    good = order()
    leaf = json.loads(good["document"])["certificate"]
    body = leaf.splitlines()
    shorter = "\n".join([body[0], *body[2:]]) + "\n"
    foreign = rsa.generate_private_key(65_537, 2048)
    odd = certificates.issue_server(one, foreign.public_key(), [DEVICE], NOW)
    curve = good["signature"]
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("the next certificate", "", good),
        ("after the authority was rotated", "", order(two, roots=place.roots[1:])),
        ("the same certificate again", "", order(new=before)),
        ("another key", "key", order(new=issued(of=certificates.new_key()))),
        ("another name", "name", order(new=issued(name="lamp-2"))),
        ("it has ended", "expired", order(new=issued(at=NOW - 3 * YEAR / 1.4))),
        ("it does not hold yet", "expired", order(new=issued(at=NOW + timedelta(days=1)))),
        ("it ends before the present one", "older", order(new=issued(at=NOW - 1.6 * YEAR))),
        ("another authority", "signed_by", order(theirs.issuing[0])),
        ("its own certificate in place of the authority's", "signed_by", good | {"issuer": certificates.pem(before)}),
        ("another authority's roots", "signature", good | {"document": good["document"].replace(
            json.dumps(certificates.pem(*place.roots[:2])), json.dumps(certificates.pem(*theirs.roots[:2])))}),
        ("a document changed", "signature", good | {"document": good["document"] + " "}),
        ("a signature changed", "signature", good | {"signature": flipped(curve, 20)}),
        ("a signature of r = 0", "signature", good | {"signature": low(curve, 0)}),
        ("a signature of r beyond the order", "signature", good | {"signature": low(curve, (1 << 256) - 1)}),
        ("a signature of another generation", "signature", good | {"issuer": certificates.pem(two.certificate)}),
        ("a signature that is none", "signature", good | {"signature": "AAAA"}),
        ("no base64", "form", good | {"signature": "A"}),
        ("for another device", "other", resigned(good, one, device="lamp-2")),
        ("of another command", "other", good | {"id": "7"}),
        ("to do something else", "other", resigned(good, one, do="move")),
        ("no certificate", "form", resigned(good, one, certificate=None)),
        ("an empty certificate", "form", resigned(good, one, certificate="")),
        ("a certificate cut short", "form", resigned(good, one, certificate=leaf[:400])),
        ("a certificate without its beginning", "form", resigned(good, one, certificate=shorter)),
        ("two certificates", "form", resigned(good, one, certificate=leaf * 2)),
        ("a certificate of an RSA key", "form", resigned(good, one, certificate=certificates.pem(odd))),
        ("no text but a number", "form", resigned(good, one, certificate=7)),
        ("no roots", "form", resigned(good, one, roots="")),
        ("broken roots", "form", resigned(good, one, roots=certificates.pem(place.roots[0])[:300])),
        ("too long", "size", resigned(good, one, roots=certificates.pem(*place.roots * 3))),
        ("no issuer", "form", {k: v for k, v in good.items() if k != "issuer"}),
        ("an issuer that is none", "form", good | {"issuer": "-----BEGIN CERTIFICATE-----"}),
        ("a document that is no JSON", "form", good | signed_text(one, "renew")),
        ("a document that is a list", "form", good | signed_text(one, "[]")),
    ]  # fmt: skip
    return {
        "have": {
            "cert": certificates.pem(before, one.certificate),
            "roots": certificates.pem(*place.roots[:2]),
            "serial": certificates.serial_text(before),
        },
        "now_ms": int(NOW.timestamp() * 1000),
        "device": DEVICE,
        "cases": [{"title": title, "expected": said, "order": what} for title, said, what in cases],
    }


def signed_text(by: Authority, text: str) -> dict[str, str]:
    return signed.Signed(
        text, by.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())), certificates.pem(by.certificate)
    ).as_json()


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), indent=1) + "\n")
