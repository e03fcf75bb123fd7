"""What every route of the sign-in needs, and the steps that several take: letting in, cookies, links, limits."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from api.database import Connection
from api.door import oidc, paths
from api.door.keeper import COOKIE, Memory
from api.door.mail import Mail
from api.door.passwords import Passwords
from api.language import COOKIE as LANGUAGE
from api.language import COOKIE_S, choose
from api.problems import Problem
from api.service import Service
from api.site import Site
from kraj.store import audit, sign_in

INVITATION_LASTS = timedelta(days=7)
RESET_LASTS = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Made once, at the entry point, and passed down."""

    service: Service
    site: Site
    memory: Memory
    wall: Callable[[], datetime]
    passwords: Passwords
    page: str
    issuer: oidc.Issuer | None
    mail: Mail | None

    @property
    def secure(self) -> bool:
        return self.page.startswith("https://")

    def link(self, code: str) -> str:
        """The address of a link."""
        return f"{self.page}/links/{code}"


def address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client is not None else "?"


async def attempt(door: Door, request: Request, name: str) -> None:
    """Count an attempt under this name; raise ``Problem('attempts')`` when there were too many."""
    async with door.service.database.connection(write=True) as connection:
        wait_s = await sign_in.attempt(connection, name, address(request), door.wall())
        if wait_s:
            await audit.note(connection, "sign_in.limited", "sign_in")
    if wait_s:
        raise Problem("attempts", 429, retry_s=math.ceil(wait_s), minutes=math.ceil(wait_s / 60))


async def let_in(
    door: Door,
    request: Request,
    connection: Connection,
    person_id: int,
    *,
    how: str,
    second_factor: bool,
    onward: str,
    language: str | None = None,
) -> Response:
    """A new session, whatever the browser had before, and on to where somebody wanted to go."""
    old = request.cookies.get(COOKIE)
    if old:
        await sign_in.close_session(connection, old)
    agent = request.headers.get("user-agent", "")
    made = await sign_in.open_session(connection, person_id, door.wall(), second_factor=second_factor, user_agent=agent)
    if made is None:
        raise Problem("link", 410)
    await audit.note(connection, "sign_in", how, {"second_factor": second_factor}, person_id=person_id)
    door.memory.forget()
    response = RedirectResponse(paths.local(onward), 303)
    set_cookie(door, request, response, made)
    if language is not None and request.cookies.get(LANGUAGE) is None:
        response.set_cookie(LANGUAGE, language, max_age=COOKIE_S, samesite="lax", httponly=True)
    return response


def set_cookie(door: Door, request: Request, response: Response, secret: str) -> None:
    """The cookie of a session; it ends with the browser or with the session in the database, whichever is first."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(sign_in.SESSION_WHOLE.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=door.secure or request.url.scheme == "https",
    )


def drop_cookie(door: Door, response: Response) -> None:
    """Sign out in the browser."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax", secure=door.secure)


async def send(door: Door, request: Request, to: str, kind: str, **values: object) -> bool:
    """Mail a text of the catalogue (``mail.<kind>``); whether it went out."""
    if door.mail is None:
        return False
    say = door.service.texts[str(values.pop("language", None) or choose(request))]
    error = await door.mail(to, say(f"mail.{kind}_subject"), say(f"mail.{kind}_body", **values))
    return error is None
