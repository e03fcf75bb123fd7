"""A foreign device's password at the broker: drawn once, shown once, kept as the hash that mosquitto's file takes."""

import base64
import hashlib
import secrets

PASSWORD_BYTES = 15
"""120 bits as 20 letters; some devices' forms take no more than 32."""
ITERATIONS = 10_000
SALT_BYTES = 12
SCHEME = "7"
"""mosquitto's number for PBKDF2 with SHA-512."""


def draw() -> str:
    """A new password; letters, digits, - and _, which every device's web form takes."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def hashed(password: str, salt: bytes | None = None) -> str:
    """As mosquitto_passwd writes it: ``$7$iterations$salt$hash``."""
    grain = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), grain, ITERATIONS)
    return f"${SCHEME}${ITERATIONS}${base64.b64encode(grain).decode()}${base64.b64encode(digest).decode()}"
