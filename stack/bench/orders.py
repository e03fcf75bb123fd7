"""People who order light and change what lamps keep while servers die, and what became of it all."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from kraj.kinds import LAMP
from kraj.store import commands
from kraj.store.commands import Scope
from kraj.store.registry import NewAsset, NewDevice
from stack.bench.obeying import Lamps

TOWNS, LAMPS = 4, 200
"""That hear and obey and measure nothing: what they have done is asked of the oracle."""
PAUSE_S = 0.5
"""Between orders, on average."""
LONG, SHORT = timedelta(minutes=20), timedelta(seconds=4)
"""Most orders outlive the measurement; the short ones may end before anybody hears of them."""
REGION_SHARE, SHORT_SHARE, DESIRED_SHARE = 0.1, 0.1, 0.3
"""Of what is asked for: full light for the whole region; what ends soon; new versions of what some lamps keep."""
SETTLE_S_MAX = 200.0
"""A command that nobody answers is told again after 160 s at the latest."""
LOOK_S = 0.2
INTERVAL_S = (60, 3600)


def towns() -> dict[str, str]:
    """The municipalities of these lamps."""
    return {f"oracle-{n}": f"Oracle {n}" for n in range(TOWNS)}


def devices() -> list[NewDevice]:
    """The lamps, evenly over the towns."""
    return [
        NewDevice(
            name=f"oracle-lamp-{n}",
            municipality=f"oracle-{n % TOWNS}",
            assets={0: NewAsset(kind=LAMP.name, label=f"{n}")},
        )
        for n in range(LAMPS)
    ]


@dataclass(slots=True)
class Asked:
    """What the database has confirmed with COMMIT: commands by order, and versions by device; and how much of it it
    left open whether it has taken it."""

    orders: dict[int, int] = field(default_factory=dict[int, int])
    versions: dict[int, int] = field(default_factory=dict[int, int])
    open: int = 0


async def ask(url: str, rng: random.Random, end: asyncio.Event) -> Asked:
    """Order until ``end``, whatever dies; who was not answered does not ask again."""
    asked = Asked()
    connection: psycopg.AsyncConnection[Any] | None = None
    while not end.is_set():
        try:
            async with asyncio.timeout(rng.uniform(0, 2 * PAUSE_S)):
                await end.wait()
        except TimeoutError:
            pass
        try:
            if connection is None or connection.closed:
                connection = await psycopg.AsyncConnection[Any].connect(url, autocommit=True, connect_timeout=2)
            await (_keep if rng.random() < DESIRED_SHARE else _order)(connection, rng, asked)
        except psycopg.OperationalError:
            asked.open += 1
    if connection is not None:
        await connection.close()
    return asked


async def _order(connection: psycopg.AsyncConnection[Any], rng: random.Random, asked: Asked) -> None:
    now = datetime.now(UTC)
    if rng.random() < REGION_SHARE:
        scope, kind, level = Scope(), "emergency", 100
    else:
        town = f"oracle-{rng.randrange(TOWNS)}"
        row = await (
            await connection.execute("SELECT municipality_id FROM municipality WHERE name = %s", [town])
        ).fetchone()
        scope, kind, level = Scope(municipality_id=row[0] if row else 0), "manual", rng.randrange(0, 101)
    until = now + (SHORT if rng.random() < SHORT_SHARE else LONG)
    async with connection.transaction():
        number = await commands.order(
            connection, scope, kind=kind, level_pct=level, until=until, reason="chaos", who="chaos", at=now
        )
        written = await commands.command(
            connection, scope, number, reason=kind, level_pct=level, energises=level > 0, until=until, who="", at=now
        )
    asked.orders[number] = written.commands


async def _keep(connection: psycopg.AsyncConnection[Any], rng: random.Random, asked: Asked) -> None:
    cursor = await connection.execute(
        "INSERT INTO desired (device_id, municipality_id, interval_s, changed_at, who)"
        " SELECT device_id, municipality_id, %(every)s, %(at)s, 'chaos' FROM device"
        " WHERE name LIKE 'oracle-lamp-%%' AND device_id %% 3 = %(third)s"
        " ON CONFLICT (device_id) DO UPDATE SET version = desired.version + 1, interval_s = excluded.interval_s,"
        " changed_at = excluded.changed_at RETURNING device_id, version",
        {"every": rng.randrange(*INTERVAL_S), "at": datetime.now(UTC), "third": rng.randrange(3)},
    )
    for device_id, version in await cursor.fetchall():
        asked.versions[device_id] = version


async def settle(url: str) -> float:
    """Wait until everything has been answered; the seconds that it took."""
    began = time.monotonic()
    async with await psycopg.AsyncConnection[Any].connect(url, autocommit=True) as connection:
        while time.monotonic() - began < SETTLE_S_MAX:
            row = await (
                await connection.execute(
                    "SELECT EXISTS (SELECT FROM command WHERE state IN ('requested', 'sent')) OR EXISTS"
                    " (SELECT FROM desired WHERE reported_version IS DISTINCT FROM version OR"
                    " sent_version IS DISTINCT FROM version)"
                )
            ).fetchone()
            if row == (False,):
                break
            await asyncio.sleep(LOOK_S)
    return time.monotonic() - began


def verdict(
    connection: "psycopg.Connection[Any]", asked: Asked, lamps: Lamps, retained: dict[str, int]
) -> dict[str, Any]:
    """Hold what the oracle has done against the database, and that against what was asked for.

    Lost is a command of the oracle's lamps that is neither over nor done and accepted, one of another lamp that is not
    accepted, and one of an order that was confirmed and is not there. Twice is an id that was done twice, and an
    order that a lamp has followed under two ids. ``levels_wrong``: lamps that follow another order than the newest.
    """
    rows = connection.execute(
        "SELECT command_id::text, d.name, order_id, reason, CASE WHEN error = 'expired' THEN error ELSE c.state END,"
        " extract(epoch FROM accepted_at - requested_at)"
        " FROM command c JOIN device d USING (device_id) ORDER BY requested_at"
    ).fetchall()
    there: dict[int, int] = {}
    newest: dict[tuple[str, str], str] = {}
    followed: set[tuple[int, str]] = set()
    lost = twice = 0
    for id_, device, order, reason, state, _ in rows:
        there[order] = there.get(order, 0) + 1
        mine, times = device in lamps.devices, lamps.applied[id_]
        if state in {"requested", "sent", "refused"} or (mine and state in {"accepted", "confirmed"} and not times):
            lost += 1
        twice += max(times - 1, 0) + (times > 0 and (order, device) in followed)
        if times:
            followed.add((order, device))
        if mine and state in {"accepted", "confirmed"}:
            newest[device, reason] = id_
    lost += sum(max(wanted - there.get(order, 0), 0) for order, wanted in asked.orders.items())
    kept = connection.execute(
        "SELECT device_id, name, w.version, reported_version FROM desired w JOIN device USING (device_id)"
    )
    versions = kept.fetchall()
    return {
        "orders": len(there),
        "orders_unanswered": asked.open,
        "commands": len(rows),
        "commands_applied": sum(lamps.applied.values()),
        "commands_lost": lost,
        "commands_applied_twice": twice,
        "commands_expired": sum(row[4] == "expired" for row in rows),
        "commands_superseded": sum(row[4] == "superseded" for row in rows),
        "commands_redelivered": lamps.deliveries - len(lamps.applied),
        "commands_settled_s_max": round(max((float(row[5]) for row in rows if row[5] is not None), default=0.0), 2),
        "levels_wrong": sum(lamps.last.get(lamp) != id_ for lamp, id_ in newest.items()),
        "desired": len(versions),
        "desired_lost": sum(
            version < asked.versions.get(number, 0) or version != reported or version != lamps.kept.get(name)
            for number, name, version, reported in versions
        ),
        "desired_not_retained": sum(version != retained.get(name) for _, name, version, _ in versions),
    }
