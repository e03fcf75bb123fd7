"""The person who builds a device: a first day, and a bad night.

Petr solders a lamp controller in a workshop and has read docs/wire.md, and nothing else.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.broker import Broker
from tests.ingest.rig import Devices, Ingest, Site, query, register_lamps, wait_until

LAMP = "workshop-1"


@pytest.fixture
def site(database_url: str, broker: Broker, open_folder: Path) -> Site:
    return Site(database_url, broker, open_folder)


@pytest.fixture
def ingest(site: Site) -> Iterator[Ingest]:
    with site.ingest() as running:
        yield running.ready()


def test_first_day_the_device_is_told_what_is_stored_also_when_it_came_before_its_registration(
    site: Site, ingest: Ingest
) -> None:
    """He switches it on before the town hall has registered it."""
    with Devices(site.broker.port) as workshop:
        early = workshop.send(LAMP, power_w=41.2)
        workshop.await_ack(early)  # kept, so it need not be sent for ever
        assert query(site.url, "SELECT reason FROM quarantine") == ["unknown_device"]
        register_lamps(site.url, [LAMP])
        workshop.await_ack(workshop.send(LAMP, power_w=41.2, level_reason="program", energy_wh=16_777_217))
        assert query(site.url, "SELECT power_w FROM reading_lamp") == [pytest.approx(41.2, abs=1e-5)]
        assert query(site.url, "SELECT energy_wh FROM reading_lamp") == [16_777_217]
    assert ingest.balance()["received"] == 2


def test_bad_night_a_broken_sensor_costs_its_value_and_a_new_firmware_its_new_key_and_no_reading(
    site: Site, ingest: Ingest
) -> None:
    """The power meter gets wet, and the update of that night sends a metric that nobody has declared."""
    register_lamps(site.url, [LAMP])
    with Devices(site.broker.port) as workshop:
        wet = workshop.send(LAMP, power_w=-7, voltage_v=231)
        text = workshop.send(LAMP, power_w="wet", voltage_v=232)
        new = workshop.send(LAMP, power_w=40, fog_pct=12)
        workshop.await_ack(wet, text, new)
    assert query(site.url, "SELECT voltage_v FROM reading_lamp WHERE power_w IS NULL ORDER BY seq") == [231, 232]
    reasons = query(site.url, "SELECT reason || ': ' || detail FROM quarantine ORDER BY quarantine_id")
    assert reasons == [
        "value_impossible: power_w is -7; possible are 0 to 2000",
        "value_type: power_w: must be a number; found the text 'wet'",
    ]
    assert query(site.url, "SELECT key FROM unknown_key") == ["fog_pct"]
    wait_until(lambda: ingest.balance()["in_flight"] == 0, "nothing in flight")
    assert ingest.balance()["committed"] == 3
