"""A lock reaches the contactor that follows a program by itself: held open while it is held, let go with it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from ingest.dispatch import command
from kraj import dimming
from kraj.store import dispatching
from kraj.store.holding import hold_contactors
from rules.dimming import desired
from simulators.physics.cabinet import CabinetModel
from simulators.physics.lamp import LampModel
from simulators.region import region
from simulators.world import World
from tests.kraj.store.desk import Desk

AT = datetime.now(UTC).replace(microsecond=0)
H = timedelta(hours=1)


@pytest.fixture
def cabinet(desk: Desk) -> Desk:
    """Asset 3 is the cabinet R, its contactor, which follows a program, is open; lamps 1 and 2 hang on its feeder F."""
    desk.owner.execute("UPDATE asset SET kind = 'cabinet', label = 'R' WHERE asset_id = 3")
    desk.owner.execute('UPDATE asset SET metadata = \'{"feeder": "F", "cabinet": "R"}\' WHERE asset_id < 3')
    desk.owner.execute(
        "INSERT INTO lamp_program (municipality_id, digest, document) VALUES (1, sha256('1'), '{\"floor_pct\": 20}')"
    )
    desk.owner.execute(
        "INSERT INTO desired (device_id, municipality_id, programs, changed_at, who)"
        " VALUES (3, 1, '{\"0\": 1}', now(), 'eva')"
    )
    stands(desk, closed=False)
    return desk


def stands(desk: Desk, *, closed: bool) -> None:
    """What the cabinet said last."""
    desk.owner.execute("DELETE FROM latest_cabinet")
    desk.owner.execute(
        "INSERT INTO latest_cabinet (asset_id, municipality_id, ts, seq, boot, batch_id, implausible, contactor_closed)"
        " VALUES (3, 1, %s, 1, 1, 1, 0, %s)",
        [AT, closed],
    )


def lock(desk: Desk, attribute: str = "feeder", value: str = "F") -> None:
    desk.owner.execute(
        "INSERT INTO safety_lock (municipality_id, attribute, value, holder_title, reason, since)"
        " VALUES (1, %s, %s, 'Četa', 'stožár', now())",
        [attribute, value],
    )


def released(desk: Desk, attribute: str = "feeder") -> None:
    desk.owner.execute("UPDATE safety_lock SET released_at = now() WHERE attribute = %s", [attribute])


def told(desk: Desk) -> list[tuple[Any, ...]]:
    return desk.rows('SELECT asset_id, "do", level_pct, state FROM command ORDER BY requested_at, "do"')


def noted(desk: Desk) -> list[str]:
    return [row[0] for row in desk.rows("SELECT action FROM audit_entry WHERE action LIKE 'lock.%%' ORDER BY entry_id")]


async def test_a_lock_on_a_feeder_holds_its_contactor_open_once_and_lets_it_go(cabinet: Desk) -> None:
    assert await hold_contactors(cabinet.connection, AT) == 0
    lock(cabinet)
    assert await hold_contactors(cabinet.connection, AT) == 1
    assert await hold_contactors(cabinet.connection, AT + H) == 0
    assert told(cabinet) == [(3, "set_level", 0, "requested")]
    assert cabinet.one("SELECT why FROM command") == ("locked: feeder F: Četa",)
    (due,) = await dispatching.claim(cabinet.connection, AT, 10)
    topic, payload, expiry_s = command(due, AT)
    assert (topic, expiry_s) == ("kraj/brno/lamp-3/command", 86_400)
    body = msgspec.json.decode(payload)
    assert (body["do"], body["level_pct"], body["reason"]) == ("set_level", 0, "manual")
    assert await hold_contactors(cabinet.connection, AT + 13 * H) == 1, "for another day"
    released(cabinet)
    assert await hold_contactors(cabinet.connection, AT + 14 * H) == 1
    assert told(cabinet)[-1] == (3, "release", None, "requested")
    assert [state for *_, state in told(cabinet)[:-1]] == ["superseded", "superseded"]
    assert await hold_contactors(cabinet.connection, AT + 15 * H) == 0
    assert noted(cabinet) == ["lock.contactor_held", "lock.contactor_held", "lock.contactor_released"]


async def test_a_lock_switches_nothing_off_and_holds_the_contactor_from_when_it_opens(cabinet: Desk) -> None:
    stands(cabinet, closed=True)
    lock(cabinet)
    assert await hold_contactors(cabinet.connection, AT) == 0
    stands(cabinet, closed=False)
    assert await hold_contactors(cabinet.connection, AT) == 1


async def test_of_two_locks_the_last_lets_go_and_an_order_by_hand_does_not_end_the_hold(cabinet: Desk) -> None:
    lock(cabinet)
    lock(cabinet, "cabinet", "R")
    assert await hold_contactors(cabinet.connection, AT) == 1
    released(cabinet)
    assert await hold_contactors(cabinet.connection, AT + H) == 0
    cabinet.owner.execute(
        'INSERT INTO command (municipality_id, device_id, asset_id, "do", level_pct, reason, until, requested_at,'
        " next_at, who) VALUES (1, 3, 3, 'set_level', 0, 'manual', %s, %s, %s, 'eva')",
        [AT + 3 * H, AT + 2 * H, AT + 2 * H],
    )
    assert await hold_contactors(cabinet.connection, AT + 3 * H) == 1
    released(cabinet, "cabinet")
    assert await hold_contactors(cabinet.connection, AT + 4 * H) == 1


async def test_who_has_no_program_or_is_out_of_service_is_not_told(cabinet: Desk) -> None:
    lock(cabinet)
    cabinet.owner.execute("UPDATE device SET state = 'suspended' WHERE device_id = 3")
    assert await hold_contactors(cabinet.connection, AT) == 0
    cabinet.owner.execute("UPDATE device SET state = 'active' WHERE device_id = 3; DELETE FROM desired")
    assert await hold_contactors(cabinet.connection, AT) == 0


def test_a_simulated_contactor_that_is_held_stays_open_beyond_dusk_and_follows_once_it_is_let_go() -> None:
    day = date(2026, 11, 4)
    start = int(datetime(2026, 11, 4, tzinfo=UTC).timestamp() * 1000)
    world = World(region(11, 120))
    lamps, cabinets = world.models["lamp"], world.models["cabinet"]
    assert isinstance(lamps, LampModel)
    assert isinstance(cabinets, CabinetModel)
    lamp = int(np.flatnonzero(lamps.lamps.bank.switched)[0])
    row = int(lamps.lamps.bank.circuit[lamp])
    document = desired(dimming.read({"plans": [{"steps": []}]}), 100, 49.5, 15.5, day)
    world.tell({cabinets.assets[row].key: document}, start)
    noon, hour = start + 12 * 3_600_000, 3_600_000
    cabinets.told.order(row, "manual", 0.0, noon, noon + 24 * hour)
    world.prepare(start)
    moments = np.array([11, 17, 20, 21], dtype=np.int64) * hour + start
    assert cabinets.at(np.full(3, row), moments[:3])["contactor_closed"].tolist() == [0, 0, 0]
    assert lamps.powered(np.full(1, lamp), moments[2:3]).tolist() == [False]
    cabinets.told.release(row, "manual", int(moments[2]))
    world.prepare(start)
    assert cabinets.at(np.full(1, row), moments[3:])["contactor_closed"].tolist() == [1]
