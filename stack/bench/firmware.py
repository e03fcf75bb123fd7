"""``kraj bench firmware``: the devices' own firmware under the real MicroPython: memory, speed, losses, updates.

The broker is real and reached by mutual TLS; a virtual day has a peer within the process, as time leaps there.

Heap is the most that lives after a collection, without what was there before the firmware: the interpreter, asyncio,
and the fakes of what a board has in C (machine, network, esp32, ssl, socket, time). ``heap_kb_max`` is that of bytecode
in RAM, as from a slot: what a device of today has. ``heap_in_place_kb_max`` is that of bytecode which runs where it
lies, as in an image that froze it or maps it from flash; here from a ROM file system. A board has TLS in C, beside it.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kraj import certificates
from kraj.dimming import read
from kraj.errors import UnavailableError
from rules.dimming import desired
from simulators.asset import Asset
from simulators.firmware.device import Address, enrol
from simulators.firmware.host import Host, Options, partitions
from simulators.firmware.wiring import PARTS
from simulators.identity import ROOTS
from simulators.region import Device, Installed
from stack import authority
from stack.bench import firmware_losses
from stack.broker import LOOPBACK, Broker, Tls
from stack.firmware import trials
from stack.firmware.building import ROOT, compile_all, sources

TOWN = "obec"
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START_MS = 1_795_213_800_000
SERVICE, PASSWORD = "slot_0", "bench"
MESSAGES = 300
MUST_BE_NONE = ("acknowledged_lost", "altered", "numbers_used_twice", "bad_updates_accepted", "brick_states")
SEEN: dict[str, dict[str, object]] = {
    "lamp": {"power_full_w": 40, "voltage_v": 230.4, "energy_wh": 120_000, "illuminance_lx": 5, "tilt_deg": 1.0},
    "cabinet": {
        **{f"l{n}_{what}": value for n in (1, 2, 3) for what, value in (("voltage_v", 231.0), ("power_w", 1200.0))},
        "energy_wh": 9_000_000, "breaker_closed": 1, "door_open": 0, "leakage_ma": 3.0, "illuminance_lx": 5,
        "cabinet_temp_degc": 12.0,
    },
    "stop": {
        "battery_voltage_v": 13.2, "battery_current_a": -0.4, "pv_voltage_v": 0.5, "pv_power_w": 0, "load_power_w": 6,
        "charger_state": 0, "air_temp_degc": 4.0, "air_humidity_pct": 80.0, "usb1_current_a": 0.5,
        **{f"load_{rail}_power_w": 1.5 for rail in ("usb", "network", "display", "light", "sos")},
    },
    "solar": {
        "power_w": 4200, "dc_power_w": 4300, "energy_wh": 20_000_000, "state": 3, "frequency_hz": 50.0,
        "l1_voltage_v": 231.0, "l2_voltage_v": 230.0, "l3_voltage_v": 232.0, "string1_current_a": 7.1,
        "string1_voltage_v": 320.0, "string2_current_a": 7.0, "string2_voltage_v": 318.0, "isolation_ohm": 900_000,
    },
}  # fmt: skip
PUBLISH = f"""
import asyncio, json, time
from board.device import Board
from node import mqtt
async def live():
    board = Board()
    await board.network()
    await board.ask_time()
    here = json.loads(board.secret("settings"))
    reader, writer = await board.dial(here["host"], here["port"])
    client = mqtt.Client(reader, writer, board.clock, lambda *_: None)
    topic = "kraj/" + here["municipality"] + "/" + here["device"]
    await client.connect(topic.split("/")[2], (topic + "/status", b"{{}}", 5), 60)
    listening = asyncio.create_task(client.listen())
    began = time.ticks_ms()
    for number in range({MESSAGES} - 1):
        await client.publish(topic + "/telemetry", b"x" * 300)
    await client.publish(topic + "/telemetry", b"x" * 300, wait=True)
    _host.told("spent_ms", time.ticks_diff(time.ticks_ms(), began))
    await client.close()
import _host
asyncio.run(live())
"""


def run(faults: int, updates: int, say: Callable[[str], None], seed: int = 1) -> dict[str, Any]:
    """Measure, and give what ``kraj bench firmware --json`` prints."""
    folder = Path(tempfile.mkdtemp(prefix="kraj-bench-"))
    folder.chmod(0o755)
    try:
        return asyncio.run(_run(folder, faults, updates, say, seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(folder: Path, faults: int, updates: int, say: Callable[[str], None], seed: int) -> dict[str, Any]:
    code = await asyncio.to_thread(compile_all, {str(path.with_suffix(".mpy")): ROOT / path for path in sources()})
    image_kb = sum(map(len, code.values())) / 1024
    compiled = _written(folder / "code", code)
    say(f"{len(code)} files are {image_kb:.1f} KB of bytecode")
    identities, broker = _broker(folder)
    with broker:
        broker_at = Address("localhost", broker.port)
        rom = folder / "rom.bin"
        rom.write_bytes(rom_image(code))
        day_s, heap_kb, in_place_kb = 0.0, 0.0, 0.0
        for kind in PARTS:
            own = folder / kind
            enrol(own, device(kind), device(kind).installed[0].asset, identities, broker_at)
            hours = 24 if kind == "lamp" else 2
            ended = await virtual(own, kind, hours, compiled)
            heap_kb = max(heap_kb, ended["heap_kb"])
            there = await virtual(own, kind, 2, compiled, rom)
            in_place_kb = max(in_place_kb, there["heap_kb"])
            heaps = f"{ended['heap_kb']:.1f} KB live with its bytecode in RAM, {there['heap_kb']:.1f} KB in place"
            say(f"{kind}: {hours} h in {ended['wall_ms'] / 1000:.1f} s, {heaps}")
            day_s = ended["wall_ms"] / 1000 if kind == "lamp" else day_s
        spent_s = await _publish(folder / "lamp", compiled)
        say(f"{MESSAGES} messages with QoS 1 over mutual TLS in {spent_s:.2f} s")
        platform = firmware_losses.Platform(broker, SERVICE, PASSWORD)
        losses = await firmware_losses.run(folder / "lamp", broker, platform, faults, seed, say)
    said = await asyncio.to_thread(trials.measure, updates, seed)
    return {
        "heap_kb_max": round(heap_kb, 1),
        "heap_in_place_kb_max": round(in_place_kb, 1),
        "image_kb": round(image_kb, 1),
        "publish_300_s": round(spent_s, 2),
        "virtual_day_s": round(day_s, 2),
        **losses,
        **said,
    }


def rom_image(files: dict[str, bytes]) -> bytes:
    """A ROM file system as MicroPython reads it, with files by their paths."""
    inside = _rom_records([(name.split("/"), content) for name, content in files.items()])
    return b"\xd2\xcd\x31" + _rom_number(len(inside)) + inside


_ROM_DATA, _ROM_FOLDER, _ROM_FILE = 2, 4, 5


def _rom_records(files: list[tuple[list[str], bytes]]) -> bytes:
    out = b""
    for name in dict.fromkeys(path[0] for path, _ in files):
        below = [(path[1:], content) for path, content in files if path[0] == name]
        named = _rom_number(len(name)) + name.encode()
        if below[0][0]:
            out += _rom_record(_ROM_FOLDER, named + _rom_records(below))
        else:
            out += _rom_record(_ROM_FILE, named + _rom_record(_ROM_DATA, below[0][1]))
    return out


def _rom_record(kind: int, payload: bytes) -> bytes:
    return bytes((kind,)) + _rom_number(len(payload)) + payload


def _rom_number(n: int) -> bytes:
    out = bytes((n & 127,))
    while n := n >> 7:
        out = bytes((n & 127 | 128,)) + out
    return out


def device(kind: str) -> Device:
    """One of a kind, with one asset."""
    asset = Asset(kind=kind, municipality=TOWN, label="1", latitude=49.5, longitude=15.5, metadata={"street": "Lipová"})
    return Device(name=f"{kind}-bench", municipality=TOWN, installed=(Installed(asset=asset),))


async def virtual(folder: Path, kind: str, hours: int, firmware: Path, rom: Path | None = None) -> dict[str, Any]:
    """The last words of a device that lived through so many hours with its program and an hour without a platform."""
    start = datetime.fromtimestamp(START_MS / 1000, UTC).date()
    program = desired(read({"plans": [{"steps": [{"at": "22:00", "level_pct": 50}]}]}), 20, 49.5, 15.5, start)
    told = {f"kraj/{TOWN}/{kind}-bench/desired": json.dumps({"version": 1, "programs": {"0": program}})}
    host = await Host.start(
        Options(
            folder=folder,
            kind=kind,
            firmware=firmware,
            rom=rom,
            values=SEEN[kind],
            virtual=(START_MS, START_MS + hours * HOUR_MS),
            peer={
                "quiet": True,
                "outages": [[START_MS + HOUR_MS // 4, START_MS + 5 * HOUR_MS // 4]],
                "retained": told if kind in ("lamp", "cabinet") else {},
            },
        )
    )
    ended = await host.wait()
    if ended.get("ended") != "virtual":
        raise UnavailableError(f"a {kind} did not live through {hours} h: {ended} {_said(host)}")
    return ended


async def _publish(folder: Path, firmware: Path) -> float:
    host = await Host.start(Options(folder=folder, firmware=firmware, script=PUBLISH))
    await host.wait()
    told = _said(host)
    found = [one["spent_ms"] for one in told if "spent_ms" in one]
    if not found:
        raise UnavailableError(f"the firmware did not publish: {told}")
    return found[0] / 1000


def _said(host: Host) -> list[dict[str, Any]]:
    return [host.told.get_nowait() for _ in range(host.told.qsize())]


def _written(folder: Path, code: dict[str, bytes]) -> Path:
    """The bytecode as files, with the table of partitions that a simulated flash is made by."""
    for name, content in code.items():
        file = (folder / name).with_suffix(".mpy")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    shutil.copy(ROOT / "partitions.csv", folder)
    partitions(folder)
    return folder


def _broker(folder: Path) -> tuple[Path, Broker]:
    """A broker under mutual TLS, and a folder with certificates of the devices."""
    now = datetime.now(UTC)
    by = authority.ensure(folder / "authority", now)
    own = authority.server(folder / "authority", ["localhost", LOOPBACK], now)
    tls = Tls(
        own.key.read_text(),
        own.certificate.read_text(),
        authority.trusted(folder / "authority"),
        authority.revocation_lists(folder / "authority", [], "", now),
    )
    identities = folder / "identities"
    identities.mkdir()
    (identities / ROOTS).write_text(certificates.pem(*by.roots))
    for kind in PARTS:
        name, key = f"{kind}-bench", certificates.new_key()
        issued = certificates.issue_device(by.authority, key.public_key(), name, now)
        chain = certificates.key_pem(key) + certificates.pem(issued, by.authority.certificate)
        (identities / f"{name}.pem").write_text(chain)
    return identities, Broker(folder / "broker", credentials={SERVICE: PASSWORD}, tls=tls)
