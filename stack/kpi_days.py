"""The day step of KPIs: for each day to which something has come, its calendar, ledger, roofs and stops."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import psycopg

from kraj.errors import UnavailableError
from kraj.ledger import Lamp, Segment
from kraj.readings import Ints
from kraj.store import kpi_days as store
from kraj.store import ledger as readings
from kraj.store.kpi_days import Connection, Day
from rules.estate import Estate
from rules.lighting import accounts
from rules.lighting.evening import lit_at
from rules.lighting.ledger import Days, Seen
from rules.photovoltaics.day import QUARTER_S, Quarters, SolarDay, account
from rules.waiting.light import lit_when_dark

BACK: Final = timedelta(days=40)
"""So far back late readings are looked for each time; what is older is made by a step that is told to."""
ANEW_AT_ONCE: Final = 4
"""So many days of an earlier edition are made anew each time, while rollups wait."""
EVENING_H: Final = 22
_LAMP = tuple(Days.__slots__)
_SOLAR = tuple(SolarDay.__slots__)


def catch_up(url: str, at: datetime, *, since: datetime | None = None) -> int:
    """Make what waits at a time ``at``, after rollups have caught up, as ``kraj_rollup`` or the owner; how many days.

    Raises ``UnavailableError`` when the database is away.
    """
    return asyncio.run(_catch_up(url, at, since))


async def _catch_up(url: str, at: datetime, since: datetime | None) -> int:
    try:
        async with await psycopg.AsyncConnection[Any].connect(url, autocommit=True) as connection:
            return len(await settle(connection, at, since=since))
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error


async def settle(connection: Connection, now: datetime, *, since: datetime | None = None) -> list[Day]:
    """Make the days that wait, each in a transaction of its own; those that were made.

    As ``kraj_rollup`` or the owner, on a connection in autocommit. The running day has its calendar and its
    stops; lamps and roofs are worked out once it is over, and what followed it is known. Days that an earlier edition
    of this step has made follow, a few each time.
    """
    found = await store.waiting(connection, since or now - BACK, now)
    begun = {day.begins for day in found}
    found += [day for day in await store.outdated(connection, now, ANEW_AT_ONCE) if day.begins not in begun]
    for day in found:
        async with connection.transaction():
            await store.calendar(connection, day)
            await store.stops(connection, day)
            await _lights(connection, day)
            if day.over:
                await _lamps(connection, day)
                await _roofs(connection, day)
            await store.note(connection, day, now)
    return found


async def _lamps(connection: Connection, day: Day) -> None:
    owners = await store.lamps(connection, day)
    rows: list[Any] = []
    left = set(owners)
    for number, _ in await store.segments(connection):
        found = await readings.segment(connection, number, day.ends)
        mine = [] if found is None else [lamp for lamp in found.lamps if lamp.asset_id in left]
        if found is None or not mine:
            continue
        left -= {lamp.asset_id for lamp in mine}
        street = Segment(number, "", "", "", mine, found.programs, [])
        rows += await _street(connection, day, street, owners)
    for town in sorted({owners[lamp] for lamp in left}):
        alone = [Lamp(*row) for row in await store.places(connection, [n for n in left if owners[n] == town])]
        rows += await _street(connection, day, Segment(0, "", "", "", alone, [], []), owners)
    names = ("asset_id", "municipality_id", "group_id", "due_2200", "lit_2200", "full_w", *_LAMP)
    await store.replace(connection, "lamp_day", day, names, rows)


async def _street(connection: Connection, day: Day, street: Segment, owners: dict[int, int]) -> list[Any]:
    """Rows of a segment's lamps, or of a town's lamps that are in none (group 0), which burn from dusk to dawn."""
    bounds_s = np.array([int(day.begins.timestamp()), int(day.ends.timestamp())])
    local = day.begins.astimezone(accounts.ZONE)
    evening = int(local.replace(hour=EVENING_H).timestamp())
    by_number = {lamp.asset_id: lamp for lamp in street.lamps}
    rows: list[Any] = []
    read = readings.readings(connection, sorted(by_number), day.begins - accounts.MARGIN, day.ends + accounts.MARGIN)
    due = accounts.due_of(street.programs, accounts.place(street.lamps), bounds_s)
    async for numbers, table in read:
        days, full = accounts.observe(street, numbers, table, bounds_s)
        lamps = accounts.luminaires([by_number[number] for number in numbers])
        row = np.searchsorted(np.array(numbers), table[:, 0].astype(np.int64))
        seen = Seen(row, table[:, 1].astype(np.int64), table[:, 2], table[:, 3], table[:, 4])
        wanted, lit = lit_at(seen, lamps, due, evening)
        columns = [getattr(days, name)[:, 0].tolist() for name in _LAMP]
        rows += [
            (
                number,
                owners[number],
                street.group_id or None,
                bool(wanted[n]),
                None if np.isnan(lit[n]) else bool(lit[n]),
                _known(full.power_w[n]),
                *(column[n] for column in columns),
            )
            for n, number in enumerate(numbers)
        ]
    return rows


async def _lights(connection: Connection, day: Day) -> None:
    rows = await store.lights(connection, day)
    stops = {(row[0], row[1]): (row[2], row[3]) for row in rows}
    if not stops:
        return
    count = round((min(day.until, day.ends) - day.begins).total_seconds() / QUARTER_S)
    place = {stop: n for n, stop in enumerate(stops)}
    level, covered = np.full((len(stops), count), np.nan), np.zeros((len(stops), count))
    for asset, town, _, _, quarter, said, covered_s in rows:
        if quarter is not None and quarter < count:
            n = place[asset, town]
            level[n, quarter], covered[n, quarter] = np.nan if said is None else said, covered_s
    where = np.array(list(stops.values()), np.float64)
    found = lit_when_dark(_begins(day, count), (where[:, 0], where[:, 1]), level, covered)
    columns = (found.light_lit_s.tolist(), found.light_known_s.tolist(), found.dark_s.tolist())
    await store.lit(connection, day, [(*stop, *(column[n] for column in columns)) for stop, n in place.items()])


def _begins(day: Day, count: int) -> Ints:
    """Of the day's quarter-hours, in Unix milliseconds."""
    return int(day.begins.timestamp() * 1000) + np.arange(count) * QUARTER_S * 1000


async def _roofs(connection: Connection, day: Day) -> None:
    rows = await store.roofs(connection, day)
    members = Estate.of(0, rows).members["solar"]
    if not len(members):
        return
    made = account(members, _quarters(await store.quarters(connection, day), day, members.asset_id.tolist()))
    columns = [getattr(made, name).tolist() for name in _SOLAR]
    await store.replace(
        connection,
        "solar_day",
        day,
        ("asset_id", "municipality_id", *_SOLAR),
        [
            (asset, town, *(_known(column[n]) for column in columns))
            for n, (asset, town) in enumerate(
                zip(members.asset_id.tolist(), members.municipality_id.tolist(), strict=True)
            )
        ],
    )


def _quarters(rows: Sequence[tuple[int, int, float, float, float, float]], day: Day, assets: Sequence[int]) -> Quarters:
    count = round((day.ends - day.begins).total_seconds() / QUARTER_S)
    table = np.full((4, len(assets), count), np.nan)
    place = {asset: n for n, asset in enumerate(assets)}
    for asset, quarter, *values in rows:
        # Of an asset that changed hands within a quarter-hour the part that tells more.
        if asset in place and not table[3, place[asset], quarter] >= values[3]:
            table[:, place[asset], quarter] = values
    return Quarters(_begins(day, count), table[0], table[1], table[2], table[3])


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
