"""People of a town place, answer, close and reopen citizens' reports; each change is audited, and none is lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import psycopg

from api.door.mail import Mail
from api.notifications.sending import Sender
from api.open311.answering import Answerer
from kraj.alerts import Step
from kraj.store import alerts
from tests.api import signing
from tests.api.conftest import NOW
from tests.api.open311.conftest import LAMP, OTHER_LAMP, STOP, Town

API = "/v1/service-requests"


async def changed(town: Town, number: int, etag: str | None = None, /, **body: object) -> httpx.Response:
    """A PATCH upon the newest state, or upon the state of an ETag."""
    if etag is None:
        etag = (await town.client.get(f"{API}/{number}")).headers["etag"]
    return await town.client.patch(f"{API}/{number}", json=body, headers={"if-match": etag or ""})


async def shown(town: Town, token: str) -> dict[str, Any]:
    return (await town.client.get(f"/open311/v2/requests/{token}.json?lang=en")).json()[0]


async def test_a_clerk_places_answers_closes_and_reopens_and_the_reporter_reads_it(
    town: Town, database_role_url: Callable[[str], str]
) -> None:
    token = await town.token(address_string="u lesa", description="Tma <b>úplná</b>", email="jana@example.cz")
    beside = await town.token(town.elsewhere("192.0.2.2"), address_string="U lesa")
    signing.person(town.owner)
    signing.sign(town.client)
    (second, first) = (await town.client.get(API)).json()["items"]
    assert (first["service_request_id"], second["merged_into"]) == (token, first["request_number"])
    number, lamp, alert = first["request_number"], town.lamp(), first["alert_id"]
    assert first["municipality"] is None
    before = (await town.client.get(f"{API}/{number}")).headers["etag"]

    placed = await changed(town, number, asset_id=lamp)
    assert placed.status_code == 200, placed.text
    assert (placed.json()["place"], placed.json()["municipality"]) == (LAMP, "olsinka")
    assert town.one("SELECT asset_id, municipality_id, scope_type FROM alert WHERE alert_id = %s", alert) == (
        lamp,
        1,
        "asset",
    )
    assert (await changed(town, number, before, status_notes="Pozdě")).status_code == 412
    told = await changed(town, number, status_notes="Čekáme na díl.", expected_at="2026-11-27T23:59:00+01:00")
    assert told.status_code == 200, told.text
    for one in (token, beside):  # what is said of one holds for those merged with it
        public = await shown(town, one)
        assert (public["status_notes"], public["expected_datetime"]) == (
            "Waits for repair. Čekáme na díl.",
            "2026-11-27T22:59:00.000Z",
        )

    closed = await changed(town, number, status="closed", closed_how="not_ours", status_notes="Patří kraji.")
    assert closed.status_code == 200, closed.text
    assert (await shown(town, beside))["status_notes"].endswith("Patří kraji.")
    assert town.one("SELECT state, active FROM alert WHERE alert_id = %s", alert) == ("closed", False)
    sent: list[str] = []
    mail = Mail(lambda: "mailtos://server.test?from=kraj@kraj.test", Sender(lambda _u, _s, body, _v: sent.append(body)))
    answerer = Answerer(database_role_url("kraj_notify"), mail, page="https://kraj.test")
    reopened = await changed(town, number, status="open")
    assert (reopened.status_code, reopened.json()["closed_how"]) == (200, None)
    assert await answerer.round(NOW) == 1  # that it is taken; what was taken back is not told
    again = reopened.json()["alert_id"]
    assert again != alert
    assert town.one("SELECT active, asset_id FROM alert WHERE alert_id = %s", again) == (True, lamp)
    assert town.one("SELECT count(*) FROM service_request WHERE status = 'open' AND alert_id = %s", again) == 2
    assert (await changed(town, number, status="closed", closed_how="repaired")).status_code == 200
    assert await answerer.round(NOW) == 1
    assert "Opraveno podle technika. Patří kraji." in sent[1]
    entries = town.owner.execute(
        "SELECT action, detail FROM audit_entry WHERE subject = 'service_request' AND action = 'changed'"
    ).fetchall()
    assert len(entries) >= 5
    assert "Patří" not in str(entries)


async def test_what_contradicts_itself_or_is_not_ones_own_changes_nothing(town: Town) -> None:
    await town.token(address_id=town.lamp())
    number = town.one("SELECT request_number FROM service_request")
    before = town.one("SELECT md5(string_agg(r::text, '')) FROM service_request r")
    assert (await town.client.get(API)).status_code == 401
    assert (await town.client.patch(f"{API}/{number}", json={})).status_code == 401
    signing.person(town.owner)
    signing.sign(town.client)
    stop = town.region.asset_id(STOP)
    for status, body in (
        (422, {"status": "closed"}),
        (422, {"closed_how": "repaired"}),
        (422, {"status": "closed", "closed_how": "repaired", "asset_id": town.lamp(OTHER_LAMP)}),
        (422, {"expected_at": "2020-01-01T00:00:00Z"}),
        (422, {"asset_id": stop}),
        (404, {"asset_id": 4711}),
        (404, {"asset_id": town.region.asset_id("Střídač 1")}),
        (400, {"status": "closed", "closed_how": "verified"}),
        (400, {"status_notes": "x" * 501}),
        (400, {"expected_at": "zítra"}),
    ):
        assert (await changed(town, number, **body)).status_code == status, body
    assert (await town.client.get(f"{API}/4711")).status_code == 404
    assert (await changed(town, number)).status_code == 200  # nothing said, nothing changed
    assert town.one("SELECT md5(string_agg(r::text, '')) FROM service_request r") == before
    for session, role, place, seen, may in (
        ("viewer", "viewer", "olsinka", 200, 403),
        ("other", "municipality_admin", "zdarna", 404, 404),
    ):
        signing.person(town.owner, f"{session}@kraj.test", role=role, municipality=place, session=session)
        signing.sign(town.client, session)
        assert (await town.client.get(f"{API}/{number}")).status_code == seen
        body = {"status_notes": "Moje"}
        answer = await town.client.patch(f"{API}/{number}", json=body, headers={"if-match": "*"})
        assert answer.status_code == may, answer.text
        page = await town.client.get(f"/requests/{number}", headers={"accept": "text/html"})
        assert (page.status_code, 'name="outcome"' in page.text) == (seen, False)
        form = {"version": "1", "status_notes": "Moje"}
        assert (await town.client.post(f"/requests/{number}", data=form)).status_code == may
    assert town.one("SELECT md5(string_agg(r::text, '')) FROM service_request r") == before


async def test_the_pages_list_by_filter_and_keep_ones_words_when_somebody_was_faster(town: Town) -> None:
    await town.token(lat="49.50010", long="15.60000", description="<script>alert(1)</script>")
    await town.token(town.elsewhere("192.0.2.3"), lat="49.50012", long="15.60003", description="Taky tma")
    await town.token(address_id=town.region.asset_id(STOP), service_code="stop_wifi")
    signing.person(town.owner)
    signing.sign(town.client)

    async def listed(query: str) -> str:
        answer = await town.client.get(f"/requests?lang=en&{query}")
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        return answer.text

    everything = await listed("")
    assert "&lt;script&gt;" in everything
    assert "Others report the same (1)" in everything
    assert everything.index("Wi-Fi is down") < everything.index("lamp is dark")
    assert "Wi-Fi" not in await listed("municipality=olsinka&source=open311")
    assert "Wi-Fi" not in await listed("status=unplaced")
    assert "lamp is dark" not in await listed("q=namesti")
    assert "No reports" in await listed("status=closed")
    assert "No reports" in await listed("source=phone&before=x")

    number = town.one("SELECT min(request_number) FROM service_request")
    page = (await town.client.get(f"/requests/{number}?q=skolni&lang=en")).text
    assert f"Yes, it is {LAMP}" in page, "the nearest is proposed"
    assert f"Yes, it is {OTHER_LAMP}" in page, "and another is found by words"
    lamp = str(town.lamp())
    placed = await town.client.post(f"/requests/{number}", data={"version": "1", "asset_id": lamp})
    assert (placed.status_code, placed.headers["location"]) == (303, f"/requests/{number}?said=placed#said")
    late = {"version": "1", "outcome": "no_fault", "status_notes": "Byli jsme tam.", "expected": ""}
    stale = await town.client.post(f"/requests/{number}?lang=en", data=late)
    assert stale.status_code == 409
    assert "Byli jsme tam." in stale.text
    assert (await town.client.post(f"/requests/{number}", data=late | {"version": "2"})).status_code == 303
    assert town.one(
        "SELECT status, closed_how, status_notes, expected_at FROM service_request WHERE request_number = %s", number
    ) == ("closed", "no_fault", "Byli jsme tam.", None)
    assert town.one("SELECT count(*) FROM service_request WHERE closed_how = 'no_fault'") == 2
    day = {"version": "3", "outcome": "open", "status_notes": "", "expected": "2026-12-01"}
    assert (await town.client.post(f"/requests/{number}", data=day)).status_code == 303
    assert "2026-12-01" in (await town.client.get(f"/requests/{number}")).text
    assert (
        await town.client.post(f"/requests/{number}", data=day | {"version": "4", "expected": "2020-01-01"})
    ).status_code == 422


async def test_words_offer_lamps_stops_and_streets_and_choose_none(town: Town) -> None:
    town.owner.execute(
        """UPDATE asset SET metadata = metadata || '{"street": "U Školky"}' WHERE label = %s""", [OTHER_LAMP]
    )

    async def said(words: str, service: str = "other") -> tuple[str, Any, Any]:
        address = f"192.0.2.{100 + town.one('SELECT count(*) FROM service_request')}"
        answer = await town.report(town.elsewhere(address), service_code=service, address_string=words)
        assert answer.status_code == 200, answer.text
        (one,) = answer.json()
        row = "SELECT municipality_id, candidate_id, asset_id FROM service_request WHERE service_request_id = %s"
        place, candidate, thing = town.one(row, one["service_request_id"])
        assert thing is None, "nothing is guessed"
        return one["service_notice"], place, candidate

    notice, place, candidate = await said("VO 9 nadrazni", "dark_lamp")
    assert (f"{LAMP}, Olšinka ({town.lamp()})" in notice, place, candidate) == (True, 1, town.lamp())
    notice, place, candidate = await said("Lampa číslo 10, nebo lampa 9", "dark_lamp")
    assert (LAMP in notice, OTHER_LAMP in notice, place, candidate) == (True, True, 1, None)
    notice, place, candidate = await said("ulice u skolky, za rohem")
    assert ("U Školky, Olšinka" in notice, place, candidate) == (True, 1, None)
    notice, place, candidate = await said("na zastavce NAMESTI")
    assert (place, candidate) == (2, town.region.asset_id(STOP))
    assert "mohou" not in (await said("Dlouhá 9, třetí patro"))[0], "a house's number is not a lamp's"
    assert (await said("Žďárná, VO-9"))[1:] == (2, None), "another town's lamp is not offered"


async def test_an_alert_that_ends_in_silence_takes_its_reports_along_or_gives_them_back(town: Town) -> None:
    lamp, other = town.lamp(), town.lamp(OTHER_LAMP)
    for thing in (lamp, other):
        await town.token(address_id=thing)
        town.step(Step.OPENED, thing)
    status = "SELECT status, closed_how FROM service_request WHERE asset_id = %s"
    # Closed with nothing in its history: measurements had cleared it.
    town.step(Step.CLEARED, lamp, minutes=5)
    town.owner.execute(
        "UPDATE alert SET state = 'closed', closed_at = %s WHERE rule = 'lamp_out' AND asset_id = %s", [NOW, lamp]
    )
    assert town.one(status, lamp) == ("closed", "verified")
    assert town.one("SELECT count(*) FROM alert WHERE asset_id = %s AND state <> 'closed'", lamp) == 0
    # Closed because nothing measures any more: nobody has seen that the lamp shines.
    key, alert = town.one("SELECT key, alert_id FROM alert WHERE rule = 'lamp_out' AND asset_id = %s", other)
    async with await psycopg.AsyncConnection[Any].connect(
        town.owner.info.dsn, password=town.owner.info.password
    ) as ingest:
        await alerts.end(ingest, [key], NOW + timedelta(minutes=5), 1)
    with town.owner.transaction():
        town.owner.execute("UPDATE alert SET state = 'closed', closed_at = %s WHERE alert_id = %s", [NOW, alert])
        town.owner.execute(
            "INSERT INTO alert_event (alert_id, at, step, who) VALUES (%s, %s, 'verified', 'time')", [alert, NOW]
        )
    assert town.one(status, other) == ("open", None)
    assert town.one(
        "SELECT a.rule, a.active, a.parent_id, a.notify FROM service_request r JOIN alert a USING (alert_id)"
        " WHERE r.asset_id = %s",
        other,
    ) == ("citizen_report", True, None, True)
