"""Certificates of the platform and of its devices: built and checked from keys, names and times given; no files.

Three levels: a root whose key is kept offline, an issuing authority below it, and what that one issues. Everything is
P-256, which the smallest controller computes and every TLS library knows (RFC 5280, RFC 8422).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kraj.errors import ConfigurationError, PayloadError
from kraj.topics import NAME

Key = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
"""RSA is for the certificate that other makers' devices are shown, which know nothing newer."""
Certificate = x509.Certificate

ROOT_LIFE = timedelta(days=25 * 365)
ISSUING_LIFE = timedelta(days=12 * 365)
DEVICE_LIFE = timedelta(days=2 * 365)
"""A device renews from two thirds of it; one that lay in a store for longer renews with proof of its old key."""
SERVICE_LIFE = timedelta(days=397)
"""The longest that common TLS clients accept of a server; it is renewed by itself."""
BACKDATED = timedelta(hours=1)
"""Certificates hold from so long before their making: clocks of devices and servers differ."""
RENEW_FROM = 2 / 3
"""The share of its life after which a certificate should be renewed."""

REQUEST_BYTES_MAX = 4096
"""A request for a P-256 key has some 400 bytes as PEM."""
SIGNATURE_BYTES_MAX = 80
"""An ECDSA signature by P-256 has at most 72 bytes in DER."""


class RequestError(PayloadError):
    """A certificate request, or a proof, that cannot be honoured; ``reason`` is the stable code."""


@dataclass(frozen=True, slots=True)
class Authority:
    """What issues: the issuing key with its certificate, and the root above it. ``generation`` counts rotations."""

    generation: int
    key: Key
    certificate: Certificate
    root: Certificate


def new_key() -> Key:
    """A new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def make_root(key: Key, generation: int, now: datetime) -> Certificate:
    """The certificate of a root, signed by itself."""
    name = _name(f"Kraj root {generation}")
    return _authority(name, name, key.public_key(), now, ROOT_LIFE, path_length=1).sign(key, hashes.SHA256())


def make_issuing(key: Key, root_key: Key, root: Certificate, generation: int, now: datetime) -> Authority:
    """An issuing authority below a root; raises ``ConfigurationError`` when the key is not that root's."""
    if root_key.public_key() != root.public_key():
        raise ConfigurationError(f"this is not the key of root {generation}; give the one that was set aside with it")
    builder = _authority(_name(f"Kraj issuing {generation}"), root.subject, key.public_key(), now, ISSUING_LIFE, 0)
    builder = builder.add_extension(_identifier_of(root), critical=False)
    return Authority(generation, key, builder.sign(root_key, hashes.SHA256()), root)


def issue_device(authority: Authority, key: ec.EllipticCurvePublicKey, name: str, now: datetime) -> Certificate:
    """A device's certificate; raises ``ConfigurationError`` for a name that no device can have."""
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"no device can be named {name!r}; names match {NAME.pattern}")
    return issue_client(authority, key, name, now, DEVICE_LIFE)


def issue_client(
    authority: Authority, key: ec.EllipticCurvePublicKey, name: str, now: datetime, life: timedelta
) -> Certificate:
    """A certificate by which a client signs in at the broker, and which cannot pass for a server."""
    return _leaf(authority, key, name, now, life, ExtendedKeyUsageOID.CLIENT_AUTH).sign(authority.key, hashes.SHA256())


def issue_server(authority: Authority, key: PublicKey, names: Sequence[str], now: datetime) -> Certificate:
    """The broker's certificate for host names and addresses; it cannot pass for a client."""
    if not names:
        raise ConfigurationError("a server certificate needs at least one name by which devices reach the broker")
    builder = _leaf(authority, key, names[0], now, SERVICE_LIFE, ExtendedKeyUsageOID.SERVER_AUTH)
    builder = builder.add_extension(x509.SubjectAlternativeName([_server_name(n) for n in names]), critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def request(key: Key, name: str = "") -> bytes:
    """A certificate request as a device makes it (PEM); the name may be left to the enrolment code."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def read_request(data: bytes) -> x509.CertificateSigningRequest:
    """Read a request, PEM or DER, and check that its sender holds the key.

    Raises ``RequestError``: ``csr_size``, ``csr_form``, ``csr_curve`` or ``csr_signature``.
    """
    if len(data) > REQUEST_BYTES_MAX:
        raise RequestError("csr_size", f"the request has {len(data)} bytes; at most {REQUEST_BYTES_MAX}")
    try:
        is_pem = data.lstrip().startswith(b"-----BEGIN")
        found = x509.load_pem_x509_csr(data) if is_pem else x509.load_der_x509_csr(data)
        key = found.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RequestError("csr_form", "this is no PKCS #10 certificate request in PEM or DER") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RequestError("csr_curve", "the key must be on the curve P-256 (secp256r1, prime256v1)")
    try:
        valid = found.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RequestError("csr_form", "the request is signed in a way that is not understood") from error
    if not valid:
        raise RequestError("csr_signature", "the request is not signed by the key that it names")
    return found


def name_asked(asked: x509.CertificateSigningRequest) -> str:
    """The common name in a request; empty where it has none."""
    try:
        found = asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError as error:
        raise RequestError("csr_form", "the subject of the request cannot be read") from error
    return str(found[0].value) if found else ""


def public_key(holder: x509.CertificateSigningRequest | Certificate) -> ec.EllipticCurvePublicKey:
    """The P-256 key in a request that ``read_request`` took, or in a certificate of ours."""
    found = holder.public_key()
    if not isinstance(found, ec.EllipticCurvePublicKey):
        raise RequestError("csr_curve", "the key must be on the curve P-256 (secp256r1, prime256v1)")
    return found


def read_public_key(data: bytes) -> ec.EllipticCurvePublicKey:
    """A P-256 key from its SubjectPublicKeyInfo in DER. Raises ``RequestError``: ``csr_form`` or ``csr_curve``."""
    try:
        found = serialization.load_der_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RequestError("csr_form", "this is no public key") from error
    if not isinstance(found, ec.EllipticCurvePublicKey) or not isinstance(found.curve, ec.SECP256R1):
        raise RequestError("csr_curve", "the key must be on the curve P-256 (secp256r1, prime256v1)")
    return found


def prove(old_key: Key, asked: bytes) -> bytes:
    """What a device sends with a request for renewal: the request (as DER) signed by its old key."""
    der = read_request(asked).public_bytes(serialization.Encoding.DER)
    return old_key.sign(der, ec.ECDSA(hashes.SHA256()))


def check_proof(old: Certificate, asked: x509.CertificateSigningRequest, signature: bytes) -> None:
    """Raise ``RequestError('proof')`` unless the request was signed by the key of the old certificate as well."""
    try:
        if len(signature) > SIGNATURE_BYTES_MAX:
            raise InvalidSignature
        der = asked.public_bytes(serialization.Encoding.DER)
        public_key(old).verify(signature, der, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise RequestError("proof", "the request is not signed by the key of the old certificate") from error


def read_certificate(data: bytes) -> Certificate:
    """Read one certificate, PEM or DER. Raises ``RequestError('certificate_form')``."""
    if len(data) > REQUEST_BYTES_MAX:
        raise RequestError("certificate_form", f"the certificate has {len(data)} bytes; at most {REQUEST_BYTES_MAX}")
    try:
        is_pem = data.lstrip().startswith(b"-----BEGIN")
        return x509.load_pem_x509_certificate(data) if is_pem else x509.load_der_x509_certificate(data)
    except (ValueError, TypeError) as error:
        raise RequestError("certificate_form", "this is no X.509 certificate in PEM or DER") from error


def revocation_list(
    authority: Authority, revoked: Iterable[tuple[int, datetime]], number: int, this_update: datetime
) -> x509.CertificateRevocationList:
    """The list of an authority's revoked (serial, since when).

    It holds as long as the authority does: whoever must know gets the new one pushed, and a list that ran out while
    nobody made another would lock all devices out. OpenSSL keeps the lists that it has read before and takes a later
    one only when its ``this_update`` is later, in whole seconds.
    """
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(this_update)
        .next_update(authority.certificate.not_valid_after_utc)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(_identifier_of(authority.certificate), critical=False)
    )
    for serial, since in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, hashes.SHA256())


def fingerprint(certificate: Certificate) -> bytes:
    """SHA-256 over the certificate's DER."""
    return certificate.fingerprint(hashes.SHA256())


def serial_text(certificate: Certificate) -> str:
    """The serial number as it is kept and shown: hexadecimal, as OpenSSL prints it but in lower case."""
    return f"{certificate.serial_number:x}"


def common_name(certificate: Certificate) -> str:
    """Whom a certificate names."""
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def due(certificate: Certificate, now: datetime) -> bool:
    """Whether it is time to renew."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begin + RENEW_FROM * (end - begin)


def pem(*certificates: Certificate) -> str:
    """Certificates as PEM, one after the other."""
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certificates)


def key_pem(key: Key) -> str:
    """A private key as unencrypted PKCS #8 PEM, for a file that only its owner can read."""
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def crl_pem(revoked: x509.CertificateRevocationList) -> str:
    """A revocation list as PEM."""
    return revoked.public_bytes(serialization.Encoding.PEM).decode()


def read_crls(data: str) -> list[x509.CertificateRevocationList]:
    """The revocation lists in PEM, as far as they can be read."""
    end = "-----END X509 CRL-----\n"
    found: list[x509.CertificateRevocationList] = []
    for part in data.split(end)[:-1]:
        try:
            found.append(x509.load_pem_x509_crl((part + end).encode()))
        except ValueError:
            continue
    return found


def read_key(data: bytes) -> Key:
    """Read a P-256 key. Raises ``ValueError``."""
    found = serialization.load_pem_private_key(data, None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic curve key")
    return found


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _server_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _authority(  # noqa: PLR0917 - the fields of a certificate
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        _builder(subject, issuer, key, now, life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(signs=False), critical=True)
    )


def _leaf(  # noqa: PLR0917 - the fields of a certificate
    authority: Authority,
    key: PublicKey,
    name: str,
    now: datetime,
    life: timedelta,
    purpose: x509.ObjectIdentifier,
) -> x509.CertificateBuilder:
    left = authority.certificate.not_valid_after_utc - now
    if left < life:
        raise ConfigurationError(
            f"the issuing authority {authority.generation} ends in {left.days} days, sooner than what it should issue; "
            "run `kraj authority rotate`"
        )
    return (
        _builder(_name(name), authority.certificate.subject, key, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(_identifier_of(authority.certificate), critical=False)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _identifier_of(issuer: Certificate) -> x509.AuthorityKeyIdentifier:
    found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _usage(*, signs: bool) -> x509.KeyUsage:
    """A leaf signs the handshake, an authority signs certificates and lists."""
    return x509.KeyUsage(
        digital_signature=signs,
        key_cert_sign=not signs,
        crl_sign=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
