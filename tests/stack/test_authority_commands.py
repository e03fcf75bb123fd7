"""The commands about certificates do what their help says, on a real database, and name what is missing."""

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from psycopg.conninfo import make_conninfo

from kraj import certificates, enrolment
from stack import authority
from tests.ingest.rig import query, register_lamps
from tests.stack.commanding import kraj

COMMANDS = ("show", "code", "bundle", "revoke", "issue-server", "rotate", "drop")
Command = Callable[..., str]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Command:
    register_lamps(database_url, ["lamp-1"])

    def run(*arguments: str, code: int = 0) -> str:
        result = kraj("authority", *arguments, KRAJ_STATE_DIR=str(tmp_path / "state"), KRAJ_DATABASE_URL=database_url)
        assert result.returncode == code, result.stderr
        return result.stdout if code == 0 else result.stderr

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_teaches_by_an_example(command: str) -> None:
    result = kraj("authority", command, "--help")
    assert result.returncode == 0
    assert f"Example: kraj authority {command}" in result.stdout


def test_show_makes_the_authority_and_says_where_the_root_keys_are(run: Command, tmp_path: Path) -> None:
    shown = run("show")
    for what in ("root 1 ", "root 2, standing by", "issuing 1, in use", "move them away"):
        assert what in shown
    assert str(tmp_path / "state" / "authority" / "offline" / "root-2.key") in shown
    assert "PRIVATE" not in shown


def test_a_code_is_shown_once_and_kept_as_a_digest(run: Command, database_url: str) -> None:
    code = run("code", "lamp-1", "--days", "1").strip()
    (row,) = query(database_url, "SELECT digest, expires_at, used_at FROM enrolment_code")
    assert bytes(row[0]) == enrolment.digest(code)
    assert 0.9 < (row[1] - datetime.now(UTC)).total_seconds() / 86_400 < 1.1
    assert "register it first" in run("code", "nobody-1", code=2)


def test_a_bundle_is_recorded_and_revoke_ends_it(run: Command, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "lamp-1.zip"
    run("bundle", "lamp-1", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file) as archive:
        own = x509.load_pem_x509_certificate(archive.read("lamp-1.pem"))
    statement = "SELECT serial, reason FROM device_certificate"
    assert query(database_url, statement) == [(certificates.serial_text(own), None)]
    assert "1 certificates revoked" in run("revoke", "lamp-1", "--reason", "stolen")
    assert query(database_url, statement) == [(certificates.serial_text(own), "stolen")]
    assert "0 certificates" in run("revoke", "lamp-1")


def test_a_broker_elsewhere_gets_its_files(run: Command, tmp_path: Path) -> None:
    run("bundle", "lamp-1", str(tmp_path / "x.zip"))
    run("revoke", "lamp-1")
    out = tmp_path / "mosquitto"
    run("issue-server", "broker.example", "10.0.0.5", "--out", str(out))
    own = (out / "server.pem").read_bytes()
    assert authority.server_names(x509.load_pem_x509_certificate(own)) == ["broker.example", "10.0.0.5"]
    assert len(list(x509.load_pem_x509_crl((out / "revoked.pem").read_bytes()))) == 1
    assert (out / "trusted.pem").read_text().count("BEGIN CERTIFICATE") == 2
    run("issue-server", "broker.example", "10.0.0.5", "--out", str(out))
    assert (out / "server.pem").read_bytes() == own
    assert (out / "server.key").stat().st_mode & 0o777 == 0o600


def test_a_generation_is_dropped_when_nobody_depends_on_it(run: Command, database_url: str, tmp_path: Path) -> None:
    run("bundle", "lamp-1", str(tmp_path / "old.zip"))
    stick = tmp_path / "stick"
    (tmp_path / "state" / "authority" / "offline").rename(stick)
    assert "--root-keys" in run("rotate", code=2)
    assert "generation 2 issues" in run("rotate", "--root-keys", str(stick))
    assert "1 devices have no certificate of a later generation" in run("drop", "1", code=2)
    run("bundle", "lamp-1", str(tmp_path / "new.zip"))
    run("drop", "1")
    assert "root 1" not in run("show")
    (row,) = query(database_url, "SELECT generation FROM device_certificate WHERE revoked_at IS NULL")
    assert row == 2


def test_the_doctor_looks_at_modes_ends_and_root_keys(run: Command, database_url: str, tmp_path: Path) -> None:
    run("show")
    state = tmp_path / "state"

    def check(name: str) -> dict[str, str]:
        result = kraj("doctor", "--json", KRAJ_STATE_DIR=str(state), KRAJ_DATABASE_URL=database_url)
        return next(c for c in json.loads(result.stdout)["checks"] if c["name"] == name)

    assert (check("authority")["verdict"], "safe" in check("authority")["remedy"]) == ("note", True)
    (state / "authority" / "offline").rename(tmp_path / "stick")
    assert check("authority")["verdict"] == "ok"
    (state / "authority" / "issuing-1.key").chmod(0o644)
    assert "chmod go=" in check("authority")["remedy"]
    assert check("certificates")["verdict"] == "ok"
    run("bundle", "lamp-1", str(tmp_path / "x.zip"))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE device_certificate SET not_after = now() + interval '10 days'")
    assert "of 1 it ends within 30 days" in check("certificates")["found"]


@pytest.mark.parametrize("arguments", [("code", "lamp-1"), ("issue-server", "broker.example.cz", "--out", "{out}")])
def test_a_database_without_tables_is_named_with_what_to_do(
    arguments: tuple[str, ...], database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA bare")
    bare = make_conninfo(database_url, options="-c search_path=bare")
    given = [part.format(out=tmp_path / "out") for part in arguments]
    result = kraj("authority", *given, KRAJ_STATE_DIR=str(tmp_path / "state"), KRAJ_DATABASE_URL=bare)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert "kraj migrate" in result.stderr
    assert "kraj demo" in result.stderr
