"""The routes of a work order's photos, for programs and for the page, and of whom it can be given to."""

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
from api.alert_pages import PHOTOS_MAX
from api.alerts import AlertId
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
        responses=responses(400, 403, 404, 409, 413, 422) | parameters.example(PHOTO, 201),
        openapi_extra=accepted | exchange.headers(once_only=True),
        response_model=Photo,
    )
    async def add(alert_id: AlertId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Keep a photo: JPEG, PNG or WebP of at most 5 MB. Where and when it was taken is removed."""
        raw = await acting.bounded(request, BYTES_MAX)
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


def pages(site: Site) -> APIRouter:
    """What the work order's forms use."""
    router = APIRouter(prefix="/alerts/{alert_id}/photos")
    service = site.service

    @router.post("")
    async def add(alert_id: AlertId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        picture = _cleaned(await _uploaded(request))
        async with service.database.connection(write=True) as connection:
            await keep(connection, alert_id, picture, _note(service, request), service.clock())
        return RedirectResponse(f"/alerts/{alert_id}?said=photo#said", 303)

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
        raise Problem("photo", 400, detail=str(error)) from error


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


async def _uploaded(request: Request) -> bytes:
    """The file of a form, read with a bound."""
    raw = await acting.bounded(request, FORM_BYTES_MAX)

    async def stream() -> AsyncGenerator[bytes, None]:
        yield raw

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=1, max_fields=3).parse()
    except (MultiPartException, KeyError) as error:
        raise Problem("photo", 400, detail="multipart/form-data") from error
    try:
        file = form.get("photo")
        if not isinstance(file, UploadFile):
            raise Problem("photo", 400, detail="–")
        return await file.read()
    finally:
        await form.close()


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
