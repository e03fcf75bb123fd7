"""What the firmware's benchmark counts: memory through a life, readings through losses of power and of the broker."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from simulators.firmware.device import Address, enrol
from simulators.identity import ROOTS
from stack.bench import firmware, firmware_lives, firmware_losses, firmware_trials
from stack.firmware import building


@pytest.fixture
def folder() -> Generator[Path]:
    made = Path(tempfile.mkdtemp(prefix="kraj-"))  # reachable for mosquitto's own account, unlike tmp_path
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


# paho leaves the Unix socket of a broker that was killed for the collector to close.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_no_reading_is_lost_altered_or_numbered_twice_over_power_cuts_and_broker_kills(folder: Path) -> None:
    identities, broker = firmware._broker(folder)  # pyright: ignore[reportPrivateUsage]
    lamp = firmware_lives.device("lamp")
    said: list[str] = []
    with broker:
        at = Address("localhost", broker.port)
        enrol(folder / "lamp", lamp, lamp.installed[0].asset, identities, at)
        platform = firmware_losses.Platform(broker, firmware.SERVICE, firmware.PASSWORD)
        found = await asyncio.wait_for(firmware_losses.run(folder / "lamp", broker, platform, 5, 3, said.append), 120)
    assert found["faults"] == 5
    assert found["readings"] > 50
    assert found["acknowledged_lost"] == found["altered"] == found["numbers_used_twice"] == 0


async def test_a_device_takes_sixty_kilobytes_at_most_while_it_measures_waits_is_updated_and_is_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place, through the real loader; that each scenario was one is what ``live`` itself looks at."""
    monkeypatch.setattr(firmware_lives, "HOURS", {})  # two, not the lamp's whole day
    code = building.compile_all({str(path.with_suffix(".mpy")): building.ROOT / path for path in building.sources()})
    releases = firmware_lives.Releases.of(tmp_path / "flashed", code)
    (tmp_path / ROOTS).write_text("roots")
    (tmp_path / "lamp-bench.pem").write_text("key\n-----END PRIVATE KEY-----\ncertificate\n")
    life = await firmware_lives.live(tmp_path / "own", "lamp", tmp_path, Address("localhost", 1), releases)
    assert len(life.heaps_kb) == 5
    assert 20 < min(life.heaps_kb.values()) < max(life.heaps_kb.values()) <= 60, str(life)


async def test_a_platform_that_stores_nothing_is_found_out() -> None:
    """The count above can fail: readings that were kept and never stored are lost."""
    kept, stored = {(1, 1): 5, (1, 2): 6, (1, 3): 7}, {(1, 1): {5}, (1, 3): {7, 8}}
    assert firmware_losses.compared(kept, stored) == {"acknowledged_lost": 1, "altered": 1, "reused": 0}
    assert firmware_losses.compared({}, {(1, 1): {5}, (2, 1): {5}})["reused"] == 1


def test_every_figure_that_is_promised_is_told_and_each_count_was_made() -> None:
    losses = firmware_losses.told(2, {(1, 1): 5}, [], {(1, 1): {5}})
    updates, cuts = firmware_trials.measure(5, stride=400), firmware.ring_cuts(150)
    counts = losses | updates | cuts
    told = json.loads(json.dumps(firmware.told(([51.04, 58.96], [119.0]), 81.25, 0.128, 2.911, counts)))
    sizes = {"heap_kb_max": 59.0, "heap_ram_kb_max": 119.0, "image_kb": 81.2}
    assert {name: told[name] for name in sizes} == sizes
    assert (told["publish_300_s"], told["virtual_day_s"]) == (0.13, 2.91)
    none = ("acknowledged_lost", "bad_updates_accepted", "brick_states", "ring_lost", "altered", "numbers_used_twice")
    assert {name: told[name] for name in none} == dict.fromkeys(none, 0)
    assert {*none} == {*firmware.MUST_BE_NONE}
    assert min(told[name] for name in ("faults", "readings", "bad_updates", "cuts", "ring_cuts")) > 0
    with pytest.raises(KeyError, match="brick_states"):
        firmware.told(([1.0], [1.0]), 1.0, 1.0, 1.0, losses | cuts | {"bad_updates_accepted": 0})
