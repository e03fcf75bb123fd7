"""A region for the firmware's story: database, guarded broker, ingest, API, and one stop on the real firmware."""

import asyncio
import itertools
import json
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Self
from unittest.mock import patch

import httpx
import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from api.door.keeper import COOKIE
from kraj.kinds import KINDS
from kraj.store.registry import register
from simulators.firmware import cable
from simulators.firmware import device as devices
from simulators.firmware.device import FirmwareDevice
from simulators.firmware.wiring import settings
from simulators.region import Device, region
from stack.broker import Broker
from stack.database import OWNER
from stack.demo import new_device
from stack.firmware.flashing import Step
from stack.guard import GuardedBroker
from stack.process import free_port
from tests.acceptance.test_page import answers
from tests.api.signing import SESSION, signed_in
from tests.forked import Program
from tests.ingest.rig import Ingest, query, wait_until
from tests.stack.mutual import NAMES, Place
from tests.waiting import PATIENCE_S

SLOT, SPARE, PASSWORD = "slot_0", "slot_1", "secret"
ASKED_S = 0.2
"""So often the device is asked of itself; the story waits for what it says."""
PRESSED_S = 1.2
"""Children press the stop's button, and let it go again: each time is a reading, told at once."""
SEEN = {
    "battery_voltage_v": 13.1,
    "battery_current_a": -0.4,
    "pv_voltage_v": 17.5,
    "pv_power_w": 41,
    "load_power_w": 9.5,
    "charger_state": 3,
    "air_temp_degc": 21.5,
    "air_humidity_pct": 55,
    "door_open": 0,
    "sos_pressed": 0,
    **{f"load_{rail}_power_w": 1.5 for rail in ("usb", "network", "display", "light", "sos")},
}
STOP = next(
    d for d in region(1, 60).devices if d.clock and len(d.installed) == 1 and d.installed[0].asset.kind == "stop"
)


def toml(table: Mapping[str, Any]) -> str:
    """A flat table as TOML has it within a line; words and numbers are as JSON has them."""
    return "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in table.items()) + "}"


class Stop:
    """A board in its stop: from its first power on until ``close``, with a button that is pressed."""

    def __init__(self, device: Device, folder: Path) -> None:
        self.folder = folder
        self.on = FirmwareDevice(device, folder, Random(1), spread_s=0)
        self.on.feed(SEEN)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._running: Any = None
        self._present: Any = None

    def flashed(self, steps: Sequence[Step], say: Callable[[str], None], _again: object = None) -> None:
        """In place of a cable to a board."""
        for step in steps:
            say(step.what)
            assert step.command[:4] == (sys.executable, "-m", "mpremote", "connect")
            for line in cable.take(self.folder, step.command[5:]):
                say(line)

    def power(self) -> Self:
        self._thread.start()
        self._running = self._begin(self.on.run())
        self._present = self._begin(self._children())
        return self

    def _begin(self, work: Coroutine[Any, Any, None]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _children(self) -> None:
        for pressed in itertools.cycle((1, 0)):
            self.on.feed({"sos_pressed": pressed})
            await asyncio.sleep(PRESSED_S)

    def lose_power(self, after: int) -> None:
        self._loop.call_soon_threadsafe(self.on.lose_power, after)

    def runs(self, name: str) -> bool:
        """Whether a release runs and is on trial no more."""
        running = self.on.state.get("running", {})
        return (running.get("name"), running.get("trial")) == (name, False)

    def close(self) -> None:
        if self._running is not None:
            self._loop.call_soon_threadsafe(self.on.stop, 5)
            self._running.result(30)
            self._present.cancel()
            self._begin(asyncio.sleep(0)).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()


class Town:
    """What runs at the regional office, and the manager who is signed in."""

    def __init__(self, roles: Callable[[str], str], folder: Path) -> None:
        self.owner, self.folder = roles(OWNER), folder
        self.authority = Place(folder)
        password = folder / "password"
        password.write_text(PASSWORD)
        self.broker = Broker(folder / "broker", credentials={SLOT: PASSWORD, SPARE: PASSWORD})
        self.guard = GuardedBroker(self.broker, self.authority.folder, NAMES, lambda: self.owner)
        self.guard.start()
        with psycopg.connect(self.owner) as connection:
            register(connection, {STOP.municipality: "Dolní Lipnička"}, [new_device(STOP)], datetime.now(UTC))
        signed_in(self.owner)
        login = {"KRAJ_MQTT_USERNAME": SLOT, "KRAJ_MQTT_PASSWORD_FILE": str(password)}
        address, port = self.broker.address, self.broker.port
        self.ingest = Ingest(roles("kraj_ingest"), address, port, folder / "ingest.log", **login)
        port = free_port()
        self.site = f"http://localhost:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KRAJ_")} | {
            "KRAJ_DATABASE_URL": roles("kraj_api"),
            "KRAJ_API_PORT": str(port),
            "KRAJ_AUTHORITY_DIR": str(self.authority.folder),
        }
        self.pages = Program("api", env=environment, log=folder / "api.log")
        self.stop = Stop(STOP, folder / "stop")
        self.manager = httpx.Client(base_url=self.site, cookies={COOKIE: SESSION}, timeout=30)
        self.manager.headers["sec-fetch-site"] = "same-origin"
        self._asked = patch.object(devices, "STATUS_S", ASKED_S)
        self._asked.start()
        self.ingest.ready()
        wait_until(lambda: answers(port), "the API answers")

    def close(self) -> None:
        self.stop.close()
        self._asked.stop()
        self.manager.close()
        self.ingest.stop()
        self.pages.terminate()
        self.pages.wait(PATIENCE_S)
        self.guard.stop()

    def wiring(self) -> Path:
        """The file in which the technician wrote what hangs on which pin."""
        file = self.folder / "stop.toml"
        parts = settings("stop")["parts"]
        file.write_text("[parts]\n" + "".join(f"{name} = {toml(part)}\n" for name, part in parts.items()))
        return file

    def marks(self) -> list[tuple[int, int]]:
        """(boot, seq) of all that the stop has sent and the platform holds, by seq."""
        readings = query(
            self.owner,
            f"SELECT boot, seq FROM {KINDS['stop'].reading_table} ORDER BY 2, 1",
        )
        return list(readings)

    def stored(self) -> int:
        return len(self.marks())

    def starts(self) -> int:
        """How often the stop had started when it sent its newest reading."""
        return max((boot for boot, _ in self.marks()), default=0)

    def events(self) -> list[tuple[str, str]]:
        """What it said of its firmware, as it was stored: which it runs, and what failed."""
        found: list[tuple[str, str]] = query(
            self.owner,
            "SELECT channel, coalesce(body->>'firmware', body->>'event') FROM device_event WHERE body ? 'firmware'"
            " OR body->>'event' = 'update_failed' ORDER BY event_id",
        )
        return found

    def reset(self) -> str:
        """Why it says that it started last."""
        return query(self.owner, "SELECT reset FROM device_status")[0]

    def failures(self) -> int:
        """How often the stop has said that an update failed."""
        found = "SELECT count(*) FROM device_event WHERE channel = 'event' AND body->>'event' = 'update_failed'"
        return query(self.owner, found)[0]

    def uploaded(self, container: bytes) -> httpx.Response:
        headers = {"content-type": "application/octet-stream"}
        return self.manager.post("/v1/firmware/releases", content=container, headers=headers)

    def campaign(self, release: str) -> int:
        """Begin to hand a release out to all stops at once; one failure is too many."""
        body = {"release": release, "kind": "stop", "share_pct": 100, "soak_min": 0, "failures_max_pct": 0}
        answer = self.manager.post("/v1/firmware/campaigns", json=body | {"reason": "oprava"})
        assert answer.status_code == 201, answer.text
        return answer.json()["campaign_id"]

    def step(self, campaign: int, step: str) -> None:
        answer = self.manager.post(f"/v1/firmware/campaigns/{campaign}/steps", json={"step": step})
        assert answer.status_code == 200, answer.text

    def seen(self, campaign: int) -> dict[str, Any]:
        return self.manager.get(f"/v1/firmware/campaigns/{campaign}").json()

    def update(self, campaign: int) -> dict[str, Any]:
        """What came of it at the stop."""
        [found] = self.manager.get(f"/v1/firmware/campaigns/{campaign}/devices").json()["items"]
        return found

    def quarter_of_an_hour_goes_by(self) -> None:
        """For the stop that has accepted an update, as far as the platform remembers it."""
        query(self.owner, "UPDATE firmware_update SET next_at = now() WHERE state = 'accepted'")

    def forge(self, topic: str, payload: bytes) -> None:
        """Somebody on this machine who has the password of a service puts something of his own into the broker."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5, transport="unix")
        client.username_pw_set(SPARE, PASSWORD)
        client.connect(self.broker.address)
        client.loop_start()
        client.publish(topic, payload, 1, retain=True).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()

    def page(self) -> str:
        return self.manager.get(f"/devices/{STOP.name}?lang=cs", headers={"accept": "text/html"}).text

    def told(self) -> str:
        """For a story that does not go on: what the board printed last, and what it says of itself."""
        return f"{self.stop.on.said[-12:]} {self.stop.on.state}"
