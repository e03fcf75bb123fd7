"""The page of one's own account: what one may do, where one is signed in, the password, tokens for programs."""

from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api import rights
from api.alert_pages import counted
from api.door import door as doors
from api.door import second, tokens
from api.door.door import Door
from api.door.passwords import CHARS_MAX, CHARS_MIN, weak
from api.language import COOKIE as LANGUAGE
from api.language import COOKIE_S, LANGUAGES
from api.principal import Principal
from api.problems import Problem, details
from api.rulebook import forms
from kraj.people import RIGHTS
from kraj.store import audit, people, sign_in

ACCOUNT = "/account"
SAID = frozenset({"password", "session", "token", "language"})


def routes(door: Door) -> APIRouter:
    """The routes."""
    router = APIRouter(default_response_class=HTMLResponse, dependencies=[counted(door.site)])
    _add_account(router, door)
    _add_tokens(router, door)
    return router


def _add_account(router: APIRouter, door: Door) -> None:
    @router.get(ACCOUNT)
    async def account(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _page(door, request)

    @router.post(f"{ACCOUNT}/language")
    async def language(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        rights.signed_in()
        given = (await forms.read(request)).get("language", "")
        if given not in LANGUAGES:
            raise Problem("body", 400, name="language", value=given)
        async with door.service.database.connection(write=True) as connection:
            await people.choose_language(connection, given)
        door.memory.forget()
        response = _done("language")
        response.set_cookie(LANGUAGE, given, max_age=COOKIE_S, samesite="lax", httponly=True)
        return response

    @router.post(f"{ACCOUNT}/password")
    async def password(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            return await _change_password(door, request, rights.signed_in(), given)
        except Problem as problem:
            return await _page(door, request, problem)

    @router.post(f"{ACCOUNT}/recovery")
    async def recovery(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        try:
            codes = await _renew_recovery(door, request, rights.signed_in(), given.get("code", "")[:40])
        except Problem as problem:
            return await _page(door, request, problem)
        return door.site.page(request, "recovery.html", codes=codes, onward=ACCOUNT, renewed=True)

    @router.post(f"{ACCOUNT}/sessions/{{session_id}}")
    async def end(request: Request, session_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        rights.signed_in()
        async with door.service.database.connection(write=True) as connection:
            if not 0 < session_id < 2**63 or not await people.end_session(connection, session_id):
                raise Problem("session", 404, name=session_id)
            await audit.note(connection, "session.end", f"session {session_id}")
        door.memory.forget()
        return _done("session")


def _add_tokens(router: APIRouter, door: Door) -> None:
    @router.post(f"{ACCOUNT}/tokens")
    async def make(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        fields = {
            "name": given.get("name", ""),
            "scopes": [right for right in RIGHTS if given.get(f"scope.{right}")],
            "days": given.get("days", ""),
        }
        try:
            body = forms.checked(tokens.TokenBody, fields)
            async with door.service.database.connection(write=True) as connection:
                made = await tokens.make(door, connection, body)
        except Problem as problem:
            return await _page(door, request, problem)
        return door.site.page(request, "token.html", made=made)

    @router.post(f"{ACCOUNT}/tokens/{{token_id}}")
    async def revoke(request: Request, token_id: int) -> Response:  # pyright: ignore[reportUnusedFunction]
        await tokens.revoke(door, token_id)
        return _done("token")


def _done(said: str) -> Response:
    return RedirectResponse(f"{ACCOUNT}?said={said}#said", 303)


async def _renew_recovery(door: Door, request: Request, who: Principal, code: str) -> list[str]:
    """New recovery codes instead of all earlier ones, for who has the telephone at hand now."""
    await doors.attempt(door, request, who.name)
    at = door.wall()
    codes = second.recovery_codes()
    async with door.service.database.connection(write=True) as connection:
        known = await sign_in.totp(connection, who.person_id)
        step = second.step_of(known.secret, code, at) if known and known.confirmed and known.secret else None
        if step is not None and await sign_in.take_totp(connection, who.person_id, step):
            await sign_in.confirm_totp(connection, who.person_id, at, codes)
            await sign_in.forgive(connection, who.name)
            await audit.note(connection, "recovery_codes.renew", "recovery codes")
            return codes
        await audit.note(connection, "recovery_codes.refused", "second_factor")
    raise Problem("code", 403)


async def _change_password(door: Door, request: Request, who: Principal, given: dict[str, str]) -> Response:
    await doors.attempt(door, request, who.name)
    async with door.service.database.connection() as connection:
        found = await sign_in.named(connection, who.name)
    if found is None or found.break_glass or not await door.passwords.right(found.password, given.get("old", "")):
        raise Problem("credentials", 403)
    password = given.get("password", "")
    fault = weak(password, found.name, found.title)
    if fault is None and password != given.get("again", ""):
        fault = "differs"
    if fault is not None:
        raise Problem(f"password_{fault}", 400, chars_min=CHARS_MIN, chars_max=CHARS_MAX)
    hashed = await door.passwords.hash(password)
    async with door.service.database.connection(write=True) as connection:
        await sign_in.set_password(connection, found.person_id, hashed, everywhere=True)
        await sign_in.forgive(connection, found.name)
        await audit.note(connection, "password.change", "password")
        return await doors.let_in(
            door,
            request,
            connection,
            found.person_id,
            how="password_change",
            second_factor=who.second_factor,
            onward=f"{ACCOUNT}?said=password",
        )


async def _page(door: Door, request: Request, wrong: Problem | None = None) -> Response:
    who = rights.signed_in()
    at = door.wall()
    async with door.service.database.connection() as connection:
        person = await people.person(connection, who.person_id)
        roles = await people.memberships(connection, person_ids=[who.person_id])
        sessions = await people.sessions(connection, at)
        made = await people.tokens(connection)
    if person is None:
        raise Problem("sign_in", 401)
    said = request.query_params.get("said")
    return door.site.page(
        request,
        "account.html",
        wrong.status if wrong else 200,
        person=person,
        roles=[role for role in roles if role.valid_to is None or role.valid_to > at],
        sessions=sessions,
        session_id=who.session_id,
        tokens=[token for token in made if token.revoked_at is None and token.expires_at > at],
        rights=[right for right in RIGHTS if right in who.rights],
        days_max=tokens.DAYS_MAX,
        soon=at + timedelta(days=30),
        chars_min=CHARS_MIN,
        said=said if said in SAID else None,
        wrong=wrong and details(door.service, request, wrong),
    )
