"""What people write about foreign devices, by API or form: mappings, and what is fetched; each in one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg

from api.database import Connection
from api.foreign import bodies
from api.problems import Problem
from api.registry import exchange, finding
from kraj.foreign import adapters
from kraj.foreign.mapping import MappingError
from kraj.foreign.records import Adapter
from kraj.sealing import Sealer
from kraj.store import foreign, pulls


async def mapping(connection: Connection, town: str, name: str) -> foreign.MappingRow:
    """One that the principal sees, or 404."""
    found = await foreign.mappings(connection, municipality=town, name=name, limit=1)
    if not found:
        raise Problem("mapping", 404, name=name)
    return found[0]


async def add_mapping(connection: Connection, body: bodies.MappingBody, at: datetime) -> None:
    """Keep a new one; 400 with what is wrong at its place, 409 where the name is taken."""
    await finding.municipality(connection, body.municipality)
    _checked(body.adapter, body.document)
    made = await foreign.save_mapping(
        connection, body.municipality, body.name, adapter=body.adapter, document=body.document, version=0, at=at
    )
    if made is None:
        raise Problem("taken", 409, name=body.name)


async def change_mapping(
    connection: Connection, found: foreign.MappingRow, document: dict[str, Any], version: int, at: datetime
) -> None:
    """Another document in place of this very version; 412 where somebody was faster."""
    _checked(Adapter(found.adapter), document)
    made = await foreign.save_mapping(
        connection,
        found.municipality,
        found.name,
        adapter=found.adapter,
        document=document,
        version=version,
        at=at,
    )
    if made is None:
        raise exchange.changed()


async def drop_mapping(connection: Connection, town: str, name: str) -> None:
    """Remove one that no device is read by, else 409."""
    await finding.municipality(connection, town)
    try:
        if not await foreign.drop_mapping(connection, town, name):
            raise Problem("mapping", 404, name=name)
    except psycopg.errors.ForeignKeyViolation as error:
        raise Problem("mapping_used", 409, name=name) from error


async def add_pull(connection: Connection, sealer: Sealer, body: bodies.PullBody, at: datetime) -> pulls.PullRow:
    """Fetch something from now on; 404 where the device is none of the adapter json, 409 where the name is taken."""
    await finding.device(connection, body.device)
    _sendable(body.headers)
    try:
        town = await pulls.add(
            connection,
            name=body.name,
            device=body.device,
            url=body.url,
            headers=sealer.seal(body.headers) if body.headers else None,
            interval_s=body.interval_s,
            at=at,
        )
    except psycopg.errors.UniqueViolation as error:
        raise Problem("taken", 409, name=body.name) from error
    if town is None:
        raise Problem("device", 404, name=body.device)
    (row,) = await pulls.pulls(connection, municipality=town, name=body.name, limit=1)
    return row


async def drop_pull(connection: Connection, town: str, name: str) -> None:
    """Fetch it no more."""
    await finding.municipality(connection, town)
    if not await pulls.drop(connection, town, name):
        raise Problem("pull", 404, name=name)


def _checked(adapter: Adapter, document: dict[str, Any]) -> None:
    try:
        adapters.check(adapter, document)
    except MappingError as error:
        raise Problem("mapping_wrong", 400, errors="; ".join(f"{at}: {text}" for at, text in error.errors)) from error


def _sendable(headers: Mapping[str, str]) -> None:
    """Header names and values that HTTP can carry; no line breaks that would make others of them."""
    for name, value in headers.items():
        fit = all(text.isascii() and text.isprintable() and 0 < len(text) <= 2000 for text in (name, value))
        if not fit or not name.replace("-", "").replace("_", "").isalnum():
            raise Problem("body", 400, name="headers", value=name)
