"""A municipality that leaves takes everything along, and nothing of it stays; its neighbour does not notice."""

import csv
import importlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from kraj import certificates, moving
from kraj.audit import verify
from kraj.errors import ConfigurationError
from kraj.settings import Settings
from kraj.store import audit, leaving
from stack import authority, leaving_export
from stack import leaving as leave
from tests.kraj.test_certificates import authority as another_authority
from tests.stack.leaving_town import fingerprint, plant, traces, word

AT = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
LEAVES, STAYS = "olsinka", "zdarna"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=SecretStr(database_url), state_dir=tmp_path / "state", mqtt_port=1)


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Two towns with rows in nearly every table."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for town in (LEAVES, STAYS):
            plant(connection, town, AT)
        yield connection


def quiet(_: str) -> None:
    """Nobody reads the progress."""


def exported(settings: Settings, folder: Path, **more: Any) -> dict[str, Any]:
    return leave.export_town(settings, LEAVES, folder, LATER, quiet, **more)


def erased(settings: Settings, folder: Path, file: Path) -> dict[str, Any]:
    return leave.erase_town(settings, LEAVES, folder, file, LATER, quiet)


def one(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> Any:
    row = connection.execute(statement.encode(), parameters).fetchone()
    return row and row[0]


def test_a_town_leaves_with_everything_and_its_neighbour_does_not_notice(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    neighbour = fingerprint(owner, STAYS)
    own = fingerprint(owner, LEAVES)
    numbers = {
        "municipality_id": one(owner, "SELECT municipality_id FROM municipality WHERE name = %s", LEAVES),
        "asset_id": one(owner, "SELECT asset_id FROM asset WHERE label LIKE %s", f"{word(LEAVES)}%"),
        "device_id": one(owner, "SELECT device_id FROM device WHERE name = %s", f"{LEAVES}-lamp"),
        "person_id": one(owner, "SELECT person_id FROM person WHERE name = %s", f"{LEAVES}@x.example"),
    }
    words = (word(LEAVES), f"{LEAVES}-lamp", f"{LEAVES}@x.example", f"/{LEAVES}/")
    assert len(traces(owner, numbers, words)) > 35, "there is something to look for"

    folder = tmp_path / "export"
    manifest = exported(settings, folder)
    assert manifest["rows"]["reading_lamp"] == 100
    version = one(owner, "SELECT version FROM registry_version")
    document = erased(settings, folder, tmp_path / "certificate.json")

    assert traces(owner, numbers, words) == []
    assert fingerprint(owner, STAYS) == neighbour, "byte for byte"
    assert one(owner, "SELECT version FROM registry_version") > version, "ingest forgets it at once"
    gone = {table: rows for table, (rows, _) in own.items() if rows and table not in leaving.KEPT}
    del gone["enrolment_code"]  # ends with the device that it was for
    assert {table: document["deleted"].get(table) for table in gone} == gone
    assert document["deleted"]["person"] == 1
    said = leave.verified(settings, tmp_path / "certificate.json", None)
    assert said.startswith(f"good: {word(LEAVES)} obec ({LEAVES}) was erased")
    assert verify(audit.chain(owner)) is None
    actions = [row[0] for row in owner.execute("SELECT action FROM audit_entry WHERE action LIKE 'municipality.%'")]
    assert actions == ["municipality.export", "municipality.erase"]


def test_the_export_can_be_read_by_others_and_holds_no_secrets(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    manifest = exported(settings, folder)
    parquet: Any = importlib.import_module("pyarrow.parquet")
    for table, rows in manifest["rows"].items():
        assert parquet.read_table(folder / f"{table}.parquet").num_rows == rows, table
        with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            assert len(list(csv.DictReader(file))) == rows, table
    readings = parquet.read_table(folder / "reading_lamp.parquet").to_pydict()
    assert sorted(set(readings["ts"])) == [AT - timedelta(days=7), AT]
    assert max(readings["power_w"]) == 50
    people = parquet.read_table(folder / "people.parquet").to_pylist()
    assert [(row["title"], row["role"]) for row in people] == [(f"{word(LEAVES)} Novák", "municipality_admin")]
    assert parquet.read_table(folder / "notification_target.parquet")["url"].to_pylist() == [f"json://{word(LEAVES)}"]
    raw = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"s3cret" not in raw
    assert word(STAYS).encode() not in raw
    assert len(list((folder / "photos").iterdir())) == 1
    readme = (folder / "README.txt").read_text("utf-8")
    assert f"Data obce {word(LEAVES)}" in readme
    assert f"Data of the municipality {word(LEAVES)}" in readme
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.rglob("*"))


def test_what_cannot_go_well_is_refused_before_anything_is_touched(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    before = fingerprint(owner, LEAVES)
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty"):
        exported(settings, full)
    with pytest.raises(ConfigurationError, match="no folder"):
        exported(settings, tmp_path / "no" / "such")
    with pytest.raises(ConfigurationError, match="no municipality"):
        leave.export_town(settings, "nowhere", tmp_path / "a", LATER, quiet)
    with pytest.raises(ConfigurationError, match=f"still send: {LEAVES}-lamp"):
        leave.export_town(settings, LEAVES, tmp_path / "a", AT + timedelta(minutes=1), quiet)
    with pytest.raises(ConfigurationError, match="HOST:PORT"):
        exported(settings, tmp_path / "a", move=leave.Move("nowhere", full / "letter.txt"))
    assert not (tmp_path / "a").exists()
    assert fingerprint(owner, LEAVES) == before
    assert [path.name for path in full.iterdir()] == ["letter.txt"]


def test_a_full_disk_is_told_before_anything_is_written(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving_export, "ROW_BYTES", 1 << 50)
    with pytest.raises(ConfigurationError, match="make room"):
        exported(settings, tmp_path / "export")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("export")] == []


def test_nothing_is_erased_that_is_not_safe_elsewhere(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    folder, file = tmp_path / "export", tmp_path / "certificate.json"
    exported(settings, folder)
    before = fingerprint(owner, LEAVES)
    asset = one(owner, "SELECT asset_id FROM asset WHERE label LIKE %s", f"{word(LEAVES)}%")
    owner.execute(
        "INSERT INTO reading_lamp (asset_id, municipality_id, ts, seq, batch_id, implausible)"
        " SELECT asset_id, municipality_id, %s, 999, 1, 0 FROM asset WHERE asset_id = %s",
        [AT, asset],
    )
    with pytest.raises(ConfigurationError, match="reading_lamp 100 → 101"):
        erased(settings, folder, file)
    owner.execute("DELETE FROM reading_lamp WHERE seq = 999")
    with pytest.raises(ConfigurationError, match="still send"):
        leave.erase_town(settings, LEAVES, folder, file, AT, quiet)
    damaged = folder / "asset.csv"
    kept = damaged.read_bytes()
    damaged.write_bytes(kept.replace(b"lamp", b"lump"))
    with pytest.raises(ConfigurationError, match="not what was exported"):
        erased(settings, folder, file)
    damaged.unlink()
    with pytest.raises(ConfigurationError, match="no whole export"):
        erased(settings, folder, file)
    damaged.write_bytes(kept)
    with pytest.raises(ConfigurationError, match=f"export of {LEAVES}"):
        leave.erase_town(settings, STAYS, folder, file, LATER, quiet)
    assert fingerprint(owner, LEAVES)["reading_lamp"] == before["reading_lamp"]
    assert one(owner, "SELECT count(*) FROM departure") == 0
    assert not file.exists()


def test_a_device_that_serves_a_neighbour_keeps_the_town_from_being_erased(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    owner.execute(
        "INSERT INTO asset (municipality_id, kind, label) SELECT municipality_id, 'lamp', 'lent' FROM municipality"
        " WHERE name = %s",
        [STAYS],
    )
    owner.execute(
        "INSERT INTO installed (asset_id, device_id, channel, valid_from) SELECT a.asset_id, d.device_id, 1, now()"
        " FROM asset a, device d WHERE a.label = 'lent' AND d.name = %s",
        [f"{LEAVES}-lamp"],
    )
    exported(settings, folder)
    with pytest.raises(ConfigurationError, match="another municipality's assets"):
        erased(settings, folder, tmp_path / "certificate.json")


@pytest.mark.parametrize("step", ["erase_readings", "erase_rest", "keep_certificate"])
def test_an_erasure_that_was_cut_off_is_finished_by_running_it_again(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder, file = tmp_path / "export", tmp_path / "certificate.json"
    exported(settings, folder)
    neighbour = fingerprint(owner, STAYS)
    whole = getattr(leaving, step)
    calls = 0

    def cut(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        found = whole(*given) if step == "erase_readings" and calls == 1 else None
        if found is None:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patched:
        patched.setattr(leaving, step, cut)
        with pytest.raises(KeyboardInterrupt):
            erased(settings, folder, file)
    assert not file.exists()
    document = erased(settings, folder, file)
    assert document["deleted"]["reading_lamp"] == 100, "what went before counts as well"
    assert one(owner, "SELECT count(*) FROM municipality WHERE name = %s", LEAVES) == 0
    assert fingerprint(owner, STAYS) == neighbour
    assert erased(settings, folder, tmp_path / "again.json") == document, "a lost certificate is written again"


def test_who_has_a_role_in_another_town_stays(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    who = one(owner, "SELECT person_id FROM person WHERE name = %s", f"{LEAVES}@x.example")
    owner.execute(
        "INSERT INTO membership (person_id, municipality_id, role, valid_from) SELECT %s, municipality_id,"
        " 'viewer', now() FROM municipality WHERE name = %s",
        [who, STAYS],
    )
    exported(settings, tmp_path / "export")
    erased(settings, tmp_path / "export", tmp_path / "certificate.json")
    assert one(owner, "SELECT title FROM person WHERE person_id = %s", who) == f"{word(LEAVES)} Novák"
    assert one(owner, "SELECT count(*) FROM membership WHERE person_id = %s", who) == 1


def test_a_certificate_that_was_changed_is_none(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    file = tmp_path / "certificate.json"
    exported(settings, tmp_path / "export")
    erased(settings, tmp_path / "export", file)
    root = authority.ensure(settings.authority_folder, LATER).authority.root
    elsewhere = tmp_path / "root.pem"
    elsewhere.write_text(certificates.pem(root))
    assert leave.verified(Settings(state_dir=tmp_path / "other"), file, elsewhere).startswith("good")
    elsewhere.write_text(certificates.pem(another_authority().root))
    with pytest.raises(ConfigurationError, match="NOT a good certificate"):
        leave.verified(settings, file, elsewhere)
    file.write_text(file.read_text().replace('reading_lamp\\":100', 'reading_lamp\\":1'))
    with pytest.raises(ConfigurationError, match="was changed"):
        leave.verified(settings, file, None)


def test_its_devices_are_left_a_signed_order_to_move(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    ours = authority.ensure(settings.authority_folder, LATER).authority
    root = tmp_path / "new.pem"
    root.write_text(certificates.pem(another_authority().root))
    exported(settings, tmp_path / "export", move=leave.Move("mqtt.obec.example:8883", root))
    rows = owner.execute(
        "SELECT d.name, c.payload FROM device_command c JOIN device d USING (device_id) WHERE expires_at > %s", [LATER]
    ).fetchall()
    assert [name for name, _ in rows] == [f"{LEAVES}-lamp"], "and nobody else's; what waited before is replaced"
    payload = json.loads(rows[0][1])
    to = moving.obey(payload, f"{LEAVES}-lamp", [ours.root], int(LATER.timestamp() * 1000))
    assert (to.host, to.port, to.authority) == ("mqtt.obec.example", 8883, root.read_text())
