"""``kraj bench firmware``: the devices' own firmware under the real MicroPython: memory, speed, losses, updates.

The broker is real and reached by mutual TLS; a virtual day has a peer within the process, as time leaps there.

Memory is measured in ``firmware_lives``: ``heap_kb_max`` is the most over all kinds and scenarios with an image of our
own, on which bytecode runs in place; ``heap_ram_kb_max`` is the same where the interpreter maps no flash.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kraj import certificates
from kraj.errors import UnavailableError
from simulators.firmware.device import Address, enrol
from simulators.firmware.host import Host, Options, partitions
from simulators.firmware.wiring import PARTS
from simulators.identity import ROOTS
from stack import authority
from stack.bench import firmware_lives, firmware_losses, firmware_trials
from stack.broker import LOOPBACK, Broker, Tls
from stack.firmware.building import ROOT, compile_all, sources

SERVICE, PASSWORD = "slot_0", "bench"
MESSAGES = 300
MUST_BE_NONE = (
    "acknowledged_lost",
    "altered",
    "numbers_used_twice",
    "bad_updates_accepted",
    "brick_states",
    "ring_lost",
)
RING_CUTS = ROOT.parent / "tests/firmware/ring_cuts.py"
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
        releases = firmware_lives.Releases.of(folder / "flashed", code)
        day_s, heaps_kb, heaps_ram_kb = 0.0, list[float](), list[float]()
        for kind in PARTS:
            placed = await firmware_lives.live(folder / kind, kind, identities, broker_at, releases)
            read = await firmware_lives.live(
                folder / f"{kind}-ram", kind, identities, broker_at, releases, mapped=False
            )
            heaps_kb += placed.heaps_kb.values()
            heaps_ram_kb += read.heaps_kb.values()
            day_s = placed.day_s or day_s
            say(f"{kind}: {placed}; bytecode in memory: {read}")
        lamp = firmware_lives.device("lamp")
        enrol(folder / "real", lamp, lamp.installed[0].asset, identities, broker_at)
        spent_s = await _publish(folder / "real", compiled)
        say(f"{MESSAGES} messages with QoS 1 over mutual TLS in {spent_s:.2f} s")
        platform = firmware_losses.Platform(broker, SERVICE, PASSWORD)
        losses = await firmware_losses.run(folder / "real", broker, platform, faults, seed, say)
    updates_said = await asyncio.to_thread(firmware_trials.measure, updates, seed)
    cuts = await asyncio.to_thread(ring_cuts)
    say(f"the ring, cut at each byte of each write: {cuts}")
    return told((heaps_kb, heaps_ram_kb), image_kb, spent_s, day_s, losses | updates_said | cuts)


def told(
    heaps_kb: tuple[Sequence[float], Sequence[float]],
    image_kb: float,
    spent_s: float,
    day_s: float,
    counts: Mapping[str, int],
) -> dict[str, Any]:
    """What ``kraj bench firmware --json`` prints; ``heaps_kb`` with bytecode in place, and in memory.

    Raises ``KeyError`` where one of ``MUST_BE_NONE`` was not counted.
    """
    placed, read = heaps_kb
    return {
        "heap_kb_max": round(max(placed), 1),
        "heap_ram_kb_max": round(max(read), 1),
        "image_kb": round(image_kb, 1),
        "publish_300_s": round(spent_s, 2),
        "virtual_day_s": round(day_s, 2),
        **{name: counts[name] for name in MUST_BE_NONE},
        **counts,
    }


def ring_cuts(every: int = 1) -> dict[str, int]:
    """``ring_cuts`` and ``ring_lost``: a ring cut at each ``every``-th byte of each write, in a process of its own."""
    done = subprocess.run([sys.executable, RING_CUTS, str(every)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"the firmware's ring cannot be cut:\n{done.stderr}")
    return json.loads(done.stdout)


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
