"""The authority as files: made once, secret, renewed by itself, rotated without cutting anybody off."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from api.issuing import issuer
from kraj import certificates
from kraj.errors import ConfigurationError
from kraj.store.identity import Revoked
from stack import authority

NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
NAMES = ["localhost", "127.0.0.1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority.ensure(tmp_path / "authority", NOW)
    return tmp_path / "authority"


def test_it_is_made_once_and_every_key_is_its_owners_alone(folder: Path) -> None:
    authority.server(folder, NAMES, NOW)
    authority.service(folder, "slot_0", NOW)
    files = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    again = authority.ensure(folder, NOW + timedelta(days=1))
    assert again.authority.generation == 1
    assert {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()} == files
    assert folder.stat().st_mode & 0o077 == 0
    keys = list(folder.rglob("*.key"))
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert len({key.read_bytes() for key in keys}) == len(keys) == 5
    assert authority.loose(folder) == []
    keys[0].chmod(0o640)
    assert authority.loose(folder) == [keys[0]]


def test_devices_carry_two_roots_and_the_second_takes_over(folder: Path) -> None:
    before = issuer(folder)
    server = authority.read(authority.server(folder, NAMES, NOW).certificate)
    assert len(before.roots) == 2
    after = authority.rotate(folder, folder / "offline", NOW)
    assert after.authority.generation == 2
    assert after.roots[0] == before.roots[1]
    assert after.roots[1] not in before.roots
    # The broker changes over at once: what devices carried already holds its new certificate.
    renewed = authority.read(authority.server(folder, NAMES, NOW).certificate)
    assert renewed != server
    renewed.verify_directly_issued_by(after.authority.certificate)
    after.authority.certificate.verify_directly_issued_by(before.roots[1])


def test_the_old_generation_is_trusted_until_it_is_dropped(folder: Path) -> None:
    authority.rotate(folder, folder / "offline", NOW)
    assert authority.generations(folder) == [1, 2]
    assert authority.trusted(folder).count("BEGIN CERTIFICATE") == 4
    assert authority.revocation_lists(folder, [], "", NOW).count("BEGIN X509 CRL") == 2
    authority.drop(folder, 1)
    assert authority.generations(folder) == [2]
    assert authority.trusted(folder).count("BEGIN CERTIFICATE") == 2
    for generation in (1, 2, 3):
        with pytest.raises(ConfigurationError):
            authority.drop(folder, generation)


def test_a_lost_issuing_key_is_replaced_by_a_rotation(folder: Path) -> None:
    (folder / "issuing-1.key").unlink()
    with pytest.raises(ConfigurationError, match="no issuing key"):
        issuer(folder)
    assert authority.rotate(folder, folder / "offline", NOW).authority.generation == 2


def test_without_the_offline_keys_it_issues_but_does_not_rotate(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "offline", tmp_path / "stick")
    key = certificates.new_key().public_key()
    certificates.issue_device(issuer(folder).authority, key, "lamp-1", NOW)
    before = sorted(folder.rglob("*"))
    with pytest.raises(ConfigurationError, match="--root-keys"):
        authority.rotate(folder, folder / "offline", NOW)
    assert sorted(folder.rglob("*")) == before
    assert authority.rotate(folder, tmp_path / "stick", NOW).authority.generation == 2
    assert (tmp_path / "stick" / "root-3.key").exists()
    assert not (folder / "offline").exists()


def test_service_certificates_are_renewed_when_due_and_when_names_change(folder: Path) -> None:
    first = authority.server(folder, NAMES, NOW).certificate.read_bytes()
    assert authority.server(folder, NAMES, NOW + timedelta(days=200)).certificate.read_bytes() == first
    assert authority.server(folder, NAMES, NOW + timedelta(days=300)).certificate.read_bytes() != first
    named = authority.read(authority.server(folder, [*NAMES, "broker.example"], NOW).certificate)
    assert authority.server_names(named) == [*NAMES, "broker.example"]


def test_a_later_revocation_list_is_later_by_a_second_even_within_one(folder: Path) -> None:
    text = ""
    moments: list[datetime] = []
    for count in range(3):
        rows = [Revoked(serial, 1, "lamp-1", NOW, "lost") for serial in range(1, count + 1)]
        text = authority.revocation_lists(folder, rows, text, NOW)
        found = x509.load_pem_x509_crl(text.encode())
        moments.append(found.last_update_utc)
        assert len(list(found)) == count
    assert moments[2] > moments[1] > moments[0]
    assert moments[2] <= NOW


def test_what_a_restored_database_has_forgotten_stays_revoked_until_it_has_ended(folder: Path) -> None:
    rows = [Revoked(5, 1, "lamp-1", NOW, "stolen")]
    text = authority.revocation_lists(folder, rows, "", NOW)
    authority.rotate(folder, folder / "offline", NOW)
    for later, count in ((timedelta(days=1), 1), (certificates.DEVICE_LIFE, 0)):
        text = authority.revocation_lists(folder, [], text, NOW + later)
        first, second = certificates.read_crls(text)
        assert [len(list(first)), len(list(second))] == [count, 0]


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "issuing-1.pem").write_text("x")
    with pytest.raises(ConfigurationError, match=r"issuing-1.*backup"):
        issuer(folder)
    with pytest.raises(ConfigurationError, match="KRAJ_AUTHORITY_DIR"):
        issuer(folder / "nowhere")
