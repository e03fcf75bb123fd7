"""A segment's savings as a page: the month drawn and told, months beside it, and the form that declares a baseline."""

import csv
import re
from datetime import date
from itertools import pairwise

import httpx
import pytest

from api.lighting import ledger_drawing
from api.texts import catalogues
from tests.api.conftest import Region
from tests.api.lighting.conftest import Signed
from tests.api.lighting.test_ledger import BASELINE, burn
from tests.api.lighting.test_light_pages import page

PATH = "/lighting/1/ledger"


async def test_without_a_baseline_the_page_says_how_to_declare_one_and_then_draws_the_month(
    street: Region, client: httpx.AsyncClient
) -> None:
    assert "Za tento měsíc tu není žádné měření" in (await page(client, PATH)).text
    burn(street)
    before = (await page(client, PATH)).text
    assert "Zatím to nikdo neurčil" in before
    assert "<details open>" in before
    assert (await page(client, "/lighting/1")).text.count(PATH) == 1
    wrong = await page(client, "/lighting/1/baselines", **(BASELINE | {"power_w": "0"}))
    assert wrong.status_code == 400
    assert 'role="alert"' in wrong.text
    assert "Pasport 2025" in wrong.text, "what was written stays"
    made = await page(client, "/lighting/1/baselines", **BASELINE)
    assert (made.status_code, made.headers["location"]) == (303, f"{PATH}?said=baseline")
    shown = (await page(client, f"{PATH}?said=baseline&lang=en")).text
    assert "115" in shown
    assert "Pasport 2025" in shown
    assert "Declared." in shown
    assert re.findall(r'<rect class="(\w+)"', shown) == [style for _, style in ledger_drawing.PARTS]
    assert 'href="?month=2026-10"' in shown
    assert "2026-12" not in shown, "there is nothing yet"
    figures = [float(one) for one in re.findall(r'</span></th><td class="figure">([\d.]+)<', shown)]
    assert figures[0] == pytest.approx(sum(figures[1:]), rel=0.01), "the parts add up to what old lamps would take"
    for language, sign, comma in (("cs", ";", ","), ("en", ",", ".")):
        excel = (await page(client, f"{PATH}?table=1&lang={language}")).content.decode("utf-8-sig").splitlines()
        rows = list(csv.DictReader(excel, delimiter=sign))
        heading = {"cs": "Stará svítidla [kWh]", "en": "Old lamps [kWh]"}[language]
        told = sum(float(row[heading].replace(comma, ".")) for row in rows)
        assert told == pytest.approx(figures[0], rel=0.01), "what Excel adds up is what the page says"


async def test_months_that_have_not_begun_and_others_segments_are_refused(
    street: Region, client: httpx.AsyncClient, as_person: Signed
) -> None:
    for month in ("2026-12", "2026-13", "1999-01", "leden"):
        assert (await page(client, f"{PATH}?month={month}")).status_code == 400, month
    assert (await page(client, "/lighting/99/ledger")).status_code == 404
    async with as_person("crew") as crew:
        assert "Určí to ten, kdo v obci řídí světlo" in (await page(crew, PATH)).text
        assert (await page(crew, "/lighting/1/baselines", **BASELINE)).status_code == 403


def test_the_picture_is_made_of_steps_that_end_at_the_baseline() -> None:
    totals = {"baseline_kwh": 100.0, "measured_kwh": 32.0, "outside_kwh": 2.0, "dimming_kwh": 10.0, "led_kwh": 55.0}
    shown = ledger_drawing.parts(totals | {"outage_kwh": 5.0})
    assert [part.kwh for part in shown] == [100, 30, 10, 55, 5]
    picture = ledger_drawing.svg(shown, catalogues()["en"], date(2026, 11, 1))
    bars = [
        (float(x), float(width))
        for x, width in re.findall(r'<rect class="\w+" x="([\d.]+)".*?width="([\d.]+)"', picture)
    ]
    assert bars[0][0] == bars[1][0]
    for before, after in pairwise(bars[1:]):
        assert after[0] == pytest.approx(sum(before), abs=0.2)
    assert sum(bars[-1]) == pytest.approx(sum(bars[0]), abs=0.2)
    assert "Saved by dimming 10 kWh, Saved by LED 55 kWh" in picture, "it is told to who cannot see it, too"
