"""Web push: encrypted for one browser (RFC 8291), signed as ours (RFC 8292), posted to its service (RFC 8030).

An address is ``push+<endpoint>#<p256dh>.<auth>``, as the browser's ``PushSubscription`` gives the three.
"""

import base64
import json
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import ECKey

from kraj.errors import ConfigurationError

SCHEME = "push+"
PAYLOAD_BYTES_MAX = 3000
"""Services take 4096 bytes of record; what is longer is cut in its body."""
KEEP_S = 24 * 3600
"""How long the service keeps it for a telephone that is off: as long as we would try ourselves."""
TOKEN_S = 12 * 3600
SEND_S_MAX = 10.0
ERROR_CHARS_MAX = 300
GONE = "the browser has been switched off, or its permission withdrawn"
"""What ``post`` says when the service does not know the browser any more (404, 410)."""


def known(url: str) -> bool:
    """Whether this is an address of a browser."""
    return url.startswith((f"{SCHEME}https://", f"{SCHEME}http://"))


def address(endpoint: str, p256dh: str, auth: str) -> str:
    """The address of a subscription; ``ValueError`` for keys that are none."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment or parts.username:
        raise ValueError("endpoint")
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _bytes(p256dh))
    if len(_bytes(auth)) != 16:
        raise ValueError("auth")
    return f"{SCHEME}{endpoint}#{p256dh.rstrip('=')}.{auth.rstrip('=')}"


class Push:
    """Sends in the name of this installation; ``contact`` (an https or mailto address) is whom services may ask."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, contact: str) -> None:
        self._key = ECKey.import_key(key.private_bytes(*_PEM))
        self.public = _text(_point(key.public_key()))
        self._contact = contact

    @classmethod
    def from_file(cls, file: Path, contact: str) -> "Push":
        """The key of a file (PEM); ``ConfigurationError`` where there is none."""
        try:
            key = serialization.load_pem_private_key(file.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"KRAJ_PUSH_KEY_FILE: {file} holds no key ({error}); `kraj up` makes one"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ConfigurationError(f"KRAJ_PUSH_KEY_FILE: {file} holds a key of another kind; push takes P-256")
        return cls(key, contact)

    def post(self, url: str, title: str, body: str, link: str, language: str) -> str | None:
        """Send and wait; None when the service has taken it, ``GONE``, or else what went wrong. ``link``: a path."""
        endpoint, _, keys = url.removeprefix(SCHEME).partition("#")
        p256dh, _, auth = keys.partition(".")
        parts = urlsplit(endpoint)
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(time.time()) + TOKEN_S, "sub": self._contact}
        token = jwt.encode({"alg": "ES256", "typ": "JWT"}, claims, self._key)
        headers = {
            "authorization": f"vapid t={token}, k={self.public}",
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(KEEP_S),
            "urgency": "high",
        }
        payload = _payload(title, body, link, language)
        try:
            with httpx.Client(timeout=SEND_S_MAX, trust_env=False, follow_redirects=False) as client:
                answer = client.post(
                    endpoint, headers=headers, content=encrypted(payload, _bytes(p256dh), _bytes(auth))
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{type(error).__name__}: {error}".replace(endpoint, "…")[:ERROR_CHARS_MAX]
        if answer.status_code in (404, 410):
            return GONE
        return None if answer.is_success else f"{parts.hostname} answers {answer.status_code}"


def _payload(title: str, body: str, link: str, language: str) -> bytes:
    said = {"title": title, "body": body, "url": link, "language": language}
    raw = json.dumps(said, ensure_ascii=False).encode()
    while len(raw) > PAYLOAD_BYTES_MAX and said["body"]:
        said["body"] = said["body"][: len(said["body"]) // 2]
        raw = json.dumps(said, ensure_ascii=False).encode()
    return raw


def encrypted(
    payload: bytes,
    public: bytes,
    auth: bytes,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """One record of ``aes128gcm`` for a browser's key (RFC 8291, 3.4); ``key`` and ``salt`` are drawn unless given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public))
    own = _point(key.public_key())
    secret = _derived(shared, auth, b"WebPush: info\0" + public + own, 32)
    sealed = AESGCM(_derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)).encrypt(
        _derived(secret, salt, b"Content-Encoding: nonce\0", 12), payload + b"\2", None
    )
    return salt + (4096).to_bytes(4, "big") + bytes([len(own)]) + own + sealed


def new_key() -> bytes:
    """A private key (PEM)."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(*_PEM)


def public_key(file: Path) -> str:
    """The public key of a file's private one, as browsers take it (base64url of the uncompressed point)."""
    return Push.from_file(file, "").public


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


_PEM = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
