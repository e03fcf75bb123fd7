"""The modelled database is held against PostgreSQL: the same history gives the same rows, duplicates, answers."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import psycopg
import pytest

from ingest import acks
from ingest.batches import batch_of
from ingest.decode import Message, decode
from ingest.routes import Routes
from kraj.alerts import AlertChange, Scope, Severity, Step
from kraj.store import alerts, judged, registry, resend
from kraj.store.batch import Outcome
from kraj.store.registry import NewAsset, NewDevice, register
from kraj.store.write import Writer
from stack.seeds.database import Book, Connection, History, ModelWriter, Resends, Server
from stack.seeds.devices import TOWN
from stack.seeds.virtual import BEGIN, Loop
from tests.kraj.store.desk import Desk

DEVICES = [f"lamp-{n:02d}" for n in range(4)]
AT_MS = round(BEGIN.timestamp() * 1000)


class Immortal:
    async def reach(self, point: str) -> None:
        """A process that nobody kills."""


@pytest.fixture
async def desk(database_url: str, database_role_url: Callable[[str], str]) -> AsyncIterator[Desk]:
    with psycopg.connect(database_url, autocommit=True) as owner:
        lamps = [
            NewDevice(name=name, municipality=TOWN, assets={0: NewAsset(kind="lamp", label=name)}) for name in DEVICES
        ]
        register(owner, {TOWN: "Lhota"}, lamps, BEGIN - timedelta(days=30))
        opened = await Desk.open(database_role_url("kraj_ingest"), owner)
        yield opened
        await opened.connection.close()


@pytest.fixture
def server() -> Any:
    loop = Loop()
    made = Server(loop, Random(1), DEVICES)
    yield made
    loop.close()


def history(random: Random) -> list[list[Message]]:
    """Batches: new and repeated readings, with a clock and without, of the future, broken ones, results and status."""
    batches: list[list[Message]] = []
    sent: list[Message] = []
    seq = dict.fromkeys(DEVICES, 0)
    for number in range(12):
        batch: list[Message] = []
        for name in random.choices(DEVICES, k=6):
            seq[name] += 1
            reading: dict[str, Any] = {"boot": 1, "seq": seq[name], "power_w": 60 + seq[name] / 8}
            if name == DEVICES[0]:
                reading["uptime_ms"] = 1000 * number + seq[name]
            else:
                ahead_ms = 3_600_000 if random.random() < 0.1 else 0
                reading["ts"] = AT_MS + 1000 * number + seq[name] + ahead_ms
            batch.append((f"kraj/{TOWN}/{name}/telemetry", msgspec.json.encode(reading), 1))
        sent += batch
        batch += random.choices(sent, k=4)
        batch.append((f"kraj/{TOWN}/{DEVICES[1]}/telemetry", b"no JSON at all", 1))
        answer = {"id": "resend-1-7", "ok": number > 5}
        batch.append((f"kraj/{TOWN}/{DEVICES[number % 4]}/result", msgspec.json.encode(answer), 1))
        batch.append((f"kraj/{TOWN}/{DEVICES[2]}/status", b'{"online":true,"boot":1}', 1))
        batches.append(batch)
    return batches


def change(step: Step, since: int, at: int, rule: str = "hot") -> AlertChange:
    scope = Scope(type="asset", name="1", municipality_id=1)
    return AlertChange(
        key=f"{rule}@{scope}@{since}",
        step=step,
        at_ms=AT_MS + at,
        rule=rule,
        scope=scope,
        severity=Severity.MINOR,
        since_ms=AT_MS + since,
        asset_id=1,
        municipality_id=1,
    )


TOLD = [
    [change(Step.OPENED, 1, 2), change(Step.RECORDED, 0, 1, "cold")],
    [change(Step.OPENED, 1, 2), change(Step.OPENED, 3, 4)],
    [change(Step.CLEARED, 3, 9)],
    [change(Step.RAISED_AGAIN, 3, 12), change(Step.OPENED, 13, 13, "cold"), change(Step.CLEARED, 99, 99)],
]


async def take(writer: Any, routes: Routes, messages: list[Message], now_ms: int, told: list[AlertChange]) -> Any:
    """What a batch comes to, on either database."""
    epochs: dict[tuple[int, int], int] = {}
    new: dict[tuple[int, int], int] = {}
    decoded = decode(messages, routes, epochs, now_ms)
    if decoded.epochs_missing:
        known = await writer.epochs(set(decoded.epochs_missing))
        new = {key: epoch for key, epoch in decoded.epochs_missing.items() if key not in known}
        decoded = decode(messages, routes, known | new, now_ms)
    number = await writer.next_batch_id()
    batch = batch_of(batch_id=number, messages=messages, decoded=decoded, routes=routes, epochs=new, now_ms=now_ms)

    def judge(*_: object) -> list[AlertChange]:
        return told

    outcome: Outcome = await writer.write(batch, 0, judge)
    data, count = acks.ack_packets(messages, decoded, routes, set(outcome.not_stored))
    duplicates = [mask.tolist() for mask in outcome.duplicate]
    return outcome.committed, duplicates, outcome.not_stored, data, count, await writer.is_committed(number)


async def test_a_scripted_history_gives_the_same_on_both(desk: Desk, server: Server) -> None:
    version, installations = await registry.read(desk.connection)
    real = Routes(version, installations)
    server.tables.version = version
    connection: Any = Connection(server, Immortal())
    model: Any = ModelWriter(connection)
    server.random.uniform = lambda a, b: 0.0  # pyright: ignore
    assert [(i.device, i.device_id, i.asset_id) for i in installations] == [
        (i.device, i.device_id, i.asset_id) for i in server.installations()
    ]
    for number, messages in enumerate(history(Random(4))):
        told = TOLD[number] if number < len(TOLD) else []
        now_ms = AT_MS + 1000 * number + 500
        if number == 7:  # another process
            await desk.restart()
        writer: Writer = desk.writer
        assert await take(writer, real, messages, now_ms, told) == await take(model, real, messages, now_ms, told)
    tables, totals = server.tables, server.tables.totals
    rows = desk.rows(
        "SELECT asset_id, (extract(epoch FROM ts) * 1000)::bigint, seq, boot, power_w FROM reading_lamp"
        " ORDER BY 1, 2, 3"
    )
    assert rows == [(*key, *row) for key, row in sorted(tables.rows.items())]
    assert desk.totals() == (totals.committed, totals.duplicate, totals.quarantined)
    assert {row[:2]: row[2] for row in desk.rows("SELECT device_id, boot, epoch_ms FROM boot_epoch")} == tables.epochs
    kept = {bytes(digest): times for digest, times in desk.rows("SELECT digest, times FROM quarantine")}
    assert kept == tables.quarantine
    found = dict(desk.rows("SELECT key, active FROM alert"))
    assert found == {key: alert.active for key, alert in tables.alerts.items()}
    events = desk.rows(
        "SELECT key, step, (extract(epoch FROM at) * 1000)::bigint FROM alert_event JOIN alert USING (alert_id)"
    )
    assert len(events) == len(tables.events)
    assert await judged.last_batch(desk.connection, desk.slot_id) == await History(server).last_batch(connection, 1)
    active = await alerts.active_keys(desk.connection, desk.slot_id)
    assert active.keys() == (await Book(server).active_keys(connection)).keys()
    ids = [1, 2, 3, 4]
    lowest = await resend.lowest_missing(desk.connection, ids, BEGIN)
    assert lowest == await Resends(server).lowest_missing(connection, ids, BEGIN)
    _, there = await resend.answered(desk.connection, "resend-1-7", 0)
    assert there == (await Resends(server).answered(connection, "resend-1-7", 0))[1] != set()
