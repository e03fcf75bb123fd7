"""What the firmware's benchmark counts: readings through losses of power and kills of the broker."""

import asyncio
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from simulators.firmware.device import Address, enrol
from stack.bench import firmware, firmware_losses


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
    lamp = firmware.device("lamp")
    said: list[str] = []
    with broker:
        at = Address("localhost", broker.port)
        enrol(folder / "lamp", lamp, lamp.installed[0].asset, identities, at)
        platform = firmware_losses.Platform(broker, firmware.SERVICE, firmware.PASSWORD)
        found = await asyncio.wait_for(firmware_losses.run(folder / "lamp", broker, platform, 5, 3, said.append), 120)
    assert found["faults"] == 5
    assert found["readings"] > 50
    assert found["acknowledged_lost"] == found["altered"] == found["numbers_used_twice"] == 0


async def test_a_platform_that_stores_nothing_is_found_out() -> None:
    """The count above can fail: readings that were kept and never stored are lost."""
    kept, stored = {(1, 1): 5, (1, 2): 6, (1, 3): 7}, {(1, 1): {5}, (1, 3): {7, 8}}
    assert firmware_losses.compared(kept, stored) == {"acknowledged_lost": 1, "altered": 1, "reused": 0}
    assert firmware_losses.compared({}, {(1, 1): {5}, (2, 1): {5}})["reused"] == 1
