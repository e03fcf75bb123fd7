"""Pages kept as bytes: answered before anything else is asked, made again at most every ten seconds, one at a time."""

import asyncio
import gzip
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.language import LANGUAGES, accepted
from api.principal import current
from kraj.errors import UnavailableError

PREFIX = "/public"
FRESH_S = 10.0
"""So long a page is given without a look at the database."""
STALE_S = 50.0
"""So much older it is still given, while it is made again behind the answer; then one waits for the new one."""
KEPT_S = 900.0
"""While the database is away a page this old is better than none: each says from when it is."""
PAGES_MAX = 400
BYTES_MAX = 48 * 1024 * 1024
WAITING_MAX = 40
"""More requests than these do not queue for pages that nobody has asked for lately."""
QUERY_CHARS_MAX = 100
GZIP_BYTES_MIN = 1000
PARAMETERS = ("q", "street", "page")
CACHE_CONTROL = f"public, max-age={FRESH_S:.0f}, stale-while-revalidate={STALE_S:.0f}".encode()

logger = logging.getLogger("kraj.api.public")


@dataclass(frozen=True, slots=True)
class Wish:
    """What decides how a page looks, and nothing else: neither cookie nor account is asked for.

    ``chosen`` tells that the address names the language, so that links on the page go on in it.
    """

    path: str
    language: str
    chosen: bool = False
    q: str = ""
    street: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A page; ``at`` is monotonic."""

    at: float
    plain: bytes
    packed: bytes | None
    tag: bytes
    language: bytes

    @property
    def size(self) -> int:
        return len(self.plain) + len(self.packed or b"")


@dataclass(frozen=True, slots=True)
class Counted:
    """What stands for a route in the counters of requests, where no route was asked."""

    path: str


def wish(path: str, query: bytes, accept_language: str) -> Wish:
    """From a request; parameters that no page knows are as good as not there."""
    given: dict[str, str] = {}
    if query:
        for name, value in parse_qsl(query[:2000].decode("latin-1"), max_num_fields=None):
            given.setdefault(name, value.replace("\0", "").strip()[:QUERY_CHARS_MAX])
    chosen = given.get("lang") in LANGUAGES
    language = given["lang"] if chosen else accepted(accept_language)
    return Wish(path, language, chosen, *(given.get(name, "") for name in PARAMETERS))


class Shelf:
    """Pages by wish, in order of their last use; ``make`` renders one, and raises ``Problem`` for what is not there."""

    def __init__(self, make: Callable[[Wish], Awaitable[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self._make = make
        self._clock = clock
        self._pages: OrderedDict[Wish, Kept] = OrderedDict()
        self._size = 0
        self._one = asyncio.Lock()
        self._waiting = 0
        self._behind: dict[Wish, asyncio.Task[None]] = {}

    def look(self, wanted: Wish) -> Kept | None:
        """A page that may be given at once; one that is not fresh is made again meanwhile."""
        kept = self._pages.get(wanted)
        if kept is None:
            return None
        age = self._clock() - kept.at
        if age > FRESH_S + STALE_S:
            return None
        self._pages.move_to_end(wanted)
        if age > FRESH_S and wanted not in self._behind:
            task = asyncio.create_task(self._again(wanted))
            self._behind[wanted] = task
            task.add_done_callback(lambda _: self._behind.pop(wanted, None))
        return kept

    async def get(self, wanted: Wish) -> Kept:
        """The page, made if need be; who comes while it is being made waits for the same one.

        Raises ``Problem`` for what is not there, ``UnavailableError`` when it cannot be made now.
        """
        kept = self.look(wanted)
        if kept is not None:
            return kept
        if self._waiting >= WAITING_MAX:
            raise UnavailableError("public pages: too many are asked for at once")
        self._waiting += 1
        try:
            async with self._one:
                kept = self._pages.get(wanted)
                if kept is not None and self._clock() - kept.at <= FRESH_S:
                    return kept
                try:
                    return await self._put(wanted)
                except UnavailableError:
                    if kept is not None and self._clock() - kept.at <= KEPT_S:
                        return kept
                    raise
        finally:
            self._waiting -= 1

    async def _again(self, wanted: Wish) -> None:
        try:
            async with self._one:
                await self._put(wanted)
        except Exception as error:  # told, and the old page stays until it is too old
            logger.warning("%s could not be made again: %r", wanted.path, error)
            self._drop(wanted, only_without=not isinstance(error, UnavailableError))

    def _drop(self, wanted: Wish, *, only_without: bool) -> None:
        """What is not there any more (a municipality that has withdrawn) goes at once."""
        if only_without and (gone := self._pages.pop(wanted, None)):
            self._size -= gone.size

    async def _put(self, wanted: Wish) -> Kept:
        mark = current.set(None)  # whoever asks: these pages are nobody's
        try:
            plain = (await self._make(wanted)).encode()
        finally:
            current.reset(mark)
        packed = gzip.compress(plain, 6, mtime=0) if len(plain) >= GZIP_BYTES_MIN else None
        tag = hashlib.sha256(plain).hexdigest()[:20].encode()
        kept = Kept(self._clock(), plain, packed, tag, wanted.language.encode())
        old = self._pages.pop(wanted, None)
        self._size += kept.size - (old.size if old else 0)
        self._pages[wanted] = kept
        while len(self._pages) > PAGES_MAX or self._size > BYTES_MAX:
            self._size -= self._pages.popitem(last=False)[1].size
        return kept


class Front:
    """ASGI middleware: gives what is on the shelf; everything else goes further in, where the route fills the shelf."""

    def __init__(self, app: ASGIApp, shelf: Shelf) -> None:
        self._app = app
        self._shelf = shelf

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_public(scope["path"]) and scope["method"] in ("GET", "HEAD"):
            kept = self._shelf.look(wish_of(scope))
            if kept is not None:
                scope["route"] = Counted(PREFIX)
                await give(kept, scope, send)
                return
        await self._app(scope, receive, send)


def is_public(path: str) -> bool:
    """Whether a path is one of these pages."""
    return path == PREFIX or path.startswith(PREFIX + "/")


def wish_of(scope: Scope) -> Wish:
    """The wish of a request."""
    language = _header(scope, b"accept-language")
    return wish(scope["path"], scope["query_string"], language.decode("latin-1"))


async def give(kept: Kept, scope: Scope, send: Send) -> None:
    """Answer with a page, packed where the browser takes that, or with 304 where it has it."""
    packed = kept.packed is not None and b"gzip" in _header(scope, b"accept-encoding")
    tag = b'"' + kept.tag + (b"-z" if packed else b"") + b'"'
    headers = [
        (b"etag", tag),
        (b"cache-control", CACHE_CONTROL),
        (b"vary", b"accept-language, accept-encoding"),
        (b"content-language", kept.language),
    ]
    known = {one.strip().removeprefix(b"W/") for one in _header(scope, b"if-none-match").split(b",")}
    if tag in known or b"*" in known:
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    body = kept.packed if packed and kept.packed is not None else kept.plain
    headers += [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    if packed:
        headers.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class Answer(Response):
    """A page as a route's answer, given as ``Front`` gives it."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await give(self._kept, scope, send)


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")
