"""Readings become alerts in their own transaction, once, whatever dies; silence is told by time and not by us."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stack.broker import Broker
from tests.ingest.rig import Devices, Ingest, Site, now_ms, query, wait_until

MINUTE_MS = 60_000


@pytest.fixture
def site(database_url: str, broker: Broker, open_folder: Path) -> Site:
    """With rights of the owner; the story of least rights is told beside the store."""
    return Site(database_url, broker, open_folder)


def alerts(site: Site) -> list[Any]:
    """Rule, scope, state, whether it holds, and whether people are told."""
    return query(site.url, "SELECT rule, scope_type, state, active, notify FROM alert ORDER BY alert_id")


def lean(devices: Devices, name: str, minutes: range, until_ms: int, *, tilt: float = 20.0, shock: float = 3.0) -> None:
    """A reading a minute of a lamp that was run into; ``minutes`` count up to ``until_ms``."""
    for minute in minutes:
        ts = until_ms - (minutes.stop - 1 - minute) * MINUTE_MS
        devices.await_ack(devices.send(name, ts=ts, tilt_deg=tilt, shock_g=shock if minute == 0 else 0.0))


def test_a_pole_that_was_run_into_is_one_alert_with_its_evidence(site: Site) -> None:
    (name,) = site.lamps(1)
    with site.ingest().ready() as ingest, Devices(site.broker.port) as devices:
        lean(devices, name, range(4), now_ms())
        assert alerts(site) == [("knock_down", "asset", "open", True, True)]
        wait_until(lambda: ingest.figure('alerts_total{severity="critical"}') == 1, "counted for Prometheus")
    (evidence,) = query(site.url, "SELECT evidence FROM alert")
    assert evidence["tilt_deg"] == 20.0
    assert query(site.url, "SELECT step FROM outbox") == ["opened"]
    readings = query(site.url, "SELECT DISTINCT batch_id FROM reading_lamp")
    (batch,) = query(site.url, "SELECT batch_id FROM alert_event WHERE step = 'opened'")
    assert batch in readings, "the alert and the reading that caused it are one transaction"


@pytest.mark.parametrize("end", [Ingest.kill, Ingest.stop])
def test_a_restart_remembers_and_raises_nothing_twice(site: Site, end: Callable[[Ingest], object]) -> None:
    """Half of what a rule waits for comes before the restart, half after it; then nothing new comes of another one."""
    (name,) = site.lamps(1)
    until = now_ms()
    with Devices(site.broker.port) as devices:
        with site.ingest().ready() as first:
            devices.await_ack(devices.send(name, ts=until - 2 * MINUTE_MS, tilt_deg=20.0, shock_g=3.0))
            assert alerts(site) == []
            end(first)
        with site.ingest().ready() as second:
            devices.await_ack(devices.send(name, ts=until - MINUTE_MS, tilt_deg=20.0, shock_g=0.0))
            assert [row[0] for row in alerts(site)] == ["knock_down"], "the blow was before the restart"
            end(second)
        with site.ingest().ready() as third:
            devices.await_ack(devices.send(name, ts=until, tilt_deg=21.0, shock_g=0.0))
            assert third.said("rules ready")[0]["replayed"] >= 2
    assert alerts(site) == [("knock_down", "asset", "open", True, True)]
    assert query(site.url, "SELECT step FROM outbox") == ["opened"]


def test_a_duplicate_reading_is_not_judged_again(site: Site) -> None:
    (name,) = site.lamps(1)
    with site.ingest().ready() as ingest, Devices(site.broker.port) as devices:
        until = now_ms()
        first = devices.reading(name, ts=until - MINUTE_MS, tilt_deg=20.0, shock_g=3.0)
        devices.send_again()
        wait_until(lambda: not devices.kept, "acknowledged")
        devices.kept[name, 1, first["seq"]] = first
        devices.send_again()
        wait_until(lambda: ingest.figure("duplicate_total") == 1, "seen as a duplicate")
        devices.await_ack(devices.send(name, ts=until, tilt_deg=20.0, shock_g=0.0))
    assert [row[0] for row in alerts(site)] == ["knock_down"]
    assert query(site.url, "SELECT times_raised FROM alert") == [1]


def test_what_was_over_before_its_readings_came_is_history(site: Site) -> None:
    """A day of late readings calls nobody; the record says that there was something."""
    (name,) = site.lamps(1)
    with site.ingest().ready(), Devices(site.broker.port) as devices:
        until = now_ms()
        devices.await_ack(devices.send(name, ts=until, tilt_deg=1.0, shock_g=0.0))
        late = until - 600 * MINUTE_MS
        marks = [
            devices.reading(name, ts=late + minute * MINUTE_MS, tilt_deg=20.0, shock_g=3.0 if minute == 0 else 0.0)
            for minute in range(5)
        ]
        devices.publish(f"kraj/lhota/{name}/telemetry", json.dumps(marks))
        wait_until(lambda: not devices.kept, "acknowledged")
    assert alerts(site) == [("knock_down", "asset", "closed", False, False)]
    assert query(site.url, "SELECT count(*) FROM outbox") == [0]


def test_a_mute_acts_at_once_and_what_lasts_is_told_when_it_is_lifted(site: Site) -> None:
    (name,) = site.lamps(1)
    with psycopg.connect(site.url) as connection:
        connection.execute(
            "INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at)"
            " SELECT asset_id, 'knock_down', now() + interval '1 day', 'test', 'jana', now() - interval '1 hour'"
            " FROM asset"
        )
    with site.ingest().ready(), Devices(site.broker.port) as devices:
        lean(devices, name, range(4), now_ms() - MINUTE_MS)
        assert alerts(site) == []
        with psycopg.connect(site.url) as connection:
            connection.execute(  # as the button "lift the mute" does, though the one before would last a day
                "INSERT INTO rule_mute (asset_id, rule, valid_to, reason, who, at)"
                " SELECT asset_id, 'knock_down', now(), '', 'jana', now() FROM asset"
            )
        devices.await_ack(devices.send(name, tilt_deg=20.0, shock_g=0.0))
        wait_until(lambda: [row[0] for row in alerts(site)] == ["knock_down"], "told when the mute is over")


def test_a_custom_rule_is_judged_on_its_own_municipality(site: Site) -> None:
    (name,) = site.lamps(1)
    rule = """
[cold_gear]
kind = "lamp"
when = "gear_temp_degc < limit_degc"
thresholds = { limit_degc = -20 }
guards = []
severity = "minor"
title = { cs = "Studený předřadník", en = "Cold gear" }
symptom = { cs = "Předřadník má {gear_temp_degc} °C.", en = "The gear has {gear_temp_degc} °C." }
"""
    with psycopg.connect(site.url) as connection:
        for text in (rule, "not a rule ["):
            connection.execute(
                "INSERT INTO custom_rule (municipality_id, text, who, at)"
                " SELECT municipality_id, %s, 'jana', now() FROM municipality WHERE name = 'lhota'",
                [text],
            )
    with site.ingest().ready() as ingest, Devices(site.broker.port) as devices:
        devices.await_ack(devices.send(name, gear_temp_degc=-25.0))
        assert [row[0] for row in alerts(site)] == ["cold_gear"]
        assert ingest.said("a custom rule is left out"), "a broken one costs nobody else anything"
