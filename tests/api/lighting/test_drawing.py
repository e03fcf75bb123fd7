"""The picture of a night: the committed one is what the code draws, and it says the same as its table."""

import re
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path

import pytest

from api.lighting import drawing, preview, reference, shown
from api.texts import catalogues
from kraj import dimming
from rules.dimming import MIDDLE, Document, night
from rules.dimming import desired as compile_program

ROOT = Path(__file__).parents[3]
SVG = "{http://www.w3.org/2000/svg}"
OLSINKA = (49.5, 15.6)


def compiled(place: tuple[float, float] = OLSINKA, evening: date = reference.EVENING) -> Document:
    return compile_program(dimming.read(reference.DOCUMENT, 40), 40, *place, evening)


def test_the_committed_picture_is_what_the_code_draws() -> None:
    assert (ROOT / reference.PATH).read_text("utf-8") == reference.picture(), "run: kraj reference"
    assert (ROOT / reference.SAVINGS).read_text("utf-8") == reference.savings(), "run: kraj reference"


def test_the_command_writes_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reference.PATH.parent.mkdir(parents=True)
    reference.main()
    assert reference.PATH.read_text("utf-8") == reference.picture()
    assert reference.SAVINGS.read_text("utf-8") == reference.savings()


def test_the_picture_tells_its_title_and_a_description() -> None:
    root = ET.fromstring(reference.picture())  # noqa: S314 - ours
    ids = (root.get("aria-labelledby") or "").split()
    named = {one.get("id"): one.text or "" for one in root.iter() if one.get("id")}
    assert root.get("role") == "img"
    assert "21. 11. 2026" in named[ids[0]]
    assert "kWh" in named[ids[1]]


def test_words_of_people_are_escaped() -> None:
    words = {"title": "<b>&", "description": '"', "floor": "<i>"}
    text = drawing.svg(night(compiled(), reference.EVENING), 40, shown.ZONE, words, alone=True)
    assert ET.fromstring(text)[0].text == "<b>&"  # noqa: S314 - ours


def test_the_table_tells_when_each_level_begins() -> None:
    rows = drawing.rows(night(compiled(), reference.EVENING), shown.ZONE)
    assert [(f"{row.at:%H:%M}", row.level_pct, row.ramp) for row in rows[1:4]] == [
        ("22:15", 70, True),
        ("23:45", 50, True),
        ("05:15", 100, True),
    ]
    assert (rows[0].level_pct, rows[-1].level_pct) == (100, 0)


@pytest.mark.parametrize("evening", [date(2026, 10, 24), date(2026, 3, 28), date(2028, 2, 29)])
def test_nights_of_daylight_saving_and_leap_days_stay_in_the_drawing(evening: date) -> None:
    words = {"title": "t", "description": "d", "floor": "f"}
    text = drawing.svg(night(compiled(evening=evening), evening), 40, shown.ZONE, words, alone=False)
    path = re.search(r'class="line" d="([^"]+)"', text)
    assert path is not None
    across = [float(x) for x in re.findall(r"[HM](-?[\d.]+)", path[1])]
    assert min(across) == drawing.LEFT
    assert max(across) == drawing.WIDTH - drawing.RIGHT
    assert across == sorted(across)


@pytest.mark.parametrize("evening", [date(2026, 6, 21), date(2026, 12, 21)])
def test_polar_nights_and_days_are_drawn_from_noon_to_noon(evening: date) -> None:
    words = {"title": "t", "description": "d", "floor": "f"}
    found = preview.made(compiled((78.2, 15.6), evening), evening, [])
    assert drawing.svg(found.night, 40, shown.ZONE, words, alone=False).startswith("<svg")
    assert shown.described(found, catalogues()["en"])
    assert shown.hours(found, catalogues()["en"])


def test_lamps_without_a_rated_power_are_counted_apart() -> None:
    rows = [
        preview.LampRow(asset_id=n, latitude=None, longitude=None, metadata={"power_rated_w": watts})
        for n, watts in enumerate((40, None, "?", 60.0))
    ]
    watts, unrated, measured = preview.power_w(rows)
    assert (unrated, measured, watts.shape, watts[100]) == (2, 0, (101,), pytest.approx(100))
    assert (watts[1:] >= watts[:-1]).all()
    assert preview.place(rows, None) == MIDDLE


def test_a_preview_takes_the_curve_that_was_learnt_of_a_lamp_and_says_so() -> None:
    def lamp(rated: float, learnt: float | None) -> preview.LampRow:
        gains = (None, None) if learnt is None else (0.1, -0.2)
        return preview.LampRow(
            asset_id=1, latitude=None, longitude=None, metadata={"power_rated_w": rated},
            gain_low=gains[0], gain_full=gains[1], learnt_w=learnt,
        )  # fmt: skip

    evening = reference.EVENING
    for lamps, watts, measured, said in (
        ([lamp(40, 40)], 32, 1, "from measured curves."),
        ([lamp(40, None)], 40, 0, "from rated power."),
        ([lamp(40, 60)], 40, 0, "from rated power."),  # it was replaced: what was learnt is of another lamp
        ([lamp(40, 40), lamp(100, None)], 132, 1, "from measured curves (1 lamps of 2), the others from rated power."),
    ):
        found = preview.made(compiled(), evening, lamps)
        assert (preview.power_w(lamps)[0][100], found.measured) == (pytest.approx(watts), measured)
        assert shown.described(found, catalogues()["en"]).endswith(said)
