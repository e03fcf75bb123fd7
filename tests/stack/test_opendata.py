"""Open data from a real database: numbers, privacy, schedule, one step to the new, readers that others wrote."""

import csv
import importlib
import json
import os
import shutil
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kraj.errors import ConfigurationError, UnavailableError
from kraj.opendata import DATASETS
from kraj.opendata.catalogue import LAW, Publisher
from kraj.opendata.dataset import Column, Type
from kraj.opendata.published import CURRENT
from kraj.settings import Settings
from stack import opendata
from stack.database import OWNER
from stack.doctor import Verdict, examine
from tests.stack.opendata_region import AT, DAYS, REGION, ZONE, graph, midnight, settle

Rows = list[dict[str, str]]

# None of them has type stubs.
csvw: Any = importlib.import_module("csvw")
duckdb: Any = importlib.import_module("duckdb")
geojson: Any = importlib.import_module("geojson")
parquet: Any = importlib.import_module("pyarrow.parquet")


class Region:
    """A database with a past, and the folder."""

    def __init__(self, role_url: Callable[[str], str], folder: Path) -> None:
        self.owner = psycopg.connect(role_url(OWNER), autocommit=True)
        self.url = role_url("kraj_api")
        self.folder = folder

    @property
    def current(self) -> Path:
        return self.folder / CURRENT

    def build(self, at: datetime = AT, *, everything: bool = True, of: Publisher = REGION) -> tuple[str, ...]:
        return opendata.build(self.url, self.folder, of, at, everything=everything).made

    def read(self, name: str) -> Rows:
        with (self.current / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def all(self, query: str, *given: object) -> list[Any]:
        return self.owner.execute(query.encode(), given).fetchall()


@pytest.fixture
def region(database_role_url: Callable[[str], str], tmp_path: Path) -> Iterator[Region]:
    found = Region(database_role_url, tmp_path / "opendata")
    yield found
    found.owner.close()


def test_numbers_are_those_of_the_database_and_every_reader_reads_the_same(region: Region) -> None:
    settle(region.owner)
    assert region.build() == tuple(DATASETS)
    _stops_and_outages(region)
    _lighting(region)
    _roofs(region)
    _air(region)
    _faults(region)
    for name in DATASETS:
        _same_for_every_reader(region.current, name)
    _catalogue(region.current)


def _stops_and_outages(region: Region) -> None:
    stops = region.read("stops")
    assert [(s["municipality"], s["lit"], s["wifi_up"], s["charging"], s["voice"]) for s in stops] == [
        (town, "true", "true", "true", "") for town in ("brno", "zlin")
    ]
    assert stops[0]["heard_at"] == "2026-11-21T18:15:00Z"
    assert (stops[0]["label"], stops[0]["latitude"]) == ('stop 2 "brno", č. 1', "51.123457")
    lamps = region.read("lamps")
    assert [bool(lamp["dark_since"]) for lamp in lamps] == [True, False, True, False]
    assert [(o["place"][:6], o["scope"], o["lamps"]) for o in region.read("outages")] == [("lamp 0", "asset", "1")] * 2
    assert [roof["day"] for roof in region.read("roofs")] == ["2026-11-21"] * 2 or region.read("roofs")


def _lighting(region: Region) -> None:
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0, 0])
    for begins, town, energy, covered in region.all(
        "SELECT r.bucket, m.name, r.energy_wh, r.covered_s FROM rollup_lamp_1d r JOIN municipality m"
        " USING (municipality_id)"
    ):
        day = begins.astimezone(ZONE).date()
        if day < AT.astimezone(ZONE).date():
            one = sums[str(day), town]
            one[0], one[1], one[2] = one[0] + energy / 1000, one[1] + 1, one[2] + covered
    found = region.read("lighting-energy")
    assert len(found) == 2 * DAYS, "the running day is not told"
    for row in found:
        energy, known, covered = sums[row["day"], row["municipality"]]
        assert (row["energy_kwh"], row["lamps_known"]) == (str(round(energy, 3)) if known else "", str(int(known)))
        assert row["lamps"] == "2"
        assert float(row["completeness_pct"]) == pytest.approx(100 * covered / (2 * 86400), abs=0.051)


def _roofs(region: Region) -> None:
    made = {
        (str(begins.astimezone(ZONE).date()), str(asset)): energy
        for begins, asset, energy in region.all("SELECT bucket, asset_id, energy_wh FROM rollup_solar_1d")
    }
    today = AT.astimezone(ZONE).date()
    found = region.read("roof-energy")
    assert len(found) == 2 * DAYS
    for row in found:
        energy = made.get((row["day"], row["id"]))
        assert row["energy_kwh"] == ("" if energy is None else str(round(energy / 1000, 3)))
        own = row["municipality"] == "brno" and row["day"] == str(today - timedelta(days=1))
        factor = 400 if own else 500 if row["day"] >= str(today - timedelta(days=2)) else None
        saved = None if energy is None or factor is None else str(round(energy / 1e6 * factor, 3))
        assert row["avoided_co2_kg"] == (saved or "")
        assert row["completeness_pct"] == ("0.0" if energy is None else "46.3")


def _air(region: Region) -> None:
    found = region.read("air-quality")
    assert [(row["hour"], row["pm2_5_ug_per_m3"], row["air_temp_degc"]) for row in found if row["id"] == "3"] == [
        ("2026-11-21T15:00:00Z", "10.8", "3.14"),
        ("2026-11-21T16:00:00Z", "", "3.14"),
        ("2026-11-21T17:00:00Z", "8.8", "3.14"),
    ]
    assert {row["completeness_pct"] for row in found} == {"50.0"}


def _faults(region: Region) -> None:
    found = [(r["fault"], r["found"], r["repaired"], r["repair_mean_h"]) for r in region.read("faults")]
    assert found == [("light_out", "2", "1", "1.0"), ("stop_display", "1", "0", "")] * 2, "no SOS, doors or thefts"


def _same_for_every_reader(folder: Path, name: str) -> None:
    of = DATASETS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own
        table = csvw.CSVW(str(folder / f"{name}.csv-metadata.json"), validate=True)
    assert table.is_valid, table.warnings
    rows = list(table.tables[0])
    arrow = duckdb.sql(f"SELECT * FROM read_parquet('{folder / name}.parquet')")
    assert arrow.columns == [column.name for column in of.columns]
    assert parquet.read_schema(folder / f"{name}.parquet").field(0).nullable is False
    read = [[_same(column, row[column.name]) for column in of.columns] for row in rows]
    assert [[_same(*cell) for cell in zip(of.columns, row, strict=True)] for row in arrow.fetchall()] == read
    if not of.placed:
        assert not (folder / f"{name}.geojson").exists()
        return
    places = geojson.loads((folder / f"{name}.geojson").read_text("utf-8"))
    assert (places.is_valid, places.errors()) == (True, [])
    for feature, row in zip(places.features, rows, strict=True):
        cells = dict(feature.properties)
        point = feature.geometry and feature.geometry.coordinates
        assert point == (None if row["latitude"] is None else [row["longitude"], row["latitude"]])
        assert cells.keys() == row.keys() - {"latitude", "longitude"}
        of_cells = [column for column in of.columns if column.name in cells]
        assert [_same(c, cells[c.name]) for c in of_cells] == [_same(c, row[c.name]) for c in of_cells]


def _same(column: Column, value: Any) -> Any:
    """A value as it is whoever has read it: some have times as text, and days as their first moment."""
    if value is None or column.type not in (Type.DATE, Type.INSTANT):
        return value
    if column.type is Type.DATE:
        return str(value)[:10]
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


def _catalogue(folder: Path) -> None:
    found: Any = graph(folder)
    prefixes = """PREFIX dcat: <http://www.w3.org/ns/dcat#> PREFIX dct: <http://purl.org/dc/terms/>
        PREFIX v: <http://www.w3.org/2006/vcard/ns#> PREFIX r5r: <http://data.europa.eu/r5r/>
        PREFIX pu: <https://data.gov.cz/slovník/podmínky-užití/> PREFIX foaf: <http://xmlns.com/foaf/0.1/> """

    def count(pattern: str) -> int:
        return len(list(found.query(prefixes + "SELECT DISTINCT ?s ?d WHERE {" + pattern + "}")))

    publisher = f"?s dct:publisher <{REGION.iri}>; dcat:contactPoint [a v:Organization; v:fn ?w; v:hasEmail ?m]"
    words = "?s dct:title ?t; dct:description ?e FILTER(lang(?t) = 'cs' && lang(?e) = 'cs')"
    assert count(f"?s a dcat:Catalog; foaf:homepage ?h . {publisher} . {words}") == 1
    sets = len(DATASETS)
    assert count("?c a dcat:Catalog; dcat:dataset ?s . ?s a dcat:Dataset") == sets, "each that is named is described"
    mandatory = f"""?s a dcat:Dataset; dcat:theme ?h; dct:accrualPeriodicity ?f; dcat:keyword ?k; dct:spatial ?p;
        r5r:applicableLegislation <{LAW}> . {publisher} . {words} FILTER(lang(?k) = 'cs'
        && strstarts(str(?h), 'http://publications.europa.eu/resource/authority/data-theme/')
        && strstarts(str(?f), 'http://publications.europa.eu/resource/authority/frequency/')
        && strstarts(str(?p), 'https://linked.cuzk.cz/resource/ruian/'))"""
    assert count(mandatory) == sets
    files = sum(len(one.forms) for one in DATASETS.values())
    assert (
        count(f"""?s dcat:distribution ?d . ?d a dcat:Distribution; r5r:applicableLegislation <{LAW}>;
        dcat:accessURL ?a; dcat:downloadURL ?u; dct:format ?f; dcat:mediaType ?m; pu:specifikace ?c .
        ?c a pu:Specifikace; pu:autorské-dílo ?x; pu:databáze-jako-autorské-dílo ?y;
        pu:databáze-chráněná-zvláštními-právy ?z; pu:osobní-údaje
        <https://data.gov.cz/podmínky-užití/neobsahuje-osobní-údaje/> FILTER(strstarts(str(?u), 'https://')
        && strstarts(str(?f), 'http://publications.europa.eu/resource/authority/file-type/')
        && strstarts(str(?m), 'http://www.iana.org/assignments/media-types/'))""")
        == files
    )
    urls = [
        str(row[0])
        for row in found.query(prefixes + "SELECT ?u { {?d dcat:downloadURL ?u} UNION {?d dct:conformsTo ?u} }")
    ]
    assert len(urls) == files + sets
    assert all((folder / url.removeprefix("https://data.kraj.example/opendata/")).is_file() for url in urls)


def test_an_empty_region_gives_valid_data_sets_without_rows(region: Region) -> None:
    region.build()
    for name, of in DATASETS.items():
        assert region.read(name) == []
        _same_for_every_reader(region.current, name)
        assert (region.current / f"{name}.csv").read_text("utf-8").startswith(of.columns[0].name)
    _catalogue(region.current)


def test_nothing_personal_is_in_any_file_and_who_withdraws_leaves_no_trace(region: Region) -> None:
    settle(region.owner)
    region.build()
    everything = _bytes(region.folder)
    for word in ("Karel", "secret", "sos_", "presence", "theft", "door", "zlin-2", "wifi_clients"):
        assert word.encode() not in everything, word
    assert "Zlín".encode() in everything
    region.owner.execute("UPDATE municipality SET published = false WHERE name = 'zlin'")
    assert region.build(everything=False) == tuple(DATASETS), "at the next look, whatever the time"
    assert {row["municipality"] for name in DATASETS for row in region.read(name)} == {"brno"}
    assert not [word for word in ("Zlín", "zlin") if word.encode() in _bytes(region.folder)], "nor in what was before"
    region.owner.execute("UPDATE municipality SET published = true WHERE name = 'zlin'")
    assert region.build(everything=False) == tuple(DATASETS)
    assert len(region.read("stops")) == 2
    # What a roof made under another owner is not told of the one who has it now.
    region.owner.execute("UPDATE asset SET municipality_id = 1 WHERE kind = 'solar'")
    region.build()
    assert {row["id"] for row in region.read("roof-energy")} == {"4"}


def _bytes(folder: Path) -> bytes:
    """Of all files but packed ones, whose content lies beside them; Parquet's columns unpacked."""
    whole = b""
    for file in folder.rglob("*"):
        if file.is_file() and file.suffix == ".parquet":
            whole += str(parquet.read_table(file).to_pylist()).encode()
        elif file.is_file() and file.suffix != ".gz":
            whole += file.read_bytes()
    return whole


def test_what_is_old_is_made_anew_and_the_rest_stays(region: Region) -> None:
    settle(region.owner)
    assert region.build(everything=False) == tuple(DATASETS)
    hourly = tuple(name for name, of in DATASETS.items() if of.frequency.authority == "HOURLY")
    assert region.build(AT + timedelta(minutes=39), everything=False) == ()
    before = os.stat(region.current / "faults.parquet").st_ino
    assert region.build(AT + timedelta(minutes=41), everything=False) == hourly
    assert os.stat(region.current / "faults.parquet").st_ino == before, "the same file"
    assert region.read("stops")[0]["lit"] == "", "nothing is said on the strength of what is 46 minutes old"
    assert region.build(midnight(AT.date() + timedelta(days=1)) + timedelta(hours=5), everything=False) == tuple(
        DATASETS
    )
    region.owner.execute("INSERT INTO kpi_day VALUES (%s, 1, %s, %s)", [midnight(AT.date()), AT, AT])
    later = midnight(AT.date() + timedelta(days=1)) + timedelta(hours=5)
    assert region.build(later, everything=False) == (), "a running day is no news"
    region.owner.execute("UPDATE kpi_day SET until = %s", [later - timedelta(hours=2)])
    assert region.build(later, everything=False) == tuple(DATASETS), "a day that was worked out is"
    other = Publisher(base="https://elsewhere.example")
    assert region.build(later, everything=False, of=other)
    assert "https://elsewhere.example/opendata/stops.jsonld" in (region.current / "catalog.jsonld").read_text("utf-8")
    assert len(list(region.folder.glob("generation-*"))) == 2, "this one, and the one that somebody may be reading"


def test_a_build_that_fails_leaves_what_was_there(region: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(region.owner)
    region.build()
    before, listed = _bytes(region.current.resolve()), sorted(os.listdir(region.folder))
    region.owner.execute("ALTER VIEW open_air_quality RENAME TO gone")
    with pytest.raises(UnavailableError, match=r"open_air_quality.*the files from before stay"):
        region.build()
    assert (_bytes(region.current.resolve()), sorted(os.listdir(region.folder))) == (before, listed)
    region.owner.execute("ALTER VIEW gone RENAME TO open_air_quality")
    monkeypatch.setattr(shutil, "copyfileobj", _full)
    with pytest.raises(UnavailableError, match="No space left"):
        region.build()
    assert (_bytes(region.current.resolve()), sorted(os.listdir(region.folder))) == (before, listed)
    monkeypatch.undo()
    (region.folder / "a file").write_text("")
    with pytest.raises(ConfigurationError, match="KRAJ_OPENDATA_DIR"):
        opendata.build(region.url, region.folder / "a file", REGION, AT)
    (region.current / "manifest.json").write_text("{")
    assert region.build(everything=False) == tuple(DATASETS), "a damaged manifest makes everything anew"


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_the_doctor_names_what_the_catalogue_lacks_and_what_is_old(region: Region, tmp_path: Path) -> None:
    bare = Settings(state_dir=tmp_path, public_url="https://kraj.example/", api_port=1)
    assert _checked(bare).found.endswith("(not made yet)")
    region.build(of=opendata.publisher(bare))
    assert (_checked(bare).verdict, "KRAJ_OPENDATA_CONTACT" in _checked(bare).remedy) == (Verdict.NOTE, True)
    assert "KRAJ_PUBLIC_URL" not in _checked(bare).remedy
    full = bare.model_copy(
        update={"opendata_publisher": "K", "opendata_publisher_iri": "https://k", "opendata_contact": "a@b"}
    )
    assert _checked(full).verdict is Verdict.OK
    late = _checked(full, AT + timedelta(days=3))
    assert (late.verdict, "3 days old" in late.found) == (Verdict.NOTE, True)
    catalogue = json.loads((region.current / "catalog.jsonld").read_text("utf-8"))
    assert catalogue["iri"] == "https://kraj.example/opendata/catalog.jsonld"


def _checked(settings: Settings, at: datetime = AT) -> Any:
    return next(check for check in examine(settings, lambda: at) if check.name == "open data")
