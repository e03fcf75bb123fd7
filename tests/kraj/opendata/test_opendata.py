"""What open data declare: words for people, harmless columns alone, the catalogue of the edition, and the reference."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.metrics import Title
from kraj.opendata import DATASETS
from kraj.opendata.catalogue import LAW, Publisher, catalogue, dataset
from kraj.opendata.cells import feature, lines, plain, rounded, text
from kraj.opendata.dataset import Column, Frequency, Type
from kraj.opendata.published import FORMAT, Made, Manifest, ending_of
from kraj.opendata.reference import MARK, PATH, main, markdown
from kraj.opendata.series import FAULTS
from rules import catalogue as rulebook

ROOT = Path(__file__).parents[3]
FORBIDDEN = (
    "sos",
    "door",
    "presence",
    "clients",
    "shock",
    "tilt",
    "person",
    "mail",
    "who",
    "device",
    "assignee",
    "theft",
)
MADE = Made("2026-11-21T18:00:00+00:00", "", 2, "2026-11-19", "2026-11-20", {}, [])
REGION = Publisher(base="https://kraj.example", name="Kraj", iri="https://rpp.example/1", email="d@kraj.example")


def test_no_column_and_no_view_speaks_of_what_is_nobodys_business() -> None:
    private = {metric.name for kind in KINDS.values() for metric in kind.metrics if not metric.public}
    for one in DATASETS.values():
        names = {column.name for column in one.columns}
        assert not {name for name in names if any(word in name for word in FORBIDDEN)}, one.name
        assert names & private == set(), one.name
        # What lamps take is told as a sum over a municipality's day.
        assert not any(f"r.{name}," in f"{one.view}," for name in private - {"energy_wh"}), one.name


def test_kinds_of_faults_are_rules_that_there_are_and_none_of_safety() -> None:
    known = {rule.name for rule in rulebook.load()} | CAUSES
    counted = [rule for rules in FAULTS.values() for rule in rules]
    assert set(counted) <= known
    assert len(set(counted)) == len(counted), "no fault counts twice"
    assert not [rule for rule in counted if any(word in rule for word in (*FORBIDDEN, "comms", "water", "battery"))]


CAUSES = {"feeder_outage", "cabinet_outage", "phase_lost", "grid_outage"}


def test_every_name_and_meaning_is_said_in_both_languages() -> None:
    for one in DATASETS.values():
        titles = [one.title, one.meaning, *one.keywords, *(t for c in one.columns for t in (c.title, c.meaning))]
        assert all(title.cs.strip() and title.en.strip() for title in titles), one.name
        assert one.columns[0].type is not Type.TEXT, "a first cell could look like a comment of CSVW"
        assert (one.columns[0].type in (Type.DATE, Type.INSTANT)) >= (one.resolution is not None)


def test_the_committed_reference_is_what_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / PATH).read_text(encoding="utf-8")
    assert page.endswith(markdown()), "run: python -m kraj.opendata.reference"
    assert page.index("# Otevřená data · Open data") == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / PATH).write_text(f"# A\n\nB\n\n{MARK}\nold", encoding="utf-8")
    main()
    assert (tmp_path / PATH).read_text(encoding="utf-8") == "# A\n\nB\n\n" + markdown()


def test_days_turn_when_the_figures_of_yesterday_are_made_and_hours_on_the_hour() -> None:
    night = datetime(2026, 11, 21, 3, 59, tzinfo=UTC)  # 4:59 in Prague
    morning = night + timedelta(minutes=1)
    assert Frequency.DAILY.turn(night) == datetime(2026, 11, 20, 4, tzinfo=UTC)
    assert Frequency.DAILY.turn(morning) == morning
    assert Frequency.DAILY.turn(datetime(2026, 7, 1, 2, 59, tzinfo=UTC)) == datetime(2026, 6, 30, 3, tzinfo=UTC)
    assert Frequency.HOURLY.turn(morning - timedelta(seconds=1)) == datetime(2026, 11, 21, 3, tzinfo=UTC)


def test_a_value_is_the_same_in_every_file() -> None:
    stops = DATASETS["stops"]
    at = datetime(2026, 11, 21, 19, tzinfo=UTC)
    row = [7, 'Náměstí, "u kostela"', "brno", "Brno", None, None, 49.12345678, 16.5, at, True, False, None, None, None]
    made = rounded(stops, row)
    assert lines([[text(value) for value in made]]) == (
        '7,"Náměstí, ""u kostela""",brno,Brno,,,49.123457,16.5,2026-11-21T19:00:00Z,true,false,,,\r\n'
    )
    told = feature(stops, made)
    assert (told["id"], told["geometry"]) == (7, {"type": "Point", "coordinates": [16.5, 49.123457]})
    assert told["properties"]["heard_at"] == "2026-11-21T19:00:00Z"
    assert "latitude" not in told["properties"]
    assert feature(stops, [*made[:6], None, 16.5, *made[8:]])["geometry"] is None, "half a place is none"
    energy = DATASETS["lighting-energy"]
    odd = rounded(energy, [at.date(), "a", "A", float("nan"), 1, 0, -0.0])
    assert [plain(value) for value in odd[3:]] == [None, 1, 0, 0.0]
    assert str(odd[6]) == "0.0"


def test_what_nobody_has_set_is_left_out_and_named() -> None:
    bare = Publisher(base="http://127.0.0.1:8080")
    assert bare.missing == [f"KRAJ_{n}" for n in ("OPENDATA_PUBLISHER", "OPENDATA_PUBLISHER_IRI", "OPENDATA_CONTACT",
                                                  "PUBLIC_URL")]  # fmt: skip
    assert REGION.missing == []
    found = catalogue(bare, DATASETS.values())
    assert not {"poskytovatel", "kontaktní_bod"} & set(found)
    assert len(found["datová_sada"]) == len(DATASETS)
    one = dataset(REGION, DATASETS["air-quality"], MADE)
    assert one["časové_pokrytí"] == {"typ": "Časový interval", "začátek": "2026-11-19", "konec": "2026-11-20"}
    assert one["právní_předpis"] == [LAW]


def test_what_contradicts_itself_is_refused() -> None:
    word = Title(cs="a", en="a")
    with pytest.raises(ConfigurationError, match="lower-case"):
        Column(name="Číslo", type=Type.INTEGER, title=word, meaning=word)
    for text_ in (
        "{}",
        "[]",
        '{"format": 9}',
        f'{{"format": {FORMAT}, "towns": [], "days": 0, "about": "", "sets": {{"a": 1}}}}',
    ):
        with pytest.raises(ValueError, match=r"format|manifest"):
            Manifest.of(text_)
    assert Manifest.of(Manifest(("a",), 3, "b", {"c": MADE}).text) == Manifest(("a",), 3, "b", {"c": MADE})
    assert (ending_of("stops.csv"), ending_of("manifest.json"), ending_of("../a")) == ("csv", None, None)
