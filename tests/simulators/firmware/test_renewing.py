"""The unmodified firmware gets its next certificate over its own session, and joins a real broker by it."""

import asyncio
import contextlib
import json
import shutil
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from kraj import certificates, renewing
from simulators.asset import Asset
from simulators.firmware import device as devices
from simulators.firmware.device import NVS, Address, FirmwareDevice, enrol
from simulators.identity import ROOTS
from simulators.region import Device, Installed
from stack import authority
from stack.broker import Broker
from tests.firmware.link_rig import Platform
from tests.simulators.firmware.rig import until
from tests.simulators.renewing_rig import Town
from tests.stack.mutual import Place, now

AGE = timedelta(days=500)
WAIT_S = 40
SOON = "from node import link; link.FIRST_MS = link.LONGEST_MS = 200"
"""Pauses between connections that grow to minutes, and are not what is asked about."""


class Lamp:
    """One that was enrolled long ago, the key that it has, and what becomes of its secrets."""

    def __init__(self, place: Place, folder: Path, name: str, port: int) -> None:
        self.name, self.key = name, certificates.new_key()
        self.old = certificates.issue_device(place.by, self.key.public_key(), name, now() - AGE)
        identities = folder / "identities"
        identities.mkdir(exist_ok=True)
        (identities / ROOTS).write_text(place.roots)
        shutil.copy(place.device(name, self.old, self.key), identities / f"{name}.pem")
        asset = Asset(kind="lamp", municipality="brno", label="1", latitude=49.5, longitude=15.5, metadata={})
        device = Device(name=name, municipality="brno", installed=(Installed(asset=asset),))
        self.folder = folder / name
        enrol(self.folder, device, asset, identities, Address("localhost", port))
        self.device = FirmwareDevice(device, self.folder, Random(name), spread_s=0)
        self.device.feed({"power_full_w": 40, "voltage_v": 230, "energy_wh": 70_000, "illuminance_lx": 5})

    def secrets(self) -> dict[str, str]:
        """What is in its store, by name, as text."""
        kept = json.loads((self.folder / NVS).read_text())
        return {name.removeprefix("kraj/"): bytes.fromhex(value[1:]).decode() for name, value in kept.items()}

    def serial(self) -> str:
        return certificates.serial_text(certificates.read_certificate(self.secrets()["cert"].encode()))

    def do(self, code: str) -> None:
        host = self.device._host  # pyright: ignore[reportPrivateUsage]
        assert host is not None
        host.order("python", code=code)


async def test_a_device_is_renewed_goes_back_where_the_broker_refuses_and_follows_a_rotation(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "STATUS_S", 0.2)
    place = Place(open_folder)
    async with contextlib.AsyncExitStack() as stack:
        broker = stack.enter_context(Broker(open_folder / "broker", tls=place.tls(), credentials={"slot_0": "three"}))
        platform = await asyncio.to_thread(Platform, broker)
        stack.callback(platform.end)
        town = Town(place, broker, platform)
        good, refused = (Lamp(place, open_folder, f"lamp-{name}", broker.port) for name in ("good", "refused"))
        lamps = (good, refused)
        running = [asyncio.create_task(lamp.device.run()) for lamp in lamps]
        keeping = asyncio.create_task(_keep(broker))
        try:
            for lamp in lamps:
                old = certificates.serial_text(lamp.old)
                await until(lambda: town.connected_by(lamp.name) == old, f"{lamp.name} is there", WAIT_S)  # noqa: B023
                lamp.do(SOON)
            by = authority.ensure(place.folder, now())

            wrong = town.renew(good.name, certificates.new_key(), by)
            await until(lambda: town.results(good.name), "an answer", WAIT_S)
            said = {"id": certificates.serial_text(wrong), "ok": False, "error": "key"}
            assert town.results(good.name) == [said]
            await until(lambda: good.device.sessions == 1, "it is still in its first session", WAIT_S)
            new = town.renew(good.name, good.key, by)
            serial = certificates.serial_text(new)
            await until(lambda: town.connected_by(good.name) == serial, "it is connected by the new one", WAIT_S)
            assert town.results(good.name)[1:] == [{"id": serial, "ok": True}]
            assert good.serial() == serial
            assert "renewal" not in good.secrets()
            # The same start: nothing was reset, and nobody was told that it was gone.
            assert [one.get("boot", 0) for one in platform.said("status", good.name)] == [1, 1]
            # The broker takes the old one no more: who comes back now comes by the new one.
            await asyncio.to_thread(town.refuse, good.old)
            good.device.restart()
            await until(lambda: _boot(town, good) == 2, "it is back after a loss of power", WAIT_S)
            assert town.connected_by(good.name) == serial

            # One that the broker does not take: it goes back, three times, and then says so.
            other = certificates.issue_device(by.authority, refused.key.public_key(), refused.name, now())
            await asyncio.to_thread(town.refuse, other)
            order = renewing.order(by.authority, refused.name, other, by.roots, "r")
            platform.order(refused.name, "command", order)
            await until(lambda: len(platform.said("status", refused.name)) >= 2, "it is back by the old one", WAIT_S)
            assert "renewal" in refused.secrets()
            for sessions in (3, 4):
                refused.do("from node import app; app.here.link.rest_until = 0; app.here.link.wake()")
                await until(
                    lambda: len(platform.said("status", refused.name)) >= sessions,  # noqa: B023
                    f"session {sessions}",
                    WAIT_S,
                )
            await until(lambda: len(town.results(refused.name)) == 2, "it has given up", WAIT_S)
            assert len(platform.said("status", refused.name)) >= 4, "not before the third time"
            assert town.results(refused.name) == [{"id": "r", "ok": True}, {"id": "r", "ok": False, "error": "refused"}]
            assert town.connected_by(refused.name) == refused.serial() == certificates.serial_text(refused.old)
            assert "renewal" not in refused.secrets()

            # The authority changes over: what issues now and the roots of now come with the certificate.
            by = authority.rotate(place.folder, place.folder / authority.OFFLINE, now())
            await asyncio.to_thread(town.present)
            last = certificates.serial_text(town.renew(refused.name, refused.key, by))
            await until(lambda: town.connected_by(refused.name) == last, "it has one of the new authority", WAIT_S)
            assert refused.secrets()["roots"] == certificates.pem(*by.roots)
            authority.drop(place.folder, 1)
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(town.present)
            await asyncio.to_thread(broker.start)  # by now it trusts the new authority alone
            refused.device.restart()
            await until(lambda: _boot(town, refused) == 2, "it is back without the old authority", WAIT_S)
            assert town.connected_by(refused.name) == last
        finally:
            for lamp in lamps:
                lamp.device.stop()
            await asyncio.gather(*running)
            keeping.cancel()


async def _keep(broker: Broker) -> None:
    """As the supervisor does: mosquitto 2.0.11 dies at times of a certificate that it refuses."""
    while True:
        await asyncio.sleep(0.1)
        if broker.process is not None and broker.process.poll() not in {None, 0}:
            await asyncio.to_thread(broker.start)


def _boot(town: Town, lamp: Lamp) -> int:
    return max(one.get("boot", 0) for one in town.platform.said("status", lamp.name))
