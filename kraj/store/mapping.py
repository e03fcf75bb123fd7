"""What tells how a town's lamps are really wired, as the asking principal sees it, and what people said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import psycopg

from kraj.kinds import LAMP
from kraj.readings import Mask
from kraj.wiring import MARGIN, Around, Outage, Wired

Connection = psycopg.AsyncConnection[Any]

BACK: Final = timedelta(days=400)
OUTAGES_MAX: Final = 40
"""Of a municipality, the newest: more say nothing new."""
LAMPS_MAX: Final = 20_000
PAIRS_MAX: Final = 4_000
"""Outages times lamps that are read about; a page waits about a second for them."""
BEFORE: Final = timedelta(hours=3)
"""Three heartbeats by day."""
AFTER: Final = timedelta(hours=3)
FOR_POWER: Final = ("power_on", "brownout")
SAYS_NOTHING: Final = "unknown"

# A cause with something above it (a cabinet, a phase, the grid) tells nothing of feeders; a silent gateway is no loss.
_OUTAGES = """
    SELECT a.alert_id, a.scope_type, a.scope_name, a.since, a.cleared_at
    FROM alert a JOIN municipality m USING (municipality_id)
    WHERE m.name = %(municipality)s AND a.rule IN ('feeder_outage', 'cabinet_outage') AND a.parent_id IS NULL
        AND a.scope_type IN ('feeder', 'cabinet') AND NOT a.active AND a.cleared_at > a.since
        AND a.opened_at >= %(since)s
    ORDER BY a.opened_at DESC LIMIT %(limit)s
"""
_LAMPS = """
    SELECT a.asset_id, a.metadata->>'feeder', a.metadata->>'cabinet', a.latitude, a.longitude
    FROM asset a JOIN municipality m USING (municipality_id)
    WHERE m.name = %(municipality)s AND a.kind = 'lamp' AND a.retired_at IS NULL ORDER BY 1 LIMIT %(limit)s
"""
_AROUND = """
    SELECT p.outage, p.lamp, extract(epoch FROM b.ts)::float8 * 1000, b.supply_losses,
        extract(epoch FROM a.ts)::float8 * 1000, a.uptime_s, a.supply_losses, a.reset_cause, a.voltage_v
    FROM unnest(%(outage)s::integer[], %(lamp)s::integer[], %(asset_id)s::integer[], %(from)s::timestamptz[],
                %(to)s::timestamptz[]) AS p (outage, lamp, asset_id, from_ts, to_ts)
    LEFT JOIN LATERAL (
        SELECT r.ts, r.supply_losses FROM seen_reading_lamp r
        WHERE r.asset_id = p.asset_id AND r.ts >= p.from_ts - %(before)s AND r.ts < p.from_ts ORDER BY r.ts DESC LIMIT 1
    ) b ON true
    LEFT JOIN LATERAL (
        SELECT r.ts, r.uptime_s, r.supply_losses, r.reset_cause, r.voltage_v FROM seen_reading_lamp r
        WHERE r.asset_id = p.asset_id AND r.ts > p.from_ts + %(margin)s AND r.ts < p.to_ts + %(after)s
        ORDER BY r.ts LIMIT 1
    ) a ON true
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Somebody has said that a lamp is registered rightly, in spite of these outages (by alert)."""

    asset_id: int
    label: str
    outages: tuple[int, ...]
    reason: str
    who: str
    at: datetime


async def outages(connection: Connection, municipality: str, at: datetime) -> list[Outage]:
    """Feeders and cabinets that were without supply and are back, the newest first."""
    given = {"municipality": municipality, "since": at - BACK, "limit": OUTAGES_MAX}
    rows = await (await connection.execute(_OUTAGES, given)).fetchall()
    return [
        Outage(
            key=key,
            feeder=name if scope == "feeder" else None,
            cabinet=name if scope == "cabinet" else None,
            from_ms=_ms(since),
            to_ms=_ms(cleared),
        )
        for key, scope, name, since, cleared in rows
    ]


async def lamps(connection: Connection, municipality: str) -> Wired:
    """The lamps as they are registered."""
    given = {"municipality": municipality, "limit": LAMPS_MAX}
    rows = await (await connection.execute(_LAMPS, given)).fetchall()
    places = np.array([row[3:] for row in rows], np.float64).reshape(-1, 2)
    return Wired(
        asset_id=np.array([row[0] for row in rows], np.int64),
        feeder=[row[1] or None for row in rows],
        cabinet=[row[2] or None for row in rows],
        latitude=places[:, 0],
        longitude=places[:, 1],
    )


async def around(connection: Connection, found: Sequence[Outage], wired: Wired, asked: Mask) -> Around:
    """Readings around outages, for those of ``asked``, shape ``(outages, lamps)``; beyond ``PAIRS_MAX`` older outages
    are left out."""
    pairs = np.argwhere(asked)
    if len(pairs) > PAIRS_MAX:
        pairs = pairs[pairs[:, 0] < pairs[PAIRS_MAX, 0]]
    which: list[int] = pairs[:, 0].tolist()
    begun, ended = ([_at(getattr(one, name)) for one in found] for name in ("from_ms", "to_ms"))
    given: dict[str, Any] = {
        "outage": which,
        "lamp": pairs[:, 1].tolist(),
        "asset_id": wired.asset_id[pairs[:, 1]].tolist(),
        "from": [begun[n] for n in which],
        "to": [ended[n] for n in which],
        "before": BEFORE,
        "after": AFTER,
        "margin": MARGIN,
    }
    rows = await (await connection.execute(_AROUND, given)).fetchall()
    states = LAMP.by_name["reset_cause"].states
    reasons = np.array([np.nan if one == SAYS_NOTHING else one in FOR_POWER for one in states], np.float64)
    table = np.array(rows, np.float64).reshape(-1, 9).T
    cause = table[7]
    return Around(
        outage=table[0].astype(np.int64),
        lamp=table[1].astype(np.int64),
        before_ms=table[2],
        losses_before=table[3],
        ts_ms=table[4],
        uptime_s=table[5],
        losses=table[6],
        restarted=np.where(np.isnan(cause), np.nan, reasons[np.nan_to_num(cause).astype(np.intp)]),
        voltage_v=table[8],
    )


async def kept(connection: Connection, municipality: str) -> list[Kept]:
    """What people have said, the newest first."""
    cursor = await connection.execute(
        "SELECT k.asset_id, a.label, k.outages, k.reason, k.who, k.at FROM wiring_kept k JOIN asset a USING (asset_id)"
        " JOIN municipality m ON m.municipality_id = a.municipality_id WHERE m.name = %s"
        " ORDER BY k.wiring_kept_id DESC LIMIT %s",
        [municipality, LAMPS_MAX],
    )
    return [
        Kept(asset_id=asset_id, label=label, outages=tuple(keys), reason=reason, who=who, at=at)
        for asset_id, label, keys, reason, who, at in await cursor.fetchall()
    ]


async def keep(
    connection: Connection, asset_id: int, *, outages: Sequence[int], reason: str, who: str, at: datetime
) -> None:
    """A lamp is registered rightly: these outages speak no more. Raises psycopg's errors for who may not say so."""
    await connection.execute(
        "INSERT INTO wiring_kept (municipality_id, asset_id, outages, reason, who, at)"
        " SELECT municipality_id, asset_id, %s, %s, %s, %s FROM asset WHERE asset_id = %s",
        [list(outages), reason, who, at, asset_id],
    )


async def towns(connection: Connection) -> list[tuple[str, str]]:
    """Names and titles of the municipalities whose lamps the principal sees, by title."""
    cursor = await connection.execute(
        "SELECT name, title FROM municipality"
        " WHERE municipality_id = ANY ((SELECT kraj_municipalities('read'))::integer[]) ORDER BY title, name"
    )
    return await cursor.fetchall()


async def named(connection: Connection, assets: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Label and version of these assets."""
    cursor = await connection.execute(
        "SELECT asset_id, label, version FROM asset WHERE asset_id = ANY (%s)", [list(assets)]
    )
    return {asset_id: (label, version) for asset_id, label, version in await cursor.fetchall()}


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
