"""Issuing certificates to devices: the issuing key read from its folder, codes and old certificates checked and taken.

The folder is made by ``kraj authority`` (see docs/identity.md). The root key is not needed here, and better elsewhere.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from api.database import Connection
from kraj import certificates, enrolment
from kraj.certificates import Authority, Certificate, RequestError
from kraj.enrolment import Enrolled, EnrolmentError
from kraj.errors import ConfigurationError
from kraj.store import identity

ISSUING = re.compile(r"issuing-([1-9][0-9]{0,3})\.key")
OUT_OF_USE = frozenset({"suspended", "revoked", "decommissioned"})


@dataclass(frozen=True, slots=True)
class Issuer:
    """The authority that issues now, and the roots that devices carry: its own and the next one's."""

    authority: Authority
    roots: tuple[Certificate, ...]

    def enrolled(self, name: str, municipality: str, issued: Certificate) -> Enrolled:
        return Enrolled(name, municipality, issued, self.authority.certificate, self.roots)


@dataclass(frozen=True, slots=True)
class Old:
    """What a device shows to renew: the certificate that it has, and the request (as DER) signed by that one's key."""

    certificate: bytes
    proof: bytes


def issuer(folder: Path) -> Issuer:
    """Read the newest issuing authority; raises ``ConfigurationError`` where there is none, or it cannot be read."""
    try:
        generations = [int(match[1]) for file in folder.iterdir() if (match := ISSUING.fullmatch(file.name))]
        if not generations:
            raise ConfigurationError(
                f"there is no issuing key in {folder}; restore it from a backup, or see docs/identity.md"
            )
        newest = max(generations)
        return Issuer(authority(folder, newest), roots(folder, newest))
    except OSError as error:
        raise ConfigurationError(
            f"the authority's folder {folder} cannot be read ({error.strerror}); set KRAJ_AUTHORITY_DIR to the folder "
            "that `kraj authority show` names, and let this service's account read it"
        ) from error


def authority(folder: Path, generation: int) -> Authority:
    """Read one generation of the authority."""
    file = folder / f"issuing-{generation}.key"
    try:
        key = certificates.read_key(file.read_bytes())
        own = x509.load_pem_x509_certificate((folder / f"issuing-{generation}.pem").read_bytes())
        root = x509.load_pem_x509_certificate((folder / f"root-{generation}.pem").read_bytes())
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{file} or its certificate is damaged ({error}); restore it from a backup") from error
    return Authority(generation, key, own, root)


def roots(folder: Path, generation: int) -> tuple[Certificate, ...]:
    """The roots that a device must carry: of what issues now, and the one that stands by for the next rotation."""
    files = [folder / f"root-{n}.pem" for n in (generation, generation + 1)]
    return tuple(x509.load_pem_x509_certificate(file.read_bytes()) for file in files if file.exists())


async def enrol(connection: Connection, by: Issuer, code: str, request: bytes, now: datetime) -> Enrolled:
    """A code and a device's request against a certificate; in one transaction, committed by the caller.

    Raises ``RequestError`` for the request, ``EnrolmentError`` for the code: ``code_form``, ``code_unknown``,
    ``code_used``, ``code_expired`` or ``out_of_use``.
    """
    asked = certificates.read_request(request)
    digest = enrolment.digest(code)
    found = await identity.code(connection, digest)
    if found is None:
        raise EnrolmentError("code_unknown", "nobody has given out this code")
    if found.used_at is not None:
        raise EnrolmentError("code_used", f"the code of {found.device} was used at {found.used_at:%F %H:%M} UTC")
    if found.expires_at <= now:
        raise EnrolmentError("code_expired", f"the code of {found.device} ended at {found.expires_at:%F %H:%M} UTC")
    _check(found.device, found.state, asked)
    issued = certificates.issue_device(by.authority, certificates.public_key(asked), found.device, now)
    if not await identity.take_code(connection, digest, issued, by.authority.generation, now):
        raise EnrolmentError("code_used", f"the code of {found.device} was used this very moment")
    return by.enrolled(found.device, found.municipality, issued)


async def renew(connection: Connection, by: Issuer, old: Old, request: bytes, now: datetime) -> Enrolled:
    """A new certificate for who holds an old one of ours, also one that has ended.

    Raises ``RequestError`` for request and proof,
    ``EnrolmentError``: ``certificate_unknown``, ``certificate_revoked``, ``certificate_ended`` or ``out_of_use``.
    """
    asked = certificates.read_request(request)
    shown = certificates.read_certificate(old.certificate)
    found = await identity.certificate(connection, certificates.fingerprint(shown))
    if found is None:
        raise EnrolmentError("certificate_unknown", "this certificate was not issued here")
    certificates.check_proof(shown, asked, old.proof)
    if found.revoked_at is not None:
        raise EnrolmentError("certificate_revoked", f"the certificate was revoked at {found.revoked_at:%F %H:%M} UTC")
    if now - found.not_after > enrolment.RENEWABLE_AFTER:
        raise EnrolmentError("certificate_ended", f"the certificate ended on {found.not_after:%F}")
    _check(found.device, found.state, asked)
    issued = certificates.issue_device(by.authority, certificates.public_key(asked), found.device, now)
    if not await identity.renew(connection, found.serial, issued, by.authority.generation, now):
        raise EnrolmentError("certificate_revoked", "the certificate was revoked this very moment")
    return by.enrolled(found.device, found.municipality, issued)


async def bundle(connection: Connection, by: Issuer, code: str, now: datetime) -> bytes:
    """A ZIP with key, certificate and roots, for a device that cannot make a key: for the code, and not kept here."""
    key = certificates.new_key()
    got = await enrol(connection, by, code, certificates.request(key), now)
    return enrolment.bundle(got, certificates.key_pem(key), now)


def _check(device: str, state: str, asked: x509.CertificateSigningRequest) -> None:
    if state in OUT_OF_USE:
        raise EnrolmentError("out_of_use", f"the device {device} is {state}")
    name = certificates.name_asked(asked)
    if name not in ("", device):
        raise RequestError("csr_name", f"the request names {name[:80]!r}, this is about {device}")
