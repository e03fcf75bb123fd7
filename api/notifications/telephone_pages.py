"""The part of the page Notifications about one's own telephones: switched on by a script, tested and switched off."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from api import acting, rights
from api.notifications import push
from api.notifications.contact_routes import Number
from api.notifications.inside import inside
from api.problems import Problem
from api.registry import exchange
from api.site import Site
from kraj.alerts import Severity
from kraj.store import contacts, rulebook, telephones

PATH = "/telephones"
"""Below /notifications."""
TELEPHONES_MAX = 20
"""Of one person."""
_TEXT = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[\x21-\x7e]+$")]
_DEVICES = ("iPhone", "iPad", "Android", "Windows", "Macintosh", "Linux")
_BROWSERS = (("Firefox/", "Firefox"), ("Edg/", "Edge"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))


class Keys(BaseModel):
    """By which messages are encrypted for the browser (RFC 8291)."""

    model_config = ConfigDict(extra="forbid")

    p256dh: _TEXT
    auth: _TEXT


class SubscriptionBody(BaseModel):
    """What a browser's ``PushSubscription`` says of itself, and what its person wants to hear."""

    model_config = ConfigDict(extra="ignore")

    endpoint: _TEXT
    keys: Keys
    severity_min: Severity = Severity.MAJOR


def routes(site: Site, *, enabled: bool) -> APIRouter:
    """The routes; without a key (``enabled``) none can be switched on."""
    router = APIRouter(prefix=PATH, default_response_class=HTMLResponse)
    service = site.service

    @router.post("")
    async def switch_on(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = rights.signed_in()
        body, _ = await exchange.body_of(request, SubscriptionBody)
        if not enabled:
            raise Problem("push_off", 409)
        try:
            address = push.address(body.endpoint, body.keys.p256dh, body.keys.auth)
        except ValueError as error:
            raise Problem("push", 400) from error
        async with service.database.connection(write=True) as connection:
            local = inside(body.endpoint) or not body.endpoint.startswith("https://")
            if local and not await rulebook.may(connection, "rules", None):
                raise Problem("target_local", 400)
            if len(await telephones.telephones(connection, who.person_id)) >= TELEPHONES_MAX:
                raise Problem("telephones_many", 409, most=TELEPHONES_MAX)
            number = await telephones.switch_on(
                connection,
                address,
                name=_name(request.headers.get("user-agent", ""), body.endpoint),
                severity_min=str(body.severity_min),
                language=who.language,
            )
        return JSONResponse({"target_id": number}, 201)

    @router.post("/{number}/test")
    async def test(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = rights.signed_in()
        await acting.bounded(request)
        async with service.database.connection(write=True) as connection:
            if number not in [row.target_id for row in await telephones.telephones(connection, who.person_id)]:
                raise Problem("telephone", 404, name=number)
            await contacts.ask_test(connection, number, who=acting.who(), at=service.clock())
        return _done("test")

    @router.post("/{number}/drop")
    async def drop(request: Request, number: Number) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = rights.signed_in()
        await acting.bounded(request)
        async with service.database.connection(write=True) as connection:
            if number not in [row.target_id for row in await telephones.telephones(connection, who.person_id)]:
                raise Problem("telephone", 404, name=number)
            await contacts.drop_target(connection, number)
        return _done("off")

    return router


def _done(said: str) -> Response:
    return RedirectResponse(f"/notifications?telephone={said}#telephones", 303)


def _name(agent: str, endpoint: str) -> str:
    """What its person will know it by; the digits keep two of a kind apart."""
    device = next((one for one in _DEVICES if one in agent), "?").replace("Macintosh", "Mac")
    browser = next((name for mark, name in _BROWSERS if mark in agent), "?")
    return f"{browser}, {device} ({hashlib.sha256(endpoint.encode()).hexdigest()[:8]})"
