"""The doctor finds what is broken, names the remedy, and changes nothing."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from kraj.settings import Settings
from stack.broker import Broker
from stack.doctor import Check, Verdict, examine
from tests.ingest.rig import register_lamps


def found(settings: Settings, name: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Check:
    return next(check for check in examine(settings, now) if check.name == name)


@pytest.fixture
def healthy(database_url: str, broker: Broker, tmp_path: Path) -> Settings:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return Settings(state_dir=tmp_path, database_url=SecretStr(database_url), mqtt_port=broker.port, api_port=port)


def test_a_healthy_machine_passes_everything(healthy: Settings) -> None:
    assert [check for check in examine(healthy) if check.verdict is not Verdict.OK] == []


def test_a_fresh_machine_has_nothing_to_repair(tmp_path: Path) -> None:
    checks = examine(Settings(state_dir=tmp_path / "not" / "made", mqtt_port=1))
    assert [check for check in checks if check.verdict is Verdict.FAILED] == []
    assert not (tmp_path / "not").exists()


def test_a_secret_that_others_may_read_is_named_with_its_remedy(healthy: Settings) -> None:
    file = healthy.state_dir / "services.json"
    file.write_text("{}")
    file.chmod(0o644)
    check = found(healthy, "secrets")
    assert check.verdict is Verdict.FAILED
    assert check.remedy == f"chmod 600 {file}"


def test_a_database_that_may_lose_commits_is_named(healthy: Settings) -> None:
    assert healthy.database_url is not None
    url = healthy.database_url.get_secret_value()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit = off".encode())
    check = found(healthy, "durability")
    assert check.verdict is Verdict.FAILED
    assert "synchronous_commit = on" in check.remedy


def test_a_database_that_was_not_migrated_is_named(healthy: Settings) -> None:
    assert healthy.database_url is not None
    with psycopg.connect(healthy.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("DELETE FROM migration WHERE number = (SELECT max(number) FROM migration)")
        assert found(healthy, "schema").found == "1 migrations behind"
        connection.execute("DROP TABLE migration")
    assert found(healthy, "schema").remedy == "`kraj migrate`"


def test_a_wrong_clock_is_named(healthy: Settings) -> None:
    check = found(healthy, "clock", lambda: datetime.now(UTC) + timedelta(seconds=5))
    assert check.verdict is Verdict.FAILED
    assert found(healthy, "clock", lambda: datetime.now(UTC) - timedelta(seconds=1)).verdict is Verdict.OK


def test_devices_whose_certificate_ends_are_named_with_the_remedy_for_our_firmware(healthy: Settings) -> None:
    assert healthy.database_url is not None
    names = [f"lamp-{n:02}" for n in range(14)]
    register_lamps(healthy.database_url.get_secret_value(), names)
    now = datetime.now(UTC)
    with psycopg.connect(healthy.database_url.get_secret_value(), autocommit=True) as connection:
        for place, name in enumerate(names[:12]):
            connection.execute(
                "INSERT INTO device_certificate (serial, device_id, generation, issued_at, not_after, fingerprint)"
                " SELECT %s, device_id, 1, %s, %s, %s FROM device WHERE name = %s",
                [
                    f"{place:x}",
                    now - timedelta(700),
                    now + timedelta(days=29 - 3 * place),
                    sha256(name.encode()).digest(),
                    name,
                ],
            )
        connection.execute("UPDATE device SET state = 'suspended' WHERE name = 'lamp-11'")
    check = found(healthy, "certificates")
    assert check.verdict is Verdict.NOTE
    assert "of 1 devices the certificate has ended, of 10 it ends within 30 days: lamp-10, lamp-09, " in check.found
    assert check.found.endswith("lamp-01, …")
    assert "`kraj firmware flash`" in check.remedy
    with psycopg.connect(healthy.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("UPDATE device_certificate SET not_after = %s", [now + timedelta(days=31)])
    assert found(healthy, "certificates").verdict is Verdict.OK


def test_a_role_that_sees_every_municipality_is_named(healthy: Settings) -> None:
    assert healthy.database_url is not None
    with psycopg.connect(healthy.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("ALTER ROLE kraj_api BYPASSRLS")
        try:
            assert found(healthy, "roles").found.startswith("kraj_api")
        finally:
            connection.execute("ALTER ROLE kraj_api NOBYPASSRLS")


def test_a_silent_broker_beside_a_running_database_is_named(healthy: Settings) -> None:
    silent = healthy.model_copy(update={"mqtt_port": 1})
    assert found(silent, "broker").verdict is Verdict.FAILED


def test_a_silent_database_is_named_without_its_password(healthy: Settings) -> None:
    url = SecretStr("postgresql://kraj_owner:secret-word@127.0.0.1:1/kraj")
    check = found(healthy.model_copy(update={"database_url": url}), "database")
    assert check.verdict is Verdict.FAILED
    assert "secret-word" not in check.found + check.remedy


def test_a_taken_port_is_worth_a_note(healthy: Settings, broker: Broker) -> None:
    assert found(healthy.model_copy(update={"api_port": broker.port}), "page").verdict is Verdict.NOTE
