"""What leaves the database is whole in files first, comes back as it was, and nothing goes that is still wanted."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from kraj.errors import ConfigurationError
from kraj.kinds import SOLAR
from kraj.settings import Settings
from stack import archive, leaving, rollup
from stack.archive import Chosen
from stack.archive_files import Manifest
from stack.cli import app
from stack.database import OWNER
from tests.stack.rollup_town import BASE_MS, MINUTE_MS, Town, at, lamps, of_town

dataset: Any = import_module("pyarrow.dataset")  # it has no type stubs
DAY_MS = 1440 * MINUTE_MS
NOW = at(BASE_MS) + timedelta(days=424)
"""The first four weeks are past the region's 400 days, and no other."""
WEEKS = ["2026-10-19", "2026-10-26"]
LATER_MS = BASE_MS + 200 * DAY_MS
ALL = Chosen()


class Region(Town):
    """Two municipalities, a lamp that changed hands, NULLs, NaN, what came late and twice, a roof; all rolled up."""

    def __init__(self, role_url: Callable[[str], str], folder: Path) -> None:
        self.url, self.folder = role_url(OWNER), folder
        super().__init__(self.url)
        self.ask("INSERT INTO asset (municipality_id, kind, label) VALUES (2, 'lamp', 'Z'), (2, 'solar', 'R')")
        steps = [(asset, BASE_MS + n * 3600_000) for asset in (1, 2, 7) for n in range(20 * 24)]
        rows = [
            (a, ms, {"power_w": 40.1 + a, "energy_wh": (1 << 50) + ms // 10**6, "level_reason": 3}) for a, ms in steps
        ]
        rows = [(a, ms, known if ms % 7 else {"voltage_v": 230.5}) for a, ms, known in rows]
        whole = lamps(rows)
        whole = replace(whole, seq=np.arange(len(whole)))
        whole = of_town(
            whole, 2, (whole.asset_id == 7) | ((whole.asset_id == 2) & (whole.ts_ms > BASE_MS + 9 * DAY_MS))
        )
        early, late = np.flatnonzero(whole.seq % 2 == 0), np.flatnonzero(whole.seq % 5 == 0)
        self.write(whole.take(early), lamps([(8, BASE_MS + 5, {"power_w": 0.0})], kind=SOLAR, town=2))
        self.write(whole.take(late), lamps([(1, LATER_MS, {"power_w": 1.0})]))
        self.ask(
            "UPDATE reading_lamp SET power_w = 'NaN', current_a = '-0'"
            " WHERE asset_id = 1 AND mod(seq, 3) = 0 OR ts < %s",
            [at(BASE_MS + DAY_MS)],
        )
        self.ask(
            "UPDATE reading_lamp SET ts = ts + interval '1 microsecond' WHERE asset_id = 7 AND ts < %s",
            [at(BASE_MS + DAY_MS)],
        )
        rollup.catch_up(role_url("kraj_rollup"), at(LATER_MS))

    def rolls_up(self) -> None:
        """As far as anybody can tell who looks at how far it has come."""
        self.ask("UPDATE rollup_done SET batch_id = latest_batch_id FROM slot WHERE slot.slot_id = rollup_done.slot_id")

    def readings(self) -> list[Any]:
        """All of them, NaN told from NULL."""
        found = self.ask("SELECT r::text FROM reading_lamp r ORDER BY asset_id, ts, seq")
        return found + self.ask("SELECT r::text FROM reading_solar r ORDER BY asset_id, ts, seq")

    def weeks(self) -> list[str]:
        """Tables of lamps' readings, also such as were set aside."""
        found = self.ask("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '^reading_lamp_' ORDER BY 1")
        return [name.removeprefix("reading_lamp_") for (name,) in found]

    def archive(self, say: Callable[[str], None] = lambda line: None) -> archive.Done:
        return archive.run(self.url, self.folder, NOW, say)

    def restore(self, chosen: Chosen = ALL) -> int:
        return archive.restore(self.url, self.folder, chosen, NOW, lambda line: None)

    @property
    def manifest(self) -> Manifest:
        return Manifest.load(self.folder)


@pytest.fixture
def region(database_role_url: Callable[[str], str], tmp_path: Path) -> Iterator[Region]:
    found = Region(database_role_url, tmp_path / "archive")
    yield found
    found.connection.close()


def test_what_was_archived_and_dropped_comes_back_as_it_was(region: Region) -> None:
    before, rolled = region.readings(), region.rolled()
    done = region.archive()
    assert (done.weeks, done.left) == (5, 0)
    assert region.weeks() == ["2027w19"]
    assert len(region.readings()) == 1
    assert done.readings == len(before) - 1
    assert region.rolled() == rolled
    assert region.folder.stat().st_mode & 0o777 == 0o700
    shown = json.loads((region.folder / "manifest.json").read_text())
    assert [one["path"] for one in shown["files"] if one["begins"] == WEEKS[1]] == [
        "lamp/municipality=brno/2026-10-26_2026-11-02.parquet",
        "lamp/municipality=zlin/2026-10-26_2026-11-02.parquet",
    ]
    assert all((region.folder / one["path"]).stat().st_mode & 0o777 == 0o600 for one in shown["files"])
    # As DuckDB and pandas read it: the municipality is the folder's.
    read = dataset.dataset(region.folder / "lamp", format="parquet", partitioning="hive").to_table().to_pandas()
    assert len(read) == done.readings - 1
    assert set(read.loc[read["asset_id"] == 2, "municipality"]) == {"brno", "zlin"}
    assert (read["municipality"].map({"brno": 1, "zlin": 2}) == read["municipality_id"]).all()
    assert region.archive().weeks == 0
    # One town alone, then all of it, then again.
    assert region.restore(Chosen(municipality="zlin", since=at(BASE_MS).date() + timedelta(days=9))) > 0
    assert region.ask("SELECT count(*) FROM reading_lamp WHERE municipality_id = 1") == [(1,)]
    region.restore()
    assert region.readings() == before
    assert region.restore() == 0
    assert region.archive().left == 5, "what was brought back stays for a while"
    assert archive.run(region.url, region.folder, NOW + timedelta(days=31), print).weeks == 5
    assert len(region.readings()) == 1


def test_a_run_that_is_cut_off_anywhere_is_finished_by_the_next_one(region: Region) -> None:
    """By what it says, so also between file and manifest, verified and dropped, set aside and dropped."""
    before = region.readings()

    def cut_at(number: int) -> bool:
        said = iter(range(number))

        def say(line: str) -> None:
            if next(said, None) is None:
                raise KeyboardInterrupt(line)

        try:
            region.archive(say)
        except KeyboardInterrupt:
            return True
        return False

    cuts, seen = 0, set[int | None]()
    while cut_at(cuts):
        cuts += 1
        with psycopg.connect(region.url) as connection:
            row = connection.execute("SELECT count(*) FROM pg_class WHERE relname LIKE '%set_aside'").fetchone()
            seen.add(row[0] if row else None)
        archived = sum(e.rows for e in region.manifest.entries.values())
        assert archived + len(region.readings()) >= len(before), cuts
    assert cuts >= 8
    assert seen == {0, 1}
    assert region.weeks() == ["2027w19"]
    region.restore()
    assert region.readings() == before


def test_nothing_is_dropped_that_is_not_rolled_up(region: Region) -> None:
    region.write(lamps([(3, BASE_MS + 77, {"power_w": 5.0})]))
    said: list[str] = []
    assert region.archive(said.append).left == 1
    assert "2026w43" in region.weeks()
    assert any("2026-10-19: stays until all of it is rolled up" in line for line in said)
    region.rolls_up()
    assert region.archive().weeks == 1


def test_readings_that_come_late_join_the_file(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    before = region.readings()
    new = lamps([(1, BASE_MS + 78, {"power_w": 5.0})])

    def say(line: str) -> None:
        if line.startswith("lamp 2026-10-19: written"):
            region.write(new)

    assert region.archive(say).left == 1, "not what was written is what would be dropped"
    region.rolls_up()
    assert region.archive().weeks == 1
    region.write(lamps([(1, BASE_MS + 79, {"power_w": 6.0})]), new)
    region.rolls_up()
    save, left = Manifest.save, iter(range(2))

    def cut(*given: Any) -> None:
        if next(left, None) is not None:
            save(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(Manifest, "save", cut)
    for _ in range(3):  # before and behind what the manifest says of the new file, and before it is done
        with pytest.raises(KeyboardInterrupt):
            region.archive()
    monkeypatch.undo()
    assert region.archive().weeks == 1
    region.restore()
    assert len(region.readings()) == len(before) + 2
    assert set(before) < set(region.readings())


def test_a_damaged_file_is_refused_by_name_and_nothing_changes(region: Region) -> None:
    region.archive()
    entry = next(e for e in region.manifest.entries.values() if e.begins == WEEKS[1])
    file = region.folder / entry.path
    good = file.read_bytes()
    file.write_bytes(good[:5000] + b"?" + good[5001:])
    assert archive.state(region.manifest, entry, verify=False) == "ok"
    assert archive.state(region.manifest, entry, verify=True) == "damaged"
    left = region.readings()
    with pytest.raises(ConfigurationError, match=rf"{entry.path} is damaged.*put this file back from a copy"):
        region.restore()
    assert region.readings() == left
    # Nor are late readings thrown away with it.
    region.write(lamps([(1, BASE_MS + 4 * DAY_MS, {"power_w": 6.0})]))
    region.rolls_up()
    with pytest.raises(ConfigurationError, match="is damaged"):
        region.archive()
    assert len(region.readings()) == len(left) + 1
    file.write_bytes(good)
    assert region.archive().weeks == 1
    file.unlink()
    assert archive.state(region.manifest, region.manifest.entries[entry.path], verify=False) == "missing"
    with pytest.raises(ConfigurationError, match="No such file"):
        region.restore()


def test_rollups_go_by_their_municipalitys_term(region: Region) -> None:
    region.ask("UPDATE retention SET raw_days = NULL")
    region.ask("INSERT INTO retention (municipality_id, quarter_days, hour_days) VALUES (2, 408, NULL)")
    kept = region.rolled()
    counts = region.archive()
    now, oldest = region.rolled(), NOW - timedelta(days=409)
    assert counts.weeks == 0, "for ever"
    assert counts.rollups > 0
    assert region.ask(
        "SELECT municipality_id, min(bucket) < %s FROM rollup_lamp_15m GROUP BY 1 ORDER BY 1", [oldest]
    ) == [
        (1, True),
        (2, False),
    ]
    assert {table for table in kept if kept[table] != now[table]} == {"rollup_lamp_15m", "rollup_solar_15m"}
    region.ask("UPDATE retention SET day_days = 405 WHERE municipality_id IS NULL")
    days = "generate_series(%s - interval '409 days', %s, interval '10 days') AS bucket, unnest(ARRAY[1, 2]) AS town"
    region.ask(f"INSERT INTO asset_day SELECT bucket, 1, town, 86400, 'lamp' FROM {days}", [NOW, NOW])
    region.ask(f"INSERT INTO stop_day SELECT bucket, 1, town, 0, 0, 0, 0 FROM {days}", [NOW, NOW])
    region.archive()
    for table in ("asset_day", "stop_day"):
        left = region.ask(
            f"SELECT municipality_id, min(bucket) < %s FROM {table} GROUP BY 1 ORDER BY 1", [NOW - timedelta(days=406)]
        )
        assert left == [(1, False), (2, True)], "KPIs' days go by the term of days"
    found = region.ask("SELECT municipality_id, min(bucket) < %s FROM rollup_lamp_1d GROUP BY 1 ORDER BY 1", [oldest])
    assert found == [(1, False), (2, True)]


def test_a_municipality_that_leaves_takes_its_files_along(region: Region, tmp_path: Path) -> None:
    region.archive()
    copy = tmp_path / "copy"
    shutil.copytree(region.folder, copy)
    settings = Settings(
        database_url=SecretStr(region.url), state_dir=tmp_path / "state", archive_dir=region.folder, mqtt_port=1
    )
    with pytest.raises(
        ConfigurationError, match=r"5 archived files of zlin .* `kraj archive restore --municipality zlin`"
    ):
        leaving.export_town(settings, "zlin", tmp_path / "zlin", NOW, print, running=True)
    back = region.restore(Chosen(municipality="zlin"))
    exported = leaving.export_town(settings, "zlin", tmp_path / "zlin", NOW, print, running=True)
    assert exported["rows"]["reading_lamp"] + exported["rows"]["reading_solar"] == back > 0
    with pytest.raises(ConfigurationError, match="zlin is still here"):
        archive.forget(region.url, copy, "zlin", print)
    leaving.erase_town(settings, "zlin", tmp_path / "zlin", tmp_path / "erased.json", NOW, print)
    assert {e.municipality for e in region.manifest.entries.values()} == {"brno"}
    assert not (region.folder / "lamp" / "municipality=zlin").exists()
    with pytest.raises(ConfigurationError, match="does not have"):
        archive.restore(region.url, copy, ALL, NOW, print)
    assert archive.forget(region.url, copy, "zlin", print) == 5
    region.restore()
    assert region.ask("SELECT DISTINCT municipality_id FROM reading_lamp") == [(1,)]


def test_the_commands_say_what_they_do(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    offset_s = (NOW - datetime.now(UTC)).total_seconds()
    for name, value in (
        ("DATABASE_URL", region.url),
        ("ARCHIVE_DIR", region.folder),
        ("CLOCK_OFFSET_S", offset_s),
    ):
        monkeypatch.setenv(f"KRAJ_{name}", str(value))

    def kraj(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["archive", *arguments])
        assert result.exit_code == code, result.output
        return result.output

    assert kraj("list").endswith("0 files, 0 readings, 0.0 MiB\n")
    count = len(region.readings()) - 1
    assert f"5 weeks with {count:,} readings archived" in kraj()
    assert f"{count:,} readings are back" in kraj("restore", "--to", "2027-01-01")
    assert "in the database since" in kraj("list", "--verify")
    shown = json.loads(kraj("list", "--json"))["files"]
    file = region.folder / shown[0]["path"]
    columns = json.loads((region.folder / "manifest.json").read_text())["columns"][shown[0]["kind"]]
    assert {one["name"] for one in columns} < set(dataset.dataset(file).schema.names)
    file.unlink()
    assert "missing" in kraj("list", code=1)
