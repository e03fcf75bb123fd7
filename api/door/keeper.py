"""Around every request: who asks, by cookie or token; who may not come in is told how, before any route runs."""

import math
import re
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.door import paths
from api.door.origin import SAFE, from_elsewhere
from api.principal import EVERYTHING, Principal, current
from api.problems import REALM, Problem
from api.service import Service
from api.throttle import Throttle
from kraj.errors import UnavailableError
from kraj.store import sign_in

COOKIE = "kraj_session"
KNOWN_S = 2.0
"""How long an answer of the database is believed: a token that is revoked ends within this time."""
KNOWN_MAX = 5000
"""Sessions that are remembered at most; then all are asked for again."""
SEEN_EVERY = timedelta(minutes=5)
"""Using a session is written down so often, not with each request."""
TOKEN = re.compile(r"kraj_([1-9][0-9]{0,8})_([A-Za-z0-9_-]{20,100})")

Answer = Callable[[Request, Exception], Response]


@dataclass(frozen=True, slots=True)
class Found:
    """Who was found, and whether a second factor is still missing."""

    principal: Principal
    half: bool = False


class Memory:
    """What the database has said lately, shared by the middleware and by whoever ends sessions."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[Hashable, tuple[float, Found]] = {}

    def get(self, key: Hashable) -> Found | None:
        until, found = self._known.get(key, (0.0, None))
        return found if self._monotonic() < until else None

    def put(self, key: Hashable, found: Found) -> Found:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[key] = (self._monotonic() + KNOWN_S, found)
        return found

    def forget(self) -> None:
        """Ask the database again for everybody; who signs out or is shut out here ends at once."""
        self._known.clear()


class Keeper:
    """ASGI middleware: sets ``api.principal.current`` and ``request.state.principal``, or turns the request away."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: Service,
        answer: Answer,
        wall: Callable[[], datetime],
        memory: Memory,
        share: Throttle | None = None,
    ) -> None:
        self._app = app
        self._service = service
        self._answer = answer
        self._wall = wall
        self._memory = memory
        self._share = share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        state: dict[str, Any] = scope.setdefault("state", {})
        state["principal"] = None
        try:
            if "\0" in scope["path"]:  # PostgreSQL takes none, and nothing of ours is called so
                raise Problem("not_found", 404, path=scope["path"])
            found = await self._who(request)
            self._within_share(found)
            refusal = self._refusal(request, found)
        except (Problem, UnavailableError) as error:
            found, refusal = None, self._answer(request, error)
            if isinstance(error, Problem) and error.status == 401:
                refusal.headers["www-authenticate"] = f'{REALM}, error="invalid_token"'
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        principal = None if found is None or found.half else found.principal
        state["principal"] = principal
        state["half"] = found.principal if found is not None and found.half else None
        mark = current.set(principal)
        try:
            await self._app(scope, receive, send)
        finally:
            current.reset(mark)

    async def _who(self, request: Request) -> Found | None:
        given = Headers(scope=request.scope).get("authorization")
        path: str = request.scope["path"]
        if given is not None and (path.startswith("/v1/") or not paths.is_open(path)):
            return await self._by_token(given, path)
        cookie = request.cookies.get(COOKIE)
        if not cookie or path.startswith(("/static/", *paths.PUBLIC_BELOW)) or path in paths.OPEN - {paths.SIGN_IN}:
            return None
        try:
            return await self._by_cookie(cookie)
        except UnavailableError:
            if paths.is_open(path):
                return None
            raise

    async def _by_cookie(self, cookie: str) -> Found | None:
        key = sign_in.digest(cookie)
        known = self._memory.get(key)
        if known is not None:
            return known
        at = self._wall()
        async with self._service.database.connection() as connection:
            row = await sign_in.session(connection, cookie, at)
        if row is None:
            return None
        if at - row.seen_at > SEEN_EVERY:
            async with self._service.database.connection(write=True) as connection:
                await sign_in.session_seen(connection, row.session_id, at)
        principal = Principal(
            person_id=row.person_id,
            name=row.name,
            title=row.title,
            language=row.language,
            rights=frozenset(row.rights),
            second_factor=row.second_factor,
            session_id=row.session_id,
            tenant=row.tenant,
        )
        return self._memory.put(
            key, Found(principal, not row.second_factor and (row.owes_second_factor or row.has_totp))
        )

    async def _by_token(self, given: str, path: str) -> Found:
        scheme, _, secret = given.partition(" ")
        match = TOKEN.fullmatch(secret.strip())
        if scheme.lower() != "bearer" or match is None:
            raise Problem("token", 401)
        if not path.startswith("/v1/"):
            raise Problem("token_page", 403, path=path)
        key = (match[1], sign_in.digest(match[2]))
        known = self._memory.get(key)
        if known is not None:
            return known
        at = self._wall()
        async with self._service.database.connection() as connection:
            row = await sign_in.token(connection, int(match[1]), match[2], at)
        if row is None:
            raise Problem("token", 401)
        if row.seen_at is None or at - row.seen_at > SEEN_EVERY:
            async with self._service.database.connection(write=True) as connection:
                await sign_in.token_seen(connection, row.token_id, at)
        principal = Principal(
            person_id=row.person_id,
            name=row.name,
            title=row.title,
            language=row.language,
            scopes=tuple(row.scopes),
            rights=frozenset(row.rights if EVERYTHING in row.scopes else set(row.rights) & set(row.scopes)),
            second_factor=row.second_factor,
            token_id=row.token_id,
            tenant=row.tenant,
        )
        return self._memory.put(key, Found(principal, half=row.owes_second_factor and not row.second_factor))

    def _within_share(self, found: Found | None) -> None:
        """Raise ``Problem('share')`` where a tenant's programs, or its people at browsers, ask too often."""
        if self._share is None or found is None or found.principal.tenant is None:
            return
        name = f"{found.principal.tenant} {'token' if found.principal.token_id is not None else 'session'}"
        if not self._share.take(name):
            raise Problem("share", 429, retry_s=max(1, math.ceil(self._share.wait_s(name))))

    def _refusal(self, request: Request, found: Found | None) -> Response | None:
        path: str = request.scope["path"]
        token = found is not None and found.principal.token_id is not None
        if request.method not in SAFE and from_elsewhere(request, strict=found is not None and not token):
            return self._answer(request, Problem("cross_site", 403))
        if paths.is_open(path) or (found is not None and (not found.half or path in paths.HALF)):
            return None
        page = not path.startswith("/v1/") and request.method in {"GET", "HEAD"}
        onward = f"{path}?{request.url.query}" if request.url.query else path
        if page:
            return RedirectResponse(paths.with_next(paths.SECOND_FACTOR if found else paths.SIGN_IN, onward), 303)
        if found is not None:
            return self._answer(request, Problem("second_factor", 403))
        return self._answer(request, Problem("sign_in", 401))
