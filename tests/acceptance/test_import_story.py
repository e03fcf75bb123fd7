"""A clerk's story in a real browser: a pasport with mistakes, mended, registered, and one import taken back."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.keys import enter
from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, fleet, opened, site
from tests.kraj.importing.samples import csv_file

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "fleet", "site"]

HEADINGS = ("Číslo stožáru", "Řídicí jednotka", "X (S-JTSK)", "Y (S-JTSK)", "Ulice", "Příkon (W)", "Poznámka")
GOOD: list[tuple[Any, ...]] = [
    (f"P-{n}", f"pasport-{n}", 1_160_000.5 + n, 598_000.25 + n, "Nádražní", 70.5, "") for n in range(1, 6)
]
BAD: list[tuple[Any, ...]] = [
    *GOOD[:3],
    ("P-4", "Pasport č. 4", 1_160_004.5, 598_004.25, "Nádražní", "asi 70", "opravit"),
    ("P-1", "pasport-5", None, None, "Nádražní", 70.5, ""),
]


def town(fleet: Connection) -> tuple[str, str]:
    row = fleet.execute("SELECT name, title FROM municipality ORDER BY municipality_id LIMIT 1").fetchone()
    assert row is not None
    return row[0], row[1]


def upload(page: Page, site: str, title: str, file: Path) -> None:
    page.goto(f"{site}/imports")
    page.get_by_label("Obec, pokud ji soubor neuvádí").select_option(label=title)
    page.get_by_label("Druh prvků, pokud ho soubor neuvádí").select_option(label="Svítidlo")
    page.get_by_label("Soubor", exact=True).set_input_files(file)
    page.get_by_role("button", name="Nahrát a zkontrolovat").click()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_clerk_mends_a_pasport_registers_it_and_takes_it_back(  # noqa: PLR0917 - fixtures
    browser: Browser, site: str, fleet: Connection, complaints: list[str], tmp_path: Path, scripts: bool
) -> None:
    _, title = town(fleet)
    bad, good = tmp_path / "Pasport VO.csv", tmp_path / "Pasport VO opravený.csv"
    bad.write_bytes(csv_file(BAD, HEADINGS, above="Pasport veřejného osvětlení;;;;;;\r\n"))
    good.write_bytes(csv_file(GOOD, HEADINGS))
    page = opened(browser, complaints, java_script_enabled=scripts, locale="cs-CZ")
    page.goto(site)
    page.get_by_role("navigation").get_by_text("Správa").click()
    page.get_by_role("navigation").get_by_role("link", name="Import").click()
    expect(page.get_by_role("heading", name="Hromadný import zařízení")).to_be_visible()
    if scripts:
        assert faultless(page) == []

    upload(page, site, title, bad)
    expect(page.get_by_role("heading", name="Kontrola souboru Pasport VO.csv")).to_be_visible()
    found = page.get_by_role("region", name="Co je potřeba opravit nebo vědět")
    expect(found.get_by_role("heading", name="Řádek 6: P-4")).to_be_visible()
    expect(found).to_contain_text("sloupec „Příkon (W)“: „asi 70“ není číslo.")
    expect(found).to_contain_text("„Pasport č. 4“ není jméno zařízení.")
    expect(found).to_contain_text("Sloupec „Poznámka“ neznáme")
    expect(found.get_by_role("heading", name="Řádek 7: P-1")).to_be_visible()
    expect(found).to_contain_text("Označení „P-1“ je už na řádku 3.")
    expect(page.get_by_role("button", name="Zapsat do evidence")).to_have_count(0)
    if scripts:
        assert faultless(page) == []

    upload(page, site, title, good)
    expect(page.get_by_text("Do evidence přibude 5 prvků.")).to_be_visible()
    expect(page.get_by_role("row", name="P-1")).to_contain_text("49.2")
    enter(page.get_by_role("button", name="Zapsat do evidence"))
    expect(page.get_by_role("status")).to_contain_text("Přibylo 5 prvků.")
    page.get_by_role("link", name="P-3", exact=True).click()
    expect(page.get_by_role("heading", name="P-3")).to_be_visible()
    page.go_back()

    fleet.execute("UPDATE asset SET label = 'P-5 nový' WHERE label = 'P-5'")
    page.get_by_role("button", name="Vzít import zpět").click()
    refused = page.get_by_role("alert")
    expect(refused).to_contain_text("Zpět nelze vzít 1 řádků")
    expect(refused).to_contain_text("Řádek 6: prvek nebo zařízení bylo od importu změněno")
    if scripts:
        assert faultless(page) == []
    page.get_by_label("Tyto řádky ponechat a vzít zpět ostatní").check()
    page.get_by_role("button", name="Vzít import zpět").click()
    expect(page.get_by_role("status")).to_contain_text("Import je vzat zpět.")
    left = fleet.execute("SELECT label FROM asset WHERE label LIKE 'P-%'").fetchall()
    assert left == [("P-5 nový",)]
    assert [text for text in complaints if "409" not in text] == []
    page.close()


def test_what_is_no_table_is_said_on_the_page_and_it_fits_a_phone(
    browser: Browser, site: str, fleet: Connection, complaints: list[str], tmp_path: Path
) -> None:
    _, title = town(fleet)
    old, many = tmp_path / "starý.xls", tmp_path / "dlouhý název souboru pasportu veřejného osvětlení.csv"
    old.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100))
    many.write_bytes(csv_file(BAD, HEADINGS))
    for scheme in ("light", "dark"):
        page = opened(browser, complaints, viewport={"width": 390, "height": 844}, color_scheme=scheme, locale="cs-CZ")
        upload(page, site, title, old)
        expect(page.get_by_role("alert")).to_contain_text("uložte jako „Sešit Excelu (.xlsx)“")
        assert faultless(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        upload(page, site, title, many)
        expect(page.get_by_role("heading", name="Kontrola souboru")).to_be_visible()
        assert faultless(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.close()
    assert [text for text in complaints if "422" not in text] == []
