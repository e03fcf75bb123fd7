# A device from its start to its end: what it is, its tasks, and what it does when a start did not go well.
#
# `run(board, kind)` ends when it is to be reset, with why; `board` has the ports. Who it is lies in its `settings`:
# kind and parts, the broker's host and port, municipality and device.
import asyncio
import json
import sys

from node import constants
from node.config import Config
from node.link import ROUNDS, Link
from node.orders import Orders
from node.ring import Ring
from node.state import State
from node.supervisor import Supervisor

SAFE_AFTER = 4  # starts in a row that did not go well: then the link, commands and the light's fallback alone
BARE_AFTER = 8  # even those did not: then the link alone; a lamp whose input is left open gives full light
WELL_MS = 600000
SAFE_MS = 21600000  # then it tries once more
TURN_MS, CHORES_MS, SETTLED_MS = 1000, 10000, 60000
GOODBYE_MS = 5000
# What was no choice of ours. A loss of power is nobody's fault, and a reset of our own is counted before it.
FAULTS = ("watchdog", "hardware", "unknown")

here = None  # the device that runs


# In safe mode nothing is taken from flash and nothing is kept there.
class Nothing:
    def get(self, name):
        return None

    def keep(self, name, content):
        raise OSError("safe mode")


class Device:
    def __init__(self, board, kind=None):
        self.board, self.clock = board, board.clock
        self.running = getattr(board, "running", None) or {"slot": 0, "trial": False, "version": 0, "name": "0"}
        self.over, self.why = asyncio.Event(), None
        self.told = asyncio.Event()  # something that outputs are to follow
        self.supervisor = Supervisor(board)
        self.tasks = []
        self.link = self.ring = self.kind = self.sampling = self.update = None
        self.sampled = 0
        self.state = State(board.areas["state"])
        self.safe = self.begin()
        self.config = Config(board.areas["state"])
        self.settings = self.config.settings() or parsed(board.secret("settings")) or {}
        name = kind or self.settings.get("kind")
        if name not in constants.KINDS:
            raise ValueError("what kind of device this is is not known: enrol it by `kraj firmware flash`")
        self.name = name
        random = board.random
        self.ring = self.open_ring(random)
        if self.ring.boot > self.state.boot:
            self.keep(boot=self.ring.boot)
        more = {"renew": self.renewal, "update": self.take_update, "safe_mode": self.take_safe_mode}
        store = Nothing() if self.safe else self.config
        self.orders = Orders(self.clock, store, self.ring, lights(name, self.settings), more)
        if self.state.failures < BARE_AFTER:
            self.guarded("kind", self.open_kind)
        self.link = self.open_link(random)

    # Counts the start before anything can go wrong with it; whether it is to be a safe one.
    def begin(self):
        state = self.state
        failures = state.failures + (self.board.reset_cause() in FAULTS)
        safe = bool(state.safe) or failures >= SAFE_AFTER
        self.keep(boot=state.boot + 1, failures=failures, safe=0)
        return safe

    # Where nothing else helped, what makes it fail may lie in the ring: better empty than never again.
    def open_ring(self, random):
        area, about = self.board.areas["ring"], constants.kind(self.name)
        try:
            return Ring(area, about, self.clock, random, self.state.boot)
        except Exception:
            if self.state.failures < BARE_AFTER:
                raise
        for sector in range(area.sectors):
            area.erase(sector)
            self.board.feed()
        return Ring(area, about, self.clock, random, self.state.boot)

    # Worn flash must not end anything.
    def keep(self, **changes):
        try:
            self.state.keep(**changes)
        except OSError as error:
            self.supervisor.note("state", error)

    def guarded(self, what, call):
        try:
            call()
        except Exception as error:  # whatever it is, the others go on
            self.supervisor.note(what, error)

    def open_kind(self):
        found = __import__("node.kinds." + self.name, None, None, ("Kind",))
        self.kind = found.Kind(self.board, self.settings, self.orders)
        if not self.safe:
            from node.sampling import Sampling

            table = self.kind.table
            self.sampling = Sampling(
                self.kind, self.ring, self.clock, table.HEARTBEAT_S, table.HEARTBEAT_IDLE_S, self.orders
            )

    # None for a device that was never enrolled: it does its work, and what it measures waits.
    def open_link(self, random):
        settings = {name: self.settings.get(name) for name in ("host", "port", "municipality", "device")}
        if None in settings.values():
            self.supervisor.note("link", ValueError("not enrolled"))
            return None
        password = self.board.secret("password")
        if password:
            settings["password"] = password.decode()
        more = {"random": random, "take": self.take, "status": self.status}
        link = Link(self.board, settings, self.ring, renewal=self.renewal, **more)
        link.trying = bool(self.board.secret("renewal")) * ROUNDS
        return link

    def status(self):
        found = {
            "boot": self.ring.boot,
            "firmware": self.running["name"],
            "reset": self.board.reset_cause(),
            "safe_mode": self.safe,
        }
        failed = self.kind and self.kind.failed()
        if failed:
            found["parts_failed"] = failed
        serial = self.renewal("serial")
        if serial:
            found["certificate"] = serial
        return found

    # What to say to a message of the platform; nothing that it says ends the link.
    def take(self, channel, payload, expiry_s):
        try:
            self.told.set()
            if channel == "desired":
                said = self.orders.desired(payload)
                return [] if said is None else [("reported", json.dumps(said).encode(), True)]
            said = self.orders.command(payload, expiry_s)
            return [] if said is None else [("result", said, False)]
        except Exception as error:  # a message is no reason to be silent
            self.supervisor.note(channel, error)
            return []

    def take_update(self, order):
        if self.update is None:
            from node import update

            self.update = update.Update(
                self.board.areas,
                self.state,
                self.clock,
                self.board.secret("release_keys"),
                self.running,
                self.board.feed,
            )
        why = self.update.accept(order)
        if why is None:
            self.tasks.append(asyncio.create_task(self.run_update(order)))
        return why is None, why

    async def run_update(self, order):
        try:
            await self.update.run(order, self.link.fetch)
            self.end("update")
        except Exception as error:  # refused, or flash that fails: what runs goes on
            self.supervisor.note("update", error)
            self.tell("update_failed")
        self.update = None
        let_go()

    # An order to renew, or what link and status ask for; it takes no memory in between.
    def renewal(self, what, tried=0):
        from node import renewal

        try:
            return renewal.turn(self, what, tried)
        finally:
            let_go()

    def take_safe_mode(self, order):
        self.keep(safe=1)
        if not self.state.safe:
            return False, "flash"
        self.end("safe_mode")
        return True, None

    def tell(self, event):
        self.ring.append({}, self.clock.utc_ms(), self.clock.ticks_ms(), 0, event)
        if self.link is not None:
            self.link.wake()

    # The answer that is on its way goes out first; then `run` gives this.
    def end(self, why):
        if self.why is None:
            self.why = why
            if self.link is None:
                self.over.set()
            else:
                self.link.stop(GOODBYE_MS)

    async def rest(self, ms):
        waker = asyncio.create_task(self.later(ms))
        await self.told.wait()
        waker.cancel()

    async def later(self, ms):
        await self.clock.sleep_ms(ms)
        self.told.set()

    # Outputs every second or when something is to change, sensors when they are due.
    async def sample(self, beat):
        while True:
            beat()
            self.told.clear()
            if self.sampling is not None:
                if await self.sampling.turn() and self.link is not None:
                    self.link.wake()
                self.sampled += 1
            elif self.kind is not None:
                await self.kind.apply()
            pause_ms = TURN_MS if self.kind is None else self.kind.pause_ms()
            if pause_ms > TURN_MS and not (self.sampling and self.sampling.owed):
                await self.rest(pause_ms)
            else:
                await self.clock.sleep_ms(TURN_MS)

    async def connect(self, beat):
        await self.link.run(beat)
        self.over.set()

    # A version that was tried and did not stay is told of.
    def look_back(self):
        from node import update

        if update.failed(self.board.areas, self.state, self.running) is not None:
            self.tell("update_failed")
            update.forget(self.board.areas, self.running)
        let_go()

    def confirm(self):
        from node import update

        update.confirm(self.state, self.running)
        let_go()

    def give_up(self):
        from node import update

        if update.overdue(self.running, self.clock.ticks_ms()):
            update.give_up(self.state)
            self.end("update_failed")

    # What follows from how long it has run and how well.
    async def chores(self, beat):
        if not self.safe:
            self.guarded("update", self.look_back)
        began, well, confirmed = self.clock.ticks_ms(), False, False
        while True:
            beat()
            lived = self.clock.ticks_ms() - began
            # A round trip to the broker, and a look at every sensor: what runs may stay.
            if not confirmed and self.link is not None and self.link.connected and (self.safe or self.sampled):
                confirmed = True
                self.guarded("update", self.confirm)
                self.guarded("image", getattr(self.board, "confirm_image", nothing))
            if not confirmed and self.running.get("trial"):
                self.guarded("update", self.give_up)
            if not well and lived >= WELL_MS:
                well = True
                self.keep(failures=SAFE_AFTER - 1 if self.safe and self.state.failures else 0)
            if self.safe and lived >= SAFE_MS:
                self.end("safe_mode_over")
            await self.clock.sleep_ms(SETTLED_MS if confirmed and well and not self.safe else CHORES_MS)

    async def watch(self):
        name = await self.supervisor.run()
        self.keep(failures=self.state.failures + 1)
        self.why = "stalled " + name
        self.over.set()

    async def run(self):
        begin, keep = asyncio.create_task, self.supervisor.keep
        try:
            self.tasks.append(begin(keep("kind", 180000, self.sample)))
            self.tasks.append(begin(keep("chores", 60000, self.chores)))
            if self.link is not None:
                self.tasks.append(begin(keep("link", 120000, self.connect)))
            self.tasks.append(begin(self.watch()))
            await self.over.wait()
        finally:
            for task in self.tasks:
                task.cancel()
        return self.why


# Of what a device does what can be asked from outside: for tests and simulated devices.
def state():
    found, link = here.ring, here.link
    return {
        "connected": bool(link and link.connected),
        "sessions": link.sessions if link else 0,
        "malformed": link.malformed if link else 0,
        "trouble": link.trouble if link else "",
        "troubles": here.supervisor.troubles,
        "safe": here.safe,
        "boot": found.boot,
        "pending": found.pending,
        "acknowledged": found.acknowledged,
        "resent": found.resent,
        "thinned": found.thinned,
        "lost": found.lost,
    }


# Send what waits for so long, say goodbye and end.
def stop(drain_ms=GOODBYE_MS):
    here.why = here.why or "stop"
    if here.link is None:
        here.over.set()
    else:
        here.link.stop(drain_ms)


async def run(board, kind=None):
    global here
    here = Device(board, kind)
    return await here.run()


def nothing():
    pass


# What an update needs takes memory that nobody has to spare for good.
def let_go():
    package = sys.modules.get("node")
    for name in ("update", "release", "ed25519", "renewal", "p256"):
        if sys.modules.pop("node." + name, None) is not None and hasattr(package, name):
            delattr(package, name)


def parsed(text):
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


# The channels that have a light or a contactor to be told about.
def lights(kind, settings):
    if kind == "lamp":
        return tuple(range(settings.get("lamps", 1)))
    if kind == "cabinet" or (kind == "stop" and "light" in (settings.get("parts") or {})):
        return (0,)
    return ()
