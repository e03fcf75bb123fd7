"""The command answers at once, teaches, and turns what Kraj raises on purpose into one line."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.waiting import best

COMMANDS = (
    "demo",
    "up",
    "ingest",
    "api",
    "migrate",
    "notify",
    "authority",
    "simulate",
    "score",
    "year",
    "backtest",
    "dashboards",
    "report",
    "rollup",
    "archive",
    "doctor",
    "backup",
    "restore",
    "reference",
    "bench",
)


def kraj(*arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")}
    command = [sys.executable, "-m", "stack.cli", *arguments]
    return subprocess.run(command, env={**kept, **env}, capture_output=True, text=True, check=False, timeout=120)


def test_help_names_every_command_and_imports_no_service() -> None:
    results: list[subprocess.CompletedProcess[str]] = []

    def spent_s() -> float:
        begin = time.monotonic()
        results.append(kraj("--help"))
        return time.monotonic() - begin

    assert best(spent_s, 2) < 2
    result = results[-1]
    assert result.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", result.stdout, re.MULTILINE), command
    loaded = "import sys, stack.cli; print([m for m in ('numpy', 'psycopg', 'fastapi', 'rich') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_teaches_by_an_example(command: str) -> None:
    result = kraj(command, "--help")
    assert result.returncode == 0, result.stderr
    if command not in ("bench", "reference"):
        assert "Example:" in result.stdout


def test_our_errors_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    result = kraj("ingest", KRAJ_STATE_DIR=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.startswith("error: there is no database yet; set KRAJ_DATABASE_URL")
    assert result.stderr.count("\n") == 1
    result = kraj("doctor", KRAJ_INGEST_SLOT="lamp")
    assert result.returncode == 2
    assert result.stderr.startswith("error: KRAJ_INGEST_SLOT: ")


def test_doctor_speaks_to_machines_too(tmp_path: Path) -> None:
    result = kraj("doctor", "--json", KRAJ_STATE_DIR=str(tmp_path), KRAJ_MQTT_PORT="1")
    report = json.loads(result.stdout)
    assert report["ok"] is (result.returncode == 0) is True
    assert {"mosquitto", "database", "broker"} <= {check["name"] for check in report["checks"]}
    result = kraj("doctor", KRAJ_STATE_DIR=str(tmp_path), KRAJ_DATABASE_URL="postgresql://127.0.0.1:1/kraj")
    assert result.returncode == 1
    assert "failed" in result.stdout


def test_migrate_backup_and_restore_work_on_an_embedded_database_that_does_not_run(open_folder: Path) -> None:
    env = {"KRAJ_STATE_DIR": str(open_folder)}
    assert "0001" in kraj("migrate", **env).stdout
    assert kraj("migrate", **env).stdout == "nothing to do\n"
    file = open_folder / "kraj.dump"
    assert "MiB" in kraj("backup", str(file), **env).stdout
    assert kraj("restore", str(file), **env).returncode == 2
    result = kraj("restore", "--replace", str(file), **env)
    assert result.stdout == f"restored {file}\n", result.stderr


def test_the_reference_is_written_where_we_stand(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stack.cli", "reference"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    subprocess.run(command, cwd=tmp_path, env=env, check=True, timeout=60, capture_output=True)
    assert "power_w" in (tmp_path / "docs" / "metrics.md").read_text("utf-8")
    assert "lamp_out" in (tmp_path / "docs" / "catalogue.md").read_text("utf-8")
