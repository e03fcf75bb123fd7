"""Passwords: what a good one is, and their hashes by argon2id, with the same work for names that nobody has."""

import asyncio
import secrets
import unicodedata
from functools import cache

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from kraj.store.queries import folded

CHARS_MIN = 12
CHARS_MAX = 200
"""More would only keep the hash busy."""
AT_ONCE = 2
"""Hashes that are computed at once: each takes 64 MiB."""
_COMMON = """
123456789012 1234567890123 12345678901234 123412341234 111111111111 000000000000 abcdefghijkl abcd12345678
qwertyuiop12 qwertyuiop123 qwertzuiop12 qwertzuiop123 qwerty123456 qwertz123456 asdfghjkl123 passwordpassword
password1234 password12345 password123456 heslohesloheslo hesloheslo12 heslo1234567 heslo12345678 heslo123456789
mojeheslo123 mojetajneheslo tajneheslo123 administrator administrator1 administrator123 adminadmin12 adminadminadmin
changemechangeme letmeinletmein iloveyou1234 welcome12345 krajkrajkraj krajkrajkraj1 slunickoslunicko milacek12345
sparta123456 slavia123456 ceskarepublika obecniurad123 osvetleni123
"""
"""The longest of those that are tried first, in Czech and English; what is shorter is too short anyway."""
COMMON = frozenset(_COMMON.split())
_HASHER = argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)


class Passwords:
    """RFC 9106, second recommended option (64 MiB, three passes, four lanes)."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or _HASHER
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, plain(password))

    async def right(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; where there is none, as much is computed and the answer is no."""
        async with self._turn:
            return await asyncio.to_thread(self._right, hashed, password)

    def old(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than today's, so that it is made anew at this sign-in."""
        return self._hasher.check_needs_rehash(hashed)

    def _right(self, hashed: str | None, password: str) -> bool:
        nobody = _nobody(self._hasher)
        try:
            return self._hasher.verify(hashed or nobody, plain(password)) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False


@cache
def _nobody(hasher: argon2.PasswordHasher) -> str:
    return hasher.hash(secrets.token_urlsafe())


def plain(password: str) -> str:
    """The same characters, however a keyboard has composed them."""
    return unicodedata.normalize("NFKC", password[: 2 * CHARS_MAX])


def weak(password: str, name: str, title: str) -> str | None:
    """What is wrong with a new password (``short``, ``long``, ``common``, ``own_name``), or None."""
    text = plain(password)
    if len(text) < CHARS_MIN:
        return "short"
    if len(text) > CHARS_MAX:
        return "long"
    bare = folded(text)
    if bare in COMMON or len(set(bare)) < 5:
        return "common"
    rest = _letters(bare)
    own = {*name.replace("@", ".").split("."), *title.split()}
    for part in sorted((_letters(folded(part)) for part in own), key=len, reverse=True):
        rest = rest.replace(part, "") if len(part) > 3 else rest
    return "own_name" if len(rest) < CHARS_MIN // 2 else None


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())
