"""The API does what its document says: schemathesis asks every operation with all its checks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from api.app import create
from kraj.settings import Settings
from stack import authority
from tests.api import contract, signing
from tests.api.conftest import NOW, Region


@pytest.mark.parametrize("signed", [True, False])
def test_every_operation_keeps_to_the_document(
    region: Region, database_role_url: Callable[[str], str], tmp_path: Path, signed: bool
) -> None:
    signing.person(region.connection)
    authority.ensure(tmp_path / "authority", NOW)
    settings = Settings(state_dir=tmp_path)
    with contract.served(create(settings, database_role_url("kraj_api"), clock=lambda: NOW)) as base:
        contract.plant(region, base)
        bounds = ("--max-examples", "5", "--generation-deterministic", "--seed", "1")
        failed = contract.asked(base, tmp_path, *bounds, signed=signed)
    assert not failed, failed
