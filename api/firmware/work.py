"""What is done about firmware, in the caller's transaction: checked, refused with a reason, or written."""

from datetime import datetime
from typing import Final

import psycopg
from fastapi import Request

from api.acting import bounded
from api.database import Connection
from api.firmware.bodies import CampaignBody, CampaignStep, FirmwareCampaign, FirmwareRelease, FirmwareUpdate
from api.importing.receiving import FORM, OVERHEAD_BYTES_MAX, file_of_form
from api.problems import Problem
from api.registry.exchange import who
from kraj.errors import PayloadError
from kraj.firmware_release import SLOT_BYTES, read
from kraj.store import releases
from kraj.store.queries import firmware, lighting
from kraj.store.queries.firmware import CampaignRow, ReleaseRow, UpdateRow
from kraj.store.releases import Scope

CONTAINER: Final = "application/octet-stream"
REFUSED: Final = frozenset(
    {"release_form", "release_key", "release_signature", "release_product", "release_size", "release_file"}
)
STEPS: Final = {
    "pause": (("running",), "paused"),
    "resume": (("paused",), "running"),
    "go_on": (("running", "paused"), "running"),
    "stop": (("running", "paused"), "stopped"),
}
"""By step, in which states it is possible, and what follows."""


async def received(request: Request) -> bytes:
    """The container of an upload, as the body or as a file of a form; raises ``Problem``: 413, 415, 400."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == FORM:
        return (await file_of_form(request, SLOT_BYTES + OVERHEAD_BYTES_MAX)).data
    if media != CONTAINER:
        raise Problem("firmware_media", 415, given=media or "?")
    return await bounded(request, SLOT_BYTES)


async def add(connection: Connection, container: bytes, at: datetime) -> tuple[ReleaseRow, bool]:
    """Keep a release that one of the region's keys has signed, and whether it is new."""
    person = who()
    if not await lighting.may(connection, "people", municipality_id=None, group_id=None, asset_id=None):
        raise Problem("firmware_right", 403)
    keys = await firmware.public_keys(connection)
    if not keys:
        raise Problem("firmware_keys", 409)
    try:
        found = read(container, keys)
    except PayloadError as error:
        raise Problem(error.reason if error.reason in REFUSED else "release_form", 422) from error
    if found.manifest.expires <= at.timestamp():
        raise Problem("release_expired", 422, name=found.manifest.name)
    try:
        async with connection.transaction():
            new = await releases.add(connection, found, who=person.title, at=at)
    except psycopg.errors.UniqueViolation as error:
        version, name = found.manifest.version, found.manifest.name
        raise Problem("release_taken", 409, version=version, name=name) from error
    return await release(connection, found.digest), new


async def release(connection: Connection, digest: str) -> ReleaseRow:
    """One that is kept."""
    found = await firmware.release(connection, digest)
    if found is None:
        raise Problem("release", 404, name=digest)
    return found


async def withdraw(connection: Connection, digest: str, at: datetime) -> None:
    """Offer it to nobody any more; done twice it is done once."""
    person = who()
    found = await release(connection, digest)
    if not await lighting.may(connection, "people", municipality_id=None, group_id=None, asset_id=None):
        raise Problem("firmware_right", 403)
    await releases.withdraw(connection, found.release_id, by=person.person_id, at=at)


async def begin(connection: Connection, body: CampaignBody, at: datetime) -> int:
    """Begin a campaign; its number."""
    person = who()
    found = await release(connection, body.release)
    scope = await _scope(connection, body)
    if found.withdrawn_at is not None:
        raise Problem("release_withdrawn", 409, name=found.name)
    if found.expires_at <= at:
        raise Problem("release_expired", 409, name=found.name)
    number, devices = await releases.begin(
        connection,
        found,
        scope,
        share_pct=body.share_pct,
        failures_max_pct=body.failures_max_pct,
        soak_min=body.soak_min,
        who=person.title,
        reason=body.reason,
        at=at,
    )
    if not devices:
        raise Problem("campaign_empty", 409, name=found.name)
    return number


async def _scope(connection: Connection, body: CampaignBody) -> Scope:
    if body.municipality is not None and body.group_id is not None:
        raise Problem("campaign_what", 400)
    town: int | None = None
    title = ""
    if body.municipality is not None or body.group_id is not None:
        found = await lighting.town_of(
            connection, municipality=body.municipality, group_id=body.group_id, asset_id=None
        )
        if found is None:
            code = "municipality" if body.group_id is None else "group"
            raise Problem(code, 404, name=body.municipality or body.group_id)
        town, title = found[0], found[1]
    if not await lighting.may(connection, "control", municipality_id=town, group_id=None, asset_id=None):
        raise Problem("control_right", 403, name=title or "Kraj")
    return Scope(municipality_id=town, group_id=body.group_id, kind=body.kind)


async def campaign(connection: Connection, number: int) -> CampaignRow:
    """One that the principal may see."""
    found = await firmware.campaign(connection, number)
    if found is None:
        raise Problem("campaign", 404, name=number)
    return found


async def take_step(connection: Connection, number: int, body: CampaignStep, at: datetime) -> None:
    """Pause, resume, stop, or go on to all devices."""
    row = await campaign(connection, number)
    town = row.municipality_id
    if not await lighting.may(connection, "control", municipality_id=town, group_id=None, asset_id=None):
        raise Problem("control_right", 403, name=row.municipality_title or "Kraj")
    states, after = STEPS[body.step]
    if row.state not in states:
        raise Problem("campaign_step", 409, step=body.step, state=row.state)
    if body.step == "go_on":
        await releases.go_on(connection, number, at)
    else:
        await releases.set_state(connection, number, after, at)


def shown_release(row: ReleaseRow) -> FirmwareRelease:
    """A release as the API answers it."""
    more = {"release": row.digest, "version": row.release_version, "key": row.key_number}
    fields = {name: getattr(row, name) for name in FirmwareRelease.model_fields if name not in more}
    return FirmwareRelease.model_validate(fields | more)


def shown_campaign(row: CampaignRow) -> FirmwareCampaign:
    """A campaign."""
    return FirmwareCampaign.model_validate(row, from_attributes=True)


def shown_update(row: UpdateRow) -> FirmwareUpdate:
    """A device's part in one."""
    return FirmwareUpdate.model_validate(row, from_attributes=True)
