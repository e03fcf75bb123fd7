"""An energy manager's first day and a crew's bad night, on a whole small region: lamps, broker, ingest, API, browser.

Eva looks after the energy of Suchá Jedlinka. Petr repairs lamps in Suchá Hlohovka; that night a car has hit a pole.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from kraj.store.registry import register
from simulators.physics.frame import DAY_MS
from simulators.region import region
from stack import history, streets
from stack.bench.processes import ingest_process, stop, wait_until
from stack.broker import Broker
from stack.database import OWNER
from stack.demo import new_device
from stack.process import free_port
from tests.acceptance.test_page import Connection, answers, browser, complaints, connection, opened
from tests.api import signing
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.browser
__all__ = ["browser", "complaints", "connection"]
DEVICES, SEED = 12, 5
INVENTED = region(SEED, DEVICES)
QUIET, HIT = "sucha-jedlinka", "sucha-hlohovka"
"""The towns; all lamps of each are one street and one feeder."""
ZONE = ZoneInfo("Europe/Prague")
RAMP_S = 90.0
"""From one level to another, and its proof by power."""


def last_evening() -> datetime:
    """The last eleven o'clock in the evening: dark on every day of the year."""
    now = datetime.now(ZONE)
    eleven = now.replace(hour=23, minute=0, second=0, microsecond=0)
    return (eleven if eleven <= now else eleven - timedelta(days=1)).astimezone(UTC)


def unheard(share: float, readings: int) -> None:
    """Nobody waits for the history."""


def furnish(connection: Connection, owner_url: str, ingest_url: str, evening: datetime) -> None:
    """Two streets, one of them dimmed, and what their lamps have told since midnight."""
    until_ms = int(evening.timestamp() * 1000)
    start_ms = until_ms // DAY_MS * DAY_MS
    begins = history.moment(start_ms)
    towns = {town.name: town.title for town in INVENTED.municipalities}
    register(connection, towns, [new_device(device) for device in INVENTED.devices], begins)
    kept = streets.light(owner_url, INVENTED, begins)
    history.load(ingest_url, "slot_0", INVENTED, (), start_ms=start_ms, until_ms=until_ms, report=unheard, keeping=kept)


@dataclass
class Valley:
    """Two villages on real servers, and what one may ask of them."""

    browser: Browser
    url: str
    connection: Connection
    complaints: list[str]

    def page(self, name: str, role: str, town: str, **options: Any) -> Page:
        """A page of somebody who works for a town."""
        session = f"session-of-{name}"
        signing.person(self.connection, f"{name.lower()}@kraj.example", role, town, title=name, session=session)
        page = opened(self.browser, self.complaints, locale="cs-CZ", **options)
        page.context.clear_cookies()
        page.context.add_cookies([{"name": signing.COOKIE, "value": session, "domain": "localhost", "path": "/"}])
        return page

    def segment(self, town: str) -> int:
        row = self.connection.execute(
            "SELECT group_id FROM lighting_segment JOIN municipality USING (municipality_id) WHERE name = %s", [town]
        ).fetchone()
        assert row is not None
        return row[0]

    def lamps(self, town: str) -> list[tuple[float, float]]:
        """Level commanded and watts of each lamp, as they were heard last."""
        return self.connection.execute(
            "SELECT level_commanded_pct, power_w FROM latest_lamp JOIN asset USING (asset_id) JOIN municipality m"
            " ON m.municipality_id = asset.municipality_id WHERE name = %s ORDER BY asset_id",
            [town],
        ).fetchall()

    def watts(self, town: str) -> float:
        return sum(power for _, power in self.lamps(town))


@pytest.fixture
def valley(
    browser: Browser,
    complaints: list[str],
    connection: Connection,
    database_role_url: Callable[[str], str],
    open_folder: Path,
) -> Iterator[Valley]:
    """It is eleven in the evening; the lamps have been there since midnight, one street dimmed and one not."""
    evening = last_evening()
    offset_s = (evening - datetime.now(UTC)).total_seconds()
    ingest_url, clock = database_role_url("kraj_ingest"), {"KRAJ_CLOCK_OFFSET_S": str(offset_s)}
    with ThreadPoolExecutor(1) as apart:  # Playwright's loop runs in this thread
        apart.submit(furnish, connection, database_role_url(OWNER), ingest_url, evening).result()
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")} | clock
    environment |= {"KRAJ_DATABASE_URL": database_role_url("kraj_api"), "KRAJ_API_PORT": str(port)}
    with ExitStack() as ends, Broker(open_folder / "broker", open=True) as broker:
        log = open_folder / "ingest.log"
        ends.callback(stop, ingest_process(ingest_url, broker, metrics_port=free_port(), log=log, **clock))
        fleet = ["simulators", "--devices", str(DEVICES), "--seed", str(SEED), "--interval", "1"]
        fleet += ["--host", "127.0.0.1", "--port", str(broker.port), "--clock-offset-s", str(offset_s)]
        out = ends.enter_context((open_folder / "other.log").open("wb"))
        for command in (["api"], fleet):
            started = subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=out, stderr=out)
            ends.callback(stop, started)
        deadline = time.monotonic() + PATIENCE_S
        while not answers(port):
            assert time.monotonic() < deadline, (open_folder / "other.log").read_text()
        found = Valley(browser, f"http://localhost:{port}", connection, complaints)
        fresh = "SELECT count(*) FROM desired WHERE sent_version IS NULL"
        wait_until(lambda: connection.execute(fresh).fetchone() == (0,), "lamps are told their programs", PATIENCE_S)
        yield found


def test_a_managers_first_day_and_a_crews_bad_night(valley: Valley) -> None:
    petr = valley.page("Petr", "crew", HIT, viewport={"width": 390, "height": 800}, has_touch=True)
    the_crew_needs_light_at_the_pole(valley, petr)
    eva = valley.page("Eva", "energy_manager", QUIET)
    the_manager_sees_her_street_and_what_a_night_takes(valley, eva)
    a_program_below_the_class_is_refused_with_its_remedy(valley, eva)
    she_gives_a_program_and_lamps_follow(valley, eva)
    the_light_is_proved_by_power(valley, petr)
    a_locked_feeder_is_not_lit_even_in_an_emergency(valley, petr)
    eva.close()
    petr.close()
    assert [one for one in valley.complaints if "423" not in one and "400" not in one] == []


def the_crew_needs_light_at_the_pole(valley: Valley, petr: Page) -> None:
    petr.goto(f"{valley.url}/lighting/{valley.segment(HIT)}")
    petr.locator("#order-reason").fill("Auto ve sloupu, zvedáme ho")
    petr.get_by_role("button", name="Rozsvítit hned").click()
    expect(petr.get_by_role("status")).to_be_visible()


def the_manager_sees_her_street_and_what_a_night_takes(valley: Valley, eva: Page) -> None:
    eva.goto(f"{valley.url}/lighting/{valley.segment(QUIET)}")
    expect(eva.locator("svg.chart")).to_be_visible()
    expect(eva.get_by_role("paragraph").filter(has_text="Očekávaná spotřeba")).to_contain_text("kWh")
    expect(eva.get_by_text("bez programu", exact=False).first).to_be_visible()
    eva.get_by_role("link", name="kolik se tento měsíc ušetřilo").click()
    expect(eva.get_by_role("img", name="Části měsíce")).to_be_visible()
    expect(eva.get_by_role("row", name="Úspora LED")).to_be_visible()
    expect(eva.get_by_text("Pasport osvětlení 2021")).to_be_visible()


def a_program_below_the_class_is_refused_with_its_remedy(valley: Valley, eva: Page) -> None:
    eva.goto(f"{valley.url}/lighting/programs/new?municipality={QUIET}")
    eva.get_by_label("Název programu").fill("Úsporná")
    eva.locator('[id="p0.s0.level_pct"]').fill("20")
    eva.get_by_role("button", name="Uložit").click()
    expect(eva.get_by_role("status")).to_contain_text("Program")
    give(valley, eva, "Úsporná")
    refused = eva.get_by_role("alert")
    expect(refused).to_contain_text("nesmí pod 40 %")
    expect(refused).to_contain_text("Zvedněte úroveň v programu, nebo povolte segmentu tmavší třídu.")
    assert {level for level, _ in valley.lamps(QUIET)} == {100}


def she_gives_a_program_and_lamps_follow(valley: Valley, eva: Page) -> None:
    before, accounted = valley.watts(QUIET), ledger(valley, eva)
    give(valley, eva, "Tichá ulice")
    expect(eva.get_by_role("status")).to_be_visible()
    wait_until(lambda: {level for level, _ in valley.lamps(QUIET)} == {40}, "the lamps follow", PATIENCE_S)
    wait_until(lambda: valley.watts(QUIET) < 0.7 * before, "their power falls", RAMP_S)
    eva.reload()
    expect(eva.get_by_text("má 3 z 3")).to_be_visible()
    expect(eva.get_by_role("region", name="Zavádění programu")).to_contain_text("dostalo 3 z 3 zařízení, drží ho 3")
    moved = ledger(valley, eva)
    assert moved["covered_h"] > accounted["covered_h"]
    assert moved["baseline_kwh"] > accounted["baseline_kwh"], "what old lamps would have taken meanwhile"
    other = eva.request.get(f"{valley.url}/v1/lighting/segments/{valley.segment(HIT)}/ledger")
    assert other.status == 404, "another town's savings are not hers to see"


def give(valley: Valley, eva: Page, program: str) -> None:
    eva.goto(f"{valley.url}/lighting/{valley.segment(QUIET)}")
    eva.locator("#program_id").select_option(label=program)
    eva.locator("#light-reason").fill("Po setmění tu nikdo nechodí")
    eva.get_by_role("region", name="Jak se tu svítí").get_by_role("button", name="Uložit").click()


def ledger(valley: Valley, eva: Page) -> dict[str, Any]:
    return eva.request.get(f"{valley.url}/v1/lighting/segments/{valley.segment(QUIET)}/ledger").json()


def the_light_is_proved_by_power(valley: Valley, petr: Page) -> None:
    states = "SELECT DISTINCT state FROM command"
    wait_until(lambda: valley.connection.execute(states).fetchall() == [("confirmed",)], "proved by power", RAMP_S)
    petr.goto(f"{valley.url}/lighting/orders/1")
    expect(petr.get_by_text("potvrzeno příkonem").first).to_be_visible()
    assert [level for level, _ in valley.lamps(HIT)] == [100, 100]


def a_locked_feeder_is_not_lit_even_in_an_emergency(valley: Valley, petr: Page) -> None:
    petr.goto(f"{valley.url}/lighting/{valley.segment(HIT)}")
    petr.locator("#place").select_option(label="Vývod RVO-01/1")
    petr.locator("#lock-reason").fill("Vyměňujeme výzbroj stožáru")
    petr.get_by_role("button", name="Zamknout").click()
    expect(petr.get_by_text("Tady někdo pracuje.")).to_be_visible()
    ivan = valley.page("Ivan", "energy_manager", HIT)
    ivan.goto(f"{valley.url}/lighting/emergency")
    ivan.locator("#reason").fill("Bouřka")
    ivan.get_by_role("button", name="Pokračovat").click()
    expect(ivan.get_by_role("alert")).to_contain_text("RVO-01/1: Petr")
    ivan.locator("button[name=confirm]").click()
    expect(ivan.get_by_role("alert")).to_contain_text("Zámek drží")
    row = valley.connection.execute("SELECT count(*) FROM command WHERE reason = 'emergency'").fetchone()
    assert row == (0,)
    ivan.close()
