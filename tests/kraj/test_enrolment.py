"""Codes are hard to guess and easy to copy; a bundle holds what a device needs."""

import io
import zipfile
from datetime import UTC, datetime

import pytest

from kraj import certificates, enrolment
from kraj.enrolment import Enrolled, EnrolmentError
from tests.kraj.test_certificates import AUTHORITY

NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


def test_codes_differ_and_have_a_hundred_bits() -> None:
    codes = {enrolment.new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert len(enrolment.ALPHABET) ** enrolment.CODE_CHARS == 2**100
    assert {len(enrolment.digest(code)) for code in codes} == {32}


def test_a_code_counts_however_it_was_copied() -> None:
    code = "7K0QF-01NTD-M4X8A-Z19CE"
    for copied in (code.lower(), code.replace("-", ""), code.replace("0", "O"), code.replace("1", "l"), f" {code} "):
        assert enrolment.digest(copied) == enrolment.digest(code)
    assert enrolment.digest("7K0QF-01NTD-M4X8A-Z19CF") != enrolment.digest(code)


@pytest.mark.parametrize("code", ["", "7K2QF", "U" * 20, "7" * 21, "ž" * 20, "7" * 10_000])
def test_what_cannot_be_a_code_is_told_so(code: str) -> None:
    with pytest.raises(EnrolmentError) as caught:
        enrolment.digest(code)
    assert caught.value.reason == "code_form"


def test_a_bundle_holds_key_certificate_roots_and_topic() -> None:
    key = certificates.new_key()
    issued = certificates.issue_device(AUTHORITY, key.public_key(), "lamp-1", NOW)
    got = Enrolled("lamp-1", "olsinka", issued, AUTHORITY.certificate, (AUTHORITY.root,))
    with zipfile.ZipFile(io.BytesIO(enrolment.bundle(got, certificates.key_pem(key), NOW))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(files) == {"lamp-1.key", "lamp-1.pem", "roots.pem", "topic.txt"}
    assert certificates.read_key(files["lamp-1.key"].encode()).public_key() == issued.public_key()
    assert files["lamp-1.pem"].count("BEGIN CERTIFICATE") == 2
    assert files["topic.txt"] == "kraj/olsinka/lamp-1\n"
