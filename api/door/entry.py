"""The pages of the door: sign-in, sign-out, a forgotten password, and what a link is good for."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.background import BackgroundTask

from api.door import door as doors
from api.door import paths
from api.door.door import Door
from api.door.keeper import COOKIE
from api.door.passwords import CHARS_MAX, CHARS_MIN, weak
from api.problems import Problem, details
from api.rulebook import forms
from api.watch import local_host
from kraj.store import audit, sign_in

NAME_CHARS_MAX = 254
SAID = frozenset({"out", "sent", "ended"})


def routes(door: Door) -> APIRouter:
    """The routes."""
    router = APIRouter(default_response_class=HTMLResponse)
    _add_sign_in(router, door)
    _add_forgotten(router, door)
    _add_links(router, door)
    return router


def _add_sign_in(router: APIRouter, door: Door) -> None:
    @router.get(paths.SIGN_IN)
    async def form(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        onward = paths.local(request.query_params.get("next"))
        if request.state.principal is not None:
            return RedirectResponse(onward, 303)
        said = request.query_params.get("said")
        return _form(door, request, onward, said=said if said in SAID else None)

    @router.post(paths.SIGN_IN)
    async def enter(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        name = given.get("name", "").replace("\0", "").strip().lower()[:NAME_CHARS_MAX]
        onward = paths.local(given.get("next"))
        try:
            return await _enter(door, request, name, given.get("password", ""), onward)
        except Problem as problem:
            return _form(door, request, onward, name=name, wrong=problem)

    @router.post(paths.SIGN_OUT)
    async def leave(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        cookie = request.cookies.get(COOKIE)
        if cookie:
            async with door.service.database.connection(write=True) as connection:
                await sign_in.close_session(connection, cookie)
                await audit.note(connection, "sign_out", "sign_in")
            door.memory.forget()
        response = RedirectResponse(f"{paths.SIGN_IN}?said=out", 303)
        doors.drop_cookie(door, response)
        return response


def _form(
    door: Door, request: Request, onward: str, *, name: str = "", wrong: Problem | None = None, said: str | None = None
) -> Response:
    found = wrong and details(door.service, request, wrong)
    response = door.site.page(
        request,
        "sign_in.html",
        wrong.status if wrong else 200,
        onward=onward,
        email=name,
        wrong=found,
        said=said,
        issuer=door.issuer is not None,
        issuer_url=paths.with_next("/sign-in/oidc", onward),
    )
    if wrong is not None and "retry_s" in wrong.values:
        response.headers["retry-after"] = str(wrong.values["retry_s"])
    return response


async def _enter(door: Door, request: Request, name: str, password: str, onward: str) -> Response:
    await doors.attempt(door, request, name)
    async with door.service.database.connection() as connection:
        found = await sign_in.named(connection, name)
    hashed = found.password if found else None
    right = await door.passwords.right(hashed, password)
    fresh = await door.passwords.hash(password) if right and hashed and door.passwords.old(hashed) else None
    async with door.service.database.connection(write=True) as connection:
        if found is None or not right:
            await audit.note(connection, "sign_in.failed", "password", person_id=found and found.person_id)
        else:
            if fresh is not None:
                await sign_in.set_password(connection, found.person_id, fresh, everywhere=False)
            half = found.has_totp or (found.owes_second_factor and not found.break_glass)
            if not half:
                await sign_in.forgive(connection, name)
            if found.break_glass:
                at = door.service.clock()
                await sign_in.break_glass(connection, found.person_id, doors.address(request), at)
            return await doors.let_in(
                door,
                request,
                connection,
                found.person_id,
                how="break_glass" if found.break_glass else "password",
                second_factor=found.break_glass,
                onward=onward,
                language=found.language,
            )
    raise Problem("credentials", 403)


def _add_forgotten(router: APIRouter, door: Door) -> None:
    @router.get(paths.FORGOTTEN)
    async def form(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return door.site.page(request, "forgotten.html", mail=door.mail is not None, wrong=None, said=None)

    @router.post(paths.FORGOTTEN)
    async def ask(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        given = await forms.read(request)
        name = given.get("name", "").replace("\0", "").strip().lower()[:NAME_CHARS_MAX]
        try:
            await doors.attempt(door, request, name)
        except Problem as problem:
            wrong = details(door.service, request, problem)
            return door.site.page(request, "forgotten.html", 429, mail=door.mail is not None, wrong=wrong, said=None)
        response = door.site.page(request, "forgotten.html", mail=door.mail is not None, wrong=None, said="sent")
        response.background = BackgroundTask(_mail_reset, door, request, name)  # its time tells nobody who is known
        return response


async def _mail_reset(door: Door, request: Request, name: str) -> None:
    if door.mail is None:
        return
    async with door.service.database.connection(write=True) as connection:
        found = await sign_in.named(connection, name)
        if found is None or found.break_glass or (found.password is None and found.has_issuer):
            return
        code = await sign_in.make_code(connection, "reset", found.person_id, door.wall(), doors.RESET_LASTS)
        await audit.note(connection, "password.reset_asked", "password", person_id=found.person_id)
    await doors.send(door, request, found.name, "reset", language=found.language, link=door.link(code))


def _add_links(router: APIRouter, door: Door) -> None:
    @router.get("/links/{code}")
    async def look(request: Request, code: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        found = await _code(door, request, code)
        return _link(door, request, found)

    @router.post("/links/{code}")
    async def use(request: Request, code: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        found = await _code(door, request, code)
        given = await forms.read(request)
        hashed = None
        if found.purpose != "sign_in":
            password = given.get("password", "")
            fault = weak(password, found.name, found.title)
            if fault is None and password != given.get("again", ""):
                fault = "differs"
            if fault is not None:
                wrong = Problem(f"password_{fault}", 400, chars_min=CHARS_MIN, chars_max=CHARS_MAX)
                return _link(door, request, found, wrong)
            hashed = await door.passwords.hash(password)
        async with door.service.database.connection(write=True) as connection:
            if not await sign_in.take_code(connection, code, door.wall()):
                raise Problem("link", 410)
            if hashed is not None:
                await sign_in.set_password(connection, found.person_id, hashed, everywhere=True)
                await sign_in.forgive(connection, found.name)
            return await doors.let_in(
                door,
                request,
                connection,
                found.person_id,
                how=found.purpose,
                second_factor=found.detail.get("demo") is True,
                onward=paths.HOME,
                language=found.language,
            )


async def _code(door: Door, request: Request, code: str) -> sign_in.CodeRow:
    async with door.service.database.connection() as connection:
        found = await sign_in.code(connection, code, door.wall())
    if found is None:
        raise Problem("link", 410)
    if found.detail.get("demo") is True and not (
        local_host(doors.address(request)) and local_host(request.headers.get("host", ""))
    ):
        raise Problem("link_demo", 403)
    return found


def _link(door: Door, request: Request, found: sign_in.CodeRow, wrong: Problem | None = None) -> Response:
    return door.site.page(
        request,
        "link.html",
        wrong.status if wrong else 200,
        found=found,
        wrong=wrong and details(door.service, request, wrong),
        demo=found.detail.get("demo") is True,
        chars_min=CHARS_MIN,
    )
