"""Where one may go without being signed in, and where a page may send somebody afterwards."""

from urllib.parse import urlencode, urlsplit

HOME = "/"
SIGN_IN = "/sign-in"
SECOND_FACTOR = "/second-factor"
SIGN_OUT = "/sign-out"
NEXT_CHARS_MAX = 1000

FORGOTTEN = "/forgotten"
INSTALLED = ("/manifest.webmanifest", "/sw.js", "/offline")
"""What an installed page needs before anybody is signed in; nothing of it is anybody's."""
PUBLIC = ("/accessibility", "/open311", "/opendata", "/public", "/report", "/sensorthings")
"""Pages for anybody: whoever is signed in is nobody special there."""
OPEN = frozenset(
    {"/healthz", "/readyz", "/metrics", "/openapi.json", "/favicon.ico", SIGN_IN, FORGOTTEN, *INSTALLED, *PUBLIC}
)
PUBLIC_BELOW = tuple(f"{path}/" for path in PUBLIC)
OPEN_BELOW = (*PUBLIC_BELOW, "/static/", "/sign-in/", "/links/", "/problems/", "/.well-known/", "/v1/enrol")
"""Devices enrol with codes of their own; links carry their secret in the path."""
HALF = frozenset({SECOND_FACTOR, f"{SECOND_FACTOR}/set-up", SIGN_OUT})
"""What may be reached between the password and the second factor."""


def is_open(path: str) -> bool:
    """Whether everybody may come here."""
    return path in OPEN or path.startswith(OPEN_BELOW)


def local(wish: str | None) -> str:
    """A path on this site, or the overview: nobody is sent elsewhere by a link that somebody else has made."""
    if (
        not wish
        or len(wish) > NEXT_CHARS_MAX
        or not wish.startswith("/")
        or wish.startswith(("//", "/\\"))
        or any(ord(c) <= 32 or c == "\\" for c in wish)
    ):
        return HOME
    try:
        parts = urlsplit(wish)
    except ValueError:
        return HOME
    if parts.scheme or parts.netloc or parts.path in (SIGN_IN, SIGN_OUT):
        return HOME
    return wish


def with_next(page: str, wish: str) -> str:
    """The address of a page of the door that leads on to a wish afterwards."""
    onward = local(wish)
    return page if onward == HOME else f"{page}?{urlencode({'next': onward})}"
