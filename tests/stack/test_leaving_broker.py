"""What a broker keeps of a municipality that left is cleared, in each device's name where that is the only way in."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kraj.errors import UnavailableError
from kraj.settings import Settings
from stack import leaving_broker
from stack.broker import Broker
from stack.process import free_port
from tests.stack.mutual import Place, device, now
from tests.stack.test_mutual_tls import Slot, listen


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="kraj-"))
    folder.chmod(0o711)
    yield Place(folder)
    shutil.rmtree(folder)


def retained(broker: Broker, last: str) -> list[str]:
    """What a newcomer finds, up to the topic of a neighbour."""
    slot = Slot(broker)
    try:
        listen(slot, "kraj/olsinka/+/status", "kraj/zdarna/+/status")
        return slot.until(last)
    finally:
        slot.end()


def test_under_mutual_tls_each_device_is_cleared_in_its_own_name(place: Place) -> None:
    with Broker(place.folder.parent / "broker", tls=place.tls(), credentials={"slot_0": "three"}) as broker:
        settings = Settings(authority_dir=place.folder, mqtt_port=broker.port)
        for town, name in (("olsinka", "lamp-1"), ("olsinka", "lamp-2"), ("zdarna", "lamp-3")):
            with device(broker, place.context(place.device(name)), name) as client:
                client.publish(f"kraj/{town}/{name}/status", b'{"online":false}', 1, True).wait_for_publish(10)
        neighbour = "kraj/zdarna/lamp-3/status"
        slot = Slot(broker)
        listen(slot, "kraj/olsinka/+/status")
        slot.until("kraj/olsinka/lamp-1/status")
        slot.end()
        assert leaving_broker.clear(settings, "olsinka", ["lamp-1", "lamp-2"], now()) == 4
        assert retained(broker, neighbour) == []


def test_a_broker_that_is_away_is_not_taken_for_a_clean_one() -> None:
    settings = Settings(mqtt_host="127.0.0.1", mqtt_port=free_port())
    with pytest.raises(UnavailableError, match="run the same again"):
        leaving_broker.clear(settings, "olsinka", ["lamp-1"], now())
    assert leaving_broker.clear(settings, "olsinka", [], now()) == 0, "nobody to ask about"
