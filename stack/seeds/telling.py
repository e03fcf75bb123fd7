"""The model of what waits for devices: commands and what they keep, as ``kraj.store.dispatching`` has them.

Which state may follow which is ``rules.commanding``'s, which the SQL is held to by tests of its own.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from kraj.commands import OPEN, CommandState
from kraj.store.dispatching import AGAIN_S, AGAIN_S_MAX, OLDER_S, OLDER_S_MAX, Due, Said, Unsent
from kraj.topics import Channel
from rules.commanding import Happening, after, superseded
from stack.seeds.devices import TOWN
from stack.seeds.tables import Command, Tables


def happen(command: Command, what: Happening) -> bool:
    """Move a command on where that can happen; whether it did."""
    state = after(CommandState(command.state), what)
    if state is not None:
        command.state = str(state)
    return state is not None


def order(tables: Tables, command: Command) -> None:
    """Somebody orders a level: what was ordered of the same lamp before is over."""
    for one in tables.commands.values():
        if superseded((one.device_id, 0, "manual"), (command.device_id, 0, "manual"), CommandState(one.state)):
            happen(one, Happening.SUPERSEDED)
    tables.commands[command.command_id] = command


def take_said(tables: Tables, said: Sequence[Said], online: Sequence[int], now: datetime) -> None:
    """What devices answer, in the transaction that takes it in."""
    for one in said:
        body: dict[str, Any] = msgspec.json.decode(one.body)
        if one.channel == Channel.RESULT:
            if body["ok"]:
                tables.results[one.device_id, body["id"]] = None
            command = tables.commands.get(body["id"])
            if command is not None and command.device_id == one.device_id:
                happen(command, Happening.ACCEPTED if body["ok"] else Happening.REFUSED)
        elif one.channel == Channel.REPORTED and one.device_id in tables.desired:
            desired = tables.desired[one.device_id]
            desired.reported_version, desired.reported_at = body["version"], now
    there = set(online)
    for command in tables.commands.values():
        if command.device_id in there and command.state in {"requested", "sent"} and command.attempts:
            command.next_at = now


class Telling:
    """The port that the dispatcher asks; each call is one statement of its own."""

    def __init__(self, server: Any) -> None:
        self._server = server

    async def _tables(self, connection: Any) -> Tables:
        await connection.statement()
        return self._server.tables

    async def claim(self, connection: Any, now: datetime, limit: int) -> list[Due]:
        tables = await self._tables(connection)
        found = [c for c in tables.commands.values() if c.state in {"requested", "sent"} and c.next_at <= now < c.until]
        found = sorted(found, key=lambda c: c.next_at)[:limit]
        for one in found:
            one.next_at = now + timedelta(seconds=min(AGAIN_S * 2 ** min(one.attempts, 10), AGAIN_S_MAX))
            one.attempts += 1
        return [
            Due(
                command_id=UUID(c.command_id),
                municipality=TOWN,
                device=c.device,
                channel=0,
                do="set_level",
                level_pct=c.level_pct,
                reason="manual",
                until=c.until,
                requested_at=c.requested_at,
                sending=True,
            )
            for c in sorted(found, key=lambda c: c.requested_at)
        ]

    async def again(self, connection: Any, commands: Sequence[UUID], now: datetime) -> None:
        tables = await self._tables(connection)
        for id_ in commands:
            one = tables.commands.get(str(id_))
            if one is not None and one.state in {"requested", "sent"}:
                one.next_at = now

    async def sent(self, connection: Any, commands: Sequence[UUID], now: datetime) -> None:
        del now
        tables = await self._tables(connection)
        for id_ in commands:
            one = tables.commands.get(str(id_))
            if one is not None and one.state == "requested":
                happen(one, Happening.SENT)

    async def expire(self, connection: Any, now: datetime, limit: int) -> int:
        del limit
        tables = await self._tables(connection)
        over = [c for c in tables.commands.values() if CommandState(c.state) in OPEN and c.until <= now]
        return sum(happen(one, Happening.EXPIRED) for one in over)

    async def forget_sent(self, connection: Any, now: datetime) -> int:
        tables = await self._tables(connection)
        for one in tables.commands.values():
            if one.state == "sent":
                one.next_at = now
        told = [d for d in tables.desired.values() if d.sent_version is not None]
        for one in told:
            one.sent_version = None
        return len(told)

    async def unsent(self, connection: Any, now: datetime, limit: int) -> list[Unsent]:
        tables = await self._tables(connection)
        found: list[Unsent] = []
        for d in tables.desired.values():
            older = d.reported_version is not None and d.reported_version < d.version
            if older and d.sent_at is not None and d.reported_at is not None:
                pause = timedelta(seconds=min((d.sent_at - d.changed_at).total_seconds(), OLDER_S_MAX))
                older = d.reported_at > d.sent_at and d.sent_at <= now - max(pause, timedelta(seconds=OLDER_S))
            else:
                older = False
            if d.sent_version != d.version or older:
                found.append(Unsent(d.device_id, TOWN, d.device, d.version, {}, None))
        return found[:limit]

    async def told(self, connection: Any, rows: Sequence[Unsent], now: datetime) -> None:
        tables = await self._tables(connection)
        for row in rows:
            one = tables.desired[row.device_id]
            one.sent_version, one.sent_at = row.version, now

    async def outgrow(self, connection: Any, now: datetime) -> int:
        tables = await self._tables(connection)
        count = 0
        for d in tables.desired.values():
            paused = d.outgrown_at is not None and d.outgrown_at > now - timedelta(seconds=OLDER_S)
            if d.reported_version is not None and d.reported_version > d.version and not paused:
                d.version, d.outgrown_at = d.reported_version + 1, now
                count += 1
        return count

    async def confirm(self, connection: Any, now: datetime, limit: int) -> int:
        del now, limit
        await self._tables(connection)
        return 0

    async def left(self, connection: Any, limit: int) -> list[Any]:
        del limit
        await self._tables(connection)
        return []

    async def documents(self, connection: Any, numbers: Sequence[int]) -> Mapping[int, bytes]:
        del numbers
        await self._tables(connection)
        return {}
