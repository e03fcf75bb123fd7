"""A demo's region with two days of its past, for tests that look at it as people do."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import psycopg

from kraj.store.registry import register
from simulators.faults import one
from simulators.physics.frame import DAY_MS
from simulators.region import region
from stack import billing, history, kpi_days, rollup, streets
from stack.database import OWNER
from stack.demo import new_device

UNTIL: Final = datetime(2026, 9, 16, 19, tzinfo=UTC)
"""Nine in the evening in Prague: lamps are lit, and roofs have had their day."""
DAYS: Final = 2
REGION: Final = region(3, 24)
FAULTS: Final = (
    ("inverter_fault", 32, 3.0),
    ("lamp_out", 43, 5.0),
    ("wifi_down", 53, 2.0),
    ("door_open", 65, 6.0),
)
"""The cause, hours from the beginning, hours that it lasts."""


def invent(url: Callable[[str], str], until: datetime = UNTIL, days: int = DAYS) -> datetime:
    """A demo's region with its past, and all that is made of it; the beginning, a midnight in UTC."""
    start_ms = (int(until.timestamp() * 1000) // DAY_MS - days) * DAY_MS
    begins = history.moment(start_ms)
    faults = [
        one(cause, REGION, REGION.seed, start_ms + hour * 3_600_000, hours=hours) for cause, hour, hours in FAULTS
    ]
    with psycopg.connect(url(OWNER), autocommit=True) as owner:
        towns = {town.name: town.title for town in REGION.municipalities}
        register(owner, towns, [new_device(device) for device in REGION.devices], begins)
    kept = streets.light(url(OWNER), REGION, begins)
    history.load(
        url("kraj_ingest"),
        "slot_0",
        REGION,
        faults,
        start_ms=start_ms,
        until_ms=int(until.timestamp() * 1000),
        report=lambda share, readings: None,
        keeping=kept,
    )
    billing.bill(url(OWNER), begins, until)
    rollup.catch_up(url("kraj_rollup"), until)
    kpi_days.catch_up(url("kraj_rollup"), until)
    return begins
