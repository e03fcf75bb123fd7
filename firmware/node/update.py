# A signed update, from the order to the other slot.
# Nothing of it is ever written over what runs: the running slot and the state that names it stay as they are until
# everything was read back from flash and found to be what was signed.
#
#   accept   the order is plausible, the version above the floor, the clock known
#   run      head: signature, product, runtime, expiry -> blocks into the other slot -> read back -> `trial` is kept
#   (restart by whoever called; the loader starts the other slot, at most `trial` times)
#   confirm  after a round trip to the broker and the self-test: the slot is the one to start, the floor rises
#
# `state` (node/state.py): `slot` (the confirmed one), `trial` (starts that the other slot has left), `floor` (the
# highest confirmed version), and `keep(**changes)`, which is whole or not at all.
import hashlib
import sys

from node import release
from node.release import BLOCK, SECTOR, Refused

TOPIC = "kraj_release/"
TRIALS = 3
# A new version that reaches no broker for an hour goes back to the old one, by one restart.
TRIAL_MS = 3600000
TRIES = 10
TIMEOUT_S = 60


# What bytecode this interpreter runs, as the builder names it; CPython, in tests, says the same.
def runtime():
    version = getattr(sys.implementation, "_mpy", 6) & 0xFF
    return f"mpy {version}"


# What verifies is in memory only while it does.
def signed(head, key, feed):
    from node import ed25519

    try:
        return ed25519.verify(key, head[-64:], (head[:-64],), feed)
    finally:
        sys.modules.pop("node.ed25519", None)
        if hasattr(sys.modules["node"], "ed25519"):
            del sys.modules["node"].ed25519


class Update:
    # `keys`: the public keys of the region, 32 bytes each, one behind another. `running`: what the loader chose.
    def __init__(self, areas, state, clock, keys, running, feed=None):  # noqa: PLR0917
        self.state = state
        self.clock = clock
        self.keys = [keys[at : at + 32] for at in range(0, len(keys or b"") // 32 * 32, 32)] if keys else []
        self.running = running
        self.area = areas[f"code_{1 - running['slot']}"]
        self.feed = feed
        self.busy = False

    # Why an order is not followed, or None: then `run` is due. `busy` until it is over.
    def accept(self, order):  # noqa: PLR0911
        version = order.get("version")
        if not release.is_hex(order.get("release"), 16) or type(version) is not int:
            return "form"
        if self.busy:
            return "busy"
        # The other slot is what a trial would go back to.
        if self.running.get("trial") or self.running["slot"] != self.state.slot:
            return "trial"
        if version <= self.state.floor or version <= self.running.get("version", 0):
            return "version"
        if not self.keys:
            return "key"
        if self.clock.utc_ms() is None:
            return "clock"
        self.busy = True
        return None

    # Raises Refused; afterwards a restart starts the new version. `fetch(topic, timeout_s)` gives bytes or None.
    async def run(self, order, fetch):
        try:
            head = await self.fetch(fetch, order["release"], "manifest")
            length, size = len(head), self.check_head(head, order)
            whole = hashlib.sha256(head).digest()
            # While blocks come and go, it is not in memory as well.
            del head
            await self.fill(fetch, order["release"], size)
            head = self.area.read(0, length)
            if hashlib.sha256(head).digest() != whole:
                raise Refused("flash")
            release.check(self.area.read, release.manifest(head, self.area.sectors * SECTOR), self.feed)
            self.state.keep(trial=TRIALS)
        finally:
            self.busy = False

    async def fetch(self, fetch, name, which):
        for _ in range(TRIES):
            data = await fetch(TOPIC + name + "/" + str(which), TIMEOUT_S)
            if data is not None:
                return data
        raise Refused("missing")

    # How long the whole container is.
    def check_head(self, head, order):
        if release.hexadecimal(hashlib.sha256(head).digest())[:16] != order["release"]:
            raise Refused("digest")
        found = release.manifest(head, self.area.sectors * SECTOR)
        for key in self.keys:
            if release.hexadecimal(hashlib.sha256(key).digest())[:16] == found["key"]:
                break
        else:
            raise Refused("key")
        if not signed(head, key, self.feed):
            raise Refused("signature")
        if found["product"] != release.PRODUCT:
            raise Refused("product")
        if found["runtime"] != runtime():
            raise Refused("runtime")
        if found["version"] != order["version"] or found["version"] <= self.state.floor:
            raise Refused("version")
        now_ms = self.clock.utc_ms()
        if now_ms is None:
            raise Refused("clock")
        if now_ms // 1000 >= found["expires"]:
            raise Refused("expired")
        return found["end"]

    # The first sector is erased first and its first block written last: in between there is no release in the slot.
    async def fill(self, fetch, name, size):
        area = self.area
        area.erase(0)
        last = (size - 1) // BLOCK
        for step in range(1, last + 2):
            number = step % (last + 1)
            at = number * BLOCK
            block = await self.fetch(fetch, name, number)
            if len(block) != min(BLOCK, size - at):
                raise Refused("block")
            if number and at % SECTOR == 0:
                area.erase(at // SECTOR)
            area.write(at, block)
            # A sector that is worn out is found here, and not in the new version's first night.
            if area.read(at, len(block)) != block:
                raise Refused("flash")
            del block  # it is not in memory while the next one comes
            if self.feed:
                self.feed()


# After a round trip to the broker and the self-test. Every start may call it; it writes only what changes.
def confirm(state, running):
    version = running.get("version", 0)
    if running.get("trial"):
        state.keep(slot=running["slot"], trial=0, floor=max(state.floor, version))
        running["trial"] = False
    elif version > state.floor or running["slot"] != state.slot:
        # Flashed by cable, or the confirmed slot was lost and the loader took the other one.
        state.keep(slot=running["slot"], trial=0, floor=max(state.floor, version))


# Whether a version on trial has had its time; then `give_up` and restart.
def overdue(running, uptime_ms):
    return bool(running.get("trial")) and uptime_ms >= TRIAL_MS


def give_up(state):
    state.keep(trial=0)


# The version that was tried and not confirmed, or None; told as the event `update_failed`, and forgotten when that is
# in the ring (`forget`).
def failed(areas, state, running):
    if running.get("trial") or state.trial:
        return None
    try:
        found = release.in_head(areas[f"code_{1 - running['slot']}"])
    except (Refused, OSError):
        return None
    return found["version"] if found["version"] > state.floor else None


def forget(areas, running):
    areas[f"code_{1 - running['slot']}"].erase(0)
