"""Who is revoked over the API is out of the broker within five seconds, in the middle of a live session."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from api.app import create
from kraj.settings import Settings
from kraj.store.registry import NewAsset, NewDevice, register
from stack import authority
from stack.bench import revocation
from stack.database import OWNER
from tests.api import contract, signing

REVOKED_S_MAX = 5.0


def test_a_live_session_ends_within_five_seconds_of_its_revocation(
    database_role_url: Callable[[str], str], open_folder: Path
) -> None:
    devices = [
        NewDevice(name=f"lamp-{n:06}", municipality="olsinka", assets={0: NewAsset(kind="lamp", label=f"VO-{n}")})
        for n in range(1, 4)
    ]
    with psycopg.connect(database_role_url(OWNER), autocommit=True) as connection:
        register(connection, {"olsinka": "Olšinka"}, devices, datetime.now(UTC))
        signing.person(connection)
    authority.ensure(open_folder / "authority", datetime.now(UTC))
    said: list[str] = []
    with contract.served(create(Settings(state_dir=open_folder), database_role_url("kraj_api"))) as base:
        url = database_role_url(OWNER)
        names = [device.name for device in devices]
        found = revocation.measure(url, base, contract.SIGNED, open_folder, names, said.append)
    assert 0 < found["revocation_s"] <= REVOKED_S_MAX
    assert (found["revocations"], found["revoked_let_in"], len(said)) == (3, 0, 1)
