"""Faults put into the product on purpose: a simulation that does not find them proves nothing."""

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ingest import resend
from ingest.judge import Judge
from ingest.pipeline import Pipeline
from kraj import wire
from kraj.store.batch import Outcome
from kraj.topics import Channel
from simulators import node
from simulators.controller import Controller
from simulators.ring import Ring
from stack.seeds import service
from stack.seeds.database import History, ModelWriter
from stack.seeds.devices import Lamp
from stack.seeds.network import Packet
from stack.seeds.tables import Tables
from stack.seeds.telling import Telling

SEEDS_MAX = 40
"""Each is found within so many seeds."""
Change = tuple[Any, str, Callable[[Any], Any]]
"""Where, what, and from what is there what takes its place."""


def _acknowledge_first(commit: Any) -> Any:
    async def changed(self: Any, work: Any) -> Any:
        await self._acknowledge(work, Outcome([]))
        return await commit(self, work)

    return changed


def _forget_on_puback(taken: Any) -> Any:
    def changed(self: Lamp, packet: Packet) -> None:
        if packet.channel == Channel.TELEMETRY:
            for mark in wire.marks(packet.payload):
                self.node.take_ack(b'{"boot":%d,"seq":[[%d,%d]]}' % (mark.boot or 0, mark.seq or 0, mark.seq or 0))
        taken(self, packet)

    return changed


def _count_anew(restart: Any) -> Any:
    def changed(self: Any, boot: int | None = None) -> None:
        restart(self, boot)
        self._next_seq = 1

    return changed


def _find_nothing(find: Any) -> Any:
    def changed(self: Any, readings: Any, seen: set[Any]) -> Any:
        del self, seen
        return find(Tables(), readings, set())

    return changed


def _checkpoint_early(judging: Any) -> Any:
    def changed(self: Any, batch: Any, fresh: Any) -> Any:
        found = judging(self, batch, fresh)
        self.settle(committed=True)
        self._history._server.tables.checkpoint = (batch.batch_id, self._watch.checkpoint())
        return found

    return changed


def _replay_nothing(replay: Any) -> Any:
    def changed(self: Any, connection: Any, slot_id: int, after: int) -> Any:
        del after
        return replay(self, connection, slot_id, 2**62)

    return changed


def _forget_epochs(write: Any) -> Any:
    def changed(self: Tables, batch: Any, *given: Any) -> None:
        batch.epochs = {}
        write(self, batch, *given)

    return changed


def _apply_any(desired: Any) -> Any:
    def changed(self: Controller, payload: bytes) -> Any:
        self.version = 0
        return desired(self, payload)

    return changed


def _requeue_nothing(reconnect: Any) -> Any:
    del reconnect

    def changed(self: Any) -> None:
        self._in_flight.clear()

    return changed


def _tell_by_one_batch(decode_again: Any) -> Any:
    async def changed(self: Any, work: Any, writer: Any) -> None:
        if work.writer is not writer:
            self._untold = {}
        await decode_again(self, work, writer)

    return changed


def _ask_by_time(command: Any) -> Any:
    def changed(route: Any, request: Any, from_seq: Any) -> Any:
        del from_seq
        topic, body, expiry_s = command(route, request, None)
        named = json.loads(body) | {"from_ts": round(request.since.timestamp() * 1000)}
        return topic, json.dumps(named).encode(), expiry_s

    return changed


def _nothing(value: Any) -> Callable[[Any], Any]:
    def make(before: Any) -> Any:
        del before

        async def changed(*given: Any, **named: Any) -> Any:
            del given, named
            return value

        return changed

    return make


def _tell_once(claim: Any) -> Any:
    async def changed(self: Telling, connection: Any, now: Any, limit: int) -> Any:
        commands = self._server.tables.commands  # pyright: ignore[reportPrivateUsage]
        told = {str(c.command_id) for c in commands.values() if c.attempts}
        return [one for one in await claim(self, connection, now, limit) if str(one.command_id) not in told]

    return changed


MUTANTS: Mapping[str, Sequence[Change]] = {
    "acknowledged before COMMIT": [(Pipeline, "_commit", _acknowledge_first)],
    "forgotten on PUBACK": [(Lamp, "_taken", _forget_on_puback)],
    "numbers begin anew with each boot": [(Ring, "restart", _count_anew)],
    "no look for duplicates": [(Tables, "find", _find_nothing)],
    "a checkpoint before COMMIT": [(Judge, "judging", _checkpoint_early)],
    "history not replayed": [(History, "replay", _replay_nothing)],
    "a command done again": [(node, "COMMANDS_REMEMBERED", lambda _: 0)],
    "beginning of a boot not kept": [(Tables, "write", _forget_epochs)],
    "an older version applied": [(Controller, "desired", _apply_any)],
    "nothing sent again to a new connection": [(Ring, "reconnect", _requeue_nothing)],
    "a broker's loss not noticed": [(Telling, "forget_sent", _nothing(0))],
    "a command told once": [(Telling, "claim", _tell_once)],
    "a restore asks by time": [(resend, "_command", _ask_by_time)],
    "a restore asks nobody": [(service, "grant_resends", _nothing(None))],
    "a lost answer taken for a lost COMMIT": [(ModelWriter, "is_committed", _nothing(False))],
}


RARE: Mapping[str, Sequence[Change]] = {
    "beginning of a boot told by one batch alone": [(Pipeline, "_decode_again", _tell_by_one_batch)],
}
"""Found by one seed in a hundred; a test has a plan in which it must show."""


@contextmanager
def applied(name: str) -> Generator[None]:
    """The product with this fault in it."""
    changes = MUTANTS[name] if name in MUTANTS else RARE[name]
    before = [(where, what, getattr(where, what)) for where, what, _ in changes]
    for where, what, change in changes:
        setattr(where, what, change(getattr(where, what)))
    try:
        yield
    finally:
        for where, what, was in before:
            setattr(where, what, was)
