"""What `kraj firmware flash` asks for and the API gives is what a device needs: tried on the real application."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from api.app import create
from kraj import certificates, enrolment
from kraj.clock import real
from kraj.errors import ConfigurationError
from kraj.settings import Settings
from kraj.store import identity
from stack import authority
from stack.firmware import flashing
from tests.ingest.rig import register_lamps


async def _code(url: str, device: str) -> str:
    code = enrolment.new_code()
    async with await psycopg.AsyncConnection.connect(url) as connection:
        number = await identity.device_id(connection, device)
        assert number is not None
        await identity.give_code(connection, number, enrolment.digest(code), real() + timedelta(days=1))
    return code


async def test_a_code_is_exchanged_for_an_identity_once(
    database_url: str, database_role_url: Callable[[str], str], tmp_path: Path
) -> None:
    register_lamps(database_url, ["lamp-1"])
    authority.ensure(tmp_path / "authority", real())
    code = await _code(database_url, "lamp-1")
    app = create(Settings(authority_dir=tmp_path / "authority"), database_role_url("kraj_api"))
    loop = asyncio.get_running_loop()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):

        def post(url: str, *, json: dict[str, str], timeout: float) -> httpx.Response:
            return asyncio.run_coroutine_threadsafe(client.post(url, json=json), loop).result(timeout)

        found = await asyncio.to_thread(flashing.enrol, "http://localhost", code, post=post)
        with pytest.raises(ConfigurationError, match="refuses the code"):
            await asyncio.to_thread(flashing.enrol, "http://localhost", code, post=post)
    assert found.device == "lamp-1"
    own = certificates.read_certificate(found.secrets["cert"].encode())
    assert own.public_key() == certificates.read_key(found.secrets["key"].encode()).public_key()
    assert found.secrets["roots"].count("BEGIN CERTIFICATE") == 2
    # Each fits into a value of NVS, all of them into its partition.
    sizes = [len(text) for text in found.secrets.values()]
    assert max(sizes) <= 4000
    assert sum(sizes) <= 8000
