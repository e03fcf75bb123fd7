"""``kraj report`` writes a month as page, PDF and table; what it lacks it names."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kraj import clock
from kraj.errors import ConfigurationError
from stack.cli import app
from tests.api.conftest import Region, empty_region, region
from tests.api.reports.conftest import town

__all__ = ["empty_region", "region", "town"]
NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


def test_a_month_is_written_in_three_forms(
    town: Region, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAJ_DATABASE_URL", database_url)
    monkeypatch.setattr(clock, "real", lambda: NOW)
    asked = ["report", "--municipality", "olsinka", "--month", "2026-10", "--building", "Škola"]
    ran = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    written = {path.suffix: path.read_bytes() for path in (tmp_path / "out").glob("olsinka-2-2026-10.*")}
    assert set(written) == {".html", ".csv", ".pdf"}
    assert written[".pdf"].startswith(b"%PDF")
    assert "Olšinka, Škola" in written[".html"].decode()
    for wrong, said in (("--month", "month"), ("--municipality", "municipality"), ("--language", "cs or en")):
        with pytest.raises(ConfigurationError, match=said):
            CliRunner().invoke(app, [*asked, wrong, "x"], catch_exceptions=False)
