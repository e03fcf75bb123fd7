# What the platform tells a device: programs that outlive a restart, orders that end by themselves, commands.
#
# `store` has keep(name, bytes) and get(name) -> bytes or None; what it cannot keep is an OSError or ValueError.
# `more` are other commands by name: each takes the command and gives (ok, error or None).

import hashlib
import json
import sys

from node.constants import COMMAND_ID_CHARS_MAX, COMMANDS_REMEMBERED, ERROR_CHARS_MAX

DESIRED_BYTES = 16384
HASH_BYTES = 8
PLAIN = {"ok": True}
REASONS = ("emergency", "cabinet", "manual", "sensor", "program", "fallback")
# Of a program two changes are a minute apart or more: what is the same at both ends of this does not change within.
HOLD_MS = 60000
TELL_AGAIN_MS = 30000  # neighbours hold a light for 30 s and more after one motion


class Orders:
    def __init__(self, clock, store, ring, channels=(), more=None):
        self.clock, self.store, self.ring, self.more = clock, store, ring, more or {}
        self.channels = tuple(channels)
        self.version, self.interval_s = 0, None
        self.programs = {}
        self.told = {channel: {} for channel in channels}
        self.held = {}  # by channel: (until when its level stays, under which circumstances, the level)
        self.motion_ms = {}
        self.told_motion_ms = {}
        self.local = False  # the cabinet's switch is on
        self.locked = False  # the cabinet's switch is off: somebody works there
        # Of commands that were answered the beginnings of their names' hashes, and what was said beyond "ok".
        self.seen, self.seen_at, self.said = bytearray(COMMANDS_REMEMBERED * HASH_BYTES), 0, {}
        self.load()

    # What was kept before the restart; what cannot be read counts as nothing, and comes again.
    def load(self):
        try:
            data = self.store.get("desired")
            if data:
                from node import desired

                self.follow(desired, data)
        except Exception:  # whatever lies in flash, the lamp is lit
            self.version, self.interval_s, self.programs = 0, None, {}
        let_go("desired")

    def follow(self, desired, data):
        version, interval, packed = desired.from_flash(data)
        made = {}
        for channel, one in packed.items():
            # Lamps of a segment share a program, in memory too.
            for other in made:
                if packed[other] is one:
                    made[channel] = made[other]
                    break
            else:
                made[channel] = desired.unpack(one)
        self.programs = {channel: one for channel, one in made.items() if channel in self.channels}
        self.held = {}
        self.version, self.interval_s = version, interval

    # Takes a newer document; gives what is published as `reported`, None where there is nothing to say.
    def desired(self, payload):
        if not payload:  # the retained message was taken back
            return None
        version = None
        try:
            if len(payload) > DESIRED_BYTES:
                raise ValueError("large: at most " + str(DESIRED_BYTES) + " bytes")
            try:
                document = json.loads(payload)
            except (ValueError, RuntimeError, MemoryError):
                raise ValueError("malformed: no JSON") from None
            from node import desired

            version = desired.version_of(document)
            if version < self.version:
                raise ValueError("older: version " + str(self.version) + " is applied")
            if version > self.version:
                self.take(desired, version, document)
        except ValueError as error:
            said = {"version": self.version, "ok": False, "error": str(error)[:ERROR_CHARS_MAX]}
            if version is not None:
                said["wanted"] = version
            return said
        finally:
            let_go("desired")
        return {"version": version, "ok": True}

    # In flash before it is followed, or not at all.
    def take(self, desired, version, document):
        interval, packed = desired.read(document, self.channels)
        try:
            # Channels that are not named stay as they are.
            for channel, one in kept_of(desired, self.store.get("desired")).items():
                packed.setdefault(channel, one)
            data = desired.to_flash(version, interval, packed)
            self.store.keep("desired", data)
            if self.store.get("desired") != data:
                raise ValueError("flash does not give back what was written")
        except (OSError, ValueError) as error:
            raise ValueError("no room: " + str(error)) from None
        self.follow(desired, data)

    # The answer to a command, as JSON; None for what cannot be answered. `expiry_s` is what is left of the message's
    # own life.
    def command(self, payload, expiry_s=None):
        try:
            command = json.loads(payload)
        except (ValueError, RuntimeError, MemoryError):
            return None
        if type(command) is not dict:
            return None
        name = command.get("id")
        if type(name) is not str or not 1 <= len(name) <= COMMAND_ID_CHARS_MAX:
            return None
        mark = hashlib.sha256(name.encode()).digest()[:HASH_BYTES]
        place = self.place_of(mark)
        if place < 0:
            said = self.obey(command, expiry_s)
            place, self.seen_at = self.seen_at, (self.seen_at + 1) % COMMANDS_REMEMBERED
            self.seen[place * HASH_BYTES : place * HASH_BYTES + HASH_BYTES] = mark
            self.said.pop(place, None)
            more = {key: value for key, value in said.items() if value is not None}
            if more != PLAIN:
                self.said[place] = json.dumps(more).encode()
        said = json.dumps({"id": name})[:-1].encode() + b", "
        return said + self.said.get(place, b'{"ok": true}')[1:]

    def place_of(self, mark):
        for place in range(COMMANDS_REMEMBERED):
            if self.seen[place * HASH_BYTES : place * HASH_BYTES + HASH_BYTES] == mark:
                return place
        return -1

    def obey(self, command, expiry_s):
        do, readings = command.get("do"), None
        try:
            if type(do) is not str:
                raise ValueError("do")
            if do == "resend":
                readings = self.resend(command)
            elif do in ("set_level", "release") and self.channels:
                self.light(command, do, expiry_s)
            elif do in self.more:
                ok, error = self.more[do](command)
                return {"ok": ok, "error": error if error is None else error[:ERROR_CHARS_MAX]}
            else:
                known = ["resend"] + (["set_level", "release"] if self.channels else []) + sorted(self.more)
                raise ValueError("unknown command " + repr(do[:60]) + "; known: " + ", ".join(known))
        except ValueError as error:
            return {"ok": False, "error": str(error)[:ERROR_CHARS_MAX]}
        return {"ok": True, "readings": readings}

    def resend(self, command):
        bounds = []
        for name in ("from_seq", "to_seq", "from_ts", "to_ts"):
            bound = command.get(name)
            if bound is not None and type(bound) is not int:
                raise ValueError("malformed: " + name)
            bounds.append(bound)
        if self.clock.utc_ms() is None:
            # It cannot tell which readings a time names; sending them all again is always safe.
            bounds[2:] = None, None
        return self.ring.resend(*bounds)

    def light(self, command, do, expiry_s):
        self.held = {}
        channel, reason = command.get("channel", 0), command.get("reason")
        if type(channel) is not int or channel not in self.told:
            raise ValueError("channel: there is no lamp on channel " + str(channel)[:20])
        if reason not in ("emergency", "manual", "sensor"):
            raise ValueError("reason: there are emergency, manual, sensor")
        if do == "release":
            self.told[channel].pop(reason, None)
            if reason == "sensor":
                self.motion_ms.pop(channel, None)
        else:
            self.order(channel, reason, command, expiry_s)

    def order(self, channel, reason, command, expiry_s):
        level = command.get("level_pct")
        if type(level) is not int or not 0 <= level <= 100:
            raise ValueError("level: found " + str(level)[:20] + ", expected 0 to 100 %")
        until = command.get("until")
        if type(until) is not int:
            raise ValueError("until: an order must say until when")
        now_ms, utc_ms = self.clock.ticks_ms(), self.clock.utc_ms()
        if utc_ms is None and expiry_s is None:
            raise ValueError("clock")
        left_ms = expiry_s * 1000 if utc_ms is None else until - utc_ms
        if left_ms <= 0:
            raise ValueError("expired")
        if self.locked and (level or reason == "sensor"):
            raise ValueError("locked")
        if reason == "sensor":
            self.motion_ms[channel] = now_ms  # a neighbour saw it; our own program says what follows
        else:
            # Counted down by the uptime: a clock that is lost or set ends no order.
            self.told[channel][reason] = (level, now_ms + left_ms)

    # Somebody was seen here; gives whether neighbours are to be told, as repeated motions only extend.
    def moved(self, channel=0):
        now_ms = self.clock.ticks_ms()
        self.motion_ms[channel] = now_ms
        self.held.pop(channel, None)
        if now_ms - self.told_motion_ms.get(channel, -TELL_AGAIN_MS) < TELL_AGAIN_MS:
            return False
        self.told_motion_ms[channel] = now_ms
        return True

    # (level in per cent, place of the reason in REASONS); `dark` is what the photocell says, None where there is none.
    def level(self, channel=0, dark=None):
        if self.locked:
            return 0, 1
        now_ms, utc_ms = self.clock.ticks_ms(), self.clock.utc_ms()
        seen, held = (dark, self.local, utc_ms is None), self.held.get(channel)
        if held is not None and now_ms < held[0] and held[1] == seen:
            return held[2]
        found = self.decided(channel, dark, now_ms, utc_ms)
        later_ms = None if utc_ms is None else utc_ms + HOLD_MS
        if self.moving(channel, now_ms) or self.decided(channel, dark, now_ms + HOLD_MS, later_ms) != found:
            self.held.pop(channel, None)
        else:
            self.held[channel] = (now_ms + HOLD_MS, seen, found)
        return found

    # Whether the level may change within seconds: somebody was just seen, or a step or an order's end is near.
    def restless(self):
        return not self.locked and len(self.held) < len(self.channels)

    def moving(self, channel, now_ms):
        sensor = (self.programs.get(channel) or {}).get("sensor")
        if sensor is None or channel not in self.motion_ms:
            return False
        return now_ms - self.motion_ms[channel] <= (sensor["up_s"] + sensor["hold_s"] + sensor["down_s"] + 1) * 1000

    def decided(self, channel, dark, now_ms, utc_ms):
        orders = dict(self.told[channel])
        orders["local"] = self.local
        if channel in self.motion_ms:
            orders["motion_s"] = (now_ms - self.motion_ms[channel]) // 1000
        utc_s = None if utc_ms is None else utc_ms // 1000
        from node import program

        pct, reason = program.decide(self.programs.get(channel), utc_s, now_ms, orders, dark)
        return pct, REASONS.index(reason)


def kept_of(desired, data):
    try:
        return desired.from_flash(data)[2] if data else {}
    except ValueError:
        return {}


# Code that is needed once in months takes no memory in between.
def let_go(name):
    sys.modules.pop("node." + name, None)
    package = sys.modules.get("node")
    if package is not None and hasattr(package, name):
        delattr(package, name)
