"""Programs are compiled anew: lamps keep five years of holidays and clock changes, and the sun of where they stand."""

from datetime import datetime
from typing import Any

import psycopg
import structlog

from kraj import dimming as programs
from kraj.dimming import Program, ProgramError, floor_pct
from kraj.store import dimming
from kraj.store.connection import Connection
from kraj.store.queries import lighting
from rules.dimming import desired, place

SEGMENTS_MAX = 5
"""Looked at in one go, some milliseconds each: 43,000 a day, when that is every ten seconds."""

log: Any = structlog.get_logger(__name__)


async def recompile(connection: Connection, now: datetime) -> int:
    """Hold some segments against the year and their lamps' place; how many get another document, as a staged rollout.

    Documents change each new year, and when lamps were moved, so that none comes near its last year.
    """
    changed = 0
    async with connection.transaction():
        for one in await dimming.look_at(connection, now, SEGMENTS_MAX):
            try:
                changed += await _compile(connection, one, now)
            except (ProgramError, psycopg.errors.CheckViolation) as error:
                log.warning("a segment's program is not compiled anew", group_id=one.group_id, error=str(error).strip())
    if changed:
        log.info("programs compiled anew", segments=changed)
    return changed


async def _compile(connection: Connection, one: dimming.Compiled, now: datetime) -> bool:
    floor = floor_pct(one.designed_class, one.permitted_class)
    program = Program() if one.document is None else programs.read(one.document, floor)
    lamps = await lighting.lamps(connection, one.group_id)
    middle = await lighting.middle(connection, one.municipality_id)
    where = place(((lamp.latitude, lamp.longitude) for lamp in lamps), middle)
    return await dimming.compile_anew(connection, one.group_id, desired(program, floor, *where, now.date()), now)
