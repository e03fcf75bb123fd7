"""A board whose clock or whose answer for the time is of another age: nobody is dialled, readings carry the uptime."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulators.firmware.device import Address, enrol
from simulators.firmware.host import Host, Options
from stack.bench.firmware_lives import device

START_MS = 1_795_213_800_000
MINUTE_MS = 60_000
YEAR_MS = 31_556_952_000
AGES = {"1970": 0, "2000": 30 * YEAR_MS, "2025": 55 * YEAR_MS, "2150": 180 * YEAR_MS}
CLOCKS = """
import _host
from board.clock import Clock
for kept in %r:
    _host.rtc_set(str(kept))
    print(Clock().utc_ms())
"""
COUNTED = """
import asyncio, _host
dial = asyncio.open_connection
def counted(*to, **how):
    _host.told("dialled", to[0])
    return dial(*to, **how)
asyncio.open_connection = counted
import main
main.main()
"""
LOOK = """
import json, _host
from node import app
one = app.here
waits = [json.loads(said) for _, said in one.ring.take()]
_host.told("found", json.dumps([one.clock.utc_ms(), one.link.trouble, waits]))
"""


async def test_a_clock_that_is_kept_over_a_reset_is_believed_only_where_it_can_be_right(tmp_path: Path) -> None:
    kept = [*AGES.values(), START_MS]
    host = await Host.start(Options(folder=tmp_path, script=CLOCKS % kept))
    await host.wait()
    said = [one["said"] for one in (host.told.get_nowait() for _ in range(host.told.qsize())) if "said" in one]
    assert said[:-1] == ["None"] * len(AGES)
    assert abs(int(said[-1]) - START_MS) < MINUTE_MS


async def lived(
    folder: Path, kept: int | None, answered: int
) -> tuple[list[str], tuple[int | None, str, list[Any]], list[Any]]:
    """Whom a lamp dialled within ten minutes; its time, its trouble and what it may send then; what it sent."""
    lamp = device("lamp")
    (folder / "roots.pem").write_text("roots")
    (folder / f"{lamp.name}.pem").write_text("key\n-----END PRIVATE KEY-----\ncertificate\n")
    enrol(folder / "own", lamp, lamp.installed[0].asset, folder, Address("localhost", 1))
    host = await Host.start(
        Options(
            folder=folder / "own",
            kind="lamp",
            script=COUNTED,
            rtc_ms=kept,
            offset_ms=answered - START_MS,
            virtual=(START_MS, START_MS + 10 * MINUTE_MS),
            peer={"silent": True},
            at_end=LOOK,
        )
    )
    await host.wait()
    told = [host.told.get_nowait() for _ in range(host.told.qsize())]
    found = next(json.loads(one["found"]) for one in told if "found" in one)
    sent = [one["payload"] for one in told if str(one.get("topic", "")).endswith("/telemetry")]
    return [one["dialled"] for one in told if "dialled" in one], found, sent


@pytest.mark.parametrize(
    ("kept", "answered"), [(None, "1970"), ("1970", "2150"), ("2150", "1970")], ids=["neither", "both", "ahead"]
)
async def test_of_another_age_no_time_is_known_nobody_is_dialled_and_readings_carry_the_uptime(
    tmp_path: Path, kept: str | None, answered: str
) -> None:
    dialled, (utc_ms, trouble, readings), sent = await lived(
        tmp_path, None if kept is None else AGES[kept], AGES[answered]
    )
    assert (dialled, utc_ms, sent) == ([], None, [])
    assert "the time is not known" in trouble
    assert [one["uptime_ms"] for one in readings] == [0, 5 * MINUTE_MS, 10 * MINUTE_MS]
    assert not [one for one in readings if "ts" in one]


async def test_a_right_answer_mends_a_clock_of_another_age(tmp_path: Path) -> None:
    dialled, (utc_ms, _, _), sent = await lived(tmp_path, AGES["2150"], START_MS)
    assert dialled == ["localhost"]
    assert utc_ms is not None
    assert abs(utc_ms - START_MS - 10 * MINUTE_MS) < 1000
    assert sent[0]["uptime_ms"] == 0
    assert abs(sent[-1]["ts"] - START_MS - 10 * MINUTE_MS) < 1000
