"""Enrolment of devices: one-time codes, and what a device gets for one; pure."""

import hashlib
import io
import re
import secrets
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta

from kraj.certificates import Certificate, pem
from kraj.errors import PayloadError
from kraj.topics import ROOT

CODE_CHARS = 20
"""Of an alphabet of 32: 100 bits, which nobody guesses at the rate that the API takes."""
GROUP_CHARS = 5
CODE_LIFE = timedelta(days=7)
"""A code travels from the office to the pole in a day or two."""
CODE_LIFE_MAX = timedelta(days=90)
RENEWABLE_AFTER = timedelta(days=5 * 365)
"""For so long after its end a certificate can be renewed by proof of its key; longer nobody should keep a spare."""

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O and U, as a code is read from a label in the dark."""
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})
_CODE = re.compile(f"[{ALPHABET}]{{{CODE_CHARS}}}")


class EnrolmentError(PayloadError):
    """Why a device gets no certificate; ``reason`` is the stable code, the message is for a person."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a device gets: its certificate with the one above it, the roots by which it knows the broker, its topic."""

    device: str
    municipality: str
    certificate: Certificate
    issuing: Certificate
    roots: tuple[Certificate, ...]

    @property
    def chain(self) -> str:
        return pem(self.certificate, self.issuing)

    @property
    def roots_pem(self) -> str:
        return pem(*self.roots)

    @property
    def topic(self) -> str:
        """The beginning of all its topics."""
        return f"{ROOT}/{self.municipality}/{self.device}"

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc


def new_code() -> str:
    """A new code in groups, such as ``7K2QF-0VNTD-…``."""
    text = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS))
    return "-".join(text[n : n + GROUP_CHARS] for n in range(0, CODE_CHARS, GROUP_CHARS))


def digest(code: str) -> bytes:
    """What is kept of a code: SHA-256 of it in one spelling; it is long and random, so that nothing slower is needed.

    Raises ``EnrolmentError('code_form')`` for what cannot be a code.
    """
    spelt = code.upper().translate(_MISREAD) if len(code) <= 4 * CODE_CHARS else ""
    if not _CODE.fullmatch(spelt):
        raise EnrolmentError(
            "code_form", f"a code has {CODE_CHARS} letters and digits, such as {'-'.join(['7K2QF'] * 4)}"
        )
    return hashlib.sha256(spelt.encode()).digest()


def bundle(enrolled: Enrolled, key: str, made: datetime) -> bytes:
    """A ZIP file for a device that makes no key of its own; who gives it out must throw it away afterwards."""
    name = enrolled.device
    files = {
        f"{name}.key": key,
        f"{name}.pem": enrolled.chain,
        "roots.pem": enrolled.roots_pem,
        "topic.txt": enrolled.topic + "\n",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file, text in files.items():
            entry = zipfile.ZipInfo(file, (made.year, made.month, made.day, made.hour, made.minute, made.second))
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, text)
    return out.getvalue()
