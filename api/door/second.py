"""The second factor: codes of the clock (TOTP, RFC 6238), each taken once, and recovery codes for a lost telephone."""

import secrets
from datetime import datetime
from hmac import compare_digest
from io import BytesIO

import segno
from pyotp import random_base32
from pyotp.totp import TOTP

ISSUER = "Kraj"
PERIOD_S = 30
STEPS_AROUND = 1
"""A telephone's clock may be half a minute off."""
RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def new_secret() -> str:
    """160 bits, as the RFC recommends."""
    return random_base32()


def step_of(secret: str, code: str, at: datetime) -> int | None:
    """The step of the clock that a code belongs to, or None for a wrong one."""
    given = "".join(code.split())
    if len(given) != 6 or not given.isdecimal() or not given.isascii():
        return None
    totp = TOTP(secret)
    now = int(at.timestamp()) // PERIOD_S
    found = None
    for step in range(now - STEPS_AROUND, now + STEPS_AROUND + 1):
        if compare_digest(totp.at(step * PERIOD_S), given):
            found = step
    return found


def uri(secret: str, name: str) -> str:
    """What the telephone's application reads from the picture."""
    return TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def picture(text: str) -> str:
    """A QR code as SVG, black on white in every look, as cameras want it."""
    out = BytesIO()
    segno.make(text, error="m").save(
        out, kind="svg", scale=5, border=4, dark="#000", light="#fff", xmldecl=False, svgns=True, svgclass="qr"
    )
    return out.getvalue().decode()


def recovery_codes() -> list[str]:
    """New codes, each of 49 bits: guessing is slow, as attempts are counted."""
    return [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(2)) for _ in range(RECOVERY_CODES)
    ]


def recovery(given: str) -> str | None:
    """A recovery code as it is kept, or None for what cannot be one."""
    text = "".join(given.split()).lower().replace("-", "")
    return f"{text[:5]}-{text[5:]}" if len(text) == 10 and set(text) <= set(_LETTERS) else None
