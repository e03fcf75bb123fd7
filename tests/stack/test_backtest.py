"""A rule is tried on what is stored: it says what it would have told, and harms nothing."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kraj.errors import ConfigurationError
from kraj.store.registry import NewAsset, NewDevice, register
from rules.catalogue import RuleTextError
from stack import backtest
from tests.stack.commanding import kraj

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


@pytest.mark.parametrize(
    ("text", "more", "doubts"),
    [
        (RULE, {}, []),
        (RULE, {"since": START - timedelta(days=9), "until": START - timedelta(days=2)}, ["no_readings"]),
        (RULE.replace('"10 min"', '"2 d"'), {"until": START + timedelta(days=1)}, ["too_short"]),
        (RULE.replace('"10 min"', '"2 d"'), {"since": START - timedelta(days=20)}, []),
        (RULE.replace('"10 min"', '"9 d"'), {"since": START - timedelta(days=20)}, ["too_short"]),
    ],
)
def test_what_was_tried_on_too_little_is_doubted(
    url: str, tmp_path: Path, text: str, more: dict[str, Any], doubts: list[str]
) -> None:
    (result,) = tried(url, tmp_path, text, **more)
    assert result.doubts == doubts
    assert not result.too_many
    assert backtest.as_json([result])["hot"]["doubts"] == doubts


NIGHTS = """
[dark]
kind = "lamp"
per = "night"
when = "unexpected_starts >= 2"
of = "3 of 5"
severity = "minor"
title = { cs = "Bliká", en = "Blinks" }
symptom = { cs = "Bliká.", en = "It blinks." }
"""


def test_nights_need_as_many_nights(url: str, tmp_path: Path) -> None:
    assert tried(url, tmp_path, NIGHTS, until=START + timedelta(days=1))[0].doubts == ["too_short"]
    assert tried(url, tmp_path, NIGHTS)[0].doubts == []


def test_one_towns_flood_is_not_averaged_over_the_region(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        lamp = NewDevice(name="lamp-x", municipality="lhota", assets={0: NewAsset(kind="lamp", label="X")})
        register(owner, {"lhota": "Lhota"}, [lamp], START)
        owner.execute(
            "INSERT INTO reading_lamp (asset_id, municipality_id, ts, seq, boot, batch_id, implausible, gear_temp_degc)"
            " SELECT 21, 2, %s + h * interval '1 hour', h, 1, 1, 0, 80 FROM generate_series(0, 167) h",
            [START],
        )
    file = tmp_path / "mine.toml"
    file.write_text(RULE, "utf-8")
    arguments = ("--rule", str(file), "--from", "2026-11-02", "--to", "2026-11-09")

    def answered(*more: str) -> tuple[int, dict[str, Any]]:
        result = kraj("backtest", *arguments, "--json", *more, KRAJ_DATABASE_URL=url)
        return result.returncode, json.loads(result.stdout)["hot"]

    code, region = answered()
    assert (code, region["assets"], region["assets_raised"], region["too_many"]) == (0, 21, 2, False)
    code, town = answered("--municipality", "lhota")
    assert (code, town["assets"], town["readings"], town["doubts"]) == (1, 1, 168, ["too_many", "too_many_assets"])
    assert answered("--municipality", "lhota", "--confirm") == (0, town)
    spoken = kraj("backtest", *arguments, "--municipality", "lhota", KRAJ_DATABASE_URL=url)
    assert spoken.returncode == 1
    assert "too many assets: more than 10%" in spoken.stdout
    wrong = kraj("backtest", *arguments, "--municipality", "lhotka", KRAJ_DATABASE_URL=url)
    assert (wrong.returncode, "lhota" in wrong.stderr) == (2, True), wrong.stderr
