"""A town with alerts, a worker with its own rights, and a clock set by hand."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from api.notifications.sending import Send, Sender
from api.notifications.worker import Worker
from kraj.alerts import AlertChange, Scope, Severity, Step
from kraj.store.alerts import parameter
from kraj.store.registry import NewAsset, NewDevice, register

PRAGUE = ZoneInfo("Europe/Prague")
NOW = datetime(2026, 11, 21, 19, 30, tzinfo=PRAGUE)
OUT = "lamp_out"


@dataclass
class Heard:
    """A service that takes everything (or what ``answer`` says), and remembers it."""

    messages: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    answer: Callable[[str, str], str | None] = lambda _url, _subject: None

    def __call__(self, url: str, subject: str, body: str, severity: Severity) -> str | None:
        said = self.answer(url, subject)
        if said is None:
            self.messages.append((url, subject, body))
        return said

    @property
    def subjects(self) -> list[str]:
        return [subject for _, subject, _ in self.messages]

    def to(self, url: str) -> list[str]:
        return [subject for known, subject, _ in self.messages if known == url]


@dataclass
class Town:
    """Writes what the engine and people would, as the owner of the database."""

    owner: psycopg.Connection[Any]
    role_url: Callable[[str], str]
    heard: Heard = field(default_factory=Heard)

    def worker(self, send: Send | None = None, *, timeout_s: float = 20.0) -> Worker:
        sender = Sender(send or self.heard, timeout_s=timeout_s)
        return Worker(self.role_url("kraj_notify"), sender, page="http://kraj.test", zone=PRAGUE)

    def target(
        self,
        name: str,
        url: str | None = None,
        town: int | None = 1,
        *,
        severity_min: str = "minor",
        quiet: tuple[time, time] | None = None,
        digest_at: time | None = None,
        language: str = "cs",
    ) -> int:
        """A target whose address is its name, unless another one is given."""
        begin, end = quiet or (None, None)
        return self.one(
            "INSERT INTO notification_target (municipality_id, name, url, severity_min, quiet_from, quiet_to,"
            " digest_at, language) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING target_id",
            [town, name, url or name, severity_min, begin, end, digest_at, language],
        )[0]

    def on_call(self, target_id: int, place: int, after_min: int = 15) -> None:
        self.owner.execute(
            "INSERT INTO on_call (municipality_id, target_id, place, valid_from, valid_to, escalate_after_min)"
            " VALUES (1, %s, %s, %s, %s, %s)",
            [target_id, place, NOW - timedelta(days=1), NOW + timedelta(days=1), after_min],
        )

    def lamp(self, number: int, step: Step = Step.OPENED, at: datetime = NOW, **more: Any) -> AlertChange:
        """A step of lamp ``number``'s own alert."""
        known: dict[str, Any] = {
            "key": f"{OUT}@asset/1/{number}@1",
            "rule": OUT,
            "scope": Scope(type="asset", name=str(number), municipality_id=1),
            "severity": Severity.MAJOR,
            "asset_id": number,
            "municipality_id": 1,
            "notify": True,
            "evidence": {"level_commanded_pct": 100.0, "power_w": 0.4, "expected_power_w": 41.5, "voltage_v": 231.0},
        }
        return AlertChange(step=step, at_ms=_ms(at), since_ms=_ms(NOW) - 600_000, **{**known, **more})

    def feeder(self, step: Step = Step.OPENED, at: datetime = NOW, **more: Any) -> AlertChange:
        """A step of the feeder's alert, which explains its lamps."""
        known: dict[str, Any] = {
            "key": "feeder_outage@f@1",
            "rule": "feeder_outage",
            "scope": Scope(type="feeder", name="RVO-01/2", municipality_id=1),
            "severity": Severity.CRITICAL,
            "asset_id": 31,
            "municipality_id": 1,
            "notify": True,
            "evidence": {"lost": 30, "members": 30, "name": "RVO-01/2"},
        }
        return AlertChange(step=step, at_ms=_ms(at), since_ms=_ms(NOW) - 600_000, **{**known, **more})

    def take(self, *changes: AlertChange) -> None:
        self.owner.execute("SELECT take_alert_changes(%s::jsonb, 1)", [parameter(changes)])

    def set(self, alert_id: int, state: str, at: datetime = NOW) -> None:
        """What a person does on the page."""
        self.owner.execute(
            "UPDATE alert SET state = %s, fixed_at = CASE WHEN %s = 'fixed' THEN %s::timestamptz END"
            " WHERE alert_id = %s",
            [state, state, at, alert_id],
        )

    def rows(self, statement: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return self.owner.execute(statement.encode(), parameters).fetchall()

    def one(self, statement: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        (row,) = self.rows(statement, parameters)
        return row

    def deliveries(self) -> list[tuple[Any, ...]]:
        """(target, attempts, sent?, given up?, error), in the order of planning."""
        return self.rows(
            "SELECT t.name, d.attempts, d.sent_at IS NOT NULL, d.given_up_at IS NOT NULL, d.error"
            " FROM delivery d JOIN notification_target t USING (target_id) ORDER BY delivery_id"
        )

    def steps(self, alert_id: int = 1) -> list[tuple[str, str]]:
        return self.rows("SELECT step, who FROM alert_event WHERE alert_id = %s ORDER BY alert_event_id", [alert_id])


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def local(hour: int, minute: int = 0, *, day: int = 21) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=PRAGUE)


@pytest.fixture
def town(database_role_url: Callable[[str], str], database_url: str) -> Iterator[Town]:
    """Olšinka: lamps 1 to 30 on a feeder of cabinet 31. Another town has nobody."""
    metadata = {"cabinet": "RVO-01", "feeder": "RVO-01/2", "street": "Nádražní", "driver_model": "Xi-40"}
    devices = [
        NewDevice(
            name=f"lamp-{n}",
            municipality="olsinka",
            assets={0: NewAsset(kind="lamp", label=f"VO-{n}", metadata=metadata)},
        )
        for n in range(1, 31)
    ]
    devices.append(
        NewDevice(name="cabinet-1", municipality="olsinka", assets={0: NewAsset(kind="cabinet", label="RVO-01")})
    )
    with psycopg.connect(database_url, autocommit=True) as owner:
        register(owner, {"olsinka": "Olšinka", "zdarna": "Žďárná"}, devices, NOW - timedelta(days=30))
        yield Town(owner, database_role_url)
