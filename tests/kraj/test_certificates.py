"""Certificates are what TLS libraries accept for their purpose and for no other, and bad requests are told apart."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from kraj import certificates
from kraj.certificates import Authority, RequestError
from kraj.errors import ConfigurationError

NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


def authority(generation: int = 1, now: datetime = NOW) -> Authority:
    root_key = certificates.new_key()
    root = certificates.make_root(root_key, generation, now)
    return certificates.make_issuing(certificates.new_key(), root_key, root, generation, now)


AUTHORITY = authority()


def accepted_as_client(certificate: x509.Certificate, by: Authority = AUTHORITY, at: datetime = NOW) -> bool:
    policy = PolicyBuilder().store(Store([by.root])).time(at)
    try:
        # Names are the broker's to judge; the library wants an alternative name of every client.
        policy.build_client_verifier().verify(certificate, [by.certificate])
    except VerificationError as error:
        return "subjectAlternativeName" in str(error)
    return True


def accepted_as_server(certificate: x509.Certificate, name: str, by: Authority = AUTHORITY, at: datetime = NOW) -> bool:
    policy = PolicyBuilder().store(Store([by.root])).time(at)
    try:
        policy.build_server_verifier(x509.DNSName(name)).verify(certificate, [by.certificate])
    except VerificationError:
        return False
    return True


def test_a_servers_certificate_holds_for_its_names_its_time_and_its_root_alone() -> None:
    issued = certificates.issue_server(AUTHORITY, certificates.new_key().public_key(), ["broker.example"], NOW)
    assert accepted_as_server(issued, "broker.example")
    assert not accepted_as_server(issued, "other.example")
    assert not accepted_as_server(issued, "broker.example", authority())
    assert not accepted_as_server(issued, "broker.example", at=NOW + certificates.SERVICE_LIFE + timedelta(seconds=1))
    assert not accepted_as_server(issued, "broker.example", at=NOW - timedelta(hours=2))


def test_a_devices_certificate_cannot_pass_for_a_server() -> None:
    issued = certificates.issue_device(AUTHORITY, certificates.new_key().public_key(), "lamp-1", NOW)
    usage = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not accepted_as_server(issued, "lamp-1")
    assert certificates.common_name(issued) == "lamp-1"
    issued.verify_directly_issued_by(AUTHORITY.certificate)


@pytest.mark.parametrize("name", ["slot_0", "a" * 64, "", "+", "#", "lamp/1", "Lamp-1", "lamp-1\n"])
def test_no_device_gets_a_name_of_ours_or_one_that_is_no_topic_level(name: str) -> None:
    with pytest.raises(ConfigurationError):
        certificates.issue_device(AUTHORITY, certificates.new_key().public_key(), name, NOW)


def test_an_issuing_authority_near_its_end_says_that_it_is_time_to_rotate() -> None:
    late = NOW + certificates.ISSUING_LIFE - timedelta(days=100)
    with pytest.raises(ConfigurationError, match="kraj authority rotate"):
        certificates.issue_device(AUTHORITY, certificates.new_key().public_key(), "lamp-1", late)


def test_a_root_issues_only_by_its_own_key() -> None:
    with pytest.raises(ConfigurationError, match="root 1"):
        certificates.make_issuing(certificates.new_key(), certificates.new_key(), AUTHORITY.root, 1, NOW)


def test_serial_numbers_do_not_repeat() -> None:
    key = certificates.new_key().public_key()
    issued = {certificates.serial_text(certificates.issue_device(AUTHORITY, key, "a1", NOW)) for _ in range(200)}
    assert len(issued) == 200


@pytest.mark.parametrize("form", [serialization.Encoding.PEM, serialization.Encoding.DER])
def test_a_request_is_read_in_both_forms(form: serialization.Encoding) -> None:
    key = certificates.new_key()
    made = certificates.read_request(certificates.request(key, "lamp-1")).public_bytes(form)
    found = certificates.read_request(made)
    assert certificates.public_key(found) == key.public_key()
    assert certificates.name_asked(found) == "lamp-1"
    assert certificates.name_asked(certificates.read_request(certificates.request(key))) == ""


def csr(key: "ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey") -> bytes:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lamp-1")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def tampered() -> bytes:
    der = bytearray(csr(certificates.new_key()))
    at = der.index(b"lamp-1")
    der[at] ^= 1
    return bytes(der)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "csr_form"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n", "csr_form"),
        (b"\x30\x80", "csr_form"),
        (b"x" * 4097, "csr_size"),
        (csr(ec.generate_private_key(ec.SECP384R1())), "csr_curve"),
        (csr(ec.generate_private_key(ec.SECP256K1())), "csr_curve"),
        (csr(rsa.generate_private_key(65537, 2048)), "csr_curve"),
        (csr(ed25519.Ed25519PrivateKey.generate()), "csr_curve"),
        (tampered(), "csr_signature"),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        certificates.read_request(data)
    assert caught.value.reason == reason


@given(st.binary(max_size=400), st.integers(0, 250), st.integers(0, 30))
def test_no_bytes_whatever_make_reading_a_request_fail_otherwise(noise: bytes, at: int, cut: int) -> None:
    der = GOOD[:at] + noise[:cut] + GOOD[at + cut :]
    for data in (noise, der):
        try:
            certificates.name_asked(certificates.read_request(data))
        except RequestError:
            continue
        assert data == GOOD


GOOD = csr(certificates.new_key())


def test_only_the_old_key_proves_a_renewal() -> None:
    old_key, other = certificates.new_key(), certificates.new_key()
    old = certificates.issue_device(AUTHORITY, old_key.public_key(), "lamp-1", NOW)
    asked = certificates.request(certificates.new_key(), "lamp-1")
    found = certificates.read_request(asked)
    certificates.check_proof(old, found, certificates.prove(old_key, asked))
    for wrong in (certificates.prove(other, asked), b"", b"x" * 72, b"x" * 5000):
        with pytest.raises(RequestError) as caught:
            certificates.check_proof(old, found, wrong)
        assert caught.value.reason == "proof"
    again = certificates.read_request(certificates.request(certificates.new_key(), "lamp-1"))
    with pytest.raises(RequestError):
        certificates.check_proof(old, again, certificates.prove(old_key, asked))


def test_it_is_time_to_renew_after_two_thirds_of_the_life() -> None:
    issued = certificates.issue_device(AUTHORITY, certificates.new_key().public_key(), "lamp-1", NOW)
    assert not certificates.due(issued, NOW + 0.6 * certificates.DEVICE_LIFE)
    assert certificates.due(issued, NOW + 0.7 * certificates.DEVICE_LIFE)


def test_a_revocation_list_names_the_serials_and_is_signed() -> None:
    made = certificates.revocation_list(AUTHORITY, [(5, NOW), (2**150, NOW)], 7, NOW)
    (found, again) = certificates.read_crls(2 * certificates.crl_pem(made))
    assert found == again
    assert found.is_signature_valid(AUTHORITY.certificate.public_key())  # pyright: ignore[reportArgumentType]
    assert {entry.serial_number for entry in found} == {5, 2**150}
    assert certificates.read_crls("x") == []
    assert certificates.read_crls(certificates.crl_pem(made).replace("M", "N")) == []
