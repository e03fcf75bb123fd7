"""A device enrols with a code and renews with its key; whatever is wrong is said, and a code counts once."""

import asyncio
import base64
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from api import enrolment as routes
from api import texts
from api.app import create
from kraj import certificates, enrolment
from kraj.certificates import Key
from kraj.settings import Settings
from kraj.store import identity
from kraj.store.registry import NewAsset, NewDevice, register
from stack import authority
from tests.api.conftest import NOW, Region


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Office:
    """Gives out codes, and sends what a device would."""

    def __init__(self, url: str, client: httpx.AsyncClient, folder: Path, clock: Clock) -> None:
        self.url = url
        self.client = client
        self.folder = folder
        self.clock = clock

    async def code(self, device: str = "lamp-1", life: timedelta = enrolment.CODE_LIFE) -> str:
        code = enrolment.new_code()
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            number = await identity.device_id(connection, device)
            assert number is not None
            await identity.give_code(connection, number, enrolment.digest(code), self.clock() + life)
        return code

    async def revoke(self, device: str = "lamp-1") -> int:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            number = await identity.device_id(connection, device)
            assert number is not None
            return await identity.revoke(connection, number, self.clock(), "lost")

    async def enrol(self, code: str, csr: bytes, address: str = "192.0.2.1") -> httpx.Response:
        return await self.client.post("/v1/enrol?lang=en", json={"code": code, "csr": csr.decode()})

    async def enrolled(self, device: str = "lamp-1") -> tuple[Key, dict[str, Any]]:
        key = certificates.new_key()
        answer = await self.enrol(await self.code(device), certificates.request(key, device))
        assert answer.status_code == 200, answer.text
        return key, answer.json()

    async def renew(self, old: str, old_key: Key, csr: bytes) -> httpx.Response:
        proof = base64.b64encode(certificates.prove(old_key, csr)).decode()
        body = {"certificate": old, "csr": csr.decode(), "proof": proof}
        return await self.client.post("/v1/enrol/renew?lang=en", json=body)

    def rows(self) -> list[Any]:
        statement = "SELECT serial, revoked_at IS NULL, reason FROM device_certificate ORDER BY issued_at, revoked_at"
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
async def office(
    region: Region, database_url: str, database_role_url: Callable[[str], str], tmp_path: Path
) -> AsyncIterator[Office]:
    clock = Clock()
    folder = tmp_path / "authority"
    authority.ensure(folder, NOW)
    app = create(Settings(authority_dir=folder), database_role_url("kraj_api"), clock=clock, wall=clock)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        yield Office(database_url, client, folder, clock)


def first(pem: str) -> x509.Certificate:
    return certificates.read_certificate(pem.encode())


def problem(answer: httpx.Response) -> str:
    found = answer.json()
    assert found["hint"]
    assert answer.status_code == found["status"]
    return found["type"].removeprefix("/problems/enrol_")


async def test_a_code_and_a_request_give_certificate_roots_and_topic(office: Office) -> None:
    key, got = await office.enrolled()
    own = first(got["certificate"])
    assert own.public_key() == key.public_key()
    assert certificates.common_name(own) == "lamp-1"
    assert got["topic"] == "kraj/olsinka/lamp-1"
    assert got["certificate"].count("BEGIN CERTIFICATE") == 2
    assert got["roots"].count("BEGIN CERTIFICATE") == 2
    assert office.rows() == [(certificates.serial_text(own), True, None)]
    with psycopg.connect(office.url) as connection:
        state = connection.execute("SELECT state FROM device WHERE name = 'lamp-1'").fetchone()
    assert state == ("provisioned",)


async def test_openssl_makes_a_request_and_takes_the_answer(office: Office, tmp_path: Path) -> None:
    def openssl(*arguments: str) -> str:
        done = subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "device.key")
    openssl("req", "-new", "-key", "device.key", "-subj", "/", "-out", "device.csr")
    got = (await office.enrol(await office.code(), (tmp_path / "device.csr").read_bytes())).json()
    (tmp_path / "roots.pem").write_text(got["roots"])
    (tmp_path / "device.pem").write_text(got["certificate"])
    at = str(int(NOW.timestamp()) + 60)
    chain = ("-untrusted", "device.pem", "-purpose", "sslclient", "-attime", at, "device.pem")
    assert "device.pem: OK" in openssl("verify", "-CAfile", "roots.pem", *chain)
    # And the proof, as docs/identity.md tells it.
    openssl("req", "-in", "device.csr", "-outform", "DER", "-out", "device.der")
    openssl("dgst", "-sha256", "-sign", "device.key", "-out", "proof", "device.der")
    body = {
        "certificate": got["certificate"],
        "csr": (tmp_path / "device.csr").read_text(),
        "proof": base64.b64encode((tmp_path / "proof").read_bytes()).decode(),
    }
    answer = await office.client.post("/v1/enrol/renew", json=body)
    assert answer.status_code == 200, answer.text


async def test_a_code_counts_once(office: Office) -> None:
    code = await office.code()
    asked = certificates.request(certificates.new_key())
    answers = await asyncio.gather(*(office.enrol(code, asked) for _ in range(4)))
    assert sorted(a.status_code for a in answers) == [200, 409, 409, 409]
    assert problem(await office.enrol(code, asked)) == "code_used"
    assert len(office.rows()) == 1


async def test_a_new_code_replaces_the_one_that_was_not_used(office: Office) -> None:
    before, after = await office.code(), await office.code()
    asked = certificates.request(certificates.new_key())
    assert problem(await office.enrol(before, asked)) == "code_unknown"
    assert (await office.enrol(after, asked)).status_code == 200


async def test_whatever_is_wrong_is_said_and_uses_nothing_up(office: Office) -> None:
    key = certificates.new_key()
    asked = certificates.request(key)
    code = await office.code()
    wrong = ec.generate_private_key(ec.SECP384R1())
    other = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(wrong, hashes.SHA256())
    tampered = base64.b64decode("".join(asked.decode().splitlines()[1:-1]))
    tampered = tampered[:-1] + bytes([tampered[-1] ^ 1])
    bad = b"-----BEGIN CERTIFICATE REQUEST-----\n%s-----END CERTIFICATE REQUEST-----\n"
    for csr, reason in (
        (b"hello", "csr_form"),
        (asked + b" " * 5000, "csr_size"),
        (certificates.request(key, "lamp-2"), "csr_name"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n", "csr_form"),
        (bad % base64.encodebytes(tampered), "csr_signature"),
        (other.public_bytes(certificates.serialization.Encoding.PEM), "csr_curve"),
    ):
        assert problem(await office.enrol(code, csr)) == reason
    assert problem(await office.enrol("7K2QF", asked)) == "code_form"
    assert problem(await office.enrol(enrolment.new_code(), asked)) == "code_unknown"
    office.clock.now += enrolment.CODE_LIFE
    assert problem(await office.enrol(code, asked)) == "code_expired"
    office.clock.now -= timedelta(seconds=1)
    with psycopg.connect(office.url) as connection:
        connection.execute("UPDATE device SET state = 'suspended' WHERE name = 'lamp-1'")
    assert problem(await office.enrol(code, asked)) == "out_of_use"
    with psycopg.connect(office.url) as connection:
        connection.execute("UPDATE device SET state = 'registered' WHERE name = 'lamp-1'")
    assert (await office.enrol(code, asked)).status_code == 200


async def test_enrolling_anew_revokes_what_the_device_had(office: Office) -> None:
    _, before = await office.enrolled()
    office.clock.now += timedelta(days=1)
    _, after = await office.enrolled()
    serials = [certificates.serial_text(first(got["certificate"])) for got in (before, after)]
    assert office.rows() == [(serials[0], False, "replaced"), (serials[1], True, None)]


@pytest.mark.parametrize("later", [timedelta(days=500), certificates.DEVICE_LIFE + timedelta(days=200)])
async def test_a_certificate_is_renewed_by_its_key_before_and_after_its_end(office: Office, later: timedelta) -> None:
    old_key, old = await office.enrolled()
    office.clock.now += later
    key = certificates.new_key()
    answer = await office.renew(old["certificate"], old_key, certificates.request(key, "lamp-1"))
    assert answer.status_code == 200, answer.text
    assert first(answer.json()["certificate"]).public_key() == key.public_key()
    assert [good for _, good, _ in office.rows()] == [True, True]
    # The answer got lost: it asks again, and has two good ones still.
    again = await office.renew(old["certificate"], old_key, certificates.request(key, "lamp-1"))
    assert again.status_code == 200
    assert sorted(good for _, good, _ in office.rows()) == [False, True, True]


async def test_nobody_renews_without_the_key_or_what_was_revoked_or_is_not_ours(office: Office) -> None:
    old_key, old = await office.enrolled()
    thief = certificates.new_key()
    asked = certificates.request(thief)
    assert problem(await office.renew(old["certificate"], thief, asked)) == "proof"
    own = authority.ensure(office.folder.parent / "other", NOW).authority
    forged = certificates.pem(certificates.issue_device(own, thief.public_key(), "lamp-1", NOW))
    assert problem(await office.renew(forged, thief, asked)) == "certificate_unknown"
    assert problem(await office.renew("x", old_key, asked)) == "certificate_form"
    assert await office.revoke() == 1
    assert problem(await office.renew(old["certificate"], old_key, asked)) == "certificate_revoked"
    office.clock.now += timedelta(days=365 * 8)
    authority.rotate(office.folder, office.folder / "offline", office.clock())
    _, late = await office.enrolled("lamp-2")
    assert first(late["certificate"]).issuer != first(old["certificate"]).issuer


async def test_after_five_years_a_new_code_is_needed(office: Office) -> None:
    old_key, old = await office.enrolled()
    office.clock.now += certificates.DEVICE_LIFE + enrolment.RENEWABLE_AFTER + timedelta(seconds=1)
    answer = await office.renew(old["certificate"], old_key, certificates.request(old_key))
    assert problem(answer) == "certificate_ended"


async def test_after_a_rotation_devices_get_the_new_authority_without_a_restart(office: Office) -> None:
    old_key, old = await office.enrolled()
    authority.rotate(office.folder, office.folder / "offline", NOW)
    got = (await office.renew(old["certificate"], old_key, certificates.request(old_key))).json()
    assert first(got["certificate"]).issuer != first(old["certificate"]).issuer
    roots = [x509.load_pem_x509_certificates(found["roots"].encode()) for found in (old, got)]
    assert roots[0][1] == roots[1][0]


async def test_guessing_is_slowed_down(office: Office) -> None:
    asked = certificates.request(certificates.new_key())
    answers = [await office.enrol(enrolment.new_code(), asked) for _ in range(25)]
    assert [a.status_code for a in answers] == [404] * 20 + [429] * 5
    assert int(answers[-1].headers["retry-after"]) > 0
    assert problem(answers[-1]) == "too_many"


async def test_without_an_authority_it_says_what_to_do(office: Office) -> None:
    code = await office.code()
    for file in office.folder.glob("issuing-*"):
        file.unlink()
    answer = await office.enrol(code, certificates.request(certificates.new_key()))
    assert answer.status_code == 503
    assert "kraj authority" in answer.json()["hint"]


def test_every_reason_has_its_text() -> None:
    known = texts.read("en")
    reasons = {"csr_size", "csr_form", "csr_curve", "csr_signature", "csr_name", "code_form", "certificate_form"}
    for reason in reasons | routes.STATUS.keys():
        assert f"problem.enrol_{reason}.hint" in known


async def test_a_thousand_devices_enrol_with_keys_of_their_own(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "REQUESTS_BURST", 2000.0)
    names = [f"node-{number:04}" for number in range(1000)]
    new = [NewDevice(name=n, municipality="olsinka", assets={0: NewAsset(kind="lamp", label=n)}) for n in names]
    with psycopg.connect(office.url) as connection:
        register(connection, {}, new, NOW)
    codes = {name: enrolment.new_code() for name in names}
    async with await psycopg.AsyncConnection.connect(office.url) as connection:
        for name, code in codes.items():
            number = await identity.device_id(connection, name)
            assert number is not None
            await identity.give_code(connection, number, enrolment.digest(code), NOW + enrolment.CODE_LIFE)
    requests = {name: certificates.request(certificates.new_key(), name) for name in names}
    app = create(Settings(authority_dir=office.folder), office.url, clock=office.clock, wall=office.clock)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        gate = asyncio.Semaphore(8)

        async def enrol(name: str) -> httpx.Response:
            async with gate:
                return await client.post("/v1/enrol", json={"code": codes[name], "csr": requests[name].decode()})

        begin = time.monotonic()
        answers = await asyncio.gather(*map(enrol, names))
        print(f"{1000 / (time.monotonic() - begin):.0f} enrolments/s")  # noqa: T201 — the figure is the point
    assert {answer.status_code for answer in answers} == {200}
    got = [first(answer.json()["certificate"]) for answer in answers]
    assert len({found.serial_number for found in got}) == 1000
    keys = {(numbers.x, numbers.y) for numbers in (certificates.public_key(found).public_numbers() for found in got)}
    assert len(keys) == 1000
    assert [certificates.common_name(found) for found in got] == names
