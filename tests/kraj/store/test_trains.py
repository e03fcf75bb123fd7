"""From the event of one lamp to its neighbours' messages: who rises, how often, and who is left alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from ingest import trains
from ingest.dispatch import command
from kraj.store import dispatching
from kraj.store.batch import EventRow
from tests.kraj.store.desk import Desk

AT = datetime.now(UTC).replace(microsecond=0)
"""Now: lamps do not rise in years to come."""
AT_MS = int(AT.timestamp()) * 1000
S = timedelta(seconds=1)


@pytest.fixture
def street(desk: Desk) -> Desk:
    """Lamps 1 to 3 a span apart, in a segment whose program raises one neighbour on each side; 2 and 3 on feeder F."""
    desk.owner.execute(
        "UPDATE asset SET latitude = 50, longitude = 15 + asset_id * 0.0004,"
        " metadata = CASE WHEN asset_id > 1 THEN '{\"feeder\": \"F\"}'::jsonb ELSE '{}' END"
    )
    desk.owner.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'Ulice', 'segment');"
        "INSERT INTO asset_group_member (group_id, asset_id) SELECT 1, asset_id FROM asset;"
        "INSERT INTO dimming_program (municipality_id, name, document, changed_at, who) VALUES (1, 'Noc', '{\"sensor\":"
        ' {"level_pct": 90, "hold_s": 40, "neighbours": 1}}\', now(), \'eva\');'
        "INSERT INTO lighting_segment (group_id, municipality_id, dimming_program_id, changed_at, who)"
        " VALUES (1, 1, 1, now(), 'eva')"
    )
    return desk


async def moved(desk: Desk, lamp: int, seconds: int = 0, event: str = "motion") -> None:
    body = {"event": event, "boot": 1, "seq": 100 * lamp + seconds, "ts": AT_MS + 1000 * seconds}
    await desk.write(events=[EventRow(lamp, 1, "event", msgspec.json.encode(body), 0)])


def told(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows("SELECT asset_id, state FROM command ORDER BY requested_at, asset_id")


async def test_motion_at_a_lamp_is_told_to_its_neighbours_once_and_by_short_commands(street: Desk) -> None:
    await moved(street, 2)
    assert await trains.follow(street.connection, AT + S) == 2
    due = await dispatching.claim(street.connection, AT + S, 10)
    assert sorted(one.device for one in due) == ["lamp-1", "lamp-3"]
    for one in due:
        topic, payload, expiry_s = command(one, AT + S)
        assert (topic, expiry_s) == (f"kraj/brno/{one.device}/command", 120)
        body = msgspec.json.decode(payload)
        assert (body["do"], body["reason"], body["level_pct"]) == ("set_level", "sensor", 90)
        assert body["until"] == AT_MS + 121_000
    assert await trains.follow(street.connection, AT + S) == 0, "it was taken"


async def test_repeated_motion_extends_and_does_not_flood(street: Desk) -> None:
    for seconds, more in ((0, 2), (5, 0), (25, 2)):
        await moved(street, 2, seconds)
        assert await trains.follow(street.connection, AT + seconds * S) == more
    assert told(street) == [(1, "superseded"), (3, "superseded"), (1, "requested"), (3, "requested")]


@pytest.mark.parametrize("event", ["shock", "motion"])
async def test_other_events_and_motion_of_long_ago_raise_nobody(street: Desk, event: str) -> None:
    await moved(street, 2, event=event)
    assert await trains.follow(street.connection, AT + (61 if event == "motion" else 1) * S) == 0
    assert told(street) == []


async def test_a_program_without_a_train_raises_nobody_else(street: Desk) -> None:
    street.owner.execute('UPDATE dimming_program SET document = \'{"sensor": {"level_pct": 90}}\'')
    await moved(street, 2)
    assert await trains.follow(street.connection, AT + S) == 0


async def test_a_lamp_under_a_lock_does_not_rise(street: Desk) -> None:
    street.owner.execute(
        "INSERT INTO safety_lock (municipality_id, attribute, value, holder_title, reason, since)"
        " VALUES (1, 'feeder', 'F', 'Četa', 'stožár', now())"
    )
    await moved(street, 2)
    assert await trains.follow(street.connection, AT + S) == 1
    assert told(street) == [(1, "requested")]


async def test_what_is_settled_for_two_days_is_forgotten_and_orders_of_people_are_not(street: Desk) -> None:
    await moved(street, 2)
    await trains.follow(street.connection, AT)
    street.owner.execute(
        'INSERT INTO command (municipality_id, device_id, asset_id, "do", level_pct, reason, until, requested_at,'
        " next_at, who) VALUES (1, 1, 1, 'set_level', 50, 'manual', %s, %s, %s, 'eva')",
        [AT, AT, AT],
    )
    await dispatching.expire(street.connection, AT + 600 * S, 10)
    for days, left in ((1, 3), (3, 1)):
        await trains.follow(street.connection, AT + timedelta(days=days))
        assert len(told(street)) == left
