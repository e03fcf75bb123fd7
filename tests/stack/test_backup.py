"""A backup is whole or not there, and a restore is all of it or nothing."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kraj.errors import ConfigurationError, UnavailableError
from kraj.store.resend import VERSIONS_LOST_MAX
from stack.backup import backup, restore
from stack.database import EmbeddedPostgres

TOWN = "INSERT INTO municipality (name, title) VALUES ('brno', 'Brno')"


def towns(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM municipality").fetchall()]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres) -> str:
    execute(postgres.url(database="postgres"), "DROP DATABASE IF EXISTS empty")
    execute(postgres.url(database="postgres"), "CREATE DATABASE empty")
    return postgres.url(database="empty")


def test_what_was_backed_up_is_what_is_restored(
    database_role_url: Callable[[str], str], empty_url: str, tmp_path: Path
) -> None:
    url, file = database_role_url("kraj_owner"), tmp_path / "kraj.dump"
    execute(url, TOWN)
    assert backup(url, file) == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    restore(empty_url, file, replace=False)
    assert towns(empty_url) == ["brno"]
    # The rights came back with the tables.
    assert towns(empty_url.replace(url.split("@")[0], database_role_url("kraj_api").split("@")[0])) == ["brno"]


def test_after_a_restore_what_devices_keep_has_a_version_above_all_that_were_handed_out_since(
    database_role_url: Callable[[str], str], empty_url: str, tmp_path: Path
) -> None:
    url, file = database_role_url("kraj_owner"), tmp_path / "kraj.dump"
    execute(url, TOWN)
    execute(
        url,
        "INSERT INTO device (name, municipality_id, state)"
        " SELECT 'lamp-1', municipality_id, 'active' FROM municipality;"
        "INSERT INTO desired (device_id, municipality_id, version, sent_version, changed_at, who)"
        " SELECT device_id, municipality_id, 7, 7, now(), 'eva' FROM device",
    )
    backup(url, file)
    restore(empty_url, file, replace=False)
    with psycopg.connect(empty_url) as connection:
        row = connection.execute("SELECT version, sent_version FROM desired").fetchone()
    assert row == (7 + VERSIONS_LOST_MAX, 7), "it goes out again"


def test_the_oldest_postgresql_is_backed_up_and_restored_too(database15_url: str, tmp_path: Path) -> None:
    file = tmp_path / "kraj.dump"
    execute(database15_url, TOWN)
    backup(database15_url, file)
    execute(database15_url, "DELETE FROM municipality")
    restore(database15_url, file, replace=True)
    assert towns(database15_url) == ["brno"]


def test_data_is_replaced_only_when_that_was_asked_for(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "kraj.dump"
    backup(database_url, file)
    execute(database_url, TOWN)
    with pytest.raises(ConfigurationError, match="--replace"):
        restore(database_url, file, replace=False)
    assert towns(database_url) == ["brno"]
    restore(database_url, file, replace=True)
    assert towns(database_url) == []


def test_a_damaged_backup_changes_nothing(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "kraj.dump"
    execute(database_url, TOWN)
    backup(database_url, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnavailableError, match="pg_restore failed"):
        restore(database_url, file, replace=True)
    assert towns(database_url) == ["brno"]


def test_a_restore_that_was_cut_off_is_done_again(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "kraj.dump"
    execute(database_url, TOWN)
    backup(database_url, file)
    execute(database_url, "ALTER SCHEMA public RENAME TO before_restore")
    execute(database_url, "CREATE SCHEMA public")
    restore(database_url, file, replace=True)
    assert towns(database_url) == ["brno"]


def test_a_database_in_use_is_not_restored(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "kraj.dump"
    backup(database_url, file)
    with psycopg.connect(database_url), pytest.raises(ConfigurationError, match="stop Kraj"):
        restore(database_url, file, replace=True)


def test_a_failed_backup_leaves_no_file_and_keeps_the_older_one(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "kraj.dump"
    file.write_text("older")
    with pytest.raises(UnavailableError, match="pg_dump failed"):
        backup(database_url.replace("/test_", "/missing_"), file)
    assert file.read_text() == "older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kraj.dump"]
    with pytest.raises(ConfigurationError, match="cannot write"):
        backup(database_url, tmp_path / "missing" / "kraj.dump")
