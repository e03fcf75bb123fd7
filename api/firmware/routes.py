"""The resources of releases and campaigns under /v1/firmware."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from api import cursors, parameters, rest
from api.database import Connection
from api.firmware import bodies, examples, work
from api.importing.receiving import FORM
from api.parameters import Text
from api.problems import responses
from api.registry import exchange
from api.registry.exchange import Answer
from api.service import Service
from kraj.firmware_release import DIGEST
from kraj.store.queries import firmware

NEWEST = 2**31 - 1
DigestPath = Annotated[
    str, Path(pattern=f"^{DIGEST.pattern}$", description="The release's digest.", examples=[examples.DIGEST])
]
CampaignId = Annotated[int, Path(ge=1, le=NEWEST, description="The campaign's number.", examples=[3])]
BINARY = {"type": "string", "format": "binary"}
FILE = {
    work.CONTAINER: {"schema": BINARY},
    FORM: {"schema": {"type": "object", "properties": {"file": BINARY}, "required": ["file"]}},
}


class AskedCampaigns(parameters.Page):
    """Which campaigns."""

    municipality: Text | None = Field(None, description="Name of the municipality.", examples=["olsinka"])
    release: bodies.Digest | None = Field(None, description="Of a release.")


class AskedUpdates(parameters.Page):
    """Which devices."""

    state: bodies.UpdateState | None = None


def routes(service: Service) -> APIRouter:
    """Releases, campaigns and what came of them."""
    router = APIRouter(prefix="/v1/firmware", tags=["firmware"])
    _add_releases(router, service)
    _add_upload(router, service)
    _add_campaigns(router, service)
    _add_steps(router, service)
    return router


def _add_releases(router: APIRouter, service: Service) -> None:
    @router.get("/keys", responses=responses() | parameters.example(examples.KEYS))
    async def keys() -> bodies.FirmwareKeys:  # pyright: ignore[reportUnusedFunction]
        """Whose signatures count; whoever operates the region sets them by `kraj firmware`."""
        async with service.database.connection() as connection:
            found = await firmware.keys(connection)
        return bodies.FirmwareKeys(items=[bodies.FirmwareKey(key=row.key_number, place=row.place) for row in found])

    @router.get("/releases", responses=responses(400) | parameters.example(examples.RELEASES))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[parameters.Page, Query()], request: Request, response: Response
    ) -> bodies.FirmwareReleasePage:
        """Releases, newest first."""
        before = cursors.number(asked.cursor, "releases", NEWEST)
        async with service.database.connection() as connection:
            rows = await firmware.releases(connection, before=before, limit=asked.limit + 1)
        return rest.paged(
            bodies.FirmwareReleasePage,
            rows,
            asked.limit,
            "releases",
            "release_id",
            request,
            response,
            work.shown_release,
        )

    @router.get("/releases/{release}", responses=responses(404) | parameters.example(examples.RELEASE))
    async def one(release: DigestPath) -> bodies.FirmwareRelease:  # pyright: ignore[reportUnusedFunction]
        """One release."""
        async with service.database.connection() as connection:
            return work.shown_release(await work.release(connection, release))


def _add_upload(router: APIRouter, service: Service) -> None:
    @router.post(
        "/releases",
        status_code=201,
        responses=responses(400, 401, 403, 409, 413, 415, 422)
        | parameters.example(examples.RELEASE, 201)
        | {200: {"description": "It is kept already.", "model": bodies.FirmwareRelease}},
        openapi_extra={
            "requestBody": {"required": True, "content": FILE},
            **exchange.headers(once_only=True),
        },
        response_model=bodies.FirmwareRelease,
    )
    async def upload(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Bring a release as `kraj firmware build` has made it; kept if one of the region's keys has signed it."""
        raw = await work.received(request)

        async def doing(connection: Connection) -> Answer:
            row, new = await work.add(connection, raw, service.clock())
            return Answer(exchange.plain(work.shown_release(row)), 201 if new else 200)

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        "/releases/{release}/withdraw",
        responses=responses(401, 403, 404, 413, 422) | parameters.example(examples.RELEASE),
        openapi_extra=exchange.headers(once_only=True),
        response_model=bodies.FirmwareRelease,
    )
    async def withdraw(request: Request, release: DigestPath) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Offer a release to nobody any more: its campaigns stop, and the broker forgets it."""

        async def doing(connection: Connection) -> Answer:
            await work.withdraw(connection, release, service.clock())
            return Answer(exchange.plain(work.shown_release(await work.release(connection, release))))

        return await exchange.posting(service, request, b"", doing)


def _add_campaigns(router: APIRouter, service: Service) -> None:
    @router.get("/campaigns", responses=responses(400) | parameters.example(examples.CAMPAIGNS))
    async def listed(  # pyright: ignore[reportUnusedFunction]
        asked: Annotated[AskedCampaigns, Query()], request: Request, response: Response
    ) -> bodies.FirmwareCampaignPage:
        """Campaigns, newest first."""
        before = cursors.number(asked.cursor, "campaigns", NEWEST)
        async with service.database.connection() as connection:
            rows = await firmware.campaigns(
                connection,
                municipality=asked.municipality or None,
                release=asked.release,
                before=before,
                limit=asked.limit + 1,
            )
        return rest.paged(
            bodies.FirmwareCampaignPage,
            rows,
            asked.limit,
            "campaigns",
            "campaign_id",
            request,
            response,
            work.shown_campaign,
        )

    @router.get("/campaigns/{campaign_id}", responses=responses(404) | parameters.example(examples.CAMPAIGN))
    async def one(campaign_id: CampaignId) -> bodies.FirmwareCampaign:  # pyright: ignore[reportUnusedFunction]
        """One campaign, with how many of its devices are how far."""
        async with service.database.connection() as connection:
            return work.shown_campaign(await work.campaign(connection, campaign_id))

    @router.get(
        "/campaigns/{campaign_id}/devices", responses=responses(400, 404) | parameters.example(examples.UPDATES)
    )
    async def devices(  # pyright: ignore[reportUnusedFunction]
        campaign_id: CampaignId, asked: Annotated[AskedUpdates, Query()], request: Request, response: Response
    ) -> bodies.FirmwareUpdatePage:
        """What came of a campaign at each device."""
        after = cursors.number(asked.cursor, "updates", 0)
        async with service.database.connection() as connection:
            await work.campaign(connection, campaign_id)
            rows = await firmware.updates(
                connection, campaign_id, state=asked.state, after=after, limit=asked.limit + 1
            )
        return rest.paged(
            bodies.FirmwareUpdatePage,
            rows,
            asked.limit,
            "updates",
            "device_id",
            request,
            response,
            work.shown_update,
        )


def _add_steps(router: APIRouter, service: Service) -> None:
    @router.post(
        "/campaigns",
        status_code=201,
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(examples.CAMPAIGN, 201),
        openapi_extra=exchange.documented(bodies.CampaignBody, once_only=True),
        response_model=bodies.FirmwareCampaign,
    )
    async def begin(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Begin to hand a release out: to a share of the devices first, to the rest when that has run for a while."""
        body, raw = await exchange.body_of(request, bodies.CampaignBody)

        async def doing(connection: Connection) -> Answer:
            number = await work.begin(connection, body, service.clock())
            row = await work.campaign(connection, number)
            return Answer(exchange.plain(work.shown_campaign(row)), 201)

        return await exchange.posting(service, request, raw, doing)

    @router.post(
        "/campaigns/{campaign_id}/steps",
        responses=responses(400, 401, 403, 404, 409, 413, 415, 422) | parameters.example(examples.CAMPAIGN),
        openapi_extra=exchange.documented(bodies.CampaignStep, once_only=True),
        response_model=bodies.FirmwareCampaign,
    )
    async def step(request: Request, campaign_id: CampaignId) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Pause, resume or stop a campaign, or have it go on to all devices."""
        body, raw = await exchange.body_of(request, bodies.CampaignStep)

        async def doing(connection: Connection) -> Answer:
            await work.take_step(connection, campaign_id, body, service.clock())
            return Answer(exchange.plain(work.shown_campaign(await work.campaign(connection, campaign_id))))

        return await exchange.posting(service, request, raw, doing)
