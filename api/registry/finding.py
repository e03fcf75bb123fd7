"""What a request names, as the wall shows it: what is invisible is not there, what is not one's own is refused."""

from collections.abc import Mapping
from typing import Any

from api.database import Connection
from api.problems import Problem
from kraj import metadata
from kraj.store import queries, registering
from kraj.store.queries import GroupRow
from kraj.store.registering import AssetNow, DeviceNow, MunicipalityNow
from kraj.topics import NAME

ID_MAX = 2**31 - 1


async def municipality(connection: Connection, name: str) -> MunicipalityNow:
    """One in which the principal may register."""
    found = await any_municipality(connection, name)
    if not found.writable:
        raise Problem("right", 403, name=name)
    return found


async def any_municipality(connection: Connection, name: str) -> MunicipalityNow:
    """One of those there are; their names are public."""
    found = await registering.municipality(connection, name) if NAME.fullmatch(name) else None
    if found is None:
        raise Problem("municipality", 404, name=name)
    return found


async def governed(connection: Connection, name: str) -> MunicipalityNow:
    """One whose row the principal may change: only the region may."""
    found = await any_municipality(connection, name)
    if not found.governed:
        raise Problem("right", 403, name=name)
    return found


async def asset(connection: Connection, asset_id: int, *, living: bool = True) -> AssetNow:
    """One that the principal may change; unless told, one that is not retired."""
    found = await registering.asset(connection, asset_id) if 0 < asset_id <= ID_MAX else None
    if found is None:
        raise Problem("asset", 404, name=asset_id)
    if not found.writable:
        raise Problem("right", 403, name=found.municipality)
    if living and found.retired_at is not None:
        raise Problem("retired", 409, name=found.label)
    return found


async def device(connection: Connection, name: str) -> DeviceNow:
    """One that the principal may change."""
    found = await registering.device(connection, name) if NAME.fullmatch(name) else None
    if found is None:
        raise Problem("device", 404, name=name)
    if not found.writable:
        raise Problem("right", 403, name=found.municipality)
    return found


async def group(connection: Connection, group_id: int) -> GroupRow:
    """One that the principal may change."""
    found = await queries.group(connection, group_id)
    if found is None:
        raise Problem("group", 404, name=group_id)
    if not found.writable:
        raise Problem("right", 403, name=found.municipality)
    return found


def attributes(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as it is stored; 400 that names the key and what is wanted there."""
    try:
        return metadata.checked(kind, given)
    except metadata.MetadataError as error:
        raise Problem("metadata", 400, name=error.key, value=repr(error.value)[:200], wanted=error.wanted) from error
