"""Programs are compiled anew: lamps keep five years of holidays and clock changes, and the sun of where they stand."""

from datetime import datetime
from typing import Any

import structlog

from kraj import dimming as programs
from kraj.dimming import Program, ProgramError, floor_pct
from kraj.store import dimming
from kraj.store.connection import Connection
from kraj.store.queries import lighting
from rules.dimming import desired, place

SEGMENTS_MAX = 5
"""Looked at in one go, some milliseconds each: 43,000 a day, when that is every ten seconds."""
WHO, REASON = "kraj", "kalendář, místo svítidel · calendar, place of lamps"

log: Any = structlog.get_logger(__name__)


async def recompile(connection: Connection, now: datetime) -> int:
    """Hold some segments against the year and their lamps' place; how many get another document, as a staged rollout.

    Documents change each new year, and when lamps were moved, so that none comes near its last year.
    """
    changed = 0
    async with connection.transaction():
        for one in await dimming.look_at(connection, now, SEGMENTS_MAX):
            try:
                floor = floor_pct(one.designed_class, one.permitted_class)
                program = Program() if one.document is None else programs.read(one.document, floor)
            except ProgramError as error:
                log.warning("a segment's program cannot be compiled", group_id=one.group_id, error=str(error))
                continue
            lamps = await lighting.lamps(connection, one.group_id)
            middle = await lighting.middle(connection, one.municipality_id)
            where = place(((lamp.latitude, lamp.longitude) for lamp in lamps), middle)
            document = desired(program, floor, *where, now.date())
            changed += await dimming.compile_anew(connection, one, document, who=WHO, reason=REASON, at=now)
    if changed:
        log.info("programs compiled anew", segments=changed)
    return changed
