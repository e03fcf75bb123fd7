"""Brokers that are not the device's: the unmodified firmware tells them nothing, keeps all, and joins the right one."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from kraj import certificates
from simulators.asset import Asset
from simulators.firmware import device as devices
from simulators.firmware.device import Address, FirmwareDevice, enrol
from simulators.identity import ROOTS
from simulators.region import Device, Installed
from stack.broker import Broker, Tls
from tests.firmware.link_rig import Platform
from tests.simulators.firmware.rig import until
from tests.stack.mutual import Place, now

SAID = {
    "name": "ERR_TLS_CERT_ALTNAME_INVALID",
    "authority": "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    "expired": "CERT_HAS_EXPIRED",
    "own": "Error",
}
"""By what is wrong with the broker what the device says of it; that its own certificate has expired the broker tells,
which may have hung up before that is read."""
SERVICE = {"slot_0": "three"}


class Switch:
    """A port behind which another server can be put."""

    def __init__(self) -> None:
        self.to = self.port = self.dialled = 0

    @contextlib.asynccontextmanager
    async def open(self, to: int) -> AsyncGenerator["Switch"]:
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.to, self.port = to, server.sockets[0].getsockname()[1]
        yield self
        server.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        with contextlib.suppress(OSError):
            await asyncio.gather(_pass(reader, back), _pass(there, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def _expired(place: Place) -> Tls:
    key, past, tls = certificates.new_key(), now() - certificates.SERVICE_LIFE - timedelta(hours=2), place.tls()
    ended = certificates.issue_server(place.by, key.public_key(), ["localhost"], past)
    chain = certificates.pem(ended, place.by.certificate)
    return Tls(certificates.key_pem(key), chain, tls.trusted, tls.revoked)


def _lamp(name: str) -> Device:
    asset = Asset(kind="lamp", municipality="brno", label="1", latitude=49.5, longitude=15.5, metadata={})
    return Device(name=f"lamp-{name}", municipality="brno", installed=(Installed(asset=asset),))


async def test_of_a_stranger_a_device_says_why_keeps_its_readings_and_joins_the_right_broker(
    open_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "STATUS_S", 0.2)
    place, theirs = Place(open_folder), Place(tmp_path)
    wrong: Mapping[str, Tls] = {
        "name": place.tls(["broker.example"]),
        "authority": theirs.tls(),
        "expired": _expired(place),
    }
    identities = open_folder / "identities"
    identities.mkdir()
    (identities / ROOTS).write_text(place.roots)
    key, past = certificates.new_key(), now() - certificates.DEVICE_LIFE - timedelta(hours=2)
    ended = certificates.issue_device(place.by, key.public_key(), "lamp-own", past)
    for name in wrong:
        shutil.copy(place.device(f"lamp-{name}"), identities / f"lamp-{name}.pem")
    shutil.copy(place.device("lamp-own", ended, key), identities / "lamp-own.pem")
    async with contextlib.AsyncExitStack() as stack:
        right = stack.enter_context(Broker(open_folder / "right", tls=place.tls(), credentials=SERVICE))
        platform = await asyncio.to_thread(Platform, right)
        stack.callback(platform.end)
        strangers: list[Platform] = []
        switches: dict[str, Switch] = {}
        lamps: dict[str, FirmwareDevice] = {}
        for name in SAID:
            port = right.port
            if name in wrong:
                broker = stack.enter_context(Broker(open_folder / name, tls=wrong[name], credentials=SERVICE))
                strangers.append(await asyncio.to_thread(Platform, broker))
                stack.callback(strangers[-1].end)
                port = broker.port
            switches[name] = await stack.enter_async_context(Switch().open(port))
            device = _lamp(name)
            own = open_folder / device.name
            enrol(own, device, device.installed[0].asset, identities, Address("localhost", switches[name].port))
            lamps[name] = FirmwareDevice(device, own, Random(name), spread_s=0)
            lamps[name].feed({"power_full_w": 40, "voltage_v": 230, "energy_wh": 70_000, "illuminance_lx": 5})

        async def joins(name: str, lamp: FirmwareDevice) -> None:
            switch = switches[name]
            await until(lambda: SAID[name] in _trouble(lamp), f"{name} is told", 30)
            await until(lambda: switch.dialled >= 2, f"{name} is tried again", 30)
            assert lamp.sessions == 0
            assert lamp.ring.pending
            assert not platform.readings(f"lamp-{name}")
            if name == "own":
                shutil.copy(place.device("lamp-own"), identities / "lamp-own.pem")
                own, at = open_folder / lamp.device.name, Address("localhost", switch.port)
                enrol(own, lamp.device, lamp.device.installed[0].asset, identities, at)
                lamp.restart()
            switch.to = right.port
            await until(lambda: (1, 1) in _numbers(platform, name), f"{name} has sent its first", 30)

        running = [asyncio.create_task(lamp.run()) for lamp in lamps.values()]
        try:
            await asyncio.gather(*(joins(name, lamp) for name, lamp in lamps.items()))
            assert not [said for one in strangers for said in one.heard]
        finally:
            for lamp in lamps.values():
                lamp.stop()
            await asyncio.gather(*running)


def _trouble(lamp: FirmwareDevice) -> str:
    return str(lamp.state.get("trouble", ""))


def _numbers(platform: Platform, name: str) -> set[tuple[int, int]]:
    """By boot and number the readings that a lamp has sent."""
    return {(one["boot"], one["seq"]) for one in platform.readings(f"lamp-{name}")}
