# A device's readings until the platform has them: numbered, kept in flash, sent, sent again, and marked as delivered.
#
# `kind` is what constants.kind(name) gives, `random(n)` a whole number below n. `boot` (of node/state.py) counts
# starts; a ring that has seen a higher one goes on from there. Nothing raises because flash fails: `lost` counts.
from node import record, sectors
from node.constants import (
    EVENT_CHARS_MAX,
    MESSAGE_BYTES,
    READINGS_PER_MESSAGE,
    RESEND_FIRST_MS,
    RESEND_JITTER_PCT,
    RESEND_LONGEST_MS,
    WINDOW,
)


class Ring:
    def __init__(self, area, kind, clock, random, boot=0):
        self.kind = kind
        self._clock = clock
        self._random = random
        self._log = sectors.Sectors(area, kind)
        self.boot = max(boot, self._log.boot_max + 1)
        self._flight = {}  # by number: (how often it was sent, when it is due again)
        self.pending = sum(self._log.pending)
        self.acknowledged = self.resent = 0
        self.reconnect()

    # Readings thinned out, and readings that flash did not keep, since the start.
    @property
    def thinned(self):
        return self._log.thinned

    @property
    def lost(self):
        return self._log.lost

    @property
    def in_flight(self):
        return len(self._flight)

    # Keeps a reading (metrics by name, whole numbers) and gives its number. `ts_ms` is None while time is not known.
    def append(self, values, ts_ms, uptime_ms, channel=0, event=None):
        known = [values.get(name) for name in self.kind.NAMES]
        event = None if event is None else event[:EVENT_CHARS_MAX]
        timed = ts_ms is not None
        seq = self._log.append((self.boot, channel, timed, ts_ms if timed else uptime_ms, event, known))
        self._settle()
        return seq

    # What to send now: [(number, JSON)], an event begins with {"event". Live readings, then those whose answer is
    # overdue, then the backlog; as much as one message holds, so ask again until there is nothing.
    def take(self, now_ms=None, limit=READINGS_PER_MESSAGE, size=MESSAGE_BYTES):
        if now_ms is None:
            now_ms = self._clock.ticks_ms()
        out, room = [], [limit, size]
        if self._live < self._log.next_seq:
            self._live = self._take(out, self._live, sectors.OPEN, now_ms, room)
        for seq in sorted(seq for seq, (_, due_ms) in self._flight.items() if due_ms <= now_ms):
            if room[0] <= 0 or room[1] <= 0:
                break
            found = list(self._log.waiting(seq, seq))
            if found:
                self.resent += 1
                self._add(out, seq, found[0][3], now_ms, room)
            else:
                del self._flight[seq]
        if self._waits():
            self._backlog = self._take(out, self._backlog, self._live - 1, now_ms, room)
        self._settle()
        return out

    # When `take` will have something; None: when something new comes.
    def due_ms(self, now_ms):
        if self._waits() and len(self._flight) < WINDOW:
            return now_ms
        return min((due_ms for _, due_ms in self._flight.values()), default=None) if self._flight else None

    # Marks exactly what the platform has, in closed ranges of one boot; gives how many were new to us.
    def acknowledge(self, boot, ranges):
        log, count = self._log, 0
        lowest = min((start for start, _ in ranges), default=0)
        for i in range(len(log.order)):
            place, (low, high) = log.order[i], log.span(i)
            if not log.pending[place] or not any(start <= high and end >= low for start, end in ranges):
                continue
            for at, state, seq, of_boot, _ in self._states(place, lowest):
                if not sectors.is_pending(state) or of_boot != boot:
                    continue
                if any(start <= seq <= end for start, end in ranges):
                    log.mark(place, at, state, sectors.delivered(state))
                    self._flight.pop(seq, None)
                    count += 1
        self.acknowledged += count
        self._settle()
        return count

    # After a new connection everything that waits may be sent at once; what comes from now on goes first.
    def reconnect(self):
        self._flight.clear()
        self._live = self._log.next_seq
        self._backlog = 0

    # Delivered readings within closed bounds, which must all hold, are sent again; gives how many. Each at most three
    # times, as that is what its bits in flash can tell. A reading without a time is within any times.
    def resend(self, from_seq=None, to_seq=None, from_ts=None, to_ts=None):
        log, count = self._log, 0
        for place in list(log.order):
            for at, state, seq, _, stamp_ms in self._states(place):
                wanted = sectors.again(state)
                if wanted is None or (from_seq is not None and seq < from_seq) or (to_seq is not None and seq > to_seq):
                    continue
                if stamp_ms is not None and (
                    (from_ts is not None and stamp_ms < from_ts) or (to_ts is not None and stamp_ms > to_ts)
                ):
                    continue
                log.mark(place, at, state, wanted)
                self._backlog = min(self._backlog, seq)
                count += 1
        self._settle()
        return count

    # (at, state, number, boot, time or None) of each record in a sector, without its values.
    def _states(self, place, from_seq=0):
        log = self._log
        data, before = log.area.read(place * sectors.SECTOR, sectors.SECTOR), (0, 0, False, 0)
        for at, _, state, offset in sectors.frames(data, log.start_of(place, from_seq)):
            if state != sectors.DEAD:
                flags = data[at + sectors.FRAME_BYTES]
                try:
                    boot, stamp_ms, _ = record.start(data, at + sectors.FRAME_BYTES, before)
                except IndexError:  # worn flash: whoever reads the whole of it finds out
                    continue
                before = (boot, 0, False, stamp_ms)
                yield at, state, log.first[place] + offset, boot, stamp_ms if flags & record.TIMED else None

    def _waits(self):
        return self.pending > len(self._flight)

    # Takes what waits between two numbers, while there is room; gives from which number to go on.
    def _take(self, out, low, high, now_ms, room):
        for seq, _, _, reading in self._log.waiting(low, high):
            if len(self._flight) >= WINDOW or room[0] <= 0 or room[1] <= 0:
                return seq
            if seq not in self._flight:
                self._add(out, seq, reading, now_ms, room)
        return min(high + 1, self._log.next_seq)

    def _add(self, out, seq, reading, now_ms, room):
        tries = self._flight.get(seq, (0, 0))[0] + 1
        wait_ms = min(RESEND_FIRST_MS << min(tries - 1, 16), RESEND_LONGEST_MS)
        spread = wait_ms * RESEND_JITTER_PCT // 100
        self._flight[seq] = (tries, now_ms + wait_ms - spread + self._random(2 * spread + 1))
        said = record.text(self.kind, seq, reading)
        out.append((seq, said))
        room[0] -= 1
        room[1] -= len(said) + 1

    # What was thinned out is in flight no more.
    def _settle(self):
        log = self._log
        self.pending = sum(log.pending)
        if log.merged is not None:
            low, high = log.merged
            log.merged = None
            for seq in [seq for seq in self._flight if low <= seq <= high]:
                if not list(log.waiting(seq, seq)):
                    del self._flight[seq]
