"""Dispatching in the database: what is due, what answers change, and what proves a command."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from kraj.commands import CommandState
from kraj.store import dispatching
from kraj.store.dispatching import AGAIN_S, AGAIN_S_MAX, Said
from kraj.store.queries import lighting
from rules.commanding import Happening, after, before
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT, AT_MS, of_kind

S = timedelta(seconds=1)


def put(desk: Desk, lamp: int = 1, **columns: Any) -> UUID:
    """A command to a lamp (device and asset have its number), sent unless ``columns`` say otherwise."""
    number = uuid4()
    row = {
        "command_id": number,
        "municipality_id": 1,
        "device_id": lamp,
        "asset_id": lamp,
        '"do"': "set_level",
        "level_pct": 50,
        "reason": "manual",
        "until": AT + 3600 * S,
        "state": "sent",
        "requested_at": AT,
        "next_at": AT,
        "sent_at": AT,
        "who": "eva",
        **columns,
    }
    names, places = ", ".join(row), ", ".join("%s" for _ in row)
    desk.owner.execute(f"INSERT INTO command ({names}) VALUES ({places})".encode(), list(row.values()))
    return number


def state(desk: Desk, number: UUID) -> str:
    return desk.one("SELECT state FROM command WHERE command_id = %s", [number])[0]


def said(device_id: int, channel: str, **document: Any) -> Said:
    return Said(device_id, channel, msgspec.json.encode(document))


async def test_a_command_is_due_after_ten_seconds_doubling_and_never_past_its_time(desk: Desk) -> None:
    number = put(desk, state="requested", sent_at=None)
    waits: list[float] = []
    now = AT
    for _ in range(7):
        (due,) = await dispatching.claim(desk.connection, now, 10)
        assert (due.command_id, due.device, due.municipality, due.sending) == (number, "lamp-1", "brno", True)
        assert await dispatching.claim(desk.connection, now, 10) == []
        at: datetime = desk.one("SELECT next_at FROM command")[0]
        waits.append((at - now) / S)
        now = at
    assert waits == [AGAIN_S, 20, 40, 80, 160, AGAIN_S_MAX, AGAIN_S_MAX]
    assert await dispatching.claim(desk.connection, AT + 3600 * S, 10) == []
    assert await dispatching.expire(desk.connection, AT + 3600 * S, 10) == 1
    assert state(desk, number) == "expired"


@pytest.mark.parametrize("happening", [Happening.ACCEPTED, Happening.REFUSED])
@pytest.mark.parametrize("found", list(CommandState))
async def test_an_answer_changes_a_command_as_the_rules_have_it_and_once(
    desk: Desk, found: CommandState, happening: Happening
) -> None:
    settled: dict[str, Any] = {"settled_at": AT} if found in {"confirmed", "expired", "refused", "superseded"} else {}
    number = put(desk, state=str(found), **settled)
    answer = said(1, "result", id=str(number), ok=happening is Happening.ACCEPTED, error="clock")
    expected = after(found, happening) or found
    for at in (AT + S, AT + 2 * S):
        await dispatching.take_said(desk.connection, [answer, answer], [], at)
        assert state(desk, number) == expected
    if found in before(happening) and found != expected:
        settled_at, accepted_at, error = desk.one("SELECT settled_at, accepted_at, error FROM command")
        if happening is Happening.ACCEPTED:
            assert (settled_at, accepted_at, error) == (None, AT + S, None)
        else:
            assert (settled_at, accepted_at, error) == (AT + S, None, "clock")


@pytest.mark.parametrize(
    ("level", "reading", "proves"),
    [
        (50, {"level_effective_pct": 58, "power_w": 22.0}, True),
        (50, {"level_effective_pct": 61, "power_w": 22.0}, False),
        (50, {"level_effective_pct": 50, "power_w": 40.0}, False),  # it says half and takes all
        (50, {"level_effective_pct": 50}, False),  # nobody has measured it
        (100, {"level_commanded_pct": 100, "power_w": 41.0}, True),
        (100, {"level_effective_pct": 100, "power_w": 0.0}, False),
        (0, {"level_effective_pct": 0, "power_w": 1.0}, True),
        (0, {"level_effective_pct": 0, "power_w": 39.0}, False),
    ],
)
async def test_a_level_is_proved_by_the_newest_reading_and_its_power(
    desk: Desk, level: int, reading: dict[str, float], proves: bool
) -> None:
    desk.owner.execute("UPDATE asset SET metadata = '{\"power_rated_w\": 40}' WHERE asset_id = 1")
    number = put(desk, level_pct=level, state="accepted", accepted_at=AT)
    values: dict[str, Any] = {name: [value] for name, value in reading.items()}
    await desk.write(of_kind([(1, AT_MS + 1000, 1)], **values))
    await desk.writer.idle(AT + 2 * S, 0)
    assert await dispatching.confirm(desk.connection, AT + 2 * S, 10) == proves
    assert state(desk, number) == ("confirmed" if proves else "accepted")


async def test_a_reading_from_before_the_command_proves_nothing(desk: Desk) -> None:
    number = put(desk, level_pct=100, state="accepted", accepted_at=AT)
    await desk.write(of_kind([(1, AT_MS - 1000, 1)], level_effective_pct=[100], power_w=[40]))
    await desk.writer.idle(AT, 0)
    assert await dispatching.confirm(desk.connection, AT, 10) == 0
    assert state(desk, number) == "accepted"
    assert desk.one("SELECT next_at > %s FROM command", [AT])[0]


@pytest.mark.parametrize(("reason", "proves"), [("manual", False), ("program", True)])
async def test_a_release_is_proved_by_another_reason_of_the_level(desk: Desk, reason: str, proves: bool) -> None:
    release: dict[str, Any] = {'"do"': "release", "level_pct": None}
    put(desk, state="accepted", accepted_at=AT, **release)
    code = {"manual": 2, "program": 4}[reason]
    await desk.write(of_kind([(1, AT_MS + 1000, 1)], level_reason=[code], power_w=[20]))
    await desk.writer.idle(AT + 2 * S, 0)
    assert await dispatching.confirm(desk.connection, AT + 2 * S, 10) == proves


def keep(desk: Desk) -> None:
    desk.owner.execute(
        "INSERT INTO desired (device_id, municipality_id, version, changed_at, who) VALUES (1, 1, 7, %s, 'eva')", [AT]
    )


async def test_a_device_that_reports_an_older_version_is_told_again_ever_more_rarely(desk: Desk) -> None:
    keep(desk)
    now, waits = AT, list[float]()
    for _ in range(4):
        rows = await dispatching.unsent(desk.connection, now, 10)
        assert [(row.device, row.version) for row in rows] == [("lamp-1", 7)]
        await dispatching.told(desk.connection, rows, now)
        await dispatching.take_said(desk.connection, [said(1, "reported", version=6, ok=True)], [], now + S)
        told = now
        while not await dispatching.unsent(desk.connection, now, 10):
            now += 10 * S
        waits.append((now - told) / S)
    assert waits == [60, 60, 120, 240]
    await dispatching.take_said(desk.connection, [said(1, "reported", version=7, ok=True)], [], now)
    await dispatching.told(desk.connection, await dispatching.unsent(desk.connection, now, 10), now)
    assert await dispatching.unsent(desk.connection, now + 24 * 3600 * S, 10) == []


async def test_a_device_ahead_of_what_is_desired_gets_a_version_above_its_own_once_a_minute_at_most(
    desk: Desk,
) -> None:
    keep(desk)
    await dispatching.told(desk.connection, await dispatching.unsent(desk.connection, AT, 10), AT)
    report = said(1, "reported", version=12, ok=False, error="older: version 12 is applied", wanted=7)
    await dispatching.take_said(desk.connection, [report], [], AT + S)
    assert await dispatching.outgrow(desk.connection, AT + S) == 1
    found = (await lighting.desired(desk.connection, device="lamp-1"))[0]
    assert (found.version, found.outgrown_version, found.reported_error, found.spread) == (13, 12, None, "ahead")
    rows = await dispatching.unsent(desk.connection, AT + S, 10)
    assert [row.version for row in rows] == [13], "it goes out again"
    await dispatching.told(desk.connection, rows, AT + S)
    await dispatching.take_said(desk.connection, [said(1, "reported", version=14, ok=True)], [], AT + 2 * S)
    assert await dispatching.outgrow(desk.connection, AT + 60 * S) == 0, "who always says more is not run after"
    assert await dispatching.outgrow(desk.connection, AT + 61 * S) == 1
    await dispatching.take_said(desk.connection, [said(1, "reported", version=15, ok=True)], [], AT + 62 * S)
    assert (await lighting.desired(desk.connection, device="lamp-1"))[0].spread == "applied"
    assert await dispatching.outgrow(desk.connection, AT + 3600 * S) == 0


@pytest.mark.parametrize("step", ["state = 'decommissioned'", "municipality_id = 2"])
async def test_what_the_broker_keeps_for_a_device_that_is_gone_or_moved_is_to_be_cleared_once(
    desk: Desk, step: str
) -> None:
    desk.owner.execute("INSERT INTO municipality (name, title) VALUES ('zlin', 'Zlín')")
    keep(desk)
    await dispatching.told(desk.connection, await dispatching.unsent(desk.connection, AT, 10), AT)
    desk.owner.execute(f"UPDATE device SET {step} WHERE name IN ('lamp-1', 'lamp-2')".encode())
    rows = await dispatching.left(desk.connection, 10)
    assert [(row.municipality, row.device) for row in rows] == [("brno", "lamp-1")], "lamp-2 was never told anything"
    await dispatching.cleared(desk.connection, rows, AT)
    assert await dispatching.left(desk.connection, 10) == []
    told = await dispatching.unsent(desk.connection, AT, 10)
    assert [row.municipality for row in told] == (["zlin"] if "municipality" in step else [])


async def test_an_error_about_an_older_version_says_nothing_of_the_newer(desk: Desk) -> None:
    keep(desk)
    reported = "SELECT reported_version, reported_error FROM desired"
    for document, expected in (
        ({"version": 5, "ok": False, "error": "old", "wanted": 6}, (5, None)),
        ({"version": 6, "ok": False, "error": "no memory", "wanted": 7}, (6, "no memory")),
        ({"version": 2**60, "ok": True}, (6, "no memory")),  # no version of ours
        ({"version": "7", "ok": True}, (6, "no memory")),
        ({"version": 7, "ok": True}, (7, None)),
    ):
        await dispatching.take_said(desk.connection, [said(1, "reported", **document)], [], AT)
        assert desk.one(reported) == expected


async def test_what_the_broker_has_forgotten_is_told_again(desk: Desk) -> None:
    keep(desk)
    await dispatching.told(desk.connection, await dispatching.unsent(desk.connection, AT, 10), AT)
    assert await dispatching.unsent(desk.connection, AT, 10) == []
    numbers = {
        name: put(desk, state=name, attempts=1, next_at=AT + 80 * S) for name in ("requested", "sent", "accepted")
    }
    assert await dispatching.forget_sent(desk.connection, AT + S) == 1
    assert len(await dispatching.unsent(desk.connection, AT, 10)) == 1
    due = await dispatching.claim(desk.connection, AT + S, 10)
    assert [one.command_id for one in due] == [numbers["sent"]], "the first it never had, the last it needs no more"


async def test_what_a_device_has_not_answered_is_due_when_it_comes_back(desk: Desk) -> None:
    """The broker may have lost what it had for the device, and its session with it."""
    wanted = {put(desk, state=name, attempts=1, next_at=AT + 80 * S) for name in ("requested", "sent")}
    put(desk, state="accepted", attempts=1, next_at=AT + 80 * S)
    put(desk, lamp=2, attempts=1, next_at=AT + 80 * S)
    await dispatching.take_said(desk.connection, [], [1], AT + S)
    assert {one.command_id for one in await dispatching.claim(desk.connection, AT + S, 10)} == wanted
