"""People hear of each cause once, at their hour, until somebody answers; whatever fails in between."""

import asyncio
from datetime import time, timedelta

import psycopg
import pytest

from kraj.alerts import Scope, Severity, Step
from kraj.errors import UnavailableError
from rules.messages import SHORT_CHARS_MAX
from tests.api.notifications.conftest import NOW, Heard, Town, local

NIGHT = (time(22), time(6))


async def test_an_alert_is_told_once_with_its_number_place_and_symptom(town: Town) -> None:
    town.target("dispatch")
    town.take(town.lamp(7))
    done = await town.worker().round(NOW)
    assert (done.planned, done.sent, done.failed) == (1, 1, 0)
    ((_, subject, body),) = town.heard.messages
    assert subject == "[1] Svítidlo nesvítí – Olšinka, VO-7, Nádražní"
    assert body.splitlines() == [
        "Má svítit na 100 %, ale odebírá jen 0,4 W (čeká se 41,5 W). Napětí 231 V má.",
        "Rozvaděč RVO-01, jistič vývodu RVO-01/2",
        "S sebou: Předřadník Xi-40, případně celé svítidlo ?; plošina",
        "Závažné, od 21. 11. 19:20",
        "http://kraj.test/alerts/1",
    ]
    assert (await town.worker().round(NOW)).sent == 0, "also by another worker"


async def test_a_tripped_feeder_with_thirty_lamps_is_one_message(town: Town) -> None:
    town.target("dispatch")
    lamps = range(1, 31)
    town.take(*(town.lamp(n, notify=False) for n in lamps), town.feeder())
    town.take(*(town.lamp(n, Step.ATTACHED, parent="feeder_outage@f@1") for n in lamps))
    await town.worker().round(NOW)
    ((_, subject, body),) = town.heard.messages
    assert subject == "[31] Výpadek vývodu – Olšinka, RVO-01/2"
    assert body.splitlines()[:2] == [
        "Na vývodu RVO-01/2 zhasla nebo oněměla svítidla: 30 z 30.",
        "Rozvaděč RVO-01, jistič vývodu RVO-01/2",
    ]
    assert town.one("SELECT count(*) FROM outbox WHERE done_at IS NULL") == (0,)


async def test_a_service_of_text_messages_gets_the_short_form(town: Town) -> None:
    town.target("phone", "d7sms://token@+420777123456")
    town.take(town.lamp(7))
    await town.worker().round(NOW)
    ((_, subject, body),) = town.heard.messages
    assert subject == ""
    assert len(body) <= SHORT_CHARS_MAX
    assert body.startswith("[1] Svítidlo nesvítí – Olšinka, VO-7")
    assert body.endswith("http://kraj.test/alerts/1")


async def test_an_alert_across_towns_is_told_in_those_whose_alerts_hang_on_it(town: Town) -> None:
    for name, owner in (("dispatch", 1), ("elsewhere", 2), ("operator", None)):
        town.target(name, town=owner)
    area = Scope(type="supply_area", name="DO-1", municipality_id=None)
    above = town.feeder(
        key="grid_outage@a@1", rule="grid_outage", scope=area, municipality_id=None, severity=Severity.MAJOR
    )
    town.take(above, town.feeder(parent=above.key, notify=False))
    await town.worker().round(NOW)
    assert sorted(url for url, _, _ in town.heard.messages) == ["dispatch", "operator"]


async def test_a_major_that_nobody_answers_goes_on_the_next_working_morning(town: Town) -> None:
    for place, name in enumerate(("first", "second"), 1):
        town.on_call(town.target(name), place)
    town.owner.execute("UPDATE on_call SET valid_to = %s", [NOW + timedelta(days=9)])
    town.take(town.lamp(1))
    worker = town.worker()
    for at in (NOW, local(7, 59, day=23), local(8, day=23)):
        await worker.round(at)
    assert [url for url, _, _ in town.heard.messages] == ["first", "second"], "21 November is a Saturday"


async def test_a_child_that_got_its_parent_before_it_was_sent_is_not_told(town: Town) -> None:
    town.target("dispatch")
    worker = town.worker()
    town.heard.answer = lambda _url, _subject: "away"
    town.take(town.lamp(1))
    await worker.round(NOW)
    town.take(town.lamp(2), town.feeder(), *(town.lamp(n, Step.ATTACHED, parent="feeder_outage@f@1") for n in (1, 2)))
    town.heard.answer = lambda _url, _subject: None
    await worker.round(NOW + timedelta(minutes=1))
    assert town.heard.subjects == ["[3] Výpadek vývodu – Olšinka, RVO-01/2"]
    assert town.deliveries()[0] == ("dispatch", 1, False, True, "nothing to tell any more")


async def test_targets_hear_of_their_town_and_their_severity_and_the_operator_of_all(town: Town) -> None:
    town.target("town")
    town.target("other", town=2)
    town.target("critical", severity_min="critical")
    town.target("operator", town=None, language="en")
    town.take(town.lamp(1))
    await town.worker().round(NOW)
    assert sorted(url for url, _, _ in town.heard.messages) == ["operator", "town"]
    assert town.heard.to("operator") == ["[1] Lamp is out – Olšinka, VO-1, Nádražní"]


async def test_nobody_to_tell_is_said_once_and_nothing_waits(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    worker = town.worker()
    town.take(town.lamp(1))
    assert (await worker.round(NOW)).untold == 1
    town.take(town.lamp(2))
    await worker.round(NOW)
    assert capsys.readouterr().out.count("nobody was told") == 1
    assert town.one("SELECT count(*), count(done_at) FROM outbox") == (2, 2)
    assert town.deliveries() == []


async def test_three_minors_are_one_digest_at_its_time(town: Town) -> None:
    town.target("dispatch", digest_at=time(7))
    worker = town.worker()
    for n in (1, 2, 3):
        town.take(town.lamp(n, severity=Severity.MINOR))
        await worker.round(NOW + timedelta(minutes=n))
    town.take(town.lamp(2, Step.CLEARED, NOW + timedelta(hours=1)))
    await worker.round(local(6, 59, day=22))
    assert town.heard.messages == []
    await worker.round(local(7, day=22))
    ((_, subject, body),) = town.heard.messages
    assert subject == "Souhrn hlášení: 3 [1, 2, 3]"
    assert [line for line in body.splitlines() if line.startswith("[")] == [
        "[1] Svítidlo nesvítí – Olšinka, VO-1, Nádražní",
        "[2] Svítidlo nesvítí (už v pořádku) – Olšinka, VO-2, Nádražní",
        "[3] Svítidlo nesvítí – Olšinka, VO-3, Nádražní",
    ]
    await worker.round(local(7, 1, day=22))
    assert len(town.heard.messages) == 1
    assert [row[2] for row in town.deliveries()] == [True] * 3


async def test_quiet_hours_let_only_what_is_critical_through(town: Town) -> None:
    town.target("dispatch", quiet=NIGHT)
    worker, night = town.worker(), local(23, 30)
    town.take(town.lamp(1, at=night), town.lamp(2, at=night), town.feeder(at=night))
    await worker.round(night)
    assert town.heard.subjects == ["[3] Výpadek vývodu – Olšinka, RVO-01/2"]
    await worker.round(local(5, 59, day=22))
    assert len(town.heard.messages) == 1
    await worker.round(local(6, day=22))
    assert town.heard.subjects[1:] == ["Souhrn hlášení: 2 [1, 2]"], "what waited for the morning is one message"


async def test_an_unanswered_critical_goes_on_to_the_next_person_and_then_stops(town: Town) -> None:
    for place, name in enumerate(("novák", "dvořák", "svoboda"), 1):
        town.on_call(town.target(name, severity_min="critical", quiet=NIGHT), place, after_min=15)
    worker = town.worker()
    town.take(town.feeder())
    minutes: dict[int, list[str]] = {minute: [] for minute in (0, 14, 15, 16, 29, 30, 60, 600)}
    for minute, told in minutes.items():
        before = len(town.heard.messages)
        await worker.round(NOW + timedelta(minutes=minute))
        told += [url for url, _, _ in town.heard.messages[before:]]
    assert minutes == {
        0: ["novák"], 14: [], 15: ["dvořák"], 16: [], 29: [], 30: ["svoboda"], 60: [], 600: [],
    }  # fmt: skip
    assert town.heard.subjects[1] == "[1] Nikdo nepotvrdil: Výpadek vývodu – Olšinka, RVO-01/2"
    assert town.steps() == [("opened", "telemetry"), ("escalated", "time"), ("escalated", "time")]
    assert town.rows("SELECT note FROM alert_event WHERE step = 'escalated'") == [("dvořák",), ("svoboda",)]


async def test_an_acknowledged_critical_is_passed_on_to_nobody(town: Town) -> None:
    for place, name in enumerate(("novák", "dvořák"), 1):
        town.on_call(town.target(name), place)
    town.take(town.feeder())
    await town.worker().round(NOW)
    town.set(1, "acknowledged")
    await town.worker().round(NOW + timedelta(hours=1))
    assert [url for url, _, _ in town.heard.messages] == ["novák"]


async def test_a_repair_is_verified_by_telemetry_and_time(town: Town) -> None:
    worker = town.worker()
    town.take(town.lamp(1))
    town.set(1, "fixed")
    town.take(town.lamp(1, Step.CLEARED, NOW + timedelta(hours=2)))
    assert (await worker.round(NOW + timedelta(hours=2, minutes=29))).moved == 0
    assert (await worker.round(NOW + timedelta(hours=2, minutes=30))).moved == 1
    assert town.steps()[-1] == ("verified", "time")
    assert town.one("SELECT state, closed_at FROM alert") == ("closed", NOW + timedelta(hours=2, minutes=30))


async def test_a_repair_that_did_not_help_is_opened_again_and_told(town: Town) -> None:
    town.target("dispatch")
    worker = town.worker()
    town.take(town.lamp(1))
    await worker.round(NOW)
    town.set(1, "fixed")
    await worker.round(NOW + timedelta(hours=25))
    assert len(town.heard.messages) == 1
    await worker.round(NOW + timedelta(hours=26))
    assert town.steps()[-1] == ("reopened", "time")
    assert town.one("SELECT state FROM alert") == ("open",)
    assert town.heard.subjects[1:] == ["[1] Oprava nepomohla: Svítidlo nesvítí – Olšinka, VO-1, Nádražní"]


async def test_what_has_been_calm_for_a_day_is_closed(town: Town) -> None:
    worker = town.worker()
    town.take(town.lamp(1), town.lamp(1, Step.CLEARED, NOW + timedelta(hours=1)))
    await worker.round(NOW + timedelta(hours=24))
    assert town.one("SELECT state FROM alert") == ("open",)
    await worker.round(NOW + timedelta(hours=25))
    assert town.one("SELECT state FROM alert") == ("closed",)
    assert town.steps()[-1] == ("closed", "time")


async def test_retries_grow_from_half_a_minute_to_an_hour_and_end_after_a_day(town: Town) -> None:
    town.target("dispatch")
    worker = town.worker(Heard(answer=lambda _url, _subject: "550 no such user"))
    town.take(town.lamp(1))
    waits: list[float] = []
    now = NOW
    while town.one("SELECT count(*) FROM delivery WHERE given_up_at IS NOT NULL") == (0,):
        await worker.round(now)
        (due,) = town.one("SELECT due_at FROM delivery")
        waits.append((due - now).total_seconds())
        now = max(due, now)
        assert len(waits) < 60
    assert waits[:9] == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert town.deliveries() == [("dispatch", len(waits) - 1, False, True, "550 no such user")]
    assert timedelta(hours=24) <= now - NOW <= timedelta(hours=25)
    assert (await worker.round(now + timedelta(days=1))).failed == 0


async def test_a_crash_between_sending_and_marking_sends_that_message_twice_and_no_other(town: Town) -> None:
    """The worker's connection dies while the third message is with the service: only that one is told again."""
    town.target("dispatch")
    town.take(*(town.lamp(n) for n in (1, 2, 3, 4)))

    def die(_url: str, subject: str) -> None:
        if subject.startswith("[3]") and len(town.heard.messages) == 2:
            town.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'kraj-notify' AND datname = current_database()"
            )

    town.heard.answer = die
    with pytest.raises(ExceptionGroup) as caught:
        await town.worker().round(NOW)
    assert caught.group_contains(UnavailableError)
    await town.worker().round(NOW)
    assert [subject[:3] for subject in town.heard.subjects] == ["[1]", "[2]", "[3]", "[3]", "[4]"]


async def test_two_workers_at_once_send_nothing_twice(town: Town) -> None:
    for n in range(6):
        town.target(f"target {n}")
    town.take(*(town.lamp(n) for n in range(1, 11)))
    await asyncio.gather(town.worker().round(NOW), town.worker().round(NOW), town.worker().round(NOW))
    await town.worker().round(NOW)
    assert len(town.heard.messages) == len(set(town.heard.messages)) == 60


async def test_the_worker_may_not_change_what_is_not_its_own(town: Town) -> None:
    with psycopg.connect(town.role_url("kraj_notify"), autocommit=True) as worker:
        for statement in ("DELETE FROM delivery", "UPDATE notification_target SET url = ''", "DELETE FROM alert"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                worker.execute(statement.encode())
    with psycopg.connect(town.role_url("kraj_api"), autocommit=True) as api:
        assert api.execute("SELECT name FROM notification_target").fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            api.execute("SELECT url FROM notification_target")
