"""An energy manager's first day, and a bad night.

Petra looks after the energy of a region's towns. One lamp stays dark; one inverter is replaced; one month is missing.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from kraj.store.registry import register
from stack import kpi_days, rollup
from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, opened, site
from tests.dashboards.invented import invent
from tests.stack.test_kpi_days import DEVICES, ZONE, Town

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "site"]
Done = TypeVar("Done")
NOTHING = "bez údajů"


def apart(doing: Callable[[], Done]) -> Done:
    """In a thread of its own: Playwright's loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(doing).result()


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title, exact=True))


def shown(page: Page, title: str) -> str:
    """The figure of a KPI, as people read it."""
    return card(page, title).locator("strong").inner_text()


def test_first_day_a_dark_lamp_is_followed_from_the_overview_to_its_work_order(
    browser: Browser, site: str, database_role_url: Callable[[str], str], connection: Connection, complaints: list[str]
) -> None:
    """Petra sees that not every lamp was lit, and wants to know which, why, and who is on it."""
    begins: datetime = apart(lambda: invent(database_role_url, datetime.now(UTC).replace(minute=0, second=0), days=3))
    evening = (begins + timedelta(hours=44)).astimezone(ZONE)
    row = connection.execute(
        "SELECT m.title, a.label FROM alert JOIN asset a USING (asset_id) JOIN municipality m"
        " ON m.municipality_id = a.municipality_id WHERE rule = 'lamp_out'"
    ).fetchone()
    assert row is not None
    town, lamp = row
    page = opened(browser, complaints, locale="cs-CZ")
    page.goto(site)
    look_at(page, evening, town)
    lit = float(shown(page, "Dostupnost osvětlení").replace(",", "."))
    assert 0 < lit < 100
    assert faultless(page) == []
    lamps = page.get_by_role("region", name="Svítidla, která nesvítila celou dobu")
    lamps.get_by_role("link", name=lamp, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(lamp)
    page.go_back()
    faults = page.get_by_role("region", name="Poruchy a jejich pracovní příkazy")
    faults.get_by_role("link", name=f"Svítidlo nesvítí, {lamp}").click()
    expect(page.get_by_role("heading", name="Svítidlo nesvítí", level=1)).to_be_visible()
    assert "/alerts/" in page.url
    # From the work order to the lamp and what else it has had.
    page.get_by_role("link", name=lamp, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(lamp)
    assert complaints == []
    page.close()


def test_bad_night_a_counter_that_begins_anew_and_a_silent_month_are_no_wrong_numbers(
    browser: Browser, site: str, database_role_url: Callable[[str], str], connection: Connection, complaints: list[str]
) -> None:
    """A month is silent, and its inverter is another one afterwards; that one counts from nought at noon once more."""
    today = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    last = (today.replace(day=1) - timedelta(days=1)).replace(day=2)
    silent = (last.replace(day=1) - timedelta(days=1)).replace(day=1)
    before = silent - timedelta(days=1)
    register(connection, {"olsinka": "Olšinka"}, DEVICES, before - timedelta(days=1))
    town = Town(connection, database_role_url)
    town.readings("solar", "R1", counting(before, lambda hour: 5_000_000 + 100 * hour))
    anew = counting(last, lambda hour: 1000 + 100 * hour if hour < 12 else 100 * (hour - 12))
    town.readings("solar", "R1", anew)
    rollup_role, after = database_role_url("kraj_rollup"), last + timedelta(days=2)
    rollup.catch_up(rollup_role, after)
    apart(lambda: kpi_days.catch_up(rollup_role, after, since=before))
    page = opened(browser, complaints, locale="cs-CZ")
    page.goto(site)
    for month, energy, known in (
        (before, "2,4", range(90, 101)),
        (silent, NOTHING, range(1)),
        (last, "2,35", range(30, 60)),  # without the quarter-hour of the exchange; the day after is silent
    ):
        look_at(page, month, "Olšinka")
        assert shown(page, "Výroba střech") == energy
        share = card(page, "Výroba střech").get_by_text("Úplnost").first.inner_text()
        assert int(re.sub(r"\D", "", share)) in known
    assert complaints == []
    page.close()


def look_at(page: Page, month: datetime, town: str) -> None:
    page.get_by_role("link", name="Energie", exact=True).click()
    page.get_by_label("Obec").select_option(label=town)
    page.get_by_label("Měsíc").fill(f"{month:%Y-%m}")
    page.get_by_role("button", name="Zobrazit").click()


def counting(day: datetime, energy_wh: Callable[[float], float]) -> list[dict[str, Any]]:
    """A day of an inverter, each quarter of an hour, with what its counter says after so many hours."""
    moments = [(n / 4, day + timedelta(minutes=15 * n)) for n in range(97)]
    return [{"ts": at.astimezone(UTC), "power_w": 100.0, "energy_wh": int(energy_wh(hour))} for hour, at in moments]
