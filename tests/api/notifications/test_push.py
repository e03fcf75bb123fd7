"""Web push: the browser alone can read it, its service knows who sent it, and a browser that is gone is forgotten."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import ECKey

from api.app import create
from api.notifications.push import Push, encrypted, new_key
from api.notifications.sending import Sender
from api.notifications.worker import Worker
from kraj.settings import Settings
from tests.api import signing
from tests.api.alerting import lamp_out
from tests.api.conftest import NOW, Region
from tests.api.notifications.conftest import PRAGUE


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text(given: bytes) -> str:
    return base64.urlsafe_b64encode(given).rstrip(b"=").decode()


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


@dataclass
class Browser:
    """A browser's half of a subscription, which reads what was meant for it (RFC 8188 and 8291 from their side)."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = b"sixteen bytes..."

    @property
    def subscription(self) -> dict[str, Any]:
        keys = {"p256dh": text(point(self.key.public_key())), "auth": text(self.auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys, "severity_min": "minor"}

    def read(self, body: bytes) -> bytes:
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size == 4096
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\x00" + point(self.key.public_key()) + sender
        secret = HKDF(hashes.SHA256(), 32, self.auth, info).derive(shared)
        key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(secret)
        nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(secret)
        plain = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\x00")
        assert plain.endswith(b"\x02")
        return plain[:-1]


@dataclass
class Service:
    """A push service of loopback: it keeps what comes and answers what it is told to."""

    url: str
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])
    status: int = 201


@pytest.fixture
def service() -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    found = Service(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_message_is_sealed_as_the_example_of_rfc_8291_is() -> None:
    key = ec.derive_private_key(
        int.from_bytes(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
    )
    sealed = encrypted(
        b"When I grow up, I want to be a watermelon",
        raw("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        raw("BTBZMqHH6r4Tts7J_aSIgg"),
        key=key,
        salt=raw("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert text(sealed) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


async def test_an_alert_reaches_the_telephones_of_those_who_may_work_on_it_and_of_nobody_else(
    region: Region, database_role_url: Callable[[str], str], service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "push.pem"
    file.write_bytes(new_key())
    push = Push.from_file(file, "https://kraj.example.cz")
    app = create(Settings(push_public_key=push.public), database_role_url("kraj_api"), clock=lambda: NOW)
    worker = Worker(database_role_url("kraj_notify"), Sender(push=push), page="http://kraj.test", zone=PRAGUE)
    signing.person(region.connection)
    signing.person(region.connection, "petr@zdarna.cz", "crew", "zdarna", title="Petr", session="petr")
    jana, petr = Browser(f"{service.url}/jana"), Browser(f"{service.url}/petr")
    transport = httpx.ASGITransport(app)
    path = "/notifications/telephones"
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as other,
    ):
        signing.sign(client)
        signing.sign(other, "petr")
        made = await client.post(path, json=jana.subscription)
        assert made.status_code == 201, made.text
        # A crew's address may not lead inside; a public one may, and the region's administrator does not see it.
        refused = await other.post(path, json=petr.subscription)
        assert (refused.status_code, refused.json()["type"]) == (400, "/problems/target_local")
        broken = petr.subscription | {"endpoint": "https://push.example/petr", "keys": {"p256dh": "BA", "auth": "a"}}
        assert (await other.post(path, json=broken)).json()["type"] == "/problems/push"
        assert (await other.post(path, json=petr.subscription | {"endpoint": "https://push.example/p"})).is_success
        listed = (await client.get("/notifications?lang=en")).text
        assert listed.count("/telephones/") == 2, "a test and a switch, of one's own alone"
        assert (await client.get("/v1/notification-targets")).json()["items"] == []
        number = made.json()["target_id"]
        for verb in ("test", "drop"):
            assert (await other.post(f"{path}/{number}/{verb}")).status_code == 404

        # What the service gets says who sent it and for whom; only the browser can read it.
        alert = lamp_out(region)
        done = await worker.round(NOW)
        assert (done.sent, done.failed) == (1, 0)
        headers, body = service.got.pop()
        assert (headers["content-encoding"], headers["urgency"]) == ("aes128gcm", "high")
        assert int(headers["ttl"]) >= 3600
        said = json.loads(jana.read(body))
        assert said["url"] == f"/alerts/{alert}"
        assert "VO-9 Nádražní" in said["title"] + said["body"]
        assert "Nádražní".encode() not in body
        signature, key = headers["authorization"].removeprefix("vapid ").split(", ")
        assert key == f"k={push.public}"
        numbers = raw(push.public)
        public = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": text(numbers[1:33]), "y": text(numbers[33:])})
        claims = jwt.decode(signature.removeprefix("t="), public, algorithms=["ES256"]).claims
        assert (claims["aud"], claims["sub"]) == (service.url, "https://kraj.example.cz")

        # "Send a test", and a browser that is gone is forgotten.
        assert (await client.post(f"{path}/{number}/test")).status_code == 303
        await worker.round(NOW)
        assert json.loads(jana.read(service.got.pop()[1]))["url"] == "/notifications"
        service.status = 410
        await client.post(f"{path}/{number}/test")
        await worker.round(NOW)
        left = region.connection.execute("SELECT url FROM notification_target").fetchall()
        assert [row[0].partition("#")[0] for row in left] == ["push+https://push.example/p"]

        # The same browser with another person signed in is that person's.
        taken = petr.subscription | {"endpoint": "https://push.example/p"}
        assert (await client.post(path, json=taken)).status_code == 201
        left = region.connection.execute("SELECT p.title FROM notification_target JOIN person p USING (person_id)")
        assert left.fetchall() == [("Jana",)]
