"""Signing in with an issuer: away to it, and back with a code."""

import logging
import secrets

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from api.door import door as doors
from api.door import oidc, paths
from api.door.door import Door
from api.problems import Problem
from kraj.store import audit, sign_in

START = "/sign-in/oidc"
CALLBACK = "/sign-in/oidc/callback"
COOKIE = "kraj_oidc"
COOKIE_S = 600

logger = logging.getLogger("kraj.api")


def routes(door: Door, issuer: oidc.Issuer) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.get(START)
    async def start(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            url, started = await issuer.start(paths.local(request.query_params.get("next")))
        except oidc.IssuerError as error:
            raise _refused(error) from error
        response = RedirectResponse(url, 303)
        response.set_cookie(
            COOKIE,
            started.text(),
            max_age=COOKIE_S,
            path=START,
            httponly=True,
            samesite="lax",
            secure=door.secure,
        )
        return response

    @router.get(CALLBACK)
    async def back(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        started = oidc.Started.read(request.cookies.get(COOKIE, ""))
        asked = request.query_params
        # A code that this browser did not ask for would sign it in as somebody else.
        if started is None or not secrets.compare_digest(asked.get("state", "").encode(), started.state.encode()):
            raise Problem("oidc_state", 400)
        if "code" not in asked:
            raise Problem("oidc", 403)
        if asked.get("iss") not in (None, issuer.issuer):
            raise Problem("oidc", 403)
        try:
            said = await issuer.finish(started, asked["code"])
        except oidc.IssuerError as error:
            raise _refused(error) from error
        return await _enter(door, request, said, started.onward)

    return router


async def _enter(door: Door, request: Request, said: oidc.Said, onward: str) -> Response:
    async with door.service.database.connection(write=True) as connection:
        person_id = await sign_in.by_subject(connection, said.issuer, said.subject, said.email)
        if person_id is not None:
            response = await doors.let_in(
                door,
                request,
                connection,
                person_id,
                how="oidc",
                second_factor=said.second_factor,
                onward=onward,
            )
            response.delete_cookie(COOKIE, path=START, httponly=True, samesite="lax", secure=door.secure)
            return response
        await audit.note(connection, "sign_in.failed", "oidc")
    raise Problem("oidc_unknown", 403)


def _refused(error: oidc.IssuerError) -> Problem:
    logger.warning("sign-in with the issuer: %s", error)
    return Problem("oidc", 403)
