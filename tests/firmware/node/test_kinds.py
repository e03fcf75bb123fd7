"""The firmware's kinds are those of the platform and of the simulated fleet: words, habits, shedding, answers."""

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from kraj.kinds import KINDS
from simulators.controller import Controller
from simulators.habits import HABITS, STEP_DEADBANDS
from simulators.messages import COMMAND, Reported, Result
from simulators.physics import battery
from simulators.physics.told import Told
from tests.firmware import vectors

FIRMWARE = Path(__file__).parents[3] / "firmware"
FAKES = Path(__file__).parents[1]
NOW_MS = 1_795_212_345_000


@pytest.fixture(name="load")
def _load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.setattr(sys, "path", [str(FIRMWARE), str(FAKES), *sys.path])
    return importlib.import_module


def test_kinds_tell_at_once_what_the_fleet_tells_at_once(load: Callable[[str], Any]) -> None:
    sampling = load("node.sampling")
    assert sampling.BANDS == STEP_DEADBANDS
    for name, habit in HABITS.items():
        kind = load(f"node.kinds.{name}").Kind
        assert (kind.NAME, set(kind.COMMANDED), set(kind.UNEXPECTED)) == (
            name,
            set(habit.commanded),
            set(habit.unexpected),
        )


def test_words_are_those_of_the_platform(load: Callable[[str], Any]) -> None:
    lamp, stop, solar = (KINDS[name].by_name for name in ("lamp", "stop", "solar"))
    assert lamp["level_reason"].states == load("node.orders").REASONS
    shedding = load("node.shedding")
    steps = ("none", "usb_off", "wifi_off", "display_hourly", "sos_only")
    assert stop["shedding"].states == steps
    assert [getattr(shedding, word.upper()) for word in steps] == [0, 1, 2, 3, 4]
    ports = ("OFF", "IDLE", "CHARGING", "OVERCURRENT", "LATCHED")
    assert [stop["usb1_state"].states[getattr(shedding, word)] for word in ports] == [
        "off",
        "idle",
        "charging",
        "overcurrent",
        "latched_off",
    ]
    charger = stop["charger_state"].states
    states: Mapping[int, int] = load("node.vedirect").STATES
    assert {code: charger[place] for code, place in states.items()} == {
        **dict(enumerate(charger[:8])),
        245: "starting",
        247: "equalize",
        252: "external",
    }
    assert charger[load("node.kinds.stop").FLOAT] == "float"
    assert solar["state"].states[:3] == ("off", "sleeping", "starting")
    cabinet = load("node.kinds.cabinet")
    assert [KINDS["cabinet"].by_name["local_switch"].states[place] for place in (0, cabinet.ON, cabinet.OFF)] == [
        "automatic",
        "on",
        "off",
    ]


def test_a_stop_sheds_as_the_simulated_one(load: Callable[[str], Any]) -> None:
    shedding = load("node.shedding")
    for now in range(5):
        for permille in range(0, 1001, 5):
            theirs = battery.shedding(np.array([permille / 10]), np.array([float(now)]))
            assert shedding.step(permille, now) == int(theirs[0]), (permille, now)


class Both:
    """A simulated controller and the firmware's orders, told the same."""

    def __init__(self, load: Callable[[str], Any]) -> None:
        bench: ModuleType = load("fakes.bench")
        self.firmware = load("node.orders").Orders(bench.Clock(NOW_MS), bench.Store(), bench.Ring(), (0,))
        self.fleet = Controller({0: 0}, Told(), lambda: NOW_MS, lambda: None)

    def desired(self, payload: bytes) -> tuple[Reported | None, dict[str, Any] | None]:
        return self.fleet.desired(payload), self.firmware.desired(payload)

    def command(self, **said: Any) -> tuple[Result, dict[str, Any]]:
        payload = json.dumps(said).encode()
        return self.fleet.obey(COMMAND.decode(payload), 60), json.loads(self.firmware.command(payload, 60))


def test_documents_are_taken_and_refused_as_by_the_simulated_fleet(load: Callable[[str], Any]) -> None:
    both = Both(load)
    real: dict[str, Any] = next(iter(vectors.build()["levels"]))["program"]
    changed: list[dict[str, Any]] = [
        {},
        {"floor_pct": 101},
        {"floor_pct": "40"},
        {"surprise": 1},
        {"zone": []},
        {"sun": {"rise": [1], "set": [1]}},
        {"plans": [{"steps": [], "days": 128}]},
        {"plans": [{"steps": [[0, 0, 100, 0]]}]},
        {"plans": [{"steps": [[0, 0, 100, 3601]]}]},
        {"plans": [{"steps": [], "on": 361}]},
        {"plans": [{"steps": [], "dates": []}]},
        {"sensor": None},
        {"sensor": {"level_pct": 10, "up_s": 1, "hold_s": 1, "down_s": 3601}},
    ]
    documents: list[Any] = [real | change for change in changed]
    payloads = [json.dumps({"version": 9, "programs": {"0": documents[0]}}).encode()]
    payloads += [json.dumps({"version": 10 + at, "programs": {"0": one}}).encode() for at, one in enumerate(documents)]
    payloads += [
        b"",
        b"{",
        b"[]",
        b'{"version": 5, "programs": {}}',
        b'{"version": 0, "programs": {}}',
        b'{"version": 99}',
        b'{"version": 99, "programs": []}',
        b'{"version": 99, "programs": {}, "interval_s": 9}',
        json.dumps({"version": 99, "programs": {"7": real}}).encode(),
        b'{"version": 100, "programs": {}, "interval_s": 60, "more": 1}',
    ]
    taken = 0
    for payload in payloads:
        theirs, ours = both.desired(payload)
        if theirs is None or ours is None:
            assert theirs is ours
            continue
        assert (ours["ok"], ours["version"], ours.get("wanted")) == (theirs.ok, theirs.version, theirs.wanted), payload
        if theirs.error is not None:
            assert ours["error"].split(":")[0] == theirs.error.split(":")[0]
        taken += theirs.ok
    assert taken == 6
    assert both.firmware.interval_s == both.fleet.interval_s == 60


def test_commands_are_answered_as_by_the_simulated_fleet(load: Callable[[str], Any]) -> None:
    both = Both(load)
    good: dict[str, Any] = {"do": "set_level", "level_pct": 50, "reason": "manual", "until": NOW_MS + 1000}
    changes: list[dict[str, Any]] = [
        {},
        {"channel": 3},
        {"level_pct": 101},
        {"level_pct": None},
        {"until": NOW_MS},
        {"until": None},
        {"reason": "mood"},
        {"do": "release"},
        {"do": "release", "channel": 1},
        {"reason": "emergency"},
    ]
    for number, change in enumerate(changes):
        theirs, ours = both.command(**(good | change | {"id": f"c{number}"}))
        assert (ours["id"], ours["ok"]) == (theirs.id, theirs.ok), change
        assert (ours.get("error") or "").split(":")[0] == (theirs.error or "").split(":")[0]


def test_programs_leave_room_for_the_settings_beside_them(load: Callable[[str], Any]) -> None:
    """Settings, program and counters share one sector of flash."""
    pack, config = load("node.desired").pack, load("node.config")
    sizes = [len(pack(vector["program"])) for vector in vectors.build()["levels"]]
    assert max(sizes) + 200 < load("node.state").BODY_MAX - config.SETTINGS_BYTES_MAX
