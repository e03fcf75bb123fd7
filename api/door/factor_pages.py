"""The pages of the second factor: its code at each sign-in, and setting it up with a picture and recovery codes."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from api.door import door as doors
from api.door import paths, second
from api.door.door import Door
from api.principal import Principal
from api.problems import Problem, details
from api.rulebook import forms
from kraj.store import audit, sign_in

SET_UP = f"{paths.SECOND_FACTOR}/set-up"


def routes(door: Door) -> APIRouter:
    """The routes."""
    router = APIRouter(default_response_class=HTMLResponse)
    _add_code(router, door)
    _add_set_up(router, door)
    return router


def _who(request: Request) -> Principal:
    """Who has given a password at least."""
    found = request.state.principal or request.state.half
    if found is None or found.token_id is not None:
        raise Problem("sign_in", 401)
    return found


def _add_code(router: APIRouter, door: Door) -> None:
    @router.get(paths.SECOND_FACTOR)
    async def form(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = _who(request)
        onward = paths.local(request.query_params.get("next"))
        if who.second_factor:
            return RedirectResponse(onward, 303)
        async with door.service.database.connection() as connection:
            known = await sign_in.totp(connection, who.person_id)
        if known is None or not known.confirmed:
            return RedirectResponse(paths.with_next(SET_UP, onward), 303)
        return _page(door, request, "second_factor.html", onward)

    @router.post(paths.SECOND_FACTOR)
    async def enter(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = _who(request)
        given = await forms.read(request)
        onward = paths.local(given.get("next"))
        try:
            return await _enter(door, request, who, given.get("code", "")[:40], onward)
        except Problem as problem:
            return _page(door, request, "second_factor.html", onward, problem)


async def _enter(door: Door, request: Request, who: Principal, code: str, onward: str) -> Response:
    await doors.attempt(door, request, who.name)
    at = door.wall()
    async with door.service.database.connection(write=True) as connection:
        known = await sign_in.totp(connection, who.person_id)
        how = None
        if known is not None and known.confirmed and known.secret:
            step = second.step_of(known.secret, code, at)
            spare = second.recovery(code)
            if step is not None and await sign_in.take_totp(connection, who.person_id, step):
                how = "second_factor"
            elif spare is not None and await sign_in.take_recovery(connection, who.person_id, spare, at):
                how = "recovery_code"
        if how is not None:
            await sign_in.forgive(connection, who.name)
            return await doors.let_in(
                door, request, connection, who.person_id, how=how, second_factor=True, onward=onward
            )
        await audit.note(connection, "sign_in.failed", "second_factor", person_id=who.person_id)
    raise Problem("code", 403)


def _add_set_up(router: APIRouter, door: Door) -> None:
    @router.get(SET_UP)
    async def form(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = _who(request)
        return await _set_up(door, request, who, paths.local(request.query_params.get("next")))

    @router.post(SET_UP)
    async def confirm(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        who = _who(request)
        given = await forms.read(request)
        onward = paths.local(given.get("next"))
        try:
            await doors.attempt(door, request, who.name)
            return await _confirm(door, request, who, given.get("code", "")[:40], onward)
        except Problem as problem:
            return await _set_up(door, request, who, onward, problem)


async def _set_up(door: Door, request: Request, who: Principal, onward: str, wrong: Problem | None = None) -> Response:
    async with door.service.database.connection(write=True) as connection:
        known = await sign_in.totp(connection, who.person_id)
        if known is not None and known.confirmed:
            return RedirectResponse(paths.with_next(paths.SECOND_FACTOR, onward), 303)
        secret = known.secret if known is not None else None
        if secret is None:
            secret = second.new_secret()
            await sign_in.begin_totp(connection, who.person_id, secret)
    return _page(
        door,
        request,
        "set_up.html",
        onward,
        wrong,
        picture=Markup(second.picture(second.uri(secret, who.name))),  # noqa: S704  # made by segno
        secret=" ".join(secret[i : i + 4] for i in range(0, len(secret), 4)),
    )


async def _confirm(door: Door, request: Request, who: Principal, code: str, onward: str) -> Response:
    at = door.wall()
    codes = second.recovery_codes()
    async with door.service.database.connection(write=True) as connection:
        known = await sign_in.totp(connection, who.person_id)
        step = second.step_of(known.secret, code, at) if known is not None and known.secret else None
        if known is None or known.confirmed or step is None:
            raise Problem("code", 403)
        if not await sign_in.take_totp(connection, who.person_id, step):
            raise Problem("code", 403)
        await sign_in.confirm_totp(connection, who.person_id, at, codes)
        await sign_in.forgive(connection, who.name)
        entered = await doors.let_in(
            door, request, connection, who.person_id, how="second_factor", second_factor=True, onward=onward
        )
    shown = _page(door, request, "recovery.html", onward, codes=codes)
    for name, value in entered.headers.items():
        if name == "set-cookie":
            shown.headers.append(name, value)
    return shown


def _page(
    door: Door, request: Request, template: str, onward: str, wrong: Problem | None = None, **more: object
) -> HTMLResponse:
    response = door.site.page(
        request,
        template,
        wrong.status if wrong else 200,
        onward=onward,
        wrong=wrong and details(door.service, request, wrong),
        **more,
    )
    if wrong is not None and "retry_s" in wrong.values:
        response.headers["retry-after"] = str(wrong.values["retry_s"])
    return response
