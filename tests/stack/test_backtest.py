"""A rule is tried on what is stored: it says what it would have told, and harms nothing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kraj.errors import ConfigurationError
from kraj.store.registry import NewAsset, NewDevice, register
from rules.catalogue import RuleTextError
from stack import backtest

START = datetime(2026, 11, 2, tzinfo=UTC)
RULE = """
[hot]
kind = "lamp"
when = "gear_temp_degc > limit_degc"
for = "10 min"
guards = []
thresholds = { limit_degc = 70 }
severity = "minor"
title = { cs = "Horký předřadník", en = "Hot gear" }
symptom = { cs = "Předřadník má {gear_temp_degc} °C.", en = "The gear has {gear_temp_degc} °C." }
"""


@pytest.fixture
def url(database_url: str) -> str:
    """Twenty lamps for seven days, hourly; the third is hot on the second day from 10:00 to 12:00."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        lamps = [
            NewDevice(name=f"lamp-{n}", municipality="brno", assets={0: NewAsset(kind="lamp", label=f"L{n}")})
            for n in range(1, 21)
        ]
        register(owner, {"brno": "Brno"}, lamps, START)
        owner.execute("SELECT ensure_partition('lamp', %s)", [START.date()])
        rows = [
            (asset_id, START + timedelta(hours=hour), hour, 80.0 if asset_id == 3 and 34 <= hour <= 36 else 40.0)
            for hour in range(7 * 24)
            for asset_id in range(1, 21)
        ]
        with owner.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO reading_lamp (asset_id, municipality_id, ts, seq, boot, batch_id, implausible,"
                " gear_temp_degc) VALUES (%s, 1, %s, %s, 1, 1, 0, %s)",
                rows,
            )
    return database_url


def tried(url: str, folder: Path, text: str = RULE, **more: Any) -> list[backtest.Result]:
    file = folder / "mine.toml"
    file.write_text(text, "utf-8")
    span = {"since": START, "until": START + timedelta(days=7)} | more
    return backtest.run(url, file, span["since"], span["until"], lambda _: None)


def test_it_tells_what_the_rule_would_have_told(url: str, tmp_path: Path) -> None:
    (result,) = tried(url, tmp_path)
    assert dict(result.raised) == {3: 1}
    assert result.first[3][0] == START + timedelta(hours=35), "the first reading at which it has held for ten minutes"
    assert result.readings == 20 * 7 * 24
    assert not result.too_many
    text = backtest.as_text([result])
    assert "hot (Horký předřadník): 1 times on 1 of 20 assets" in text
    assert "L3: 1×" in text
    assert backtest.as_json([result])["hot"]["raised"] == 1


def test_a_rule_that_tells_of_everything_is_refused(url: str, tmp_path: Path) -> None:
    (result,) = tried(url, tmp_path, RULE.replace("limit_degc = 70", "limit_degc = 20"))
    assert len(result.raised) == 20
    assert result.too_many
    assert "too many" in backtest.as_text([result])


def test_nothing_is_written(url: str, tmp_path: Path) -> None:
    tried(url, tmp_path)
    with psycopg.connect(url) as connection:
        for table in ("alert", "custom_rule", "outbox"):
            assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RULE.replace("gear_temp_degc > limit_degc", "gear_tmp_degc > limit_degc"), "gear_temp_degc"),
        (RULE.replace("> limit_degc", "> 3 W"), "W"),
        ("[broken", "mine.toml"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_place(url: str, tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RuleTextError, match=says):
        tried(url, tmp_path, text)


def test_a_wrong_stretch_or_file_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="must lie before"):
        tried(url, tmp_path, until=START)
    with pytest.raises(ConfigurationError, match="nowhere"):
        backtest.run(url, tmp_path / "nowhere.toml", START, START + timedelta(days=1), lambda _: None)
