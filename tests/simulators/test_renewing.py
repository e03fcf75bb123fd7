"""A simulated device is renewed as the firmware is: the same words, the same trial, the same way back."""

import asyncio
import base64
import contextlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from kraj import certificates, renewing
from simulators.device import Link, SimulatedDevice
from simulators.identity import ROOTS, contexts
from simulators.region import Device
from simulators.renewing import REST_S, Credential
from simulators.ring import Ring
from stack import authority
from stack.broker import Broker
from tests.firmware import renewals
from tests.firmware.link_rig import Platform
from tests.simulators.firmware.rig import until
from tests.simulators.renewing_rig import Town
from tests.stack.mutual import Place, now

FOUND = json.loads(renewals.FILE.read_text())
NOW = datetime.fromtimestamp(FOUND["now_ms"] / 1000, UTC)
AGE = timedelta(days=500)
WAIT_S = 20


def _credential(folder: Path) -> Credential:
    folder.mkdir(exist_ok=True)
    key = certificates.key_pem(certificates.new_key())
    (folder / f"{FOUND['device']}.pem").write_text(key + FOUND["have"]["cert"])
    (folder / ROOTS).write_text(FOUND["have"]["roots"])
    return Credential(folder, FOUND["device"])


def test_it_follows_and_refuses_the_orders_that_the_firmware_does_and_writes_nothing_for_the_others(
    tmp_path: Path,
) -> None:
    for number, case in enumerate(FOUND["cases"]):
        folder = tmp_path / str(number)
        credential = _credential(folder)
        assert (credential.obey(case["order"], NOW) or "") == case["expected"], case["title"]
        taken = not case["expected"] and "again" not in case["title"]
        assert ((folder / "lamp-1.next.pem").exists(), credential.trying > 0) == (taken, taken), case["title"]


@pytest.mark.parametrize("left", ["all", "roots kept"])
def test_power_that_goes_in_between_leaves_the_trial_or_its_end(tmp_path: Path, left: str) -> None:
    credential = _credential(tmp_path)
    (order,) = (case["order"] for case in FOUND["cases"] if "rotated" in case["title"])
    credential.obey(order, NOW)
    if left == "roots kept":
        (tmp_path / "lamp-1.next.roots.pem").replace(tmp_path / "lamp-1.roots.pem")
    again = Credential(tmp_path, "lamp-1")
    assert again.trying == 3
    again.taken(again.trying, 0)
    assert again.own().serial != FOUND["have"]["serial"]
    assert certificates.pem(*again.own().roots) == json.loads(order["document"])["roots"]
    assert Credential(tmp_path, "lamp-1").trying == 0


def test_only_a_broker_that_takes_the_old_one_has_refused_the_new_one(tmp_path: Path) -> None:
    credential = _credential(tmp_path)
    order = FOUND["cases"][0]["order"]
    credential.obey(order, NOW)
    for failed in (None, None, order["id"]):
        assert credential.trying > 0
        credential.trying = -credential.trying  # the new one was tried; the old one is next, and is taken
        assert credential.taken(credential.trying, 100.0) == failed
    assert credential.trying == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lamp-1.pem", ROOTS]


async def test_it_is_renewed_at_a_real_broker_and_goes_back_where_that_refuses(open_folder: Path) -> None:
    place = Place(open_folder)
    folder = open_folder / "identities"
    folder.mkdir()
    (folder / ROOTS).write_text(place.roots)
    key = certificates.new_key()
    old = certificates.issue_device(place.by, key.public_key(), "lamp-1", now() - AGE)
    shutil.copy(place.device("lamp-1", old, key), folder / "lamp-1.pem")
    async with contextlib.AsyncExitStack() as stack:
        broker = stack.enter_context(Broker(open_folder / "broker", tls=place.tls(), credentials={"slot_0": "three"}))
        platform = await asyncio.to_thread(Platform, broker)
        stack.callback(platform.end)
        town, by = Town(place, broker, platform), authority.ensure(place.folder, now())
        credential = Credential(folder, "lamp-1")
        device = SimulatedDevice(
            Device(name="lamp-1", municipality="brno", installed=()),
            Ring(1, Random(1)),
            # By TLS 1.3 it learns of a refusal by no answer alone.
            Link(
                host="localhost",
                port=broker.port,
                connect_spread_s=0,
                answer_timeout_s=1,
                backoff_first_s=0.1,
                backoff_longest_s=0.2,
            ),
            Random(2),
            tls=contexts(folder, ["lamp-1"])["lamp-1"],
            credential=credential,
        )
        running = asyncio.create_task(device.run())
        try:
            serial = certificates.serial_text(old)
            await until(lambda: town.connected_by("lamp-1") == serial, "it is there", WAIT_S)
            platform.order("lamp-1", "command", {"id": "c", "do": "renew"})
            await until(lambda: town.results("lamp-1"), "its certificate", WAIT_S)
            (shown,) = town.results("lamp-1")
            assert base64.b64decode(shown["certificate"]) == old.public_bytes(certificates.serialization.Encoding.DER)
            refused = certificates.issue_device(place.by, key.public_key(), "lamp-1", now())
            await asyncio.to_thread(town.refuse, refused)
            platform.order("lamp-1", "command", renewing.order(by.authority, "lamp-1", refused, by.roots, "r"))
            for sessions in (2, 3, 4):
                await until(lambda: device.sessions == sessions and device.connected, f"session {sessions}", WAIT_S)  # noqa: B023
                if sessions < 4:
                    assert credential.rest_until_s > asyncio.get_running_loop().time() + REST_S - WAIT_S
                    credential.rest_until_s = 0.0
                    device.record({"power_w": 1}, int(now().timestamp() * 1000))
            said = [{"id": "r", "ok": True}, {"id": "r", "ok": False, "error": "refused"}]
            await until(lambda: town.results("lamp-1")[1:] == said, "it has given up", WAIT_S)
            new = certificates.serial_text(town.renew("lamp-1", key, by))
            await until(lambda: town.connected_by("lamp-1") == new, "it is connected by the new one", WAIT_S)
            assert {"online": False} not in platform.said("status", "lamp-1")
            assert credential.own().serial == new
            await asyncio.to_thread(town.refuse, old)
            device.cut()
            sessions = device.sessions
            await until(lambda: device.sessions > sessions, "it comes back by the new one", WAIT_S)
        finally:
            device.stop()
            await running
