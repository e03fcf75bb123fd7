"""How a demo's streets are lit: programs, the devices that keep them, and what the lamps before took."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from api.lighting import preview
from kraj import dimming as language
from kraj.dimming import Program, floor_pct
from kraj.store import dimming, ledger
from kraj.store.queries import lighting
from kraj.store.registry import register_streets
from simulators.asset import Region

Document = Mapping[str, Any]
CLASSES: Final = ("P3", "P5")
"""Residential streets; they may be dimmed to 40 %."""
WEEKEND: Final = {
    "title": "Pátek a sobota",
    "days": ["fri", "sat"],
    "steps": [
        {"at": "0:00", "level_pct": 70},
        {"at": "1:00", "level_pct": 40},
        {"at": "4:30", "level_pct": 100},
    ],
}
WEEK: Final = {
    "title": "Ostatní noci",
    "steps": [
        {"at": "23:00", "level_pct": 70},
        {"at": "0:00", "level_pct": 40},
        {"at": "4:30", "level_pct": 100},
    ],
}
QUIET_STEPS: Final = [
    {"at": "sunset+15", "level_pct": 60},
    {"at": "22:00", "level_pct": 40},
    {"at": "sunrise-45", "level_pct": 100},
]
NIGHT, QUIET = "Noc", "Tichá ulice"
PROGRAMS: Final[Mapping[str, Document]] = {
    NIGHT: {"plans": [WEEKEND, WEEK]},
    QUIET: {"plans": [{"steps": QUIET_STEPS}]},
}
"""The first is every street's but one; the second waits for somebody to try it, as it dims in the evening already."""
WHO: Final = "Jana Dvořáková"
SODIUM_W: Final = ((28, 83.0), (45, 115.0), (75, 168.0))
"""What a sodium lamp of 70, 100 or 150 W took with its ballast, where a LED lamp of so many watts is today."""
SODIUM_MOST_W: Final = 275.0
SOURCE: Final = "Pasport osvětlení 2021: sodíkové výbojky, příkon včetně předřadníku"


@dataclass(frozen=True, slots=True)
class _Street:
    group_id: int
    municipality_id: int
    lamps: int
    rated_w: float
    restless: int


def light(url: str, region: Region, begins: datetime, restless: Collection[str] = ()) -> dict[str, Document]:
    """Make a segment of each street and light it from ``begins`` on; only in a demo that has none yet.

    One street keeps full light, for somebody to give it a program: the largest with the fewest ``restless`` assets.

    Gives what its lamps and contactors keep, by the keys of assets; none where the streets were there.
    """
    with psycopg.connect(url) as connection:
        made = register_streets(connection, CLASSES, begins)
    return asyncio.run(_light(url, region, begins, list(restless))) if made else {}


async def _light(url: str, region: Region, begins: datetime, restless: list[str]) -> dict[str, Document]:
    towns = {town.name for town in region.municipalities}
    found: dict[str, Document] = {}
    async with await psycopg.AsyncConnection[Any].connect(url, prepare_threshold=None) as connection:
        rows = await connection.execute(
            "SELECT s.group_id, s.municipality_id, count(*)::integer, avg((a.metadata->>'power_rated_w')::float8),"
            " count(*) FILTER (WHERE m.name || '/' || a.label = ANY (%s))::integer"
            " FROM lighting_segment s JOIN municipality m USING (municipality_id) JOIN asset_group_member k USING"
            " (group_id) JOIN asset a ON a.asset_id = k.asset_id AND a.kind = 'lamp'"
            " WHERE s.lamp_program_id IS NULL AND m.name = ANY (%s) GROUP BY 1, 2 ORDER BY 1",
            [restless, list(towns)],
        )
        streets = [_Street(*row) for row in await rows.fetchall()]
        left = min(streets, key=lambda one: (one.restless, -one.lamps, one.group_id))
        programs = {
            (town, name): await dimming.add_program(connection, town, name, document, who=WHO, at=begins)
            for town in {one.municipality_id for one in streets}
            for name, document in PROGRAMS.items()
        }
        for one in streets:
            number = None if one is left else programs[one.municipality_id, NIGHT]
            found |= await _follow(connection, one, number, begins)
            await _declare(connection, one, begins)
    return found


async def _follow(
    connection: psycopg.AsyncConnection[Any], one: _Street, number: int | None, begins: datetime
) -> dict[str, Document]:
    """A street keeps the first program, or where ``number`` is None full light all night: for a month already."""
    written = Program() if number is None else language.read(PROGRAMS[NIGHT], floor_pct(*CLASSES))
    lamps = await lighting.lamps(connection, one.group_id)
    where = preview.place(lamps, await lighting.middle(connection, one.municipality_id))
    document = preview.compiled(written, floor_pct(*CLASSES), where, begins.date())
    compiled = await dimming.compiled(connection, one.municipality_id, document)
    await connection.execute(
        "UPDATE lighting_segment SET dimming_program_id = %s, lamp_program_id = %s, who = %s, reason = %s"
        " WHERE group_id = %s",
        [number, compiled, WHO, "Obnova osvětlení", one.group_id],
    )
    rollout = await dimming.begin_rollout(
        connection,
        municipality_id=one.municipality_id,
        group_id=one.group_id,
        lamp_program_id=compiled,
        share_pct=100,
        failures_max_pct=5,
        who=WHO,
        at=begins,
    )
    await dimming.set_rollout(connection, rollout, "done", error=None, at=begins)
    # They have followed it for a month; the fleet, which is new, hears of it once more.
    await connection.execute(
        "UPDATE desired SET reported_version = version, reported_at = %s WHERE device_id IN (SELECT device_id"
        " FROM installed JOIN asset_group_member USING (asset_id) WHERE group_id = %s)",
        [begins, one.group_id],
    )
    members = await connection.execute(
        "SELECT m.name || '/' || a.label FROM asset_group_member k JOIN asset a USING (asset_id)"
        " JOIN municipality m USING (municipality_id) WHERE k.group_id = %s",
        [one.group_id],
    )
    return {key: document for (key,) in await members.fetchall()}


async def _declare(connection: psycopg.AsyncConnection[Any], one: _Street, begins: datetime) -> None:
    await ledger.declare(
        connection,
        one.group_id,
        valid_from=begins.date() - timedelta(days=31),
        power_w=next((old for rated, old in SODIUM_W if one.rated_w <= rated), SODIUM_MOST_W),
        source=SOURCE,
        who=WHO,
        at=begins,
    )
