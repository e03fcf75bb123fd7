"""What lamps were seen to take comes from their readings into the database, beside a checkpoint of the rules."""

from datetime import timedelta
from typing import Any

import pytest

from ingest.counters import Counters
from ingest.judge import Judge
from kraj.store.queries import lighting
from rules.lighting.power import COMMISSION_H
from tests.kraj.store.desk import Desk
from tests.kraj.store.samples import AT, AT_MS, of_kind


async def test_what_a_lamp_takes_in_ordinary_hours_is_kept_and_again_once_it_has_moved(desk: Desk) -> None:
    desk.owner.execute("UPDATE asset SET metadata = '{\"power_rated_w\": 40}' WHERE asset_id = 1")
    desk.owner.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, 'Ulice', 'segment');"
        "INSERT INTO asset_group_member (group_id, asset_id) VALUES (1, 1), (1, 2)"
    )
    judge = Judge(Counters())
    await judge.resume(desk.connection, desk.slot_id, AT)
    for hour in range(2 * COMMISSION_H):
        at = AT + timedelta(hours=hour)
        lit: dict[str, Any] = {"level_commanded_pct": [100.0], "power_w": [44.0], "voltage_v": [230.0]}
        judge.step(hour + 1, [of_kind([(1, AT_MS + hour * 3_600_000, hour + 1)], **lit)], [], at)
        judge.settle(committed=True)
    for _ in range(2):
        await judge.checkpoint(desk.connection)
        (lamp, other) = await lighting.lamps(desk.connection, 1)
        assert lamp.gain_full == pytest.approx(0.1, abs=0.01)
        assert (lamp.learnt_w, other.learnt_w) == (40, None)
