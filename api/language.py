"""The language of an answer: what the address says, else the cookie, else the browser, else Czech."""

from starlette.requests import Request

LANGUAGES = ("cs", "en")
COOKIE = "lang"
COOKIE_S = 365 * 86_400
ACCEPT_CHARS_MAX = 500


def choose(request: Request) -> str:
    """One of ``LANGUAGES``."""
    for wish in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        if wish in LANGUAGES:
            return wish
    return accepted(request.headers.get("accept-language", ""))


def accepted(header: str) -> str:
    """The best of ``LANGUAGES`` by an Accept-Language header; Slovaks read Czech."""
    best, best_weight = LANGUAGES[0], 0.0
    for part in header[:ACCEPT_CHARS_MAX].split(","):
        tag, _, rest = part.strip().partition(";")
        language = tag.partition("-")[0].lower().replace("sk", "cs")
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best
