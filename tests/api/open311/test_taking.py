"""Reports of anybody: merged with alerts and with each other, bounded, refused kindly, and nothing personal told."""

from datetime import timedelta

import pytest

from kraj.alerts import Step
from tests.api import signing
from tests.api.conftest import NOW
from tests.api.open311.conftest import OTHER_LAMP, STOP, Town

COUNT = "SELECT count(*) FROM service_request"


async def test_reports_of_a_lamp_are_one_alert_and_go_under_what_telemetry_finds(town: Town) -> None:
    lamp = town.lamp()
    first = await town.token(address_id=lamp, description="Tma před školou")
    second = await town.token(town.elsewhere("192.0.2.2"), address_id=lamp, description="<script>alert(1)</script>")
    assert first != second
    raised = town.one("SELECT alert_id, severity, active, notify FROM alert WHERE rule = 'citizen_report'")
    assert raised[1:] == ("minor", True, True)
    assert town.one("SELECT count(*) FROM outbox WHERE alert_id = %s", raised[0]) == 1
    first_number = town.one("SELECT request_number FROM service_request WHERE service_request_id = %s", first)
    assert town.one("SELECT parent_id, alert_id FROM service_request WHERE service_request_id = %s", second) == (
        first_number,
        raised[0],
    )

    town.step(Step.OPENED, lamp)
    found = town.one("SELECT alert_id FROM alert WHERE rule = 'lamp_out'")
    assert town.one("SELECT parent_id, notify FROM alert WHERE alert_id = %s", raised[0]) == (found, False)
    assert town.one("SELECT count(*) FROM service_request WHERE alert_id = %s", found) == 2
    # The third comes when telemetry knows already: no alert of its own.
    third = await town.report(town.elsewhere("192.0.2.3"), address_id=lamp)
    assert third.status_code == 200
    assert town.one("SELECT count(*) FROM alert") == 2

    town.step(Step.CLEARED, lamp, minutes=10)
    town.owner.execute("UPDATE alert SET state = 'closed', closed_at = %s WHERE alert_id = %s", [NOW, found])
    town.owner.execute(
        "INSERT INTO alert_event (alert_id, at, step, who) VALUES (%s, %s, 'verified', 'time')",
        [found, NOW + timedelta(minutes=40)],
    )
    assert town.one("SELECT state, active FROM alert WHERE alert_id = %s", raised[0]) == ("closed", False)
    shown = (await town.client.get(f"/open311/v2/requests/{first}.json?lang=en")).json()
    assert [(one["status"], "measurements" in one["status_notes"]) for one in shown] == [("closed", True)]


async def test_the_crew_reads_reports_on_the_alert_and_says_which_lamp_is_meant(town: Town) -> None:
    here, beside = {"lat": "49.50010", "long": "15.60000"}, {"lat": "49.50012", "long": "15.60003"}
    token = await town.token(**here, description="<b>nesvítí</b> & blik", email="jana@example.cz")
    await town.token(town.elsewhere("192.0.2.2"), **beside)
    alert, number = town.one("SELECT alert_id, request_number FROM service_request WHERE parent_id IS NULL")
    assert town.one("SELECT scope_type, asset_id FROM alert WHERE alert_id = %s", alert) == ("report", None)
    assert town.one("SELECT asset_id, candidate_id FROM service_request WHERE service_request_id = %s", token) == (
        None,
        town.lamp(),
    )
    signing.person(town.owner)
    signing.sign(town.client)
    page = await town.client.get(f"/alerts/{alert}?lang=en")
    assert page.status_code == 200
    assert "Reported by citizens (2)" in page.text
    assert "&lt;b&gt;nesvítí&lt;/b&gt; &amp; blik" in page.text
    assert "jana@example.cz" not in page.text
    asked = {"version": "1"}
    confirmed = await town.client.post(f"/alerts/{alert}/reports/{number}/confirm", data=asked)
    assert confirmed.status_code == 303
    assert (await town.client.post(f"/alerts/{alert}/reports/{number}/confirm", data=asked)).status_code == 409
    assert town.one("SELECT asset_id, scope_type FROM alert WHERE alert_id = %s", alert) == (town.lamp(), "asset")
    assert town.one("SELECT count(*) FROM service_request WHERE asset_id = %s", town.lamp()) == 2
    # A lamp without telemetry: the crew says so, and says so to the reporter.
    step = {"step": "false_alarm:no_fault_found", "version": str(town.one("SELECT version FROM alert"))}
    assert (await town.client.post(f"/alerts/{alert}/steps", data=step)).status_code == 303
    shown = (await town.client.get(f"/open311/v2/requests/{token}.json?lang=en")).json()[0]
    assert (shown["status"], shown["status_notes"]) == ("closed", "The crew found no fault.")
    assert "blik" not in str(shown)  # the reporter's words may name people


async def test_the_same_report_twenty_times_is_one_and_a_storm_is_bounded(town: Town) -> None:
    lamp = town.lamp()
    tokens = {await town.token(address_id=lamp, description=f"{n}") for n in range(20)}
    assert len(tokens) == 1
    assert town.one(COUNT) == 1
    entries = town.one("SELECT count(*) FROM audit_entry WHERE subject = 'service_request'")
    for n in range(25):
        await town.token(town.elsewhere(f"198.51.100.{n}"), address_id=lamp)
    assert town.one(COUNT) == 21
    assert town.one("SELECT count(*) FROM alert") == 1
    await town.token(address_id=lamp)
    assert town.one("SELECT count(*) FROM audit_entry WHERE subject = 'service_request'") <= entries + 40
    # Nine more things from one address, then it is to wait; its digest is nobody's to read, and gone after a day.
    answers = [await town.report(service_code="other", address_string=f"Olšinka {n}") for n in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 9 + [429] * 3
    assert 0 < int(answers[-1].headers["retry-after"]) <= 3600
    kept = town.one("SELECT string_agg(s::text, '') FROM service_request_sender s")
    assert "192.0.2.1" not in kept
    town.at[0] = NOW + timedelta(hours=25)
    assert (await town.report(service_code="other", address_string="Žďárná")).status_code == 200
    assert town.one("SELECT count(*) FROM service_request_sender") == 1


BAD: list[tuple[int, dict[str, str], str]] = [
    (400, {"lat": "48.0", "long": "15.0"}, "kilometr"),
    (400, {"lat": "95", "long": "15.0"}, "kilometr"),
    (400, {"lat": "nan", "long": "nan"}, "kilometr"),
    (400, {}, "kde závada je"),
    (400, {"lat": "49.5"}, "kde závada je"),
    (404, {"service_code": "pothole", "address_id": "1"}, "pothole"),
    (400, {"service_code": "", "address_id": "1"}, "service_code"),
    (404, {"address_id": "4711"}, "4711"),
    (404, {"address_id": "9999999999"}, "9999999999"),
    (404, {"address_id": "x"}, "x"),
    (400, {"address_string": "Olšinka", "description": "á" * 25_000}, "25000"),
    (413, {"address_string": "Olšinka", "description": "a" * 300_000}, "kB"),
    (400, {"address_string": "x" * 301}, "301"),
    (400, {"address_string": "Olšinka", "email": "jana"}, "jana"),
    (400, {"address_string": "Olšinka", "email": "a@b.cz,c@d.cz"}, "a@b.cz,c@d.cz"),
    (400, {"address_string": "Olšinka", "email": "a@b.cz\nBcc: c@d.cz"}, "Bcc"),
    (404, {"address_string": "Olšinka", "jurisdiction_id": "praha"}, "praha"),
]


async def test_bad_reports_are_refused_in_words_and_leave_nothing(town: Town) -> None:
    for status, fields, said in BAD:
        answer = await town.report(**fields)
        assert answer.status_code == status, (fields, answer.text)
        (error,) = answer.json()
        assert error["code"] == status
        assert status == 413 or said in error["description"], error
        xml = await town.client.post("/open311/v2/requests.xml", data={"service_code": "dark_lamp", **fields})
        assert (xml.status_code, xml.headers["content-type"]) == (status, "text/xml; charset=utf-8")
    stop = town.region.asset_id(STOP)
    assert (await town.report(address_id=stop)).status_code == 422
    assert (await town.client.post("/open311/v2/requests.json", json={})).status_code == 415
    assert town.one(COUNT) == 0
    for path in ("requests/nobody-has-such-a-token.json", "tokens/short.json", "services/pothole.json", "nothing.json"):
        assert (await town.client.get(f"/open311/v2/{path}")).status_code == 404


async def test_a_town_that_shows_itself_to_nobody_takes_no_reports(town: Town) -> None:
    token = await town.token(address_id=town.lamp())
    town.owner.execute("UPDATE municipality SET published = false WHERE name = 'olsinka'")
    assert (await town.report(address_id=town.lamp(OTHER_LAMP))).status_code == 403
    assert (await town.report(lat="49.5", long="15.6")).status_code == 403
    assert (await town.client.get("/open311/v2/requests.json")).json() == []
    assert (await town.client.get(f"/open311/v2/requests/{token}.json")).status_code == 200


@pytest.mark.parametrize("table", ["contact", "answer", "sender", "key"])
def test_what_is_personal_is_nobodys_to_read_but_the_workers(town: Town, table: str) -> None:
    asked = f"has_table_privilege(%s, 'service_request_{table}', 'SELECT')"
    may = {role: town.one(f"SELECT {asked}", role) for role in ("kraj_api", "kraj_ingest", "kraj_notify")}
    assert may == {"kraj_api": False, "kraj_ingest": False, "kraj_notify": table in ("contact", "answer")}


async def test_a_place_in_words_finds_its_town(town: Town) -> None:
    for words, title in (("ul. Nádražní 5, OLSINKA", "Olšinka"), ("Žďárná u kostela", "Žďárná"), ("u lesa", None)):
        await town.token(town.elsewhere(f"2001:db8:{len(words)}::1"), address_string=words, service_code="other")
        found = (
            "SELECT m.title FROM service_request r LEFT JOIN municipality m USING (municipality_id) WHERE address = %s"
        )
        assert town.one(found, words) == title
