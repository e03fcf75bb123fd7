"""What is done to the registry, by API or form: each function is one piece of work inside the caller's transaction."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from api.database import Connection
from api.problems import Problem
from api.registry import bodies, finding
from api.registry.exchange import changed, who
from api.rights import require_in
from kraj import devices, enrolment
from kraj.devices import DeviceState, DeviceStep
from kraj.store import grouping, identity, public, queries, registering, unregistered
from kraj.store.registering import DeviceNow, Install, NewAsset

SAFE_MODE_LIFE: Final = timedelta(hours=1)
"""A device that does not listen by then is not told any more."""


async def found_municipality(connection: Connection, body: bodies.MunicipalityBody) -> None:
    """A new municipality; the region alone founds them."""
    if not await registering.may_govern(connection):
        raise Problem("right", 403, name=body.name)
    try:
        await registering.add_municipality(connection, body.name, body.title)
    except psycopg.errors.UniqueViolation as error:
        raise Problem("taken", 409, name=body.name) from error


async def may_publish(connection: Connection, name: str) -> None:
    """Refuse who does not manage the people of the municipality: its data are its own."""
    if name not in {row[0] for row in await public.managed(connection)}:
        raise Problem("right", 403, name=name)


async def publish(connection: Connection, name: str, *, published: bool, version: int) -> None:
    """Show what is public of a municipality to anybody, or do not."""
    await may_publish(connection, name)
    if await public.publish(connection, name, published=published, version=version) is None:
        raise changed()


async def drop_municipality(connection: Connection, name: str, version: int) -> None:
    """Remove a municipality that was founded by mistake: nothing belongs to it."""
    try:
        if not await registering.drop_municipality(connection, name, version):
            raise changed()
    except psycopg.errors.ForeignKeyViolation as error:
        raise Problem("in_use", 409, name=name) from error


async def add_asset(connection: Connection, body: bodies.AssetBody, at: datetime) -> int:
    """A new asset; with a registered device, where one is named."""
    owner = await finding.municipality(connection, body.municipality)
    asset_id = await _asset(connection, owner.municipality_id, body)
    if body.device is not None:
        await _put_behind(connection, asset_id, body.device, body.channel, at)
    return asset_id


async def change_asset(
    connection: Connection, asset_id: int, body: bodies.AssetChange, version: int, at: datetime
) -> None:
    """Change what is given; the caller has compared the version."""
    found = await finding.asset(connection, asset_id)
    given = body.model_fields_set
    changes: dict[str, Any] = {
        name: getattr(body, name) for name in ("label", "latitude", "longitude") if name in given
    }
    if body.metadata is not None:
        # What was stored before by other ways is kept as it is.
        merged = found.metadata | finding.attributes(found.kind, body.metadata)
        changes["metadata"] = {key: value for key, value in merged.items() if body.metadata.get(key, value) is not None}
    if body.municipality is not None:
        owner = await finding.municipality(connection, body.municipality)
        changes["municipality_id"] = owner.municipality_id
    if "device" in given:
        await registering.uninstall(connection, assets=[asset_id], at=at)
        if body.device is not None:
            await _put_behind(connection, asset_id, body.device, body.channel, at)
    if not changes:
        changes = {"label": found.label}  # so that the version tells of the device, too
    if await registering.change_asset(connection, asset_id, version, changes, at) is None:
        raise changed()


async def remove_asset(connection: Connection, asset_id: int, version: int, at: datetime) -> bool:
    """True: as if it had never been; False: retired, with its history kept."""
    done = await registering.remove_asset(connection, asset_id, version, at)
    if done is None:
        raise changed()
    return done


async def add_device(connection: Connection, body: bodies.DeviceBody, at: datetime) -> None:
    """A new device, alone, with a new asset, or for one that is there."""
    owner = await finding.municipality(connection, body.municipality)
    device_id = await _device(
        connection, owner.municipality_id, body.name, step=DeviceStep.REGISTERED, reason=body.reason, at=at
    )
    await _serve(connection, device_id, body, at, owner.municipality_id)


async def claim(connection: Connection, name: str, body: bodies.ClaimBody, at: datetime) -> int:
    """Register a device that is sending; how many of its messages wait to be taken in."""
    owner = await finding.municipality(connection, body.municipality)
    found = await unregistered.one(connection, name)
    towns = [row.municipality for row in found]
    if body.municipality not in towns:
        raise Problem("unregistered", 404, name=name)
    device_id = await _device(
        connection, owner.municipality_id, name, step=DeviceStep.CLAIMED, reason=body.reason, at=at
    )
    await _serve(connection, device_id, body, at, owner.municipality_id)
    return sum(row.messages for row in found if row.municipality == body.municipality)


async def provision(connection: Connection, name: str, at: datetime) -> tuple[str, datetime]:
    """A one-time enrolment code, and until when it is good. Earlier ones count no more."""
    found = await _held(connection, name)
    state = _after(found, DeviceStep.PROVISIONED)
    code, expires_at = enrolment.new_code(), at + enrolment.CODE_LIFE
    await identity.give_code(connection, found.device_id, enrolment.digest(code), expires_at)
    await _step(connection, found, DeviceStep.PROVISIONED, state, at=at)
    return code, expires_at


async def take_step(connection: Connection, name: str, body: bodies.StepBody, at: datetime) -> None:
    """Suspend, resume or decommission."""
    found = await _held(connection, name)
    step = DeviceStep(body.step)
    state = _after(found, step)
    detail: dict[str, Any] = {}
    if state is DeviceState.DECOMMISSIONED:
        freed = await registering.uninstall(connection, devices=[found.device_id], at=at)
        detail = {"assets": [one.asset_id for one in freed]}
    await _step(connection, found, step, state, reason=body.reason, at=at, detail=detail)


async def safe_mode(connection: Connection, name: str, body: bodies.SafeModeBody, at: datetime) -> None:
    """Have a device of our firmware start with link, commands and the light's fallback alone; for administrators."""
    found = await _held(connection, name)
    await require_in(connection, "people", found.municipality_id)
    state = _after(found, DeviceStep.SAFE_MODE)
    if not await registering.ask_safe_mode(connection, found.device_id, at, at + SAFE_MODE_LIFE):
        raise Problem("safe_mode", 409, name=name)
    await _step(connection, found, DeviceStep.SAFE_MODE, state, reason=body.reason, at=at)


async def replace(connection: Connection, name: str, body: bodies.ReplaceBody, at: datetime) -> None:
    """One action: the new device serves from now on whatever the old one served, and the old one is out of use."""
    if body.new == name:
        raise Problem("replace_self", 400, name=name)
    await registering.lock_devices(connection, [name, body.new])
    old = await finding.device(connection, name)
    state = _after(old, DeviceStep.REPLACED)
    new = await registering.device(connection, body.new)
    if new is None:
        new_id = await _device(
            connection, old.municipality_id, body.new, step=DeviceStep.REGISTERED, reason=f"replaces {name}", at=at
        )
    else:
        if not new.writable:
            raise Problem("right", 403, name=new.municipality)
        if new.state == DeviceState.DECOMMISSIONED:
            raise Problem("device_step", 409, step="replaced", state=new.state, allowed="–")
        new_id = new.device_id
    moved = await registering.uninstall(connection, devices=[old.device_id], at=at)
    detail = {"by": body.new, "assets": [one.asset_id for one in moved]}
    await _step(connection, old, DeviceStep.REPLACED, state, reason=body.reason, at=at, detail=detail)
    await _install(connection, [Install(one.asset_id, new_id, one.channel) for one in moved], at, body.new)


async def add_group(connection: Connection, body: bodies.GroupBody) -> int:
    """A new group with its first members."""
    owner = await finding.municipality(connection, body.municipality)
    try:
        group_id = await grouping.add(connection, owner.municipality_id, body.name, body.kind)
    except psycopg.errors.UniqueViolation as error:
        raise Problem("taken", 409, name=body.name) from error
    if body.assets:
        await change_members(connection, group_id, bodies.MembersBody(add=body.assets))
    if body.where:
        async with _one_segment(connection, group_id, attributes=body.where):
            await grouping.put_in_where(connection, group_id, body.where)
    return group_id


@asynccontextmanager
async def _one_segment(
    connection: Connection, group_id: int, assets: Sequence[int] = (), attributes: Mapping[str, Any] | None = None
) -> AsyncGenerator[None]:
    """What would put a lamp into a second segment is refused by the database, and by its name here."""
    try:
        async with connection.transaction():
            yield
    except psycopg.errors.UniqueViolation as error:
        if error.diag.constraint_name != grouping.ONE_SEGMENT:
            raise
        label, other = await grouping.other_segment(connection, group_id, assets, attributes)
        raise Problem("segment_overlap", 409, label=label, other=other) from error


async def change_members(connection: Connection, group_id: int, body: bodies.MembersBody) -> None:
    """Assets in and out; one that is not the municipality's own is refused, and with it everything."""
    async with _one_segment(connection, group_id, body.add):
        others = await grouping.put_in(connection, group_id, body.add) if body.add else []
    if others:
        raise Problem("asset", 404, name=others[0])
    if body.remove:
        await grouping.take_out(connection, group_id, body.remove)


async def change_group(connection: Connection, group_id: int, body: bodies.GroupChange, version: int) -> None:
    """Another name or kind."""
    try:
        async with _one_segment(connection, group_id):
            done = await grouping.change(connection, group_id, version, name=body.name, kind=body.kind)
        if not done:
            raise changed()
    except psycopg.errors.UniqueViolation as error:
        raise Problem("taken", 409, name=body.name or "") from error


async def remove_group(connection: Connection, group_id: int, version: int) -> None:
    """Remove a group that no grant and no override names."""
    try:
        if not await grouping.remove(connection, group_id, version):
            raise changed()
    except psycopg.errors.ForeignKeyViolation as error:
        raise Problem("in_use", 409, name=group_id) from error


async def seen_device(connection: Connection, name: str) -> queries.DeviceRow:
    """A device as the API shows it."""
    found = await queries.device(connection, name)
    if found is None:
        raise Problem("device", 404, name=name)
    return found


async def seen_asset(connection: Connection, asset_id: int) -> queries.AssetRow:
    """An asset as the API shows it."""
    found = await queries.asset(connection, asset_id)
    if found is None:
        raise Problem("asset", 404, name=asset_id)
    return found


async def _asset(connection: Connection, municipality_id: int, body: bodies.AssetFields) -> int:
    (asset_id,) = await registering.add_assets(
        connection,
        [
            NewAsset(
                municipality_id=municipality_id,
                kind=body.kind,
                label=body.label,
                latitude=body.latitude,
                longitude=body.longitude,
                metadata=finding.attributes(body.kind, body.metadata),
            )
        ],
    )
    return asset_id


async def _device(
    connection: Connection, municipality_id: int, name: str, *, step: DeviceStep, reason: str, at: datetime
) -> int:
    try:
        (device_id,) = await registering.add_devices(
            connection, municipality_id, [name], who=who().name, step=step, reason=reason, at=at
        )
    except psycopg.errors.UniqueViolation as error:
        raise Problem("taken", 409, name=name) from error
    return device_id


async def _serve(
    connection: Connection,
    device_id: int,
    body: bodies.DeviceBody | bodies.ClaimBody,
    at: datetime,
    municipality_id: int,
) -> None:
    if body.asset is not None:
        asset_id = await _asset(connection, municipality_id, body.asset)
    elif body.asset_id is not None:
        asset_id = (await finding.asset(connection, body.asset_id)).asset_id
    else:
        return
    await _install(connection, [Install(asset_id, device_id, body.channel)], at, str(asset_id))


async def _put_behind(connection: Connection, asset_id: int, name: str, channel: int, at: datetime) -> None:
    found = await finding.device(connection, name)
    if found.state == DeviceState.DECOMMISSIONED:
        raise Problem("device_step", 409, step="installed", state=found.state, allowed="–")
    await _install(connection, [Install(asset_id, found.device_id, channel)], at, name)


async def _install(connection: Connection, new: list[Install], at: datetime, name: str) -> None:
    try:
        if new:
            await registering.install(connection, new, at)
    except psycopg.errors.UniqueViolation as error:
        raise Problem("served", 409, name=name) from error


async def _held(connection: Connection, name: str) -> DeviceNow:
    await registering.lock_devices(connection, [name])
    return await finding.device(connection, name)


def _after(found: DeviceNow, step: DeviceStep) -> DeviceState:
    state = devices.after(DeviceState(found.state), step)
    if state is None:
        allowed = ", ".join(devices.allowed(DeviceState(found.state))) or "–"
        raise Problem("device_step", 409, step=step, state=found.state, allowed=allowed)
    return state


async def _step(
    connection: Connection,
    found: DeviceNow,
    step: DeviceStep,
    state: DeviceState,
    *,
    reason: str = "",
    at: datetime,
    detail: dict[str, Any] | None = None,
) -> None:
    await registering.take_step(
        connection,
        [found.device_id],
        step=step,
        state=state,
        who=who().name,
        reason=reason,
        at=at,
        detail=detail,
    )
