"""Contactors that are told something: they follow programs and orders, and the lamps behind them have power or none."""

from datetime import UTC, date, datetime

import numpy as np

from kraj import dimming
from rules.dimming import desired
from simulators.physics.cabinet import CabinetModel
from simulators.physics.lamp import LampModel
from simulators.region import region
from simulators.roster import Roster
from simulators.world import World

REGION = region(11, 120)
HOUR_MS = 3_600_000
DAY = date(2026, 11, 4)
START = int(datetime(2026, 11, 4, tzinfo=UTC).timestamp() * 1000)


def switched() -> tuple[World, LampModel, CabinetModel, int, int]:
    """A fresh world, its models, the row of a cabinet that cuts a feeder by day, and that of a lamp on it."""
    world = World(REGION)
    lamps, cabinets = world.models["lamp"], world.models["cabinet"]
    assert isinstance(lamps, LampModel)
    assert isinstance(cabinets, CabinetModel)
    lamp = int(np.flatnonzero(lamps.lamps.bank.switched)[0])
    return world, lamps, cabinets, int(lamps.lamps.bank.circuit[lamp]), lamp


def closed(model: CabinetModel, cabinet: int, hours: list[float]) -> list[float]:
    moments = START + (np.array(hours) * HOUR_MS).astype(np.int64)
    return model.at(np.full(len(hours), cabinet), moments)["contactor_closed"].tolist()


def test_a_contactor_follows_its_program_to_the_minute_and_the_lamps_behind_it_get_power_with_it() -> None:
    world, lamps, cabinets, cabinet, lamp = switched()
    program = dimming.read({"plans": [{"on_min": 60, "off_min": -60, "steps": [{"at": "22:00", "level_pct": 40}]}]})
    document = desired(program, 40, 49.5, 15.5, DAY)
    world.tell({cabinets.assets[cabinet].key: document}, START)
    world.prepare(START)
    sunset_h, sunrise_h = document["sun"]["set"][308] / 60, document["sun"]["rise"][308] / 60
    hours = [sunrise_h - 1.1, sunrise_h - 0.9, 12.0, sunset_h + 0.9, sunset_h + 1.1, 23.0]
    assert closed(cabinets, cabinet, hours) == [1, 0, 0, 0, 1, 1], "a level of 40 % keeps it closed, too"
    moments = START + (np.array(hours) * HOUR_MS).astype(np.int64)
    assert lamps.powered(np.full(len(hours), lamp), moments).tolist() == [True, False, False, False, True, True]


def test_an_order_closes_a_contactor_by_day_ends_by_itself_and_the_lamps_come_and_go_with_it() -> None:
    world, lamps, cabinets, cabinet, lamp = switched()
    roster = Roster(world, (), START, boot=1)
    device = int(world.device["lamp"][lamp])
    duty = roster.day(START)
    noon = START + 12 * HOUR_MS
    away = duty.presence.gaps.around(np.array([device]), np.array([noon + 10 * 60_000]))
    assert away[0] >= 0, "by day nobody hears of it"
    cabinets.told.order(cabinet, "manual", 100.0, noon, noon + HOUR_MS)
    planned = roster.again(duty)
    assert closed(cabinets, cabinet, [11.9, 12.5, 13.1]) == [0, 1, 0]
    moments = noon + np.array([-10, 10, 50, 70]) * 60_000
    heard = planned.presence.gaps.around(np.full(4, device), moments) < 0
    assert heard.tolist() == [False, True, True, False]
    boots = planned.presence.boots(np.full(2, device), moments[[0, 1]])[0]
    assert boots[1] == boots[0] + 1, "it has started anew"
    assert lamps.at(np.full(2, lamp), moments[:2])["voltage_v"].tolist()[0] == 0
    reports = next(part for part in planned.parts if part.kind == "cabinet")
    due = reports.reporter.moments(reports.plan)
    mine = due.ts_ms[due.place == cabinet]
    assert ((mine > noon) & (mine < noon + 3 * 60_000)).any(), "it tells that it has closed"


def test_a_contactor_without_a_clock_keeps_to_its_photocell() -> None:
    _, lamps, cabinets, cabinet, _ = switched()
    lamps.told_contactors.clockless = frozenset({cabinet})
    program = dimming.read({"plans": [{"on_min": 120, "steps": []}]})
    world = World(REGION, (lamps, cabinets))
    world.tell({cabinets.assets[cabinet].key: desired(program, 100, 49.5, 15.5, DAY)}, START)
    world.prepare(START)
    assert closed(cabinets, cabinet, [12.0, 17.0, 23.0]) == [0, 1, 1]
