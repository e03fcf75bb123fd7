"""The board that firmware finds on this computer behaves as a board: its wires, its flash, its clock, its power."""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from kraj.errors import ConfigurationError
from simulators.firmware import host as hosts
from simulators.firmware.host import Host, Options
from stack.broker import Broker
from tests.stack.mutual import Place

DAY_MS = 86_400_000
START_MS = 1_795_213_299_000
CONNECT = r"b'\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00'"


async def run(folder: Path, script: str, **options: Any) -> tuple[list[str], dict[str, Any]]:
    """What a script prints, and the last words of its process."""
    host = await Host.start(Options(folder=folder, script=script, **options))
    ended = await asyncio.wait_for(host.wait(), 60)
    told = [host.told.get_nowait() for _ in range(host.told.qsize())]
    assert not [one for one in told if "failed" in one]
    return [one["said"] for one in told if "said" in one], ended


@pytest.fixture(scope="module")
def place() -> Generator[tuple[Place, Broker]]:
    folder = Path(tempfile.mkdtemp(prefix="kraj-"))  # reachable for mosquitto's own account, unlike tmp_path
    folder.chmod(0o755)
    made = Place(folder)
    with Broker(folder / "broker", tls=made.tls()) as broker:
        yield made, broker
    shutil.rmtree(folder)


async def test_a_device_is_let_in_by_mutual_tls_and_lets_nobody_else_be_the_broker(
    place: tuple[Place, Broker], tmp_path: Path
) -> None:
    made, broker = place
    own = made.device("lamp-a1").read_text()
    split = own.index("-----BEGIN CERTIFICATE")
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    roots = {"ours": made.roots, "theirs": Place(stranger).roots}
    script = f"""
import ssl
async def attempt(name, roots, own):
    context = None
    if roots:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=roots)
        if own:
            context.load_cert_chain({own[split:]!r}, {own[:split]!r})
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", {broker.port}, ssl=context, server_hostname=name)
        writer.write({CONNECT})
        await writer.drain()
        said = await reader.read(100)
        print("in" if said[:1] == b" " and said[3] == 0 else "nothing")
        writer.close()
        await writer.wait_closed()
    except OSError as error:
        print("refused", error)
async def main():
    roots = {roots!r}
    await attempt("localhost", roots["ours"], True)
    await attempt("wrong.example", roots["ours"], True)
    await attempt("localhost", roots["theirs"], True)
    await attempt("localhost", roots["ours"], False)
    await attempt("localhost", None, False)
asyncio.run(main())
"""
    said, _ = await run(tmp_path / "flash", script)
    assert said[:3] == ["in", "refused ERR_TLS_CERT_ALTNAME_INVALID", "refused UNABLE_TO_GET_ISSUER_CERT_LOCALLY"]
    assert "in" not in said[3:]
    assert len(said) == 5


async def test_flash_clears_bits_only_outlives_the_process_and_a_write_can_be_cut_off(tmp_path: Path) -> None:
    write = """
from board import flash
area = flash.areas()["ring"]
area.write(4094, b"\\x0f\\xf0\\x11")
area.write(4094, b"\\xf1\\xff")
print(area.sectors, area.read(4094, 4))
area.erase(1)
area.write(0, b"12345678")
print("never said")
"""
    said, ended = await run(tmp_path, write, cut_after=10)
    assert (said, ended["ended"]) == (["160 b'\\x01\\xf0\\x11\\xff'"], "flash")
    read = 'from board import flash; a = flash.areas()["ring"]; print(a.read(0, 6), a.read(4094, 4))'
    assert (await run(tmp_path, read))[0] == ["b'12345\\xff' b'\\x01\\xf0\\xff\\xff'"]


@pytest.mark.parametrize("mapped", [True, False])
async def test_slots_are_the_halves_of_one_partition_and_what_is_written_is_seen_where_it_is_mapped(
    tmp_path: Path, mapped: bool
) -> None:
    script = """
import vfs
from board import flash
areas = flash.areas()
end = 34 * 4096
areas["code_1"].write(4094, b"\\x0f\\xf0\\x11")
areas["code_1"].write(4094, b"\\xf1\\xff")
grown = [bytearray(100000) for _ in range(30)]  # the interpreter's memory moves
areas["code_1"].erase(33)
areas["code_0"].write(end - 2, b"12")
print(areas["code_1"].read(4094, 4), areas["code_0"].read(end - 2, 2))
view = memoryview(vfs.rom_ioctl(2, 0))
print(len(view), bytes(view[end + 4094 : end + 4098]), bytes(view[end - 2 : end + 1]))
for beyond in (
    lambda: areas["code_0"].write(end - 1, b"12"),
    lambda: areas["code_0"].erase(34),
    lambda: areas["code_1"].erase(-1),
    lambda: areas["code_0"].read(-1, 2),
):
    try:
        beyond()
        print("taken")
    except OSError:
        pass
"""
    said, _ = await run(tmp_path, script, mapped=mapped)
    seen = "278528 b'\\x01\\xf0\\x11\\xff' b'12\\xff'" if mapped else "0 b'' b''"
    assert said == ["b'\\x01\\xf0\\x11\\xff' b'12'", seen]
    kept = (tmp_path / "romfs.bin").read_bytes()
    assert len(kept) == 68 * 4096
    assert (kept[34 * 4096 - 2 :][:3], kept[35 * 4096 - 2 :][:4]) == (b"12\xff", b"\x01\xf0\x11\xff")


async def test_secrets_outlive_the_power_once_they_are_committed(tmp_path: Path) -> None:
    keep = """
import esp32
from board import secrets
secrets.Secrets().keep("key", b"\\x00secret")
esp32.NVS("kraj").set_blob("lost", b"1")
"""
    read = 'from board import secrets; s = secrets.Secrets(); print(s.get("key"), s.get("lost"))'
    await run(tmp_path, keep)
    assert (await run(tmp_path, read))[0] == ["b'\\x00secret' None"]
    assert (tmp_path / "nvs.json").stat().st_mode & 0o777 == 0o600


async def test_a_board_wakes_in_the_year_2000_and_is_told_the_time(tmp_path: Path) -> None:
    script = """
import machine, socket, time
print(time.gmtime(0)[0], time.gmtime()[0])
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.sendto(b"\\x1b" + bytes(47), ("pool.ntp.org", 123))
print(int.from_bytes(asked.recv(48)[40:44], "big") - 2208988800)
machine.RTC().datetime((2026, 11, 22, 6, 5, 30, 0, 0))
print(time.gmtime()[:5])
"""
    said, _ = await run(tmp_path, script)
    assert said[0] == "2000 2000"
    assert abs(int(said[1]) - time.time()) < 30
    assert said[2] == "(2026, 11, 22, 5, 30)"


async def test_a_day_of_ten_second_turns_passes_in_seconds(tmp_path: Path) -> None:
    script = """
import time
async def main():
    turns = 0
    while True:
        await asyncio.sleep(10)
        turns += 1
        if turns == 8639:
            print(turns, time.ticks_ms() // 1000, time.time())
asyncio.run(main())
"""
    began = time.monotonic()
    said, ended = await run(tmp_path, script, virtual=(START_MS, START_MS + DAY_MS))
    assert (said, ended["ended"]) == (["8639 86390 86390"], "virtual")
    assert time.monotonic() - began < 20


async def test_who_does_not_feed_the_watchdog_is_ended_by_it(tmp_path: Path) -> None:
    script = """
import machine
async def main():
    dog = machine.WDT(timeout=60000)
    for _ in range(20):
        await asyncio.sleep(30)
        dog.feed()
    print("hangs now")
    while True:
        await asyncio.sleep(100)
asyncio.run(main())
"""
    said, ended = await run(tmp_path, script, virtual=(START_MS, START_MS + DAY_MS))
    assert (said, ended["ended"]) == (["hangs now"], "watchdog")


async def test_inputs_interrupt_and_outputs_are_heard(tmp_path: Path) -> None:
    script = """
import machine, parts
parts.inputs[4] = lambda: parts.value("door")
parts.outputs[5] = lambda level: print("out", level)
door = machine.Pin(4, machine.Pin.IN)
door.irq(lambda pin: print("door", pin.value()), machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING)
machine.Pin(5, machine.Pin.OUT, value=1)
async def main():
    await asyncio.sleep(30)
asyncio.run(main())
"""
    host = await Host.start(Options(folder=tmp_path, script=script, values={"door": 0}))
    assert await asyncio.wait_for(host.told.get(), 30) == {"said": "out 1"}
    host.order("values", values={"door": 1})
    assert await asyncio.wait_for(host.told.get(), 30) == {"said": "door 1"}
    await host.close()
    assert host.ended["ended"] == "stop"
    assert not host.running


async def test_a_meter_answers_by_the_time_of_a_table_and_no_damaged_question(tmp_path: Path) -> None:
    script = """
import parts, sensors
meter = sensors.Modbus({1: sensors.pzem})
question = b"\\x01\\x04\\x00\\x00\\x00\\x01\\x31\\xca"
async def main():
    for asked in (question, question, question[:-1] + b"\\0", question):
        meter.write(asked)
        print(meter.poll().hex())
        await asyncio.sleep(20)
asyncio.run(main())
"""
    table: dict[str, object] = {"start_ms": START_MS, "step_ms": 30_000, "columns": {"voltage_v": [230, 231]}}
    said, _ = await run(tmp_path, script, virtual=(START_MS, START_MS + DAY_MS), table=table)
    assert said == ["01040208fcbeb1", "01040208fcbeb1", "", "01040209063f62"]


def test_without_its_tools_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hosts, "ROOT", tmp_path)
    with pytest.raises(ConfigurationError, match="make setup"):
        hosts.node()


def test_the_areas_of_flash_are_those_of_the_partition_table() -> None:
    found = hosts.partitions()
    assert found["ring"] == 160
    assert json.dumps(sorted(found)) == '["ring", "romfs", "state"]'
