"""A region with lamps and releases, for the tests of campaigns."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kraj.firmware_release import Release, public_bytes, read, seal
from kraj.store import releases
from stack.database import OWNER
from tests.kraj.store.samples import AT

Roles = Callable[[str], str]
Connection = psycopg.AsyncConnection[Any]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SPARE = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = [public_bytes(KEY.public_key()), public_bytes(SPARE.public_key())]


def container(version: int = 2, *, key: Ed25519PrivateKey = KEY, expires: int | None = None, size: int = 9000) -> bytes:
    """A signed release of two files, of three blocks as it stands."""
    files = {"node/app.mpy": bytes(n * 7 % 251 for n in range(size)), "node/kinds/lamp.mpy": b"M\x06lamp"}
    ends = int((AT + timedelta(days=90)).timestamp()) if expires is None else expires
    return seal(key, files, version=version, name=f"1.{version}.0", runtime="mpy 6", expires=ends)


def release(version: int = 2, **other: Any) -> Release:
    return read(container(version, **other), PUBLIC)


def populate(url: str, lamps: int) -> None:
    """Brno with lamps, Zlín with one, one foreign device in Brno, and an administrator of the region (person 1)."""
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("INSERT INTO municipality (name, title) VALUES ('brno', 'Brno'), ('zlin', 'Zlín')")
        owner.execute(
            "INSERT INTO asset (municipality_id, kind, label) SELECT CASE WHEN n <= %(n)s THEN 1 ELSE 2 END, 'lamp',"
            " 'L' || n FROM generate_series(1, %(n)s + 1) n UNION ALL SELECT 1, 'solar', 'S'",
            {"n": lamps},
        )
        owner.execute(
            "INSERT INTO device (name, municipality_id, state) SELECT 'dev-' || asset_id, municipality_id, 'active'"
            " FROM asset ORDER BY asset_id"
        )
        owner.execute(
            "INSERT INTO installed (asset_id, device_id, valid_from) SELECT n.asset_id, n.asset_id, %s FROM asset n",
            [AT],
        )
        owner.execute(
            "INSERT INTO foreign_device (device_id, municipality_id, adapter, changed_at)"
            " SELECT max(device_id), 1, 'tasmota', %s FROM device",
            [AT],
        )
        owner.execute("INSERT INTO person (name, title, created_at) VALUES ('jana@brno.cz', 'Jana', %s)", [AT])
        owner.execute("INSERT INTO membership (person_id, role, valid_from) VALUES (1, 'region_admin', %s)", [AT])


@asynccontextmanager
async def asking(url: str, person: int = 1) -> AsyncGenerator[Connection]:
    """A transaction of the API in somebody's name."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(
            "SELECT set_config('kraj.principal', %s, true), set_config('kraj.scopes', '*', true)", [str(person)]
        )
        yield connection


async def bring(roles: Roles, version: int = 2, **other: Any) -> Release:
    """The region trusts our keys and keeps this release."""
    async with await psycopg.AsyncConnection.connect(roles(OWNER)) as owner:
        await releases.trust(owner, PUBLIC)
    found = release(version, **other)
    async with asking(roles("kraj_api")) as connection:
        assert await releases.add(connection, found, who="Jana", at=AT)
    return found
