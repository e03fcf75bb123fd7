"""An Alertmanager is posted what is open, as its API v2 has it, and the end of what is closed."""

import json
import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from api.notifications import alertmanager
from api.notifications.sending import send, valid
from kraj.alerts import Severity, Step
from tests.api.notifications.conftest import NOW, Town

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def fault(alert: dict[str, Any]) -> str | None:
    """What of ``postableAlert`` (openapi.yaml of Alertmanager's API v2, and what its handler checks) does not hold."""
    if not alert.keys() <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}:
        return f"unknown keys {alert.keys()}"
    label_sets: list[dict[str, Any]] = [alert.get("labels") or {}, alert.get("annotations") or {}]
    if not label_sets[0]:
        return "labels are required"
    for texts in label_sets:
        if any(not LABEL.fullmatch(name) or not isinstance(text, str) for name, text in texts.items()):
            return f"wrong label set {texts}"
    moments = [alert[name] for name in ("startsAt", "endsAt") if name in alert]
    if not all(RFC3339.fullmatch(moment) for moment in moments):
        return f"wrong time {moments}"
    if len(moments) == 2 and datetime.fromisoformat(moments[0]) > datetime.fromisoformat(moments[1]):
        return "start time must be before end time"
    return None


class Alertmanager(BaseHTTPRequestHandler):
    """Takes what is right and remembers it by its labels, as Alertmanager does."""

    alerts: dict[str, dict[str, Any]]
    asked: list[tuple[str, str]]

    def do_POST(self) -> None:
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        faults = [found for alert in posted if (found := fault(alert))]
        for alert in posted if not faults else ():
            self.alerts[json.dumps(alert["labels"], sort_keys=True)] = alert
        answer = json.dumps(faults[0] if faults else {}).encode()
        self.send_response(400 if faults else 200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def manager() -> Iterator[tuple[str, dict[str, dict[str, Any]], list[tuple[str, str]]]]:
    """Its address, the alerts it has, and who asked how."""
    alerts: dict[str, dict[str, Any]] = {}
    asked: list[tuple[str, str]] = []
    handler = type("Handler", (Alertmanager,), {"alerts": alerts, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"alertmanager://kraj:hunter2@127.0.0.1:{server.server_address[1]}/am", alerts, asked
        server.shutdown()


async def test_what_is_open_is_there_once_and_ends_when_it_is_closed(town: Town, manager: Any) -> None:
    url, alerts, asked = manager
    town.target("am", url)
    town.take(town.lamp(1), town.feeder())
    worker = town.worker()
    for minute in range(3):
        await worker.round(NOW + timedelta(minutes=minute))
    assert len(alerts) == 2
    assert {path for path, _ in asked} == {"/am/api/v2/alerts"}
    assert asked[0][1].startswith("Basic ")
    assert town.heard.messages == [], "no message besides"
    feeder = next(alert for alert in alerts.values() if alert["labels"]["rule"] == "feeder_outage")
    assert feeder["labels"]["alertname"] == "KrajAlert"
    assert feeder["labels"]["place"] == "RVO-01/2"
    assert feeder["annotations"]["severity"] == "critical"
    assert "Olšinka" in feeder["annotations"]["summary"]
    assert feeder["generatorURL"] == "http://kraj.test/alerts/2"
    assert datetime.fromisoformat(feeder["endsAt"]) > NOW + timedelta(minutes=30)

    town.take(town.feeder(Step.CLEARED, NOW + timedelta(minutes=4)))
    closed = NOW + timedelta(minutes=5)
    town.owner.execute("UPDATE alert SET state = 'closed', closed_at = %s WHERE rule = 'feeder_outage'", [closed])
    await worker.round(NOW + timedelta(minutes=6))
    feeder = next(alert for alert in alerts.values() if alert["labels"]["rule"] == "feeder_outage")
    assert datetime.fromisoformat(feeder["endsAt"]) == closed
    assert len(alerts) == 2


async def test_only_what_is_severe_enough_is_posted(town: Town, manager: Any) -> None:
    url, alerts, _ = manager
    town.target("am", url, severity_min="critical")
    town.take(town.lamp(1), town.feeder())
    await town.worker().round(NOW)
    assert [alert["labels"]["rule"] for alert in alerts.values()] == ["feeder_outage"]


def test_a_test_message_is_an_alert_that_is_over_in_a_minute(manager: Any) -> None:
    url, alerts, _ = manager
    assert valid(url)
    assert send(url, "Test", "It works", Severity.INFO) is None
    (alert,) = alerts.values()
    assert alert["annotations"]["summary"] == "Test"


def test_what_goes_wrong_is_told_without_the_password(manager: Any) -> None:
    url, _, _ = manager
    said = alertmanager.post(url, [{"labels": {}}])
    assert said is not None
    assert "400" in said
    away = alertmanager.post("alertmanager://kraj:hunter2@127.0.0.1:9/", [])
    assert away is not None
    assert "hunter2" not in said + away
    assert not valid("alertmanager://")
