"""``kraj audit``: a signed head outside the database tells what the database alone cannot."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from kraj.errors import ConfigurationError
from kraj.settings import Settings
from stack import heads
from stack.cli import app

Owner = psycopg.Connection[Any]


@pytest.fixture
def owner(database_url: str) -> Iterator[Owner]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for number in range(6):
            connection.execute("SELECT audit('export', %s)", [f"readings {number}"])
        yield connection


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


def cut(owner: Owner, statement: str) -> None:
    owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
    owner.execute(statement.encode())


def test_the_key_is_readable_for_its_owner_alone_and_made_once(settings: Settings) -> None:
    first = heads.public_text(heads.signing_key(settings).public_key())
    assert heads.public_text(heads.signing_key(settings).public_key()) == first
    assert stat.S_IMODE(os.stat(settings.state_dir / heads.KEY_FILE).st_mode) == 0o600
    (settings.state_dir / heads.KEY_FILE).write_text("rubbish")
    with pytest.raises(ConfigurationError, match="restore it from a backup"):
        heads.signing_key(settings)


@pytest.mark.parametrize(
    ("attack", "kind"),
    [
        ("UPDATE audit_entry SET subject = 'nothing' WHERE entry_id = 3", "altered"),
        ("DELETE FROM audit_entry WHERE entry_id = 3", "deleted"),
        ("UPDATE audit_entry SET entry_id = -entry_id WHERE entry_id IN (3, 4);"
         "UPDATE audit_entry SET entry_id = 7 + entry_id WHERE entry_id < 0", "reordered"),
        ("DELETE FROM audit_entry WHERE entry_id > 4", "truncated"),
    ],
)  # fmt: skip
def test_tampering_is_told_and_such_a_log_is_not_signed(
    owner: Owner, database_url: str, settings: Settings, attack: str, kind: str
) -> None:
    assert heads.take_head(database_url, settings).entry_id == 6
    owner.execute("SELECT audit('export', 'one more')")
    whole = heads.check(database_url, settings, None, None)
    assert (whole.entries, whole.heads, whole.broken) == (7, 1, None)
    cut(owner, attack)
    broken = heads.check(database_url, settings, None, None).broken
    assert broken is not None
    assert broken.kind == kind
    with pytest.raises(ConfigurationError, match="not whole"):
        heads.take_head(database_url, settings)


def test_the_command_signs_keeps_prints_and_verifies(
    owner: Owner, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAJ_DATABASE_URL", database_url)
    monkeypatch.setenv("KRAJ_STATE_DIR", str(tmp_path / "state"))
    run = CliRunner()
    anchor = tmp_path / "anchor.jsonl"
    signed = run.invoke(app, ["audit", "head", "--to", str(anchor)])
    assert signed.exit_code == 0, signed.output
    assert "public key" in signed.output
    assert json.loads(anchor.read_text())["entry_id"] == 6
    whole = run.invoke(app, ["audit", "verify", "--heads", str(anchor), "--json"])
    assert json.loads(whole.output) == {"ok": True, "entries": 6, "heads": 1, "break": None}
    exported = run.invoke(app, ["audit", "export", str(tmp_path / "log.jsonl")])
    assert "6 entries" in exported.output
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 6
    cut(owner, "TRUNCATE audit_entry")
    broken = run.invoke(app, ["audit", "verify", "--heads", str(anchor)])
    assert broken.exit_code == 1
    assert "NOT WHOLE: truncated" in broken.output


def test_a_file_that_holds_no_heads_is_named(database_url: str, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "heads").write_text("rubbish\n")
    with pytest.raises(ConfigurationError, match="no signed head"):
        heads.check(database_url, settings, [tmp_path / "heads"], None)
