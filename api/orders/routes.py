"""The routes of a work order's photos, for programs and for the page, and of whom it can be given to."""

import re
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api import acting, parameters
from api.acting import who
from api.alert_pages import PHOTOS_MAX, Refused, again, done
from api.alerts import AlertId, Desk
from api.language import choose
from api.orders.pictures import BYTES_MAX, Picture, PictureError, cleaned
from api.problems import Problem, responses
from api.registry import exchange
from api.registry.exchange import Answer, Connection
from api.schemas import Instant
from api.service import Service
from api.site import Site
from kraj.alerts import AlertState, Step
from kraj.store import alerts, photos, queries

FORM_BYTES_MAX = BYTES_MAX + 16 * 1024
DRAINED_BYTES_MAX = 128 * 1024 * 1024
"""What a browser sends beyond that is read and thrown away."""
HEAD_BYTES = 64 * 1024
CAPTION = re.compile(rb'name="caption"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--', re.DOTALL)
"""Before the photo stands what was written to it."""
PhotoId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The photo's number.", examples=[7])]
PHOTO: dict[str, Any] = {
    "photo_id": 7,
    "at": "2026-11-21T06:15:00.000Z",
    "who": "Jana",
    "media_type": "image/jpeg",
    "width": 4000,
    "height": 3000,
    "size": 2411724,
}
PEOPLE: dict[str, Any] = {
    "people": [{"person_id": 5, "name": "Jana Nová"}],
    "teams": [{"team_id": 2, "name": "Četa sever"}],
}


class Photo(BaseModel):
    """A photo, without the place and time at which it was taken."""

    photo_id: int
    at: Instant = Field(description="When it was sent.")
    who: str
    media_type: str
    width: int
    height: int
    size: int = Field(description="Bytes.")


class Photos(BaseModel):
    """The photos of an alert."""

    items: list[Photo]


class Person(BaseModel):
    """Somebody who may work on the alert."""

    person_id: int
    name: str


class Team(BaseModel):
    """A crew."""

    team_id: int
    name: str


class Assignees(BaseModel):
    """Whom an alert can be given to."""

    people: list[Person]
    teams: list[Team]


def routes(service: Service) -> APIRouter:
    """What programs use."""
    router = APIRouter(prefix="/v1", tags=["alerts"])
    path, one = "/alerts/{alert_id}/photos", "/alerts/{alert_id}/photos/{photo_id}"
    body = {"schema": {"type": "string", "format": "binary"}}
    content = {f"image/{kind}": body for kind in ("jpeg", "png", "webp")}
    accepted = {"requestBody": {"required": True, "content": content}}

    @router.get(path, responses=responses(404) | parameters.example({"items": [PHOTO]}))
    async def listed(alert_id: AlertId) -> Photos:  # pyright: ignore[reportUnusedFunction]
        """The photos of an alert."""
        async with service.database.connection() as connection:
            return Photos(items=await _listed(connection, alert_id))

    @router.post(
        path,
        status_code=201,
        responses=responses(400, 403, 404, 409, 413, 415, 422) | parameters.example(PHOTO, 201),
        openapi_extra=accepted | exchange.headers(once_only=True),
        response_model=Photo,
    )
    async def add(alert_id: AlertId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Keep a photo: JPEG, PNG or WebP of at most 5 MB. Where and when it was taken is removed."""
        raw = await acting.bounded(request, BYTES_MAX)
        acting.same_person(request)
        picture, note = _cleaned(raw), _note(service, request)

        async def doing(connection: Connection) -> Answer:
            number = await keep(connection, alert_id, picture, note, service.clock())
            made = next(photo for photo in await _listed(connection, alert_id) if photo.photo_id == number)
            return Answer(exchange.plain(made), 201, {"location": f"/v1/alerts/{alert_id}/photos/{number}"})

        return await exchange.posting(service, request, raw, doing)

    @router.get(one, response_class=Response, responses={**responses(404), 200: {"content": content}})
    async def photo(alert_id: AlertId, photo_id: PhotoId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """One photo."""
        return await _content(service, alert_id, photo_id)

    @router.delete(one, status_code=204, responses=responses(403, 404))
    async def drop(alert_id: AlertId, photo_id: PhotoId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Take a photo away."""
        await _drop(service, alert_id, photo_id)
        return Response(status_code=204)

    @router.get("/alerts/{alert_id}/assignees", responses=responses(404) | parameters.example(PEOPLE))
    async def assignees(alert_id: AlertId) -> Assignees:  # pyright: ignore[reportUnusedFunction]
        """People and teams that the alert can be given to."""
        async with service.database.connection() as connection:
            await _alert(connection, alert_id)
            people, teams = await photos.crew(connection, alert_id)
        return Assignees(
            people=[Person(person_id=number, name=name) for number, name in people],
            teams=[Team(team_id=number, name=name) for number, name in teams],
        )

    return router


def pages(site: Site, desk: Desk) -> APIRouter:
    """What the work order's forms use."""
    router = APIRouter(prefix="/alerts/{alert_id}/photos")
    service = site.service

    @router.post("")
    async def add(alert_id: AlertId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        caption = ""
        try:
            raw, caption = await _uploaded(request)
            picture = _cleaned(raw)
            note = " ".join(part for part in (_note(service, request), caption[: acting.NOTE_CHARS_MAX // 2]) if part)
            async with service.database.connection(write=True) as connection:
                await keep(connection, alert_id, picture, note, service.clock())
        except Refused as refused:
            return await again(site, desk, request, alert_id, refused)
        except Problem as problem:
            return await again(site, desk, request, alert_id, Refused(problem, {"caption": caption}))
        return done(alert_id, "photo")

    @router.get("/{photo_id}")
    async def photo(alert_id: AlertId, photo_id: PhotoId) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _content(service, alert_id, photo_id)

    @router.post("/{photo_id}/drop")
    async def drop(alert_id: AlertId, photo_id: PhotoId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        await acting.bounded(request)
        await _drop(service, alert_id, photo_id)
        return RedirectResponse(f"/alerts/{alert_id}?said=photo_dropped#said", 303)

    return router


def _cleaned(raw: bytes) -> Picture:
    try:
        return cleaned(raw)
    except PictureError as error:
        raise Problem("photo", 415, detail=str(error)) from error


async def keep(connection: Connection, alert_id: int, picture: Picture, note: str, at: datetime) -> int:
    """Keep a cleaned photo, and note it in the alert's history; its number."""
    row = await _alert(connection, alert_id)
    if len(await photos.photos(connection, alert_id)) >= PHOTOS_MAX:
        raise Problem("photos_many", 409, most=PHOTOS_MAX)
    await acting.may_act(connection, alert_id)
    number = await photos.add_photo(
        connection,
        alert_id,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        content=picture.content,
        who=who(),
        at=at,
    )
    try:
        await alerts.act(
            connection,
            alert_id,
            version=row.version,
            step=Step.COMMENTED,
            state=AlertState(row.state),
            who=who(),
            at=at,
            note=note,
        )
    except alerts.StaleError as error:
        raise Problem("stale", 412, alert_id=alert_id, version=row.version) from error
    return number


def _note(service: Service, request: Request) -> str:
    return service.texts[choose(request)]("orders.photo_note")


async def _uploaded(request: Request) -> tuple[bytes, str]:
    """The file of a form and what is written to it, read with a bound; raises ``Refused`` with what was written."""
    raw, size = await _drained(request)
    if size > FORM_BYTES_MAX:
        found = CAPTION.search(raw[:HEAD_BYTES])
        caption = "" if found is None else found[1].decode("utf-8", "replace").replace("\0", "").strip()
        raise Refused(Problem("photo_large", 413, most=BYTES_MAX // 1024 // 1024), {"caption": caption})
    content, caption = await _parts(request, raw)
    if content is None:
        raise Refused(Problem("photo", 400, detail="–"), {"caption": caption})
    return content, caption


async def _parts(request: Request, raw: bytes) -> tuple[bytes | None, str]:
    """The photo and the caption, as far as they are complete."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield raw

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=1, max_fields=3).parse()
    except (MultiPartException, KeyError) as error:
        raise Refused(Problem("photo", 415, detail="multipart/form-data"), {}) from error
    try:
        file, caption = form.get("photo"), form.get("caption")
        written = caption.replace("\0", "").strip() if isinstance(caption, str) else ""
        return await file.read() if isinstance(file, UploadFile) else None, written
    finally:
        await form.close()


async def _drained(request: Request) -> tuple[bytes, int]:
    """The body and its size; of one that is too large the beginning, but read to its end: a browser shows what was
    wrong only once it has sent everything."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= FORM_BYTES_MAX:
            parts.append(part)
        elif size > DRAINED_BYTES_MAX:
            break
    return b"".join(parts), size


async def _listed(connection: Connection, alert_id: int) -> list[Photo]:
    await _alert(connection, alert_id)
    rows = await photos.photos(connection, alert_id)
    return [
        Photo(
            photo_id=row.alert_photo_id,
            at=row.at,
            who=row.who,
            media_type=row.media_type,
            width=row.width,
            height=row.height,
            size=row.size,
        )
        for row in rows
    ]


async def _content(service: Service, alert_id: int, photo_id: int) -> Response:
    async with service.database.connection() as connection:
        found = await photos.photo(connection, alert_id, photo_id)
    if found is None:
        raise Problem("photo_unknown", 404, name=photo_id)
    # The bytes are theirs: the browser must not take them for anything but a picture.
    headers = {
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "cache-control": "private, max-age=3600",
    }
    return Response(found[1], media_type=found[0], headers=headers)


async def _drop(service: Service, alert_id: int, photo_id: int) -> None:
    async with service.database.connection(write=True) as connection:
        await _alert(connection, alert_id)
        await acting.may_act(connection, alert_id)
        if not await photos.drop_photo(connection, alert_id, photo_id):
            raise Problem("photo_unknown", 404, name=photo_id)


async def _alert(connection: Any, alert_id: int) -> queries.AlertRow:
    row = await queries.alert(connection, alert_id)
    if row is None:
        raise Problem("alert", 404, name=alert_id)
    return row
