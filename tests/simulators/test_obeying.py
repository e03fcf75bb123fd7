"""Lamps that are told something over a real broker: programs, orders, refusals, and the light that follows."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np
import pytest

from kraj import dimming
from rules.dimming import desired
from simulators.device import Link
from simulators.fleet import Fleet, wall_clock_ms
from simulators.pace import Pace
from simulators.region import Region, region
from simulators.roster import Roster
from simulators.world import World
from tests.simulators.rig import Broker, Platform, retained, until
from tests.simulators.test_fleet import alive

HOUR_MS = 3_600_000
T = TypeVar("T")
PLANNING = threading.Lock()
BUILT = region(5, 8, clockless_share=0.0)
VILLAGE = region(1, 32, clockless_share=0.0)
"""One of its cabinets cuts its feeder by day."""
NOON = datetime(2026, 11, 4, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 4, 23, 20, tzinfo=UTC)


def document(*steps: tuple[str, int], floor: int = 0) -> dict[str, Any]:
    program = {"plans": [{"steps": [{"at": at, "level_pct": level} for at, level in steps]}]}
    return desired(dimming.read(program), floor, 49.5, 15.5, NIGHT.date())


def alone(look: Callable[[], T]) -> T:
    """What is seen while the fleet does not plan a day, which it does in another thread, with the same models."""
    with PLANNING:
        return look()


class Lamp:
    """A fleet at a moment, and one of its lamps on a permanent feeder, as the platform sees it."""

    def __init__(
        self,
        broker: Broker,
        platform: Platform,
        at: datetime,
        *,
        clock: bool = True,
        built: Region = BUILT,
        kind: str = "lamp",
    ) -> None:
        built = built if clock else region(5, 8, clockless_share=1.0)
        off_ms = int(at.timestamp() * 1000) - wall_clock_ms()
        self.pace = Pace.of(lambda: wall_clock_ms() + off_ms)
        link = Link(host="127.0.0.1", port=broker.port, connect_spread_s=0, backoff_first_s=0.05, backoff_longest_s=0.1)
        world = World(built)
        self.fleet = Fleet(built, link, pace=self.pace, boot=5, world=world)
        self.device = next(
            d
            for d in built.devices
            if d.installed[0].asset.kind == kind
            and bool(d.installed[0].asset.number("feeder_switched")) == (kind == "cabinet")
            and not d.installed[0].asset.number("report_interval_s")
        )
        self.prefix = f"kraj/{self.device.municipality}/{self.device.name}"
        self.model = world.models[kind]
        self.row = [a.key for a in self.model.assets].index(self.device.installed[0].asset.key)
        self._platform = platform

    def tell(self, channel: str, body: object, *, retain: bool = False, expiry_s: int | None = None) -> None:
        self._platform.publish(f"{self.prefix}/{channel}", body, retain=retain, expiry_s=expiry_s)

    async def reported(self, **wanted: object) -> dict[str, Any]:
        """The first of the reports not yet asked for that says this."""
        reports = self._platform.reports

        def found() -> int | None:
            return next(
                (n for n, (d, r) in enumerate(reports) if d == self.device.name and wanted.items() <= r.items()), None
            )

        await until(lambda: found() is not None, f"reported {wanted}")
        place = found() or 0
        body = reports[place][1]
        del reports[: place + 1]
        return body

    async def answer(self, id_: str) -> dict[str, Any]:
        await until(lambda: any(r["id"] == id_ for r in self._platform.results), f"result of {id_}")
        return [r for r in self._platform.results if r["id"] == id_][-1]

    def light(self) -> tuple[float, str]:
        """The level commanded now, and its reason."""
        found = self.at(self.pace.now_ms())
        words = self.model.kind.by_name["level_reason"].states
        return float(found["level_commanded_pct"][0]), words[int(found["level_reason"][0])]

    def closed(self) -> bool:
        """Whether the contactor is, now."""
        return bool(self.at(self.pace.now_ms())["contactor_closed"][0])

    def at(self, *ts_ms: int) -> dict[str, Any]:
        """What the model says of it at these moments."""
        return alone(lambda: self.model.at(np.full(len(ts_ms), self.row), np.array(ts_ms)))

    def due(self) -> list[int]:
        """When it reports on this day, as planned last."""
        duty = self.fleet.duty
        reporter = next(part.reporter for part in duty.parts if part.kind == "lamp")
        moments = alone(lambda: reporter.moments(reporter.plan(duty.start_ms)))
        return moments.ts_ms[moments.place == self.row].tolist()

    async def until_light(self, level: float, reason: str) -> None:
        await until(lambda: self.light() == (level, reason), f"{level} % by {reason}")

    def order(self, id_: str, level: int, *, reason: str = "manual", minutes: float = 30) -> dict[str, Any]:
        until_ms = self.pace.now_ms() + int(minutes * 60_000)
        return {"id": id_, "do": "set_level", "level_pct": level, "channel": 0, "reason": reason, "until": until_ms}


@pytest.fixture(autouse=True)
def planned_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a run nobody looks at the models while a day is planned; here tests do, and wait for their turn."""
    for name in ("day", "again"):
        monkeypatch.setattr(Roster, name, _in_turn(getattr(Roster, name)))


def _in_turn(plan: Callable[..., Any]) -> Callable[..., Any]:
    def planned(*given: Any) -> Any:
        return alone(lambda: plan(*given))

    return planned


@pytest.fixture(autouse=True)
def nothing_retained(broker: Broker, platform: Platform) -> Iterator[None]:
    """Tests share a broker and the names of devices."""
    yield
    for device in (*BUILT.devices, *VILLAGE.devices):
        for channel in ("desired", "reported"):
            topic = f"kraj/{device.municipality}/{device.name}/{channel}"
            platform.publish(topic, b"", retain=True)


async def test_a_program_is_applied_reported_and_followed_and_an_older_or_broken_one_refused(
    broker: Broker, platform: Platform
) -> None:
    lamp = Lamp(broker, platform, NIGHT)
    async with alive(lamp.fleet):
        await until(lambda: lamp.fleet.counts().connected == 8, "connected")
        lamp.tell("desired", {"version": 7, "programs": {"0": document(("22:00", 37))}, "interval_s": 300}, retain=True)
        assert await lamp.reported(version=7) == {"version": 7, "ok": True}
        await lamp.until_light(37, "program")
        lamp.tell("desired", {"version": 6, "programs": {}})
        refused = await lamp.reported(ok=False)
        assert (refused["version"], refused["wanted"]) == (7, 6)
        assert refused["error"].startswith("older")
        broken = document() | {"floor_pct": 101}
        for version, body in ((8, {"version": 8, "programs": {"0": broken}}), (9, {"version": 9, "programs": [1]})):
            lamp.tell("desired", body)
            refused = await lamp.reported(ok=False, wanted=version)
            assert (refused["version"], refused["error"].split(":")[0]) == (7, "malformed")
        lamp.tell("desired", b"\xff{")
        assert "wanted" not in await lamp.reported(ok=False, version=7)
        lamp.tell("desired", {"version": 10, "programs": {"4": document()}})
        assert (await lamp.reported(wanted=10))["error"].startswith("channel")
        assert lamp.light() == (37, "program")
        lamp.tell("desired", {"version": 11, "programs": {"0": document(("22:00", 37), floor=50)}}, retain=True)
        await lamp.until_light(50, "program")
        assert await lamp.reported(ok=True) == {"version": 11, "ok": True}
        lamp.tell("desired", {"version": 12, "programs": {}, "interval_s": 600}, retain=True)
        assert await lamp.reported(ok=True) == {"version": 12, "ok": True}
        assert lamp.light() == (50, "program"), "a channel that is not named keeps its program"
        found = await asyncio.to_thread(retained, broker.port, f"{lamp.prefix}/reported")
        assert found == {f"{lamp.prefix}/reported": {"version": 12, "ok": True}}


async def test_a_lamp_reports_what_came_of_an_order_and_its_power_follows(broker: Broker, platform: Platform) -> None:
    lamp = Lamp(broker, platform, NIGHT)
    async with alive(lamp.fleet):
        await until(lambda: lamp.fleet.counts().connected == 8, "connected")
        lamp.tell("desired", {"version": 1, "programs": {"0": document(("18:00", 20))}})
        await lamp.until_light(20, "program")
        lamp.tell("command", lamp.order("o1", 80))
        assert await lamp.answer("o1") == {"id": "o1", "ok": True}
        await lamp.until_light(80, "manual")
        lamp.tell("command", lamp.order("o2", 100, reason="emergency"))
        await lamp.until_light(100, "emergency")
        lamp.tell("command", {"id": "o3", "do": "release", "channel": 0, "reason": "emergency"})
        await lamp.until_light(80, "manual")
        lamp.tell("command", lamp.order("o4", 30))
        await lamp.until_light(30, "manual")
        now = lamp.pace.now_ms()
        later = lamp.at(now - 30 * 60_000, now + 5 * 60_000)
        assert later["level_effective_pct"][1] < 32
        assert later["power_w"][1] < 0.6 * later["power_w"][0], "before it was told anything it was bright"
        gone = lamp.at(now + 31 * 60_000)
        assert gone["level_commanded_pct"][0] == 20, "an order ends by itself"
        await until(
            lambda: any(now < ts <= now + 2 * 60_000 for ts in lamp.due()),
            "a report of what came of the order once the ramp is over",
        )
        await until(lambda: len([ts for ts in lamp.due() if now < ts <= now + 8 * 60_000]) >= 3, "three reports")


async def test_the_interval_that_is_asked_for_is_kept_and_taken_back(broker: Broker, platform: Platform) -> None:
    lamp = Lamp(broker, platform, NIGHT)
    async with alive(lamp.fleet):
        await until(lambda: lamp.fleet.counts().connected == 8, "connected")
        quiet = [lamp.pace.now_ms() + n * 60_000 for n in (10, 40)]
        for version, interval_s, least, most in ((1, 900, 1, 3), (2, None, 5, 7)):
            body: dict[str, Any] = {"version": version, "programs": {}, "interval_s": interval_s}
            lamp.tell("desired", body)
            assert await lamp.reported(version=version) == {"version": version, "ok": True}
            await until(
                lambda: least <= sum(quiet[0] < ts <= quiet[1] for ts in lamp.due()) <= most,  # noqa: B023 - at once
                f"between {least} and {most} reports in half an hour",
            )


async def test_orders_are_done_once_and_what_is_too_late_or_out_of_range_is_refused(
    broker: Broker, platform: Platform
) -> None:
    lamp = Lamp(broker, platform, NOON)
    async with alive(lamp.fleet):
        await until(lambda: lamp.fleet.counts().connected == 8, "connected")
        assert lamp.light() == (0, "program")
        order = lamp.order("a", 100)
        lamp.tell("command", order)
        await lamp.until_light(100, "manual")
        lamp.tell("command", {"id": "b", "do": "release", "channel": 0, "reason": "manual"})
        await lamp.until_light(0, "program")
        lamp.tell("command", order)
        await until(lambda: sum(r["id"] == "a" for r in platform.results) == 2, "answered again")
        lamp.tell("command", lamp.order("late", 100, minutes=-1))
        assert await lamp.answer("late") == {"id": "late", "ok": False, "error": "expired"}
        for id_, wrong, code in (
            ("l1", {"level_pct": 101}, "level"),
            ("l2", {"level_pct": -1}, "level"),
            ("l3", {"level_pct": None}, "level"),
            ("c1", {"channel": 3}, "channel"),
            ("r1", {"reason": "whim"}, "reason"),
            ("u1", {"until": None}, "until"),
        ):
            lamp.tell("command", lamp.order(id_, 50) | wrong)
            found = await lamp.answer(id_)
            assert (found["ok"], found["error"].split(":")[0]) == (False, code)
        lamp.tell("command", lamp.order("half", 50) | {"level_pct": 50.5})
        assert (await lamp.answer("half"))["ok"] is False
        await asyncio.sleep(0.6)
        assert lamp.light() == (0, "program"), "nothing that came again or was refused has had an effect"


async def test_after_a_restart_the_program_is_kept_and_orders_are_not(broker: Broker, platform: Platform) -> None:
    lamp = Lamp(broker, platform, NIGHT)
    async with alive(lamp.fleet):
        await until(lambda: lamp.fleet.counts().connected == 8, "connected")
        lamp.tell("desired", {"version": 3, "programs": {"0": document(("22:00", 44))}})
        lamp.tell("command", lamp.order("m", 90))
        await lamp.until_light(90, "manual")
        lamp.fleet.controllers[lamp.device.name].restart()
        await lamp.until_light(44, "program")
        assert lamp.fleet.controllers[lamp.device.name].version == 3


async def test_a_lamp_without_a_clock_is_bright_by_night_and_orders_live_as_long_as_their_messages(
    broker: Broker, platform: Platform
) -> None:
    lamp = Lamp(broker, platform, NIGHT, clock=False)
    async with alive(lamp.fleet):
        await until(lambda: lamp.fleet.counts().connected == 8, "connected")
        lamp.tell("desired", {"version": 1, "programs": {"0": document(("22:00", 44))}})
        await lamp.until_light(100, "fallback")
        lamp.tell("command", lamp.order("x", 50))
        assert await lamp.answer("x") == {"id": "x", "ok": False, "error": "clock"}
        lamp.tell("command", lamp.order("y", 50), expiry_s=600)
        assert (await lamp.answer("y"))["ok"]
        await lamp.until_light(50, "manual")


async def test_a_contactor_keeps_a_program_and_closes_for_an_order_as_lamps_do(
    broker: Broker, platform: Platform
) -> None:
    lamp = Lamp(broker, platform, NOON, built=VILLAGE, kind="cabinet")
    async with alive(lamp.fleet):
        await until(lambda: lamp.fleet.counts().connected == len(VILLAGE.devices), "connected")
        lamp.tell("desired", {"version": 1, "programs": {"0": document(("22:00", 40), floor=40)}})
        assert await lamp.reported(version=1) == {"version": 1, "ok": True}
        assert lamp.closed() is False
        lamp.tell("command", lamp.order("c", 100, minutes=5))
        assert await lamp.answer("c") == {"id": "c", "ok": True}
        await until(lamp.closed, "the contactor closes by day")
        lamp.tell("command", {"id": "d", "do": "release", "channel": 0, "reason": "manual"})
        await until(lambda: lamp.closed() is False, "and opens again")
