"""A device's flash ring: what was read, what is in flight, and what the platform has committed.

No I/O and no clock. Two clocks go in as arguments: ``at_ms`` is the wall clock that stamps a reading,
``now_ms`` is any steady clock and drives the resends.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from operator import attrgetter
from random import Random

import msgspec

IN_FLIGHT_MAX = 64
"""Readings sent and not yet acknowledged; the wire contract allows no more."""
CAPACITY = 360
"""Readings a simulated ring holds by default: an hour at 10 s, about 0.35 MB a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """When an unacknowledged reading is sent again: after ``first_ms``, doubling to ``longest_ms``.

    Each delay is multiplied by a random factor within ``1 ± jitter``, so that a fleet does not knock all at once.
    """

    first_ms: int = 30_000
    longest_ms: int = 600_000
    jitter: float = 0.2

    def delay_ms(self, tries: int, random: Random) -> float:
        """The wait after the ``tries``-th sending."""
        doubled = self.first_ms * 2 ** min(tries - 1, 32)
        return min(doubled, self.longest_ms) * random.uniform(1 - self.jitter, 1 + self.jitter)


class Phase(Enum):
    """Where a reading stands."""

    LIVE = "live"
    """New since the last (re)connection, never sent."""
    BACKLOG = "backlog"
    """To be sent when no live reading waits."""
    IN_FLIGHT = "in flight"
    DELIVERED = "delivered"
    """Committed by the platform; kept until the space is needed."""


@dataclass(slots=True, eq=False)
class Entry:
    """One reading in the ring; ``body`` is its JSON object, ready to send."""

    boot: int
    seq: int
    channel: int
    at_ms: int
    body: bytes
    phase: Phase = Phase.LIVE
    sent: int = 0
    tries: int = 0
    due_ms: float = 0.0
    acknowledged: bool = False


@dataclass(slots=True)
class Counters:
    """Whole-life counts; ``produced = pending + delivered in the ring + dropped delivered + thinned``."""

    produced: int = 0
    sent: int = 0
    resent: int = 0
    acknowledged: int = 0
    thinned: int = 0
    dropped: int = 0


class Ring:
    """The readings of one device, oldest first; ``seq`` counts from 1 for as long as the ring lives."""

    def __init__(
        self, boot: int, random: Random, *, capacity: int = CAPACITY, resend_after: Resend | None = None
    ) -> None:
        if capacity < 2:
            raise ValueError("a ring holds at least 2 readings")
        self.boot = boot
        self.counters = Counters()
        self._random = random
        self._capacity = capacity
        self._resend_after = resend_after or Resend()
        self._next_seq = 1
        self._entries: dict[int, Entry] = {}
        self._in_flight: dict[int, Entry] = {}
        # Heaps of seqs with lazy deletion: a seq whose entry is gone or in another phase is skipped.
        self._live: list[int] = []
        self._backlog: list[int] = []
        self._delivered: list[int] = []
        self._delivered_count = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def pending(self) -> int:
        """Readings that the platform has not confirmed."""
        return len(self._entries) - self._delivered_count

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    def append(self, reading: dict[str, object], at_ms: int, channel: int = 0) -> int:
        """Store a reading under the next ``seq`` and give that; makes room first when the ring is full."""
        if len(self._entries) >= self._capacity:
            self._make_room()
        seq = self._next_seq
        self._next_seq += 1
        body = msgspec.json.encode({"boot": self.boot, "seq": seq, **reading})
        self._entries[seq] = Entry(self.boot, seq, channel, at_ms, body)
        heapq.heappush(self._live, seq)
        self.counters.produced += 1
        return seq

    def take(self, now_ms: float, limit: int = IN_FLIGHT_MAX) -> list[Entry]:
        """What to send now: live readings, then those whose answer is overdue, then the backlog.

        At most ``limit`` readings are in flight afterwards; each one given counts as sent.
        """
        room = max(0, limit - len(self._in_flight))
        overdue = [e for e in self._in_flight.values() if e.due_ms <= now_ms]
        live = self._pop(self._live, Phase.LIVE, room)
        backlog = self._pop(self._backlog, Phase.BACKLOG, room - len(live))
        out = live + overdue + backlog
        for entry in out:
            self.counters.resent += entry.sent > 0
            entry.sent += 1
            entry.tries += 1
            entry.phase = Phase.IN_FLIGHT
            entry.due_ms = now_ms + self._resend_after.delay_ms(entry.tries, self._random)
            self._in_flight[entry.seq] = entry
        self.counters.sent += len(out)
        return out

    def due_ms(self, now_ms: float, limit: int = IN_FLIGHT_MAX) -> float | None:
        """When ``take`` will have something: now, later, or (nothing unacknowledged) never."""
        waiting = self.pending - len(self._in_flight)
        if waiting and len(self._in_flight) < limit:
            return now_ms
        return min((e.due_ms for e in self._in_flight.values()), default=None)

    def acknowledge(self, boot: int, ranges: Iterable[tuple[int, int]]) -> list[int]:
        """Free exactly what an ``ack`` names, in closed ranges; gives the seqs that it confirmed for the first time.

        Numbers that the ring does not hold, or holds from another boot, change nothing.
        """
        first: list[int] = []
        for low, high in ranges:
            for entry in self._between(low, high):
                if entry.boot != boot or entry.phase is Phase.DELIVERED:
                    continue
                self._in_flight.pop(entry.seq, None)
                entry.phase = Phase.DELIVERED
                self._delivered_count += 1
                heapq.heappush(self._delivered, entry.seq)
                if not entry.acknowledged:
                    entry.acknowledged = True
                    first.append(entry.seq)
        self.counters.acknowledged += len(first)
        return first

    def resend(
        self,
        *,
        from_seq: int | None = None,
        to_seq: int | None = None,
        from_ts: int | None = None,
        to_ts: int | None = None,
    ) -> int:
        """Mark delivered readings within the given bounds (closed, all must hold) undelivered; gives how many."""
        found = [
            e
            for e in self._entries.values()
            if e.phase is Phase.DELIVERED
            and (from_seq is None or e.seq >= from_seq)
            and (to_seq is None or e.seq <= to_seq)
            and (from_ts is None or e.at_ms >= from_ts)
            and (to_ts is None or e.at_ms <= to_ts)
        ]
        for entry in found:
            self._requeue(entry)
        self._delivered_count -= len(found)
        # Rebuilt rather than left to lazy deletion, or repeated commands would grow the heaps without bound.
        self._delivered = [e.seq for e in self._entries.values() if e.phase is Phase.DELIVERED]
        self._backlog = [e.seq for e in self._entries.values() if e.phase is Phase.BACKLOG]
        return len(found)

    def reconnect(self) -> None:
        """A new connection: everything unacknowledged may be sent again at once, what comes from now on first."""
        self._in_flight.clear()
        self._live.clear()
        self._backlog.clear()
        for entry in self._entries.values():
            if entry.phase is not Phase.DELIVERED:
                self._requeue(entry)

    def restart(self, boot: int | None = None) -> None:
        """The device starts again: ``boot`` goes up, ``seq`` goes on, and what was in flight is unknown again."""
        self.boot = self.boot + 1 if boot is None else boot
        self.reconnect()

    def _requeue(self, entry: Entry) -> None:
        entry.phase = Phase.BACKLOG
        entry.tries = 0  # the doubling starts anew with each reason to send
        heapq.heappush(self._backlog, entry.seq)

    def _pop(self, heap: list[int], phase: Phase, room: int) -> list[Entry]:
        out: list[Entry] = []
        while heap and len(out) < room:
            entry = self._entries.get(heapq.heappop(heap))
            if entry is not None and entry.phase is phase:
                entry.phase = Phase.IN_FLIGHT  # its number may stand in the heap twice
                out.append(entry)
        return out

    def _between(self, low: int, high: int) -> list[Entry]:
        # A range comes from outside: walk whichever is shorter, the range or the ring.
        if high - low < len(self._entries):
            return [e for seq in range(low, high + 1) if (e := self._entries.get(seq))]
        return [e for e in self._entries.values() if low <= e.seq <= high]

    def _make_room(self) -> None:
        while self._delivered:
            entry = self._entries.get(heapq.heappop(self._delivered))
            if entry is not None and entry.phase is Phase.DELIVERED:
                del self._entries[entry.seq]
                self._delivered_count -= 1
                self.counters.dropped += 1
                return
        self._thin_out()

    def _thin_out(self) -> None:
        """Drop every other reading of the oldest half: a coarser past instead of a lost day.

        Channels are thinned apart: on a logger with two inverters every other reading is always the same inverter.
        """
        oldest = list(self._entries.values())[: max(2, self._capacity // 2)]
        by_channel = sorted(oldest, key=attrgetter("channel", "seq"))
        victims = [e for _, group in groupby(by_channel, key=attrgetter("channel")) for e in list(group)[1::2]]
        # With more channels than readings no channel has a second one; then the oldest goes.
        for entry in victims or oldest[:1]:
            del self._entries[entry.seq]
            self._in_flight.pop(entry.seq, None)
        self.counters.thinned += len(victims or oldest[:1])
        # A ring that never connects would otherwise keep the numbers of all that it ever dropped.
        self._live = [seq for seq in self._live if seq in self._entries]
        self._backlog = [seq for seq in self._backlog if seq in self._entries]
        heapq.heapify(self._live)
        heapq.heapify(self._backlog)
