# When a device takes a reading into its ring: at once, with the heartbeat, or every minute for a closer look.
#
# A kind has its `table`, the `places` of metrics in it by name, `channels`, `COMMANDED` and `UNEXPECTED` (names),
# `every_ms`, `changed` (what is commanded, since it was last looked at), `active(channel)`, `events()` (list of
# (channel, word)), `async apply()`, `async sample(channel)`, `sent(channel)`.

from node import constants
from node.scale import DEADBAND, PCT, about

CLOSE_MS = constants.BURST_INTERVAL_S * 1000
# After an unexpected change a reading every CLOSE_MS for so long; the last is due at its end, and may be a little late.
BURST_MS = constants.BURST_S * 1000 + CLOSE_MS // 2
STILL_MS = 5000
BANDS = 3  # only a change of so many deadbands is an event: noise leaves a single one many times a day
FORGIVEN_MS = 600000  # after a command or the return of power changes are expected: warm-up, ramps


# Whether a metric left its deadband: a number, or so many per cent of what was sent if that is more (-1: never; 0: by
# any change). Unknown is no change.
def left(deadband, pct, before, now):
    if before is None or now is None or deadband < 0:
        return False
    limit = max(deadband, abs(before) * pct // 100) if pct else deadband
    return abs(now - before) > limit * BANDS


class Channel:
    def __init__(self):
        self.sent = None
        self.sent_ms = 0
        self.active = False
        self.expected_ms = 0
        self.burst_ms = 0

    # Why this reading is to be kept, None if it is not.
    def look(self, kind, values, now_ms, active, beat_ms):
        before = self.sent
        if before is None:
            self.expected_ms = now_ms + FORGIVEN_MS
            return self.keep(values, now_ms, active, "first")
        moved = [name for name in kind.COMMANDED if name in values and values[name] != before.get(name, values[name])]
        if moved or active != self.active:
            self.expected_ms = now_ms + FORGIVEN_MS
            return self.keep(values, now_ms, active, "commanded")
        expected = now_ms < self.expected_ms
        for name in kind.UNEXPECTED:
            now, then = values.get(name), before.get(name)
            if now == then:
                continue
            place = kind.places[name]
            deadband, pct = about(kind.table, place, DEADBAND), about(kind.table, place, PCT)
            # Words, flags and counters are told in any case; what floats is not told while it is expected to, and where
            # it floats to is no change afterwards either.
            if expected and deadband:
                if now is not None:
                    before[name] = now
            elif left(deadband, pct, then, now):
                if not expected:
                    self.burst_ms = now_ms + BURST_MS
                return self.keep(values, now_ms, active, "changed")
        waited = now_ms - self.sent_ms
        if now_ms < self.burst_ms and waited >= CLOSE_MS:
            return self.keep(values, now_ms, active, "closer")
        return self.keep(values, now_ms, active, "heartbeat") if waited >= beat_ms else None

    # What a metric said last is remembered while it says nothing, so that a sensor's return is no change.
    def keep(self, values, now_ms, active, why):
        if self.sent is None:
            self.sent = {}
        self.sent.update(values)
        self.sent_ms, self.active = now_ms, active
        return why


class Sampling:
    def __init__(self, kind, ring, clock, heartbeat_s, idle_s, orders=None):  # noqa: PLR0917
        self.kind, self.ring, self.clock, self.orders = kind, ring, clock, orders
        self.heartbeat_ms, self.idle_ms = heartbeat_s * 1000, idle_s * 1000
        self.channels = {channel: Channel() for channel in kind.channels}
        self.sampled_ms = self.moved_ms = None
        self.owed = False  # a level that moves is to be told of once it stands still

    # A moment of the device's life: outputs follow orders, and what is worth it goes into the ring. Gives how many
    # readings that were.
    async def turn(self):
        await self.kind.apply()
        now_ms = self.clock.ticks_ms()
        events = self.kind.events()
        first = self.sampled_ms is None
        # A level that has changed is told at once; of a ramp that is its first and, once it stands still, its last.
        still = self.moved_ms is None or now_ms - self.moved_ms >= STILL_MS
        hasty = still and (self.owed or self.kind.changed)
        if self.kind.changed and not first:
            self.owed, self.moved_ms = not still, now_ms
        self.kind.changed = False
        if not (first or hasty or events or now_ms - self.sampled_ms >= self.kind.every_ms):
            return 0
        self.sampled_ms, kept = now_ms, 0
        self.owed = self.owed and not hasty
        for channel, state in self.channels.items():
            values = await self.kind.sample(channel)
            now_ms = self.clock.ticks_ms()
            active = self.kind.active(channel)
            beat_ms = self.heartbeat_ms if active else self.idle_ms
            if active and self.orders is not None and self.orders.interval_s:
                beat_ms = self.orders.interval_s * 1000
            words = [word for of, word in events if of == channel]
            why = state.look(self.kind, values, now_ms, active, beat_ms)
            if words and why is None:
                why = state.keep(values, now_ms, active, "event")
            if why is None:
                continue
            for word in words or (None,):
                self.ring.append(values, self.clock.utc_ms(), now_ms, channel, word)
                kept += 1
            self.kind.sent(channel)
        return kept
