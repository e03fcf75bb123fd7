"""The pages as they come from the server, before any script runs."""

import re
import time
from datetime import timedelta

import httpx
import pytest

from api import formats
from api.texts import catalogues
from kraj.store.registry import NewAsset, NewDevice, register
from tests.api.conftest import NOW, Region

HTML = {"accept": "text/html"}


async def page(client: httpx.AsyncClient, url: str, status: int = 200) -> str:
    answer = await client.get(url, headers=HTML)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


async def test_an_empty_platform_says_how_to_begin(empty_region: Region, client: httpx.AsyncClient) -> None:
    text = await page(client, "/")
    assert "Zatím není nic zaregistrováno" in text
    assert "<code>kraj demo</code>" in text
    assert "Karanténa je prázdná" in await page(client, "/quarantine")


async def test_registered_devices_that_never_sent_are_waited_for(region: Region, client: httpx.AsyncClient) -> None:
    text = await page(client, "/?lang=en")
    assert "No device has sent yet" in text
    assert "<code>kraj simulate</code>" in text


async def test_the_list_has_every_asset_with_its_value_and_age(region: Region, client: httpx.AsyncClient) -> None:
    region.slot(NOW, received=12350, committed=12345, duplicate=3, quarantined=2, in_flight=1)
    region.reading("VO-9 Nádražní", NOW.replace(minute=10), power_w=1041.2)
    text = await page(client, "/")
    for label in ("VO-9 Nádražní", "VO-10 Školní", "Náměstí", "Střídač 1", "Střídač 2"):
        assert f">{label}</a>" in text
    assert text.index("VO-9 Nádražní</a>") < text.index("VO-10 Školní</a>")
    assert re.search(r'data-part="value">1\xa0041</span>&nbsp;<span class="unit">W', text)
    assert "před 5\xa0min" in text
    assert "12\xa0351" in text
    assert "Bez souřadnic, jen v seznamu: 2" in text
    assert "<script" in text
    assert re.search(r"<script(?![^>]*src=)", text) is None, "the policy forbids inline scripts"
    assert " style=" not in text


async def test_a_municipality_shows_its_assets_on_the_map(region: Region, client: httpx.AsyncClient) -> None:
    assert 'data-cluster="olsinka"' in await page(client, "/")
    text = await page(client, "/?municipality=olsinka&kind=&q=")
    numbers = ",".join(re.findall(r'data-numbers="([^"]+)"', text))
    assert len(numbers.split(",")) == 2
    assert "Náměstí</a>" not in text
    assert "Výběru nic neodpovídá" in await page(client, "/?q=nikde%00")
    assert "Neznámý druh" in await page(client, "/?kind=tram", 400)


async def test_the_language_is_chosen_and_remembered(region: Region, client: httpx.AsyncClient) -> None:
    assert '<html lang="cs">' in await page(client, "/")
    answer = await client.get("/?lang=en", headers=HTML)
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=lax" in answer.headers["set-cookie"]
    assert '<html lang="en">' in await page(client, "/quarantine")
    assert '<html lang="cs">' in await page(client, "/?lang=cs")


async def test_an_asset_shows_all_metrics_and_a_chart_with_its_table(region: Region, client: httpx.AsyncClient) -> None:
    for n in range(20):
        region.reading(
            "VO-9 Nádražní",
            NOW.replace(minute=0).replace(hour=5) if n == 0 else NOW.replace(minute=n // 2),
            n,
            power_w=40 + n / 10,
            level_reason=4,
            implausible=("power_w",),
        )
    text = await page(client, f"/assets/{region.asset_id('VO-9 Nádražní')}?lang=en")
    assert "Power over the last 24 hours" in text
    assert re.search(r'<path class="line" d="M[\d.]+,', text)
    assert "Lowest 40, mean 41, highest 41.9 W." in text
    assert text.count('<tr><th scope="row">') == 2
    assert '<span lang="cs">Příkon</span> · <code>power_w</code>' in text
    assert ">program</span>" in text
    assert re.search(r'data-part="flag">unusual', text)
    assert f"/v1/assets/{region.asset_id('VO-9 Nádražní')}/readings?format=csv" in text


async def test_an_asset_without_readings_says_so(region: Region, client: httpx.AsyncClient) -> None:
    text = await page(client, f"/assets/{region.asset_id('Náměstí')}")
    assert "Tento prvek ještě nic neposlal." in text
    assert "Za posledních 24 hodin nepřišla žádná hodnota." in text


async def test_what_devices_send_is_shown_and_never_run(region: Region, client: httpx.AsyncClient) -> None:
    evil = "<script>alert(1)</script>\"'"
    region.refused("not_json", evil.encode())
    region.connection.execute("UPDATE asset SET label = %s WHERE label = 'Náměstí'", [evil])
    region.connection.execute("UPDATE municipality SET title = %s WHERE name = 'zdarna'", [evil])
    for url in ("/", "/quarantine", f"/assets/{region.asset_id(evil)}", "/?q=<script>alert(1)</script>"):
        text = await page(client, url)
        assert "<script>alert" not in text, url
        assert "&lt;script&gt;alert" in text, url


async def test_the_quarantine_pages_go_back_to_the_oldest(region: Region, client: httpx.AsyncClient) -> None:
    for n in range(60):
        region.refused("not_json", b"{", number=n)
    first = await page(client, "/quarantine?lang=en")
    assert first.count("The message is not valid JSON.") == 50
    older = re.search(r'href="(/quarantine\?cursor=[^"]+)" rel="next"', first)
    assert older is not None
    second = await page(client, older[1])
    assert second.count("The message is not valid JSON.") == 10
    assert 'rel="next"' not in second


@pytest.mark.parametrize(("url", "status"), [("/nowhere", 404), ("/assets/999", 404), ("/problems/none", 404)])
async def test_an_error_is_a_page_with_a_way_back(
    region: Region, client: httpx.AsyncClient, url: str, status: int
) -> None:
    assert "Zpět na přehled" in await page(client, url, status)


async def test_a_thousand_assets_take_under_a_tenth_of_a_second_of_the_processor(
    empty_region: Region, client: httpx.AsyncClient
) -> None:
    devices = [
        NewDevice(
            name=f"lamp-{n}",
            municipality=f"town-{n % 10}",
            assets={0: NewAsset(kind="lamp", label=f"VO-{n}", latitude=49 + n / 1e4, longitude=15 + n % 37 / 1e3)},
        )
        for n in range(1000)
    ]
    register(empty_region.connection, {f"town-{n}": f"Obec {n}" for n in range(10)}, devices, NOW)
    empty_region.connection.execute(
        "INSERT INTO latest_lamp (ts, seq, batch_id, implausible, asset_id, municipality_id, power_w)"
        " SELECT %s, 1, 1, 0, asset_id, municipality_id, 41.2 FROM asset",
        [NOW],
    )
    for url in ("/v1/latest", "/", "/?municipality=town-3"):
        await client.get(url)
        spent: list[float] = []
        for _ in range(10):
            begun = time.process_time()
            answer = await client.get(url, headers=HTML)
            spent.append(time.process_time() - begun)
            assert answer.status_code == 200
        assert min(spent) < 0.1, url
    assert "Strana 1 z 5" in (await client.get("/")).text


@pytest.mark.parametrize(
    ("value", "czech", "english"),
    [
        (41.2, "41,2", "41.2"),
        (0.5349, "0,53", "0.53"),
        (77.25, "77,3", "77.3"),
        (1e15, "1\xa0000\xa0000\xa0000\xa0000\xa0000", "1,000,000,000,000,000"),
        (1234.5678, "1\xa0235", "1,235"),
        (1234567, "1\xa0234\xa0567", "1,234,567"),
        (-3.0, "−3", "−3"),
        (-0.001, "0", "0"),
        (0, "0", "0"),
        (100, "100", "100"),
        (999.96, "1\xa0000", "1,000"),
    ],
)
def test_numbers_are_written_as_people_write_them(value: float, czech: str, english: str) -> None:
    assert (formats.number(value, "cs"), formats.number(value, "en")) == (czech, english)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "just now"),
        (1, "just now"),
        (59, "59\xa0s ago"),
        (60, "1\xa0min ago"),
        (7200, "2\xa0h ago"),
        (2e5, "2\xa0d ago"),
    ],
)
def test_ages_are_in_the_largest_unit(seconds: float, text: str) -> None:
    assert formats.ago(NOW - timedelta(seconds=seconds), NOW, catalogues()["en"]) == text
