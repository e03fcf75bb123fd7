"""A report never shows a number that it does not know, names what it was computed by, and prints."""

import csv
import io
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest

from api.reports import printing
from api.reports.document import Document
from api.reports.printing import NoPangoError, Printer
from kraj import reports
from kraj.errors import ConfigurationError
from stack.report import document
from tests.api.conftest import Region

NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


async def made(url: str, town: str = "olsinka", month: str = "2026-10", **more: Any) -> Document:
    return await document(url, town, month, more.pop("building", None), NOW, language="cs", **more)


def table(found: Document, language: str = "cs") -> list[dict[str, str]]:
    text = Printer().csv(found, language).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text), delimiter=";" if language == "cs" else ","))


@pytest.mark.parametrize(
    ("now", "month", "due"),
    [
        ("2026-11-03T05:00Z", date(2026, 10, 1), "2026-11-03T05:00Z"),
        ("2026-11-03T04:59Z", date(2026, 9, 1), "2026-10-03T04:00Z"),
        ("2027-01-02T12:00Z", date(2026, 11, 1), "2026-12-03T05:00Z"),
        ("2027-01-31T23:30Z", date(2026, 12, 1), "2027-01-03T05:00Z"),
    ],
)
def test_a_month_is_due_on_the_third_at_six_in_prague(now: str, month: date, due: str) -> None:
    assert reports.sending(datetime.fromisoformat(now)) == (month, datetime.fromisoformat(due))


async def test_a_month_says_what_is_known_and_by_which_versions(town: Region, database_url: str) -> None:
    shares: list[float] = []
    found = await made(database_url, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    totals = found.found.totals
    energy, cost = totals["lighting_energy_kwh"], totals["lighting_cost_czk"]
    # 745 hours, as clocks go back; of two lamps one was heard.
    assert (round(energy.value or 0, 6), energy.completeness) == (round(745 / 24, 6), 0.5)
    # Ten days at 5 Kč, none for ten, eleven at 6 (one of them with 25 hours).
    assert round(cost.value or 0, 6) == 10 * 5 + (11 + 1 / 24) * 6
    assert (cost.completeness or 1) < 0.36
    assert found.missing_days == 1
    assert [(used.version.name, used.later) for used in found.used] == [("Ceník", False), ("Nový", True)]
    html = Printer().html(found, "cs")
    assert "Zpráva za říjen 2026: Olšinka" in html
    assert "známo jen zčásti" in html
    assert "Za 1 z 31 dnů zatím nejsou spočtená čísla" in html
    assert "po skončení měsíce" in html
    assert "Cizí" not in html
    assert "<script" not in html
    assert not re.search(r'(href|src)="|url\(|@import', html), "it needs nothing from elsewhere"
    assert "no data" in Printer().html(found, "en")
    rows = table(found)
    assert len([row for row in rows if row["Ukazatel"] == "Spotřeba svítidel" and row["Čeho se týká"] == "den"]) == 31
    total = next(row for row in rows if row["Zdroj"] == "lighting_energy_kwh")
    assert (total["Hodnota"], total["Úplnost [%]"], total["Do"]) == ("31,042", "50", "2026-10-31")
    assert {row["Čeho se týká"] for row in rows} >= {"'=Nádražní"}, "no formula"
    assert next(row for row in table(found, "en") if row["Source"] == "lighting_energy_kwh")["Value"] == "31.042"


async def test_what_nobody_was_heard_of_has_no_number(town: Region, database_url: str) -> None:
    found = await made(database_url, building="Škola")
    (lighting, metering) = found.sections
    figures = [card.figure for card in lighting.cards]
    assert figures
    assert all((figure.value, figure.completeness) == (None, 0) for figure in figures)
    assert [row.title for row in metering.rows] == ["Škola (859182400200000003)"], "its own meter alone"
    html = Printer().html(found, "cs")
    assert "Zpráva za říjen 2026: Olšinka, Škola" in html
    assert html.count("bez údajů") >= len(figures) + 1
    assert not [row for row in table(found) if row["Oblast"] == "Osvětlení" and row["Hodnota"]]


async def test_a_town_without_devices_has_a_report_that_says_so(empty_region: Region, database_url: str) -> None:
    empty_region.connection.execute("INSERT INTO municipality (name, title) VALUES ('pusta', 'Pustá')")
    found = await made(database_url, "pusta")
    assert (found.sections, found.used) == ((), ())
    html = Printer().html(found, "cs")
    assert "nejsou zařízení" in html
    assert "není vyhlášena žádná cena" in html
    for month, town in (("2027-01", "pusta"), ("2026-1", "pusta"), ("x", "pusta"), ("2026-10", "nowhere")):
        with pytest.raises(ConfigurationError, match=r"month|municipality"):
            await made(database_url, town, month)
    with pytest.raises(ConfigurationError, match="there are: none"):
        await made(database_url, "pusta", building="Škola")


async def test_it_prints(town: Region, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await made(database_url)
    content = printing.pdf(Printer().html(found, "cs"), uncompressed=True)
    assert content.startswith(b"%PDF")
    title = "Zpráva za říjen 2026: Olšinka".encode("utf-16-be").hex().encode()
    assert title in content.lower() or "Zpráva za říjen 2026: Olšinka".encode("utf-16-be") in content
    assert b"/Count 2" in content, "pages"
    monkeypatch.setattr("builtins.__import__", _without_pango(__import__))
    with pytest.raises(NoPangoError, match="apt-get install libpangoft2"):
        Printer().pdf(found, "cs")


def _without_pango(real: Any) -> Any:
    def load(name: str, *more: Any, **named: Any) -> Any:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *more, **named)

    return load
