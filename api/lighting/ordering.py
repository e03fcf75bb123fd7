"""Orders and safety locks, by API or form: who may, whom it reaches, until when, and what a lock refuses."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import psycopg

from api.database import Connection
from api.lighting.bodies import Aimed, EmergencyBody, LightNowBody, LockBody, ManualBody
from api.problems import Problem
from api.registry.exchange import who
from kraj import sun
from kraj.commands import Do, Lock, Order, OrderKind
from kraj.store import commands
from kraj.store.commands import LockedError, Scope
from kraj.store.queries import lighting
from rules import commanding
from rules.dimming import MIDDLE

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Ordered:
    """What an order came to: so many lamps are told, so many are locked, so many cannot be told."""

    order_id: int
    commands: int
    locked: int
    left_out: int


async def manual(connection: Connection, body: ManualBody, at: datetime) -> Ordered:
    """A level by hand."""
    return await _order(connection, OrderKind.MANUAL, body, at, level_pct=body.level_pct, wish=body.until)


async def light_now(connection: Connection, body: LightNowBody, at: datetime) -> Ordered:
    """Full light for a crew."""
    return await _order(connection, OrderKind.LIGHT_NOW, body, at, level_pct=commanding.FULL_PCT, wish=body.until)


async def emergency(connection: Connection, body: EmergencyBody, at: datetime) -> Ordered:
    """Full light above all else."""
    return await _order(connection, OrderKind.EMERGENCY, body, at, level_pct=commanding.FULL_PCT, wish=body.until)


async def _order(
    connection: Connection, kind: OrderKind, body: Aimed, at: datetime, *, level_pct: int, wish: datetime | None
) -> Ordered:
    rights = ("control", "act") if kind is OrderKind.LIGHT_NOW else ("control",)
    whom = await scope(connection, body, rights, regional=kind is OrderKind.EMERGENCY)
    until = commanding.until(kind, wish, at, await _sunrise(connection, whom, at))
    if until is None:
        hours = round(commanding.LASTS_MAX[kind].total_seconds() / 3600)
        raise Problem("order_until", 400, until="" if wish is None else wish.isoformat(), hours=hours)
    reached = await commands.targets(connection, whom)
    if not reached.ready:
        raise _nothing(body, reached)
    doer = who().title
    number = await commands.order(
        connection, whom, kind=kind, level_pct=level_pct, until=until, reason=body.reason, who=doer, at=at
    )
    try:
        written = await commands.command(
            connection,
            whom,
            number,
            reason=kind.reason,
            level_pct=level_pct,
            energises=commanding.energises(Do.SET_LEVEL, level_pct),
            until=until,
            who=doer,
            at=at,
        )
    except LockedError as error:
        raise Problem("locked", 423, detail=str(error)) from error
    if written.commands == written.locked:
        raise await _locked(connection, whom)
    return Ordered(number, written.commands, written.locked, reached.lamps - written.commands)


def _nothing(body: Aimed, reached: commands.Targets) -> Problem:
    if body.asset_id is not None and reached.suspended:
        return Problem("lamp_suspended", 409, name=body.asset_id)
    if body.asset_id is not None and reached.other_system:
        return Problem("lamp_foreign", 409, name=body.asset_id)
    if body.asset_id is not None:
        return Problem("lamp_uncontrolled", 409, name=body.asset_id)
    return Problem("lamps_none", 409, lamps=reached.lamps)


async def _locked(connection: Connection, scope: Scope) -> Problem:
    found = await commands.locks_over(connection, scope)
    return Problem("locked", 423, detail="; ".join(f"{name} {value}: {holder}" for name, value, holder in found))


async def scope(connection: Connection, body: Aimed, rights: tuple[str, ...], *, regional: bool) -> Scope:
    """Whom a body is for, if one of these rights reaches all of it."""
    named = [one for one in (body.municipality, body.group_id, body.asset_id) if one is not None]
    if len(named) > 1 or not (named or regional):
        raise Problem("order_whom", 400)
    if not named:
        if not await lighting.may(connection, "control", municipality_id=None, group_id=None, asset_id=None):
            raise Problem("control_region", 403)
        return Scope()
    found = await lighting.town_of(
        connection, municipality=body.municipality, group_id=body.group_id, asset_id=body.asset_id
    )
    if found is None:
        code = "asset" if body.asset_id is not None else "group" if body.group_id is not None else "municipality"
        raise Problem(code, 404, name=named[0])
    number, title, retired = found
    if retired:
        raise Problem("retired", 409, name=body.asset_id)
    held = [
        right
        for right in rights
        if await lighting.may(connection, right, municipality_id=number, group_id=body.group_id, asset_id=body.asset_id)
    ]
    if not held:
        raise Problem("control_right", 403, name=title)
    if body.group_id is not None and all([await lighting.spans(connection, body.group_id, one) for one in held]):
        raise Problem("group_spans", 403, name=body.group_id)
    return Scope(municipality_id=number, group_id=body.group_id, asset_id=body.asset_id)


async def _sunrise(connection: Connection, scope: Scope, at: datetime) -> datetime:
    """The next one in the middle of the municipality."""
    middle = None if scope.municipality_id is None else await lighting.middle(connection, scope.municipality_id)
    north, east = middle or MIDDLE
    days = np.datetime64(at.date()) + np.arange(3)
    rises, _ = sun.rise_and_set(days, north, east)
    now_ms = at.timestamp() * 1000
    following = rises[rises > now_ms]
    return datetime.fromtimestamp(float(following[0] if len(following) else now_ms + DAY_MS) / 1000, at.tzinfo)


async def order(connection: Connection, number: int) -> Order:
    """One that the principal may see."""
    found = await commands.one_order(connection, number)
    if found is None:
        raise Problem("order", 404, name=number)
    return found


async def end(connection: Connection, number: int, at: datetime) -> None:
    """End an order early, by whoever may give one like it; one that is over stays so."""
    found = await order(connection, number)
    person = who()
    rights = ("control", "act") if found.kind == OrderKind.LIGHT_NOW else ("control",)
    town = None
    if found.municipality is not None:
        town = await lighting.town_of(connection, municipality=found.municipality, group_id=None, asset_id=None)
    held = [
        await lighting.may(
            connection,
            right,
            municipality_id=None if town is None else town[0],
            group_id=found.group_id,
            asset_id=found.asset_id,
        )
        for right in rights
    ]
    if not any(held):
        raise Problem("control_right", 403, name=found.municipality_title or "")
    try:
        await commands.end(connection, number, who=person.title, person_id=person.person_id, at=at)
    except LockedError as error:
        raise Problem("locked", 423, detail=str(error)) from error


async def take_lock(connection: Connection, body: LockBody, at: datetime) -> int:
    """Take a lock in one's own name; its number."""
    found = await lighting.town_of(connection, municipality=body.municipality, group_id=None, asset_id=None)
    if found is None:
        raise Problem("municipality", 404, name=body.municipality)
    person = who()
    held = [
        await lighting.may(connection, right, municipality_id=found[0], group_id=None, asset_id=None)
        for right in ("act", "control")
    ]
    if not any(held):
        raise Problem("act_right", 403)
    if not await commands.hanging(connection, found[0], body.attribute, body.value):
        raise Problem("lock_place", 404, attribute=body.attribute, value=body.value)
    try:
        return await commands.lock(
            connection,
            municipality_id=found[0],
            attribute=body.attribute,
            value=body.value,
            holder=person.person_id,
            holder_title=person.title or person.name,
            reason=body.reason,
            at=at,
        )
    except psycopg.errors.UniqueViolation as error:
        raise Problem("lock_held", 409, attribute=body.attribute, value=body.value) from error


async def lock(connection: Connection, number: int) -> Lock:
    """One that the principal may see."""
    found = await commands.locks(connection, lock_id=number, limit=1)
    if not found:
        raise Problem("lock", 404, name=number)
    return found[0]


async def release_lock(connection: Connection, number: int, at: datetime) -> None:
    """Release a lock: its holder does, or who administers the region; a released one stays so."""
    found = await lock(connection, number)
    if not found.mine:
        raise Problem("lock_right", 403, holder=found.holder_title)
    await commands.unlock(connection, number, at)
