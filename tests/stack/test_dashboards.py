"""``kraj dashboards`` from an empty Grafana to one that needs nothing more, against a real database."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from kraj.errors import KrajError
from kraj.store.grafana import drop_role
from kraj.store.registry import register
from stack.cli import app
from stack.database import OWNER
from tests.dashboards.server import ADMINISTRATOR, TOKEN, Server, serving
from tests.kraj.store.samples import AT


def test_from_nothing_to_a_region_and_a_town(database_role_url: Callable[[str], str], tmp_path: Path) -> None:
    url = database_role_url(OWNER)
    with psycopg.connect(url) as owner:
        register(owner, {"olsinka": "Olšinka"}, [], AT)
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "password").write_text(ADMINISTRATOR[1] + "\n")
    with serving(Server()) as server, psycopg.connect(url, autocommit=True) as owner:
        env = {
            "KRAJ_DATABASE_URL": url,
            "KRAJ_STATE_DIR": str(tmp_path / "state"),
            "KRAJ_GRAFANA_URL": server.url,
            "KRAJ_GRAFANA_TOKEN_FILE": str(tmp_path / "token"),
            "KRAJ_GRAFANA_PASSWORD_FILE": str(tmp_path / "password"),
            "KRAJ_GRAFANA_DATABASE": "db.example.cz:5432",
            "KRAJ_PUBLIC_URL": "https://kraj.example.cz",
        }
        try:
            first = kraj(env, "push")
            assert "data source Kraj: made" in first.stdout
            assert "platform" in str(server.dashboards)
            assert kraj(env, "push").stdout.splitlines() == ["Grafana 12.1.0", "nothing to do"]
            town = kraj(env, "push", "--municipality", "olsinka", "--language", "en")
            assert "organisation Olšinka: made" in town.stdout
            assert kraj(env, "push", "--municipality", "olsinka", "--language", "en").stdout.endswith("nothing to do\n")
            assert server.sources[2, "kraj-postgres"]["user"] == "kraj_grafana_olsinka"
            password = server.sources[2, "kraj-postgres/secret"]["password"]
            with psycopg.connect(make_conninfo(url, user="kraj_grafana_olsinka", password=password)) as grafana:
                assert grafana.execute("SELECT name FROM seen_municipality").fetchall() == [("olsinka",)]
            kept = tmp_path / "state" / "grafana-passwords.json"
            assert kept.stat().st_mode & 0o777 == 0o600
            assert json.loads(kept.read_text())["kraj_grafana_olsinka"] == password
            assert password not in first.stdout + town.stdout + town.stderr

            written = kraj(env, "files", str(tmp_path / "grafana"))
            assert "grafana.env" in written.stdout
            assert (tmp_path / "grafana" / "grafana.env").stat().st_mode & 0o777 == 0o600
            assert (tmp_path / "grafana" / "dashboards" / "overview.json").is_file()

            server.version = "8.0.0"
            refused = kraj(env, "push", code=2)
            assert "upgrade" in refused.stderr
            assert "nowhere" in kraj(env, "role", "nowhere", code=2).stderr
            assert kraj(env, "role", "olsinka", "--drop").stdout == "kraj_grafana_olsinka: gone\n"
        finally:
            for role in ("kraj_grafana_olsinka", "kraj_grafana_region"):
                drop_role(owner, role)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "KRAJ_GRAFANA_URL"),
        ({"KRAJ_GRAFANA_URL": "http://127.0.0.1:1"}, "KRAJ_GRAFANA_TOKEN_FILE"),
        ({"KRAJ_GRAFANA_URL": "http://127.0.0.1:1", "KRAJ_GRAFANA_TOKEN_FILE": "/nowhere/token"}, "cannot be read"),
    ],
)
def test_what_is_not_set_is_named(env: dict[str, str], said: str, tmp_path: Path) -> None:
    assert said in kraj({**env, "KRAJ_STATE_DIR": str(tmp_path)}, "push", code=2).stderr


@pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")  # classic JSON is meant
def test_committed_dashboards_are_up_to_date_by_the_command(tmp_path: Path) -> None:
    assert kraj({"KRAJ_STATE_DIR": str(tmp_path)}, "build", "--check").stdout == "nothing to do\n"


@dataclass(frozen=True, slots=True)
class Done:
    """What a command has printed, and the error that ``kraj`` would show."""

    stdout: str
    stderr: str


def kraj(env: dict[str, str], *arguments: str, code: int = 0) -> Done:
    """The command in this process, as it imports much, in an environment without other settings."""
    clean: dict[str, str | None] = {name: None for name in os.environ if name.startswith("KRAJ_")}
    result = CliRunner().invoke(app, ["dashboards", *arguments], env={**clean, **env})
    failed = result.exception if isinstance(result.exception, KrajError) else None
    assert (2 if failed else result.exit_code) == code, (result.output, result.exception)
    return Done(result.stdout, str(failed or ""))
