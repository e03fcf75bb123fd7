"""The crew's console from the server: nearest first, marks, a day's route, a repair followed, nothing typed is lost."""

import json
import re
from datetime import timedelta

import httpx

from kraj.alerts import Severity, Step
from tests.api import signing
from tests.api.alerting import HTML, alert_id, change, feeder_trip, lamp_out, told
from tests.api.conftest import NOW, Region

ENGLISH = {**HTML, "accept-language": "en"}
SCRIPT = "<script>alert(1)</script> pojistka"


async def page(client: httpx.AsyncClient, url: str, status: int = 200) -> str:
    answer = await client.get(url, headers=HTML)
    assert answer.status_code == status, answer.text
    return answer.text


def listed(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-alert="(\d+)"', text)]


def several(region: Region) -> dict[str, int]:
    """A lamp in Olšinka, another 180 m off, a stop 30 km away, and an inverter of which nobody knows where it is."""
    connection = region.connection
    known = {"feeder": "RVO-01/2", "cabinet": "RVO-01", "street": "Nádražní", "driver_model": "Xi 40"}
    connection.execute("UPDATE asset SET metadata = metadata || %s::jsonb WHERE kind = 'lamp'", [json.dumps(known)])
    numbers = {"near": lamp_out(region)}
    for name, label, rule, severity in (
        ("next", "VO-10 Školní", "day_burner", Severity.MINOR),
        ("far", "Náměstí", "water", Severity.CRITICAL),
        ("lost", "Střídač 1", "own_roof", Severity.INFO),
    ):
        told(region, change(region, label, rule, severity=severity, at=NOW - timedelta(minutes=5)))
        numbers[name] = alert_id(region, rule)
    return numbers


async def test_the_nearest_stand_first_with_their_distance_and_page_by_page(
    region: Region, client: httpx.AsyncClient
) -> None:
    known = several(region)
    order = [known[name] for name in ("next", "near", "far", "lost")]
    text = await page(client, "/alerts?near=49.501,15.602")
    assert listed(text) == order
    for words in ("Poruchy od nejbližší", "0\u00a0m odsud", "180\u00a0m odsud", "poloha neznámá"):
        assert words in text, words
    assert text.index("data-list") < text.index("data-map>"), "on a telephone the nearest is not below a map"
    whole = await page(client, "/alerts")
    assert whole.index("data-map>") < whole.index("data-list")
    found: list[tuple[int, float | None]] = []
    url = "/v1/alerts?near=49.501,15.602&limit=2"
    while url:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        found += [(item["alert_id"], item["away_m"]) for item in answer.json()["items"]]
        url = answer.links["next"]["url"] if "next" in answer.links else ""
    assert [number for number, _ in found] == order
    assert found[0][1] == 0
    assert 170 < (found[1][1] or 0) < 190
    assert found[3][1] is None
    for bad in ("49.5", "49.5,15.6,1", "91,15", "x,y"):
        answer = await client.get("/v1/alerts", params={"near": bad})
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/near"), bad


async def test_a_place_is_named_by_lamp_street_or_town_and_an_unknown_one_says_what_to_do(
    region: Region, client: httpx.AsyncClient
) -> None:
    known = several(region)
    for words, first, title in (
        ("vo-10 skolni", "next", "VO-10 Školní"),
        ("nadrazni", "near", "Nádražní, Olšinka"),
        ("zdarna", "far", "Žďárná"),
        ("49.3 15.3", "far", "Vzdálenosti platí od zadaných souřadnic"),
    ):
        text = await page(client, f"/alerts?near={words}")
        assert title in text, words
        assert first == "near" or listed(text)[0] == known[first], words
    text = await page(client, "/alerts?near=Atlantida%25")
    assert "Místo „Atlantida%“ tu nikdo nezná" in text
    assert 'value="Atlantida%"' in text
    assert len(listed(text)) == 4


async def test_filters_narrow_list_and_map_alike(region: Region, client: httpx.AsyncClient) -> None:
    known = several(region)

    async def numbers(query: str) -> list[int]:
        text = await page(client, f"/alerts?{query}")
        items = (await client.get(f"/v1/alerts?{query}")).json()["items"]
        assert sorted(item["alert_id"] for item in items) == sorted(listed(text))
        marked = {int(one) for one in re.findall(r'data-mark="(\d+)"', text)}
        assert marked <= set(listed(text))
        return sorted(listed(text))

    assert await numbers("kind=stop") == [known["far"]]
    assert await numbers("q=skolni") == [known["next"]]
    assert await numbers("q=RVO-01/2") == sorted([known["near"], known["next"]])
    assert await numbers("q=100%25") == []
    assert await numbers("whose=mine") == []
    body = {"step": "acknowledged", "version": 1}
    assert (await client.post(f"/v1/alerts/{known['near']}/steps", json=body)).status_code == 200
    body = {"step": "assigned", "version": 1, "assignee": "Četa sever"}
    assert (await client.post(f"/v1/alerts/{known['far']}/steps", json=body)).status_code == 200
    assert await numbers("whose=mine") == [known["near"]]
    assert await numbers("whose=unassigned") == sorted([known["next"], known["lost"]])
    region.connection.execute(
        "WITH made AS (INSERT INTO team (municipality_id, name) VALUES (2, 'Četa sever') RETURNING team_id)"
        " INSERT INTO team_member SELECT team_id, person_id FROM made, person WHERE title = 'Jana'"
    )
    assert await numbers("whose=mine") == sorted([known["near"], known["far"]])
    for bad in ("whose=his", "kind=ship", "area=1,2"):
        await page(client, f"/alerts?{bad}", 400)


async def test_what_hangs_on_one_feeder_is_one_mark_with_a_number_that_opens(
    region: Region, client: httpx.AsyncClient
) -> None:
    known = several(region)
    text = await page(client, "/alerts")
    cluster = re.search(r'<a class="cluster major" href="([^"]+)"[^>]*aria-label="([^"]+)"', text)
    assert cluster is not None
    assert cluster[2] == "2 poruch na jednom místě, nejhorší závažná: RVO-01/2"
    assert re.findall(r'<a class="marker cause critical" href="(/alerts/\d+)"', text) == [f"/alerts/{known['far']}"]
    assert 'class="streets" d="M' in text
    opened = await page(client, cluster[1].replace("&amp;", "&").removesuffix("#map"))
    assert listed(opened) == [known["near"], known["next"]]
    assert len(re.findall(r'class="marker cause', opened)) == 2
    assert "Celá mapa" in opened


async def test_a_days_route_orders_stops_and_merges_what_to_bring(region: Region, client: httpx.AsyncClient) -> None:
    known = several(region)
    assert "Žádnou neuzavřenou poruchu nemáte" in await page(client, "/alerts/route")
    told(region, change(region, "VO-10 Školní", "lamp_out", evidence={"power_w": 0.4}, key="second"))
    second = region.connection.execute("SELECT max(alert_id) FROM alert").fetchone()
    assert second is not None
    chosen = "&".join(f"alert={number}" for number in (*known.values(), second[0]))
    text = await page(client, f"/alerts/route?{chosen}&near=49.2,15.2")
    assert re.findall(r"<strong>(\d\. [^<]+)</strong>", text) == ["1. Náměstí", "2. VO-9 Nádražní", "3. VO-10 Školní"]
    assert re.search(r"Zastávek: 3, vzdušnou čarou 4\d(,\d)?\u00a0km", text)
    things = re.findall(r"<li>([^<]+) <span class=\"sub\">\((zastávky: [^)]+)\)", text)
    assert ("Plošina", "zastávky: 2, 3") in things
    assert text.count("Předřadník Xi 40, případně") == 1
    assert 'href="geo:49.5,15.6"' in text
    assert "U těchto nikdo nezná polohu" in text
    body = {"step": "acknowledged", "version": 1}
    await client.post(f"/v1/alerts/{known['near']}/steps", json=body)
    mine = await page(client, "/alerts/route")
    assert "Zastávek: 1" in mine
    assert "VO-9 Nádražní" in mine


async def test_the_order_says_class_spare_part_and_what_nobody_has_written_down(
    region: Region, client: httpx.AsyncClient
) -> None:
    number = lamp_out(region)
    region.reading("VO-9 Nádražní", NOW - timedelta(minutes=2), power_w=0.4, voltage_v=231.0, level_commanded_pct=60)
    text = await page(client, f"/alerts/{number}")
    assert "Naposledy změřeno: 0,4 W z očekávaných 41,3 W, napětí 231 V, úroveň – % (žádaná 60 %)." in text
    assert re.search(r"Není zapsáno: [^<]*Předřadník", text)
    region.connection.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'Nádražní', 'segment');"
        "INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE label = 'VO-9 Nádražní';"
        "INSERT INTO lighting_segment (group_id, municipality_id, designed_class, permitted_class, changed_at, who)"
        " VALUES (1, 1, 'P3', 'P5', now(), 'Jana')"
    )
    fields = {"step": "fixed", "version": "1", "cause": "driver", "spare_part": "Xitanium 40"}
    answer = await client.post(f"/alerts/{number}/steps", data=fields, headers=HTML)
    assert answer.status_code == 303
    text = await page(client, f"/alerts/{number}")
    assert "P3 (nejníže P5)" in text
    assert text.count("Xitanium 40") == 2, "among the facts and in the history"
    detail = (await client.get(f"/v1/alerts/{number}")).json()
    assert (detail["spare_part"], detail["events"][-1]["detail"]["spare_part"]) == ("Xitanium 40", "Xitanium 40")
    body = {"step": "acknowledged", "version": 2, "spare_part": "x"}
    assert (await client.post(f"/v1/alerts/{number}/steps", json=body)).status_code == 422


async def test_a_repair_is_followed_from_the_order_to_the_proof(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    connection = region.connection
    order = await page(client, f"/alerts/{number}")
    assert "data-repair" not in order
    assert "Hned rozsvítit na 100 %" in order
    fields = {"step": "fixed", "version": "1", "light": "1"}
    answer = await client.post(f"/alerts/{number}/steps", data=fields, headers=HTML)
    assert answer.headers["location"] == f"/alerts/{number}?said=fixed#said"
    assert connection.execute("SELECT level_pct, until - requested_at FROM command").fetchall() == [
        (100, timedelta(minutes=30))
    ]

    async def seen() -> str:
        return await page(client, f"/alerts/{number}/repair")

    text = await seen()
    proven_by = ("čeká se na dvě měření po sobě", "nejpozději 22.\xa011.\xa02026 09:15")
    for words in ("Příkaz 100 % čeká na odeslání", "zatím nepřišlo žádné měření", *proven_by):
        assert words in text, words
    connection.execute("UPDATE command SET state = 'confirmed', settled_at = %s", [NOW])
    region.reading("VO-9 Nádražní", NOW + timedelta(seconds=30), power_w=40.5, level_commanded_pct=100)
    text = await seen()
    for words in ("potvrdil to příkon", "40,5 W z 41,3 W: svítí", "ověří druhé takové měření"):
        assert words in text, words
    told(region, change(region, "VO-9 Nádražní", "lamp_out", Step.CLEARED, at=NOW + timedelta(minutes=11)))
    words = "Opravu ověří dvě dobrá měření po sobě, nebo to, že se příznak do 7:56 nevrátí"
    assert words in (await seen()).replace("07:", "7:")
    assert 'data-over="false"' in await seen()
    connection.execute(
        "UPDATE alert SET state = 'closed', closed_at = now();"
        "INSERT INTO alert_event (alert_id, at, step, who) SELECT alert_id, '2026-11-21T06:57Z', 'verified', 'time'"
        " FROM alert"
    )
    assert "Ověřeno měřením v 07:57: oprava pomohla" in await seen()
    assert 'data-over="true"' in await seen()
    connection.execute("UPDATE alert SET state = 'open'; UPDATE alert_event SET step = 'reopened' WHERE who = 'time'")
    assert "oprava nepomohla" in await seen()
    await page(client, "/alerts/999/repair", 404)

    # A lamp that burns by day is not proven by light.
    told(region, change(region, "VO-10 Školní", "day_burner", evidence={"power_w": 40.0}))
    assert "Hned rozsvítit na 100 %" not in await page(client, f"/alerts/{number + 1}")
    await client.post(f"/alerts/{number + 1}/steps", data={"step": "fixed", "version": "1"}, headers=HTML)
    text = await page(client, f"/alerts/{number + 1}/repair")
    assert "čeká se na dvě měření po sobě" in text
    assert "100 %" not in text


async def test_light_now_is_a_button_and_a_lock_says_why_not(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    lamp = region.asset_id("VO-9 Nádražní")
    for path in (f"/alerts/{number}", f"/assets/{lamp}"):
        assert "Rozsvítit hned na 30 minut" in await page(client, path)
        answer = await client.post(f"{path}/light", headers=HTML)
        assert answer.headers["location"] == f"{path}?said=light#said"
        assert "Rozsvíceno na 100 % do" in await page(client, f"{path}?said=light")
    assert "Rozsvítit hned" not in await page(client, f"/assets/{region.asset_id('Náměstí')}")
    region.connection.execute(
        'UPDATE asset SET metadata = metadata || \'{"feeder": "F1"}\';'
        "INSERT INTO safety_lock (municipality_id, attribute, value, holder, holder_title, reason, since)"
        " SELECT 1, 'feeder', 'F1', person_id, 'Petr', 'Výměna stožáru', now() FROM person LIMIT 1"
    )
    answer = await client.post(f"/alerts/{number}/light", headers=HTML)
    assert (answer.status_code, "Petr" in answer.text, "Co s tím" in answer.text) == (423, True, True)
    fixed = await client.post(
        f"/alerts/{number}/steps", data={"step": "fixed", "version": "1", "light": "1"}, headers=HTML
    )
    assert fixed.headers["location"].endswith("said=fixed_dark#said")
    signing.person(region.connection, "v@a.example", "viewer", "olsinka", title="Divák", session="viewer-session")
    signing.sign(client, "viewer-session")
    assert "Rozsvítit hned" not in await page(client, f"/assets/{lamp}")
    assert (await client.post(f"/assets/{lamp}/light", headers=HTML)).status_code == 403


async def test_who_comes_second_is_told_what_happened_and_keeps_the_text(
    region: Region, client: httpx.AsyncClient
) -> None:
    number = lamp_out(region)
    await client.post(f"/v1/alerts/{number}/steps", json={"step": "false_alarm", "cause": "crew_test", "version": 1})
    fields = {"step": "fixed", "version": "1", "cause": "fuse", "note": SCRIPT, "spare_part": "pojistka 10 A"}
    answer = await client.post(f"/alerts/{number}/steps", data=fields, headers=HTML)
    assert answer.status_code == 412
    for words in ("Poruchu mezitím někdo změnil", "Mezitím: planý poplach (Jana, ", "zůstalo ve formuláři"):
        assert words in answer.text, words
    assert "&lt;script&gt;alert(1)&lt;/script&gt; pojistka</textarea>" in answer.text
    assert "<script>alert" not in answer.text
    version = re.search(r'name="version" value="(\d+)"', answer.text)
    assert version is not None
    kept = {"step": "commented", "version": version[1], "note": SCRIPT}
    assert (await client.post(f"/alerts/{number}/steps", data=kept, headers=HTML)).status_code == 303
    history = await page(client, f"/alerts/{number}")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; pojistka" in history
    assert "<script>alert" not in history


async def test_a_photo_that_is_none_or_too_large_loses_nothing(region: Region, client: httpx.AsyncClient) -> None:
    number = lamp_out(region)
    for raw, status, words in (
        (b"%PDF-1.7", 415, "Tohle není fotografie"),
        (b"\xff\xd8\xff" + bytes(50 * 1024 * 1024), 413, "Fotografie je příliš velká"),
    ):
        files = {"photo": ("a.jpg", raw, "image/jpeg")}
        data = {"caption": "Ulomený výložník"}
        answer = await client.post(f"/alerts/{number}/photos", files=files, data=data, headers=HTML)
        assert (answer.status_code, words in answer.text) == (status, True)
        assert 'value="Ulomený výložník"' in answer.text
        assert "Zatím žádná." in answer.text
    english = await client.post(f"/alerts/{number}/photos", files=files, headers=ENGLISH)
    assert "send it again" in english.text


async def test_a_bad_night_of_one_feeder_is_one_mark_and_one_stop(region: Region, client: httpx.AsyncClient) -> None:
    number, children = feeder_trip(region)
    text = await page(client, "/alerts?near=49.5,15.6")
    assert listed(text) == [number]
    assert re.findall(r'data-mark="(\d+)"', text) == [str(number)]
    assert not set(children) & set(listed(text))
