"""Light trains: motion at one lamp goes on to its neighbours as short commands, as lamps cannot talk to one another."""

from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import psycopg
import structlog

from kraj.dimming import Sensor
from kraj.store import trains
from kraj.store.connection import Connection
from kraj.store.queries import lighting
from rules.lighting import train

log: Any = structlog.get_logger(__name__)


async def follow(connection: Connection, now: datetime) -> int:
    """Have neighbours rise where motion was told since; how many are told so. What was taken comes again on a fault."""
    try:
        async with connection.transaction():
            return sum([await _announce(connection, one, now) for one in await trains.take(connection, now)])
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        log.warning("a lock was taken where lamps were to rise", error=str(error).strip())
        return 0


async def _announce(connection: Connection, motion: trains.Motion, now: datetime) -> int:
    sensor = msgspec.convert(motion.sensor, Sensor)
    lamps = await lighting.lamps(connection, motion.group_id)
    north, east = (np.array([getattr(one, name) for one in lamps], np.float64) for name in ("latitude", "longitude"))
    at = next((place for place, one in enumerate(lamps) if one.asset_id == motion.asset_id), None)
    if at is None:  # beyond what is read of a segment
        return 0
    near: list[int] = train.neighbours(north, east, at, sensor.neighbours).tolist()
    return await trains.announce(
        connection,
        [lamps[place].asset_id for place in near],
        level_pct=sensor.level_pct,
        lasts=train.lasts(sensor),
        pause=train.pause(sensor),
        why=motion.label,
        now=now,
    )
