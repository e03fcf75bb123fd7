"""Whether a browser says that another site's page has sent a request (cross-site request forgery)."""

from urllib.parse import urlsplit

from starlette.requests import Request

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SITES_OF_OURS = frozenset({"same-origin", "none"})


def from_elsewhere(request: Request, *, strict: bool) -> bool:
    """Whether this comes from another site's page.

    Browsers send ``Sec-Fetch-Site`` (and older ones ``Origin``) with whatever changes something; programs send neither.
    ``strict`` is for requests that a cookie signs: there one of the two must be.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site not in SITES_OF_OURS:
        return True
    if origin is not None:
        return _host(origin) != request.headers.get("host")
    return strict and site is None


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
