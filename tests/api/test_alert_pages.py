"""The crew's pages and the pictures as they come from the server, before any script runs."""

import re
from datetime import timedelta

import httpx
import pytest

from api import texts
from api.told import registered
from kraj.alerts import Severity, Step
from kraj.attributes import ATTRIBUTES
from tests.api.alerting import HTML, alert_id, change, feeder_trip, lamp_out, told
from tests.api.conftest import NOW, Region


async def page(client: httpx.AsyncClient, url: str, status: int = 200) -> str:
    answer = await client.get(url, headers=HTML)
    assert answer.status_code == status, answer.text
    assert " style=" not in answer.text, "the policy forbids inline styles"
    return answer.text


async def send(client: httpx.AsyncClient, url: str, status: int = 303, **fields: str) -> httpx.Response:
    answer = await client.post(url, data=fields, headers=HTML)
    assert answer.status_code == status, answer.text
    return answer


async def test_without_alerts_the_list_says_so(region: Region, client: httpx.AsyncClient) -> None:
    assert "Žádná otevřená porucha" in await page(client, "/alerts")
    assert "Výběru žádná porucha neodpovídá" in await page(client, "/alerts?severity_min=critical")
    assert "No open alert" in await page(client, "/alerts?lang=en")


async def test_the_list_is_by_cause_with_the_worst_first(region: Region, client: httpx.AsyncClient) -> None:
    number, children = feeder_trip(region)
    told(region, change(region, "Náměstí", "water", severity=Severity.MINOR, at=NOW))
    text = await page(client, "/alerts")
    listed = [int(found) for found in re.findall(r'data-alert="(\d+)"', text)]
    assert listed == [number, alert_id(region, "water")]
    assert not set(children) & set(listed)
    assert "Na vývodu RVO-01/2 zhasla nebo oněměla svítidla: 2 z 2." in text
    assert "kritická" in text
    assert "souvisejících: 2" in text
    assert "měřák izolace" in text
    assert "data-causes-count>2</span>" in text
    assert "data-causes-count>2</span>" in await page(client, "/")
    assert f'data-alert="{number}"' not in await page(client, "/alerts?municipality=zdarna")
    assert "Žádná" not in await page(client, "/alerts?state=all&municipality=&severity_min=")
    for url in ("/alerts?severity_min=awful", "/alerts?state=shut", "/alerts?cursor=x"):
        await page(client, url, 400)


async def test_the_work_order_holds_what_a_crew_needs(region: Region, client: httpx.AsyncClient) -> None:
    for n in range(6):
        region.reading("VO-9 Nádražní", NOW - timedelta(hours=40 - 7 * n), n, power_w=40.0 - n, voltage_v=231.5)
    number, _ = feeder_trip(region)
    out = lamp_out(region)
    told(region, change(region, "VO-10 Školní", "voltage", severity=Severity.MINOR))
    text = await page(client, f"/alerts/{out}")
    for part in ("VO-9 Nádražní", "49.50000, 15.60000", "RVO-01/2", "Xitanium 40", "mlčí", "posledních 48 hodin"):
        assert part in text, part
    assert re.search(r"expected_power_w</code></span></th>\s*<td class=\"figure\">41,3&nbsp;", text)
    assert re.search(
        r"<code>power_w</code></span></th>\s*<td class=\"figure\">0,4.*?</td>\s*<td class=\"figure\">35", text
    )
    assert f'href="/alerts/{number}"' in text, "open within 300 m"
    assert "Napětí" in text, "VO-10 stands 180 m away"
    assert '<path class="line" d="M' in text
    assert "Co tím trpí (2)" in await page(client, f"/alerts/{number}")
    child = region.connection.execute("SELECT min(alert_id) FROM alert WHERE parent_id IS NOT NULL").fetchone()
    assert child is not None
    assert "Vysvětluje ji:" in await page(client, f"/alerts/{child[0]}")
    await page(client, "/alerts/999", 404)


async def test_buttons_do_what_they_say_in_the_name_of_who_is_signed_in(
    region: Region, client: httpx.AsyncClient
) -> None:
    number = lamp_out(region)
    steps = f"/alerts/{number}/steps"
    answer = await send(client, steps, step="acknowledged", version="1", cause="driver", note="", assignee="")
    assert answer.headers["location"] == f"/alerts/{number}?said=acknowledged#said"
    text = await page(client, answer.headers["location"])
    assert "Porucha je vaše." in text
    assert "převzata" in text
    assert 'value="acknowledged"' not in text, "it cannot be done twice"
    await send(client, steps, step="assigned", version="2", assignee="Petr")
    await send(client, steps, step="fixed", version="3", cause="driver")
    text = await page(client, f"/alerts/{number}")
    assert "Předřadník" in text
    assert "opravená, ověřuje se" in text
    await send(client, steps, step="false_alarm:twilight", version="4", cause="driver")
    row = region.connection.execute("SELECT state, cause FROM alert").fetchone()
    assert row == ("closed", "twilight")
    assert "Stmívání nebo náběh svítidla" in await page(client, f"/alerts/{number}")
    assert "Žádná otevřená porucha" in await page(client, "/alerts")
    assert f'data-alert="{number}"' in await page(client, "/alerts?state=closed")


async def test_a_mute_lasts_until_the_end_of_the_day_and_shows(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    await send(client, f"/alerts/{number}/mute", until="2026-11-28", reason="čeká se na díl")
    row = region.connection.execute("SELECT valid_to AT TIME ZONE 'Europe/Prague' FROM rule_mute").fetchone()
    assert row is not None
    assert str(row[0]) == "2026-11-29 00:00:00"
    assert "Ztlumeno do" in await page(client, f"/alerts/{number}?said=muted")
    assert "ztlumil(a) Jana " in await page(client, f"/assets/{region.asset_id('VO-9 Nádražní')}")


@pytest.mark.parametrize(
    ("path", "fields", "expected"),
    [
        ("steps", {"step": "acknowledged", "version": "7"}, (412, "Poruchu mezitím někdo změnil")),
        ("steps", {"step": "closed", "version": "1"}, (409, "Porucha ještě trvá")),
        ("steps", {"step": "acknowledged", "version": "x"}, (400, "Jedno pole je potřeba opravit")),
        ("steps", {"version": "1"}, (400, "Jedno pole je potřeba opravit")),
        ("steps", {"step": "assigned", "version": "1"}, (400, "Komu přidělit?")),
        ("mute", {"until": "soon", "reason": "x"}, (400, "V poli „Do“ stojí „soon“")),
        ("mute", {"until": "2026-11-28", "reason": ""}, (400, "Pole „Důvod“ není vyplněné.")),
        ("mute", {"until": "2026-11-01", "reason": "x"}, (400, "Ztlumit nelze do tohoto data")),
    ],
)
async def test_a_wrong_form_says_what_to_do_and_leads_back(
    region: Region, client: httpx.AsyncClient, path: str, fields: dict[str, str], expected: tuple[int, str]
) -> None:
    number = lamp_out(region)
    answer = await send(client, f"/alerts/{number}/{path}", expected[0], **fields)
    assert expected[1] in answer.text
    assert f'href="/alerts/{number}"' in answer.text
    english = await client.post(f"/alerts/{number}/{path}?lang=en", data=fields, headers=HTML)
    assert expected[1] not in english.text
    assert "Back to the alert" in english.text


async def test_a_form_of_another_kind_is_refused(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    answer = await client.post(f"/alerts/{number}/steps", json={"step": "fixed"}, headers=HTML)
    assert (answer.status_code, "Tělo není formulář" in answer.text) == (415, True)
    await send(client, "/alerts/999/steps", 404, step="fixed", version="1")


async def test_an_asset_shows_its_alerts_and_its_rules(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    text = await page(client, f"/assets/{region.asset_id('VO-9 Nádražní')}?lang=en")
    assert f'href="/alerts/{number}">Lamp is out</a>' in text
    assert "Lacking something" in text
    assert "<code>power_rated_w</code>" in text
    assert "No open alert" in await page(client, f"/assets/{region.asset_id('Náměstí')}?lang=en")


async def test_pictures_show_a_days_energy_losses_and_voltage(region: Region, client: httpx.AsyncClient) -> None:
    feeder_trip(region)
    for n, minute in enumerate(range(0, 120, 5)):
        for label, watts, volts in (("VO-9 Nádražní", 60.0, 229.0), ("VO-10 Školní", 30.0, 233.0)):
            ts = NOW.replace(hour=3, minute=0) + timedelta(minutes=minute)
            region.reading(label, ts, n, power_w=watts, voltage_v=volts)
    region.reading("VO-9 Nádražní", NOW.replace(hour=5, minute=0), 99, power_w=0.0)
    region.reading("VO-10 Školní", NOW.replace(hour=5, minute=0), 99, power_w=0.0)
    told(region, change(region, "VO-9 Nádražní", "day_burner"))
    told(region, change(region, "VO-9 Nádražní", "day_burner", Step.CLEARED, at=NOW, lost_wh=1500.0))
    text = await page(client, "/pictures?municipality=olsinka&day=2026-11-21&lang=en")
    assert "0.18 kWh in all, the most in the hour from 04:00: 0.09 kWh." in text, "two hours of 90 W, local time"
    assert re.search(r"Lamp burns by day</th><td class=\"figure\">1</td><td class=\"figure\">1.5<", text)
    assert "Voltage of the lamps on feeder RVO-01/2" in text
    assert re.search(r"Lowest 229, mean 231, highest 233", text, re.IGNORECASE)
    assert "There is no reading of power on this day." in text, "no roof has sent"
    empty = await page(client, "/pictures?municipality=zdarna&day=2026-11-20&lang=cs")
    assert "Žádná porucha, která ten den skončila" in empty
    for query, status in (("day=2027-01-01", 400), ("day=x", 400), ("municipality=nowhere", 404)):
        await page(client, f"/pictures?{query}", status)


async def test_pictures_of_an_empty_platform_say_how_to_begin(empty_region: Region, client: httpx.AsyncClient) -> None:
    assert "<code>kraj demo</code>" in await page(client, "/pictures")


def test_what_is_registered_is_told_as_people_say_it() -> None:
    say = texts.catalogues()["cs"]
    known = {one.name: one for one in ATTRIBUTES["lamp"]}
    said = {
        "crossing": (1, ("ano", "")),
        "part_night": (0, ("ne", "")),
        "phase": (2, ("2", "")),
        "lifetime_l80_s": (360_000_000, ("100\u00a0000", "h")),
        "report_interval_s": (600, ("600", "s")),
        "power_rated_w": (41.5, ("41,5", "W")),
        "street": ("U_mlýna", ("U_mlýna", "")),
    }
    for name, (value, shown) in said.items():
        assert registered(known[name], value, say) == shown, name


async def test_a_work_order_speaks_of_no_thresholds(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    region.connection.execute("""UPDATE alert SET evidence = evidence || '{"power_out_share": 0.2}'""")
    text = await page(client, f"/alerts/{number}")
    assert "expected_power_w" in text
    assert "power_out_share" not in text
