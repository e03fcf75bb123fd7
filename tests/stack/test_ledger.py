"""A month's ledger out of a real database: its figures, its signature, and what becomes of whoever changes a digit."""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from api.issuing import issuer
from kraj import certificates, dimming, signed
from kraj.errors import ConfigurationError
from kraj.settings import Settings
from kraj.store.registry import NewAsset, NewDevice, register
from rules.dimming import Programs, desired
from rules.lighting.accounts import bounds
from stack import ledger, ledger_export
from tests.kraj.test_certificates import authority as another_authority

AT = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
MONTH = date(2026, 10, 1)
PLACE = (49.2, 16.6)
BOUNDS_S = bounds(MONTH, AT)
FULL_W, DIM_W, OLD_W, IDLE_W = 40.0, 21.0, 115.0, 0.5
DARK, SILENT = 1, 2
"""Of lamps 0 to 3: one is dark for a night, one says nothing for two days."""
TOWN = "olsinka"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=SecretStr(database_url), state_dir=tmp_path / "state", mqtt_port=1)


@pytest.fixture
def owner(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        plant(connection)
        yield connection


def document() -> dict[str, Any]:
    steps = [{"at": "22:00", "level_pct": 50}, {"at": "5:00", "level_pct": 100}]
    return desired(dimming.read({"plans": [{"steps": steps}]}), 20, *PLACE, MONTH)


def minutes() -> tuple[Any, Any]:
    """Seconds of the month's minutes and the level then."""
    ts = np.arange(int(BOUNDS_S[0]), int(BOUNDS_S[-1]), 60)
    return ts, Programs.of([document()]).levels_pct(np.zeros(len(ts), np.int64), ts)


def night(number: int) -> tuple[int, int]:
    """From noon of a day of the month to the next noon."""
    return int(BOUNDS_S[number]) + 43_200, int(BOUNDS_S[number + 1]) + 43_200


def taken_w(lamp: int) -> Any:
    ts, level = minutes()
    power = np.select([level == 100, level > 0], [FULL_W, DIM_W], IDLE_W) * (1 + lamp / 100)
    begin, end = night(10)
    return np.where((lamp == DARK) & (ts >= begin) & (ts < end), 1.0, power)


def plant(connection: psycopg.Connection[Any]) -> None:
    north, east = PLACE
    lamps = [
        NewDevice(
            name=f"l-{n}",
            municipality=TOWN,
            assets={
                0: NewAsset(
                    kind="lamp",
                    label=f"=L{n}",
                    latitude=north,
                    longitude=east,
                    metadata={"power_rated_w": "42", "level_min_pct": "10"},
                )
            },
        )
        for n in range(4)
    ]
    register(connection, {TOWN: "Olšinka"}, lamps, AT - timedelta(days=90))
    row = connection.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) SELECT municipality_id, 'Hlavní', 'segment'"
        " FROM municipality RETURNING group_id, municipality_id"
    ).fetchone()
    assert row
    group, town = row
    connection.execute("INSERT INTO asset_group_member SELECT %s, asset_id FROM asset", [group])
    connection.execute(
        "WITH p AS (INSERT INTO lamp_program (municipality_id, digest, document) VALUES (%s, sha256('x'), %s)"
        " RETURNING lamp_program_id) INSERT INTO lighting_segment (group_id, municipality_id, lamp_program_id,"
        " changed_at, who) SELECT %s, %s, lamp_program_id, %s, 'me' FROM p",
        [town, Jsonb(document()), group, town, AT],
    )
    for version, power, since in ((1, 90.0, "2026-01-01"), (2, OLD_W, "2026-10-11")):
        connection.execute(
            "INSERT INTO lighting_baseline (municipality_id, group_id, version, valid_from, power_w, source, who, at)"
            " VALUES (%s, %s, %s, %s, %s, 'pasport 2025', 'me', %s)",
            [town, group, version, since, power, AT],
        )
    for week in range(6):
        at = datetime.fromtimestamp(int(BOUNDS_S[0]), UTC) + timedelta(days=7 * week)
        connection.execute("SELECT ensure_partition('lamp', date_trunc('week', %s::timestamptz)::date)", [at])
    send(connection, town)


def send(connection: psycopg.Connection[Any], town: int) -> None:
    ts, level = minutes()
    numbers = [n for (n,) in connection.execute("SELECT asset_id FROM asset ORDER BY 1").fetchall()]
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY reading_lamp (asset_id, municipality_id, ts, seq, batch_id, implausible, power_w, energy_wh,"
            " level_commanded_pct) FROM STDIN"
        ) as copy,
    ):
        for lamp, number in enumerate(numbers):
            power = taken_w(lamp)
            counter = np.floor(1000 + np.concatenate([[0], np.cumsum(power)[:-1]]) / 60)
            begin, end = night(20)
            for m in range(0, len(ts), 5):
                if lamp == SILENT and begin <= ts[m] < end:
                    continue
                at = datetime.fromtimestamp(int(ts[m]), UTC)
                copy.write_row([number, town, at, m, 1, 0, float(power[m]), int(counter[m]), float(level[m])])


def written(settings: Settings, folder: Path) -> dict[str, Any]:
    return ledger.export(settings, TOWN, MONTH, folder, AT)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def rows(folder: Path, what: str) -> list[dict[str, str]]:
    (file,) = folder.glob(f"segment-*-{what}.csv")
    with file.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


@pytest.mark.usefixtures("owner")
def test_a_month_is_written_with_the_figures_that_are_true(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    manifest = written(settings, folder)
    ts, level = minutes()
    old = np.where(ts >= BOUNDS_S[10], OLD_W, 90.0)
    due = level > 0
    lamps = rows(folder, "lamps")
    assert [lamp["label"] for lamp in lamps] == [f"'=L{n}" for n in range(4)], "no formula for a spreadsheet"
    for n, lamp in enumerate(lamps):
        power, full = taken_w(n), FULL_W * (1 + n / 100)
        assert lamp["full_light_from"] == "measured"
        assert float(lamp["full_light_w"]) == pytest.approx(full, rel=1e-5)
        assert lamp["baseline_versions"] == "1 2"
        assert float(lamp["due_h"]) == pytest.approx(due.sum() / 60, abs=1e-3)
        begin, end = night(10)
        out = due & (n == DARK) & (ts >= begin) & (ts < end)
        heard = np.ones(len(ts), bool)
        if n == SILENT:
            begin, end = night(20)
            heard = (ts < begin - 300) | (ts >= end)
        lit = due & ~out & heard
        assert float(lamp["outage_h"]) == pytest.approx(out.sum() / 60, abs=0.1)
        for name, true in (
            ("baseline_kwh", old[due & heard].sum()),
            ("measured_kwh", power[heard].sum()),
            ("outside_kwh", power[heard & ~due].sum()),
            ("led_kwh", (old - full)[lit].sum()),
            ("dimming_kwh", (full - power)[lit].sum()),
            ("outage_kwh", (old - power)[out].sum()),
            ("uncovered_kwh", power[~heard].sum()),
        ):
            assert float(lamp[name]) == pytest.approx(true / 60_000, abs=0.1), (n, name)
    assert float(lamps[SILENT]["completeness_pct"]) == pytest.approx(100 * 30 / 31, abs=0.3)
    sums = manifest["segments"][0]["totals"]
    assert sums["baseline_kwh"] == pytest.approx(
        sums["measured_kwh"] - sums["outside_kwh"] + sums["led_kwh"] + sums["dimming_kwh"] + sums["outage_kwh"],
        abs=1e-4,
    )
    page = (folder / ledger_export.PAGE).read_text("utf-8")
    assert "Olšinka, 2026-10" in page
    assert "src=" not in page, "all of it is in the file"
    assert "href=" not in page


@pytest.mark.usefixtures("owner")
def test_an_auditor_finds_every_figure_again_and_the_signature_good(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    written(settings, folder)
    said = ledger.verified(settings, folder, None)
    digest = sha256(folder / "manifest.json")
    assert said.startswith("good: Olšinka 2026-10")
    assert digest in said
    assert digest in (folder / ledger_export.PAGE).read_text("utf-8")

    root = tmp_path / "root.pem"
    root.write_text(certificates.pem(another_authority(1).certificate))
    with pytest.raises(ConfigurationError, match="NOT a good ledger: the document is not signed by"):
        ledger.verified(settings, folder, root)


@pytest.mark.usefixtures("owner")
def test_a_changed_digit_is_found_even_by_who_can_sign(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    written(settings, folder)
    good = {file.name: file.read_bytes() for file in folder.iterdir()}
    for name in good:
        if name == ledger_export.SIGNATURE:
            continue
        (folder / name).write_bytes(good[name].replace(b"1", b"2", 1))
        with pytest.raises(ConfigurationError, match="changed after it was signed"):
            ledger.verified(settings, folder, None)
        (folder / name).write_bytes(good[name])
    ledger.verified(settings, folder, None)

    for what, column in (("lamps", "dimming_kwh"), ("lamps", "full_light_w"), ("days", "lit_h"), ("days", "due_h"),
                         ("days", "baseline_w")):  # fmt: skip
        forge(settings, folder, what, column)
        with pytest.raises(ConfigurationError, match="NOT a good ledger"):
            ledger.verified(settings, folder, None)
        for name, content in good.items():
            (folder / name).write_bytes(content)


def forge(settings: Settings, folder: Path, what: str, column: str) -> None:
    """Change a figure and sign it all anew, as whoever has the key could."""
    (file,) = folder.glob(f"segment-*-{what}.csv")
    table = rows(folder, what)
    table[40 % len(table)][column] = f"{float(table[40 % len(table)][column]) - 0.001:.6f}"
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    document = json.loads(json.loads((folder / "signature.json").read_bytes())["document"])
    document["sha256"]["manifest.json"] = sha256(folder / "manifest.json")
    by = issuer(settings.authority_folder).authority
    (folder / "signature.json").write_text(json.dumps(signed.sign(by, document).as_json()))


def test_what_cannot_be_written_is_refused_before_anything_is(
    settings: Settings, owner: psycopg.Connection[Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="has not begun"):
        ledger.export(settings, TOWN, date(2026, 12, 1), tmp_path / "a", AT)
    with pytest.raises(ConfigurationError, match="no segments"):
        ledger.export(settings, "nobody", MONTH, tmp_path / "a", AT)
    with pytest.raises(ConfigurationError, match="2026-10"):
        ledger.month_of("October")
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x").write_text("")
    with pytest.raises(ConfigurationError, match="not empty"):
        written(settings, tmp_path / "b")
    good = ledger.Declared(1, 110.0, date(2026, 10, 1), "pasport 2026", "me")
    for wrong, match in ((replace(good, segment=99), "no segment 99"), (replace(good, power_w=0.0), "1 to 2000 W")):
        with pytest.raises(ConfigurationError, match=match):
            ledger.declare(settings, wrong, AT)
    assert owner.execute("SELECT count(*) FROM lighting_baseline").fetchone() == (2,)
    assert ledger.declare(settings, good, AT) == 3
