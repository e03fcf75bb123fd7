"""A week without a network at a reading a minute: it fits the ring of a 4 MB flash, and drains whole, for each kind.

A lamp's is in ``suite/test_ring.py``, with more noise than the simulated world has.
"""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kraj.kinds import KINDS
from simulators import region as regions
from simulators.firmware.crew import chosen
from simulators.firmware.host import partitions
from simulators.physics.frame import DAY_MS
from simulators.wording import readings
from simulators.world import World

ROOT = Path(__file__).parents[2]
DAYS, MINUTE_MS = 7, 60_000
START_MS = 20_605 * DAY_MS
"""1 June 2026: days on which roofs and passengers change what is measured most."""
REGION = regions.region(1, 60)
OTHERS = [kind for kind in KINDS if kind != "lamp"]


@pytest.fixture(scope="module")
def weeks() -> dict[str, list[dict[str, object]]]:
    """By kind what one of it measures each minute, as the simulated fleet says it."""
    world, found = World(REGION), dict[str, list[dict[str, object]]]()
    for day in range(DAYS):
        start_ms = START_MS + day * DAY_MS
        world.prepare(start_ms)
        ts_ms = start_ms + np.arange(DAY_MS // MINUTE_MS, dtype=np.int64) * MINUTE_MS
        for device in chosen(REGION, len(KINDS)):
            asset = device.installed[0].asset
            row = [one.key for one in world.models[asset.kind].assets].index(asset.key)
            columns = world.at(asset.kind, np.full(len(ts_ms), row, np.intp), ts_ms)
            found.setdefault(asset.kind, []).extend(readings(KINDS[asset.kind], columns))
    return found


def whole(kind: str, number: int, reading: dict[str, object]) -> dict[str, int]:
    """A reading as the firmware's numbers, with what each device knows of its own health besides."""
    health = {"uptime_s": 60 * number + 17, "rssi_dbm": -70 - number % 12, "clock_offset_s": number * 7 % 23 / 1000}
    values = dict[str, int]()
    for name, value in (health | reading).items():
        metric = KINDS[kind].by_name[name]
        if isinstance(value, str):
            values[name] = metric.states.index(value)
        elif isinstance(value, float | int):
            values[name] = round(value * 10**metric.decimals)
    return values


@pytest.mark.parametrize("kind", OTHERS)
def test_a_week_offline_at_a_reading_a_minute_fits_and_drains_as_it_was_measured(
    weeks: dict[str, list[dict[str, object]]], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("tests/firmware", "firmware"):
        monkeypatch.syspath_prepend(str(ROOT / folder))  # pyright: ignore[reportUnknownMemberType]
    node, flash = importlib.import_module("node.ring"), importlib.import_module("nor").Nor(partitions()["ring"])
    tables = importlib.import_module("node.constants").kind(kind)

    def made() -> Any:
        return node.Ring(flash, tables, None, lambda n: n // 2)  # pyright: ignore[reportUnknownLambdaType]

    ring, week = made(), weeks[kind]
    assert len(week) == DAYS * DAY_MS // MINUTE_MS
    for number, reading in enumerate(week):
        ring.append(whole(kind, number, reading), START_MS + number * MINUTE_MS, number * MINUTE_MS)
    assert (ring.pending, ring.thinned, ring.lost) == (len(week), 0, 0)
    ring, came = made(), 0
    while found := ring.take(0, limit=64, size=65_536):
        for seq, said in found:
            told = json.loads(said)
            assert (told["boot"], told["seq"], told["ts"]) == (1, came + 1, START_MS + came * MINUTE_MS)
            assert {name: told.get(name) for name in week[came]} == week[came]
            came += 1
            assert seq == came
        ring.acknowledge(1, [(found[0][0], came)])
    assert (came, ring.pending) == (len(week), 0)
