"""A town hall's first day and bad night from its desk: by keyboard and name, in both languages, on a phone."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from kraj.store.registry import NewAsset, NewDevice, register
from tests.acceptance.keys import enter
from tests.acceptance.test_page import Connection, browser, complaints, connection, faultless, opened, site
from tests.acceptance.test_rulebook_story import dispatch, worked
from tests.api.alerting import lamp_out
from tests.api.conftest import Region
from tests.api.signing import COOKIE, person
from tests.kraj.importing.samples import csv_file

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection", "dispatch", "site"]

TOWN = "olsinka"
MESSAGE = b'{"ts":1,"seq":1,"power_w":41,"level_commanded_pct":60}'
PAGES = (
    "/desk",
    "/labels",
    "/requests",
    "/audit",
    "/towns",
    "/quarantine",
    "/registry/new?kind=stop",
    "/devices/stop-9",
)


def clerk(browser: Browser, connection: Connection, complaints: list[str], **options: Any) -> Page:
    """Eva's browser: she manages Olšinka and nothing else."""
    person(connection, "eva@olsinka.cz", "municipality_admin", TOWN, title="Eva Nová", session="evas-session")
    page = opened(browser, complaints, **options)
    page.context.clear_cookies()
    page.context.add_cookies([{"name": COOKIE, "value": "evas-session", "domain": "localhost", "path": "/"}])
    return page


def desk(page: Page, site: str, place: str | None = None) -> None:
    """Go to the desk by the menu's first entry, and on to a place by its name."""
    page.goto(site)
    menu = page.get_by_role("navigation", name="Hlavní")
    enter(menu.get_by_text("Správa"))
    enter(menu.get_by_role("link", name="Stůl obce"))
    expect(page.get_by_role("heading", name="Stůl obce")).to_be_visible()
    if place is not None:
        enter(page.get_by_role("region", name="Co můžete dělat").get_by_role("link", name=place, exact=True))


def waiting(page: Page, what: str) -> Locator:
    """The line of the desk about something that waits."""
    return page.get_by_role("region", name="Co na vás čeká").get_by_role("listitem").filter(has_text=what)


def put(page: Page) -> tuple[float, float]:
    """The place in the form."""
    return tuple(float(page.locator(f"#{name}").input_value()) for name in ("latitude", "longitude"))  # pyright: ignore[reportReturnType]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_a_clerks_first_day_and_bad_night(  # noqa: PLR0917 - fixtures
    browser: Browser,
    site: str,
    connection: Connection,
    complaints: list[str],
    dispatch: tuple[str, list[dict[str, Any]]],
    database_role_url: Callable[[str], str],
    tmp_path: Path,
) -> None:
    register(connection, {TOWN: "Olšinka"}, [], datetime.now(UTC))
    page = clerk(browser, connection, complaints, locale="cs-CZ")
    desk(page, site)
    first = page.get_by_role("region", name="První den: Olšinka")
    expect(first.get_by_text("zbývá")).to_have_count(3)
    expect(page.get_by_text("Nic nečeká.")).to_be_visible()
    enter(first.get_by_role("link", name="Zaregistrovat první prvek se zařízením"))
    registered(page)
    printed(page, site)
    invited(page, site, first)
    asked_for_a_test(page, site, connection, dispatch, database_role_url("kraj_notify"))
    expect(page.get_by_role("heading", name="Stůl obce")).to_be_visible()
    expect(first).to_have_count(0)
    claimed(page, site, connection)
    mended(page, site, tmp_path)
    bad_night(page, site, connection)
    for language, scheme in (("cs", "dark"), ("en", "light")):
        page.set_viewport_size({"width": 360, "height": 800})
        page.emulate_media(color_scheme=scheme)  # pyright: ignore[reportArgumentType]
        for path in PAGES:
            page.goto(f"{site}{path}{'&' if '?' in path else '?'}lang={language}")
            for closed in page.locator("main summary").all():
                closed.click()
            assert faultless(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    assert complaints == []
    page.close()


def registered(page: Page) -> None:
    """A stop with its device; the place by keys, by a click, and by writing."""
    enter(page.get_by_role("link", name="Zastávka"))
    page.get_by_label("Označení (co je na něm napsáno)").fill("Náměstí")
    page.get_by_label("Název zařízení (nemusí být)").fill("stop-9")
    drawing = page.get_by_role("application", name="Mapa k výběru polohy")
    expect(page.locator("[data-point][data-ready]")).to_be_visible()
    page.get_by_label("Zeměpisná šířka (WGS 84)").fill("49,5")
    page.get_by_label("Zeměpisná délka").fill("15,6")
    page.get_by_label("Zeměpisná délka").press("Tab")
    drawing.press("ArrowUp")
    drawing.press("Shift+ArrowRight")
    expect(page.locator("[data-point-said]")).to_contain_text("Křížek: 49.5")
    drawing.press("Enter")
    north, east = put(page)
    assert 0 < north - 49.5 < 0.001
    assert 0 < east - 15.6 < 0.01
    expect(page.locator("[data-point-said]")).to_contain_text("Vybráno:")
    box = drawing.bounding_box()
    assert box is not None
    drawing.click(position={"x": 10, "y": box["height"] - 10})
    south, west = put(page)
    assert south < north
    assert west < east
    drawing.press("+")
    drawing.press("Enter")
    assert put(page) == pytest.approx((south, west), abs=1e-5), "what the cross shows stays under it"
    assert faultless(page) == []
    enter(page.get_by_role("button", name="Uložit"))
    expect(page.get_by_role("heading", name="Náměstí")).to_be_visible()


def printed(page: Page, site: str) -> None:
    """The stop's code as QR on its page, and on a sheet of labels."""
    enter(page.get_by_role("link", name="stop-9"))
    enter(page.get_by_role("button", name="Vydat kód pro první spuštění"))
    expect(page.get_by_role("img", name="QR s kódem pro zařízení stop-9")).to_be_visible()
    assert faultless(page) == []
    desk(page, site)
    expect(waiting(page, "Vydané a nepoužité kódy")).to_contain_text("1")
    enter(waiting(page, "Zařízení, která se ještě neozvala").get_by_role("link"))
    expect(page.get_by_text("má kód do")).to_be_visible()
    page.get_by_role("checkbox", name="Náměstí").press("Space")
    enter(page.get_by_role("button", name="Vydat kódy a ukázat štítky"))
    expect(page.get_by_role("img", name="QR s kódem pro zařízení stop-9")).to_be_visible()
    assert faultless(page) == []
    page.evaluate("window.print = () => { document.title = 'printed' }")
    enter(page.get_by_role("button", name="Vytisknout"))
    expect(page).to_have_title("printed")
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="Štítky k vytištění")).to_be_hidden()
    expect(page.get_by_role("img", name="QR s kódem pro zařízení stop-9")).to_be_visible()
    page.emulate_media(media="screen")


def invited(page: Page, site: str, first: Locator) -> None:
    desk(page, site)
    enter(first.get_by_role("link", name="Pozvat kolegu"))
    page.get_by_label("E-mail").fill("petr@olsinka.cz")
    page.get_by_label("Jméno a příjmení").fill("Petr Lampář")
    page.get_by_label("Role").select_option(label="Údržba")
    enter(page.get_by_role("button", name="Pozvat"))
    desk(page, site)
    expect(first.get_by_text("zbývá")).to_have_count(1)


def asked_for_a_test(
    page: Page, site: str, connection: Connection, dispatch: tuple[str, list[Any]], worker: str
) -> None:
    """The region has entered its dispatch for the town; the clerk sends a test and sees that it went."""
    url, heard = dispatch
    connection.execute(
        "INSERT INTO notification_target (municipality_id, name, url) VALUES (1, 'dispečink', %s)", [url]
    )
    desk(page, site, "Kdo se o poruchách dozví")
    enter(page.get_by_role("button", name="Poslat zkoušku dispečink"))
    worked(worker, datetime.now(UTC))
    assert [message["title"] for message in heard] == ["[Kraj] Zkušební zpráva"]
    page.reload()
    expect(page.get_by_text("zkušební zpráva odešla")).to_be_visible()
    desk(page, site)


def claimed(page: Page, site: str, connection: Connection) -> None:
    """A lamp that nobody has registered is claimed where its message lies."""
    connection.execute(
        "INSERT INTO quarantine (digest, first_at, last_at, times, topic, source, reason, detail, payload,"
        " payload_bytes, batch_id) VALUES ('x', now(), now(), 3, 'kraj/olsinka/lamp-new/telemetry',"
        " 'lamp-new', 'unknown_device', '', %s, 40, 1)",
        [MESSAGE],
    )
    desk(page, site)
    expect(waiting(page, "Neevidovaná zařízení, která se hlásí")).to_contain_text("čeká 3 měření")
    enter(page.get_by_role("region", name="Co můžete dělat").get_by_role("link", name="Karanténa"))
    enter(page.get_by_text("Zaregistrovat odtud"))
    expect(page.get_by_text("lamp-new se zapíše do obce Olšinka, nejspíš jako: Svítidlo.")).to_be_visible()
    page.get_by_label("Označení (co je na něm napsáno)").fill("VO-117")
    enter(page.get_by_role("button", name="Zaregistrovat a převzít zprávy lamp-new"))
    expect(page.get_by_role("status")).to_contain_text("Zaregistrováno; zprávy se převezmou")


def mended(page: Page, site: str, folder: Path) -> None:
    """A file with mistakes: from what is wrong to the cell, from the cell to what to do, and back."""
    file = folder / "pasport.csv"
    rows: list[tuple[Any, ...]] = [("P-1", "p-1", 49.5, 15.6, 70), ("P-2", "p-2", 49.5, 15.6, "asi 70")]
    file.write_bytes(csv_file(rows, ("Označení", "Zařízení", "Šířka", "Délka", "Příkon (W)")))
    desk(page, site, "Import")
    page.get_by_label("Druh prvků, pokud ho soubor neuvádí").select_option(label="Svítidlo")
    page.get_by_label("Soubor", exact=True).set_input_files(file)
    enter(page.get_by_role("button", name="Nahrát a zkontrolovat"))
    enter(page.get_by_role("link", name="sloupec „Příkon (W)“"))
    cell = page.locator("td:target")
    expect(cell).to_contain_text("asi 70")
    enter(cell.get_by_role("link"))
    remedy = page.locator("li:target")
    expect(remedy).to_contain_text("„asi 70“ není číslo.")
    enter(page.get_by_role("link", name="do tabulky (Řádek 3)"))
    expect(page.locator("th:target")).to_have_text("3")
    assert faultless(page) == []
    desk(page, site)
    expect(waiting(page, "Importy s chybami")).to_contain_text("1")


def bad_night(page: Page, site: str, connection: Connection) -> None:
    """A lamp goes out, a citizen reports another, a contractor's grant ends, and a device is stolen."""
    lamp = NewAsset(kind="lamp", label="VO-9 Nádražní", latitude=49.5, longitude=15.6)
    register(connection, {}, [NewDevice(name="lamp-1", municipality=TOWN, assets={0: lamp})], datetime.now(UTC))
    lamp_out(Region(connection), at=datetime.now(UTC) - timedelta(minutes=20))
    connection.execute(
        "INSERT INTO service_request (service_request_id, service_code, municipality_id, description, language,"
        " explained_by, requested_at, updated_at, source, address) VALUES ('token-of-a-report', 'dark_lamp', 1,"
        " 'Tma u školy', 'cs', '{}', now(), now(), 'phone', 'Školní 3')"
    )
    connection.execute(
        "INSERT INTO access_grant (municipality_id, to_region, rights, valid_from, valid_to, who, reason) VALUES"
        " (1, true, '{read}', now(), now() + interval '2 days', 'Eva', 'výpomoc')"
    )
    desk(page, site)
    for what in ("Otevřené poruchy", "Hlášení občanů bez odpovědi", "Oprávnění, která do 14 dnů skončí"):
        expect(waiting(page, what).locator(".number")).to_have_text("1")
    enter(waiting(page, "Otevřené poruchy").get_by_role("link"))
    expect(page.get_by_role("link", name=re.compile("VO-9 Nádražní|Svítidlo nesvítí")).first).to_be_visible()
    desk(page, site)
    enter(waiting(page, "Hlášení občanů").get_by_role("link"))
    expect(page.get_by_text("Tma u školy")).to_be_visible()
    desk(page, site)
    enter(waiting(page, "Oprávnění").get_by_role("link"))
    enter(page.get_by_role("button", name="výpomoc"))
    desk(page, site, "Evidence")
    enter(page.get_by_role("link", name="stop-9"))
    page.get_by_label("Důvod (nemusí být)").last.fill("ukradeno")
    page.get_by_label("Opravdu: stop-9 už se nevrátí").check()
    enter(page.get_by_role("button", name="Vyřadit natrvalo"))
    expect(page.get_by_text("ukradeno")).to_be_visible()
    desk(page, site)
    expect(waiting(page, "Oprávnění")).to_have_count(0)
    expect(waiting(page, "Vydané a nepoužité kódy")).to_have_count(0)
    enter(page.get_by_role("link", name="Záznam o změnách"))
    expect(page.get_by_role("rowheader", name="Eva Nová").first).to_be_visible()
