# A device's link to the platform: connects again for ever, sends what the ring holds, hears and answers.
# Nobody is reset and nothing is switched because a server is gone; this only waits and tries again.
import asyncio
import json

from node import mqtt
from node.constants import KEEPALIVE_S, READINGS_PER_MESSAGE, SESSION_EXPIRY_S
from node.supervisor import say

WILL_DELAY_S = 20  # a short gap is not told to anybody
FIRST_MS, LONGEST_MS, SETTLED_MS = 1000, 300000, 60000
DIAL_S = 40
TEND_MS = 20000
ASK_TIME_MS = 21600000  # every six hours
MESSAGE_MAX = 8192
IDLE_MS = 300000
ANSWERS_MAX = 16
ROUNDS = 3  # so often the broker takes the old certificate right after the new one failed: then that has failed
OFFLINE = b'{"online":false}'


# Until the event is set, at most so long.
async def wait(event, ms):
    try:
        await asyncio.wait_for(event.wait(), ms / 1000)  # a float: asyncio's seconds
    except mqtt.LOST:
        return


# `settings`: host, port, municipality, device and perhaps password. `take(channel, payload, expiry_s)` is given each
# `command` and `desired` and gives what to say: [(channel, payload, retain)]. `status()`: the status without `online`.
# `renewal("trial")` gives by what to dial in place of what the device has; `renewal("tried", trying)` is told that the
# broker has taken us in so (node/renewal.py).
# The clock's utc_ms() is None while the time is not known: then nothing is dialled, as no certificate could be judged.
class Link:
    def __init__(self, board, settings, ring, *, random, take, status, renewal=None):
        self.connected = False
        self.sessions = 0
        self.malformed = 0
        self.trouble = ""
        self._board = board
        self._clock = board.clock
        self._settings = settings
        self._ring = ring
        self._random = random
        self._take = take
        self._status = status
        self._renewal = renewal
        # While a certificate is on trial how often still; below 0 it was tried last, and the old one is next.
        self.trying = self.rest_until = 0
        self._base = f"kraj/{settings['municipality']}/{settings['device']}/"
        self._client = None
        self._session_task = None
        self._cut = False
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._drain_until = None
        self._inbox = []
        self._answers = []
        self._fetching = self._fetched = None
        self._arrived = asyncio.Event()
        self._asked_ms = None

    # There is something new in the ring.
    def wake(self):
        self._wake.set()

    # Publish as soon as there is a connection; of what piles up the newest is kept.
    def say(self, channel, payload, retain=False):
        if len(self._answers) >= ANSWERS_MAX:
            del self._answers[1]  # the first may be on its way
        self._answers.append((channel, payload, retain))
        self._wake.set()

    # Send what waits for at most so long, say goodbye and end.
    def stop(self, drain_ms=5000):
        self._drain_until = self._clock.ticks_ms() + drain_ms
        self._stopped.set()
        self._wake.set()

    # Ends after `stop`. `beat` is called every few seconds: that this runs, not that there is a server.
    async def run(self, beat):
        guard = asyncio.create_task(self._guard(beat))
        failures = 0
        try:
            while not self._stopped.is_set():
                began, self._cut = self._clock.ticks_ms(), False
                self._session_task = asyncio.create_task(self._session())
                try:
                    await self._session_task
                except asyncio.CancelledError:
                    if not self._cut:
                        raise
                except mqtt.LOST as error:
                    self.trouble = say("link", error, (self.trouble,))
                    if getattr(error, "reason", 0) == mqtt.TAKEN_OVER:
                        failures = 16  # two that bear one name must not throw each other out all the time
                if self._clock.ticks_ms() - began >= SETTLED_MS and failures < 16:
                    failures = 0
                longest = min(LONGEST_MS, FIRST_MS << min(failures, 16))
                failures = min(failures + 1, 15)
                await wait(self._stopped, longest // 2 + self._random(longest // 2))
        finally:
            guard.cancel()
            if self._session_task is not None:
                self._session_task.cancel()

    # The payload of one retained message, or None: nothing came in time. One at a time.
    async def fetch(self, topic, timeout_s):
        end = self._clock.ticks_ms() + timeout_s * 1000
        while self._clock.ticks_ms() < end:
            client = self._client if self.connected else None
            if client is None:
                await self._clock.sleep_ms(500)
                continue
            self._fetching, self._fetched = topic, None
            self._arrived.clear()
            try:
                await asyncio.wait_for(client.subscribe([(topic, 0)]), timeout_s)
                while self._fetched is None and client.ended is None and self._clock.ticks_ms() < end:
                    await wait(self._arrived, min(5000, max(1, end - self._clock.ticks_ms())))
                found, self._fetched = self._fetched, None
                await asyncio.wait_for(client.unsubscribe([topic]), 10)
                if found is not None:
                    return found
            except mqtt.ClosedError as error:
                if error.reason >= mqtt.REFUSED and client.ended is None:
                    return None
                await self._clock.sleep_ms(500)
            except mqtt.LOST:
                return None
            finally:
                self._fetching = None
        return None

    async def _guard(self, beat):
        while True:
            beat()
            client, now = self._client, self._clock.ticks_ms()
            if client is not None:
                try:
                    await client.tend()
                except mqtt.LOST as error:
                    self.trouble = say("link", error, (self.trouble,))
                    self._cut = True
                    self._session_task.cancel()
            if self.trying > 0:
                self._wake.set()
            if self.connected and self._asked_ms is not None and now - self._asked_ms >= ASK_TIME_MS:
                await self._ask_time()
            await self._clock.sleep_ms(TEND_MS)

    async def _ask_time(self):
        self._asked_ms = self._clock.ticks_ms()
        try:
            return await asyncio.wait_for(self._board.ask_time(), 20)
        except mqtt.LOST:
            return False

    async def _session(self):
        await self._board.network()
        # After a failure too: a clock that is years off makes every certificate look expired.
        if self._clock.utc_ms() is None or self._asked_ms is None or self.trouble:
            await self._ask_time()
            if self._clock.utc_ms() is None:
                raise OSError("the time is not known")
        here, tried = self._settings, self.trying
        self.trying = -tried  # however this one fails, the next is by the other
        by = self._renewal("trial") if tried > 0 else None
        to = (here["host"], here["port"], by) if by else (here["host"], here["port"])
        reader, writer = await asyncio.wait_for(self._board.dial(*to), DIAL_S)
        by = to = None  # kilobytes, and not needed any more
        client = mqtt.Client(reader, writer, self._clock, self._heard)
        listener = None
        try:
            will = (self._base + "status", OFFLINE, WILL_DELAY_S)
            keepalive_s, password = here.get("keepalive_s", KEEPALIVE_S), here.get("password")
            said = client.connect(here["device"], will, SESSION_EXPIRY_S, keepalive_s=keepalive_s, password=password)
            await asyncio.wait_for(said, DIAL_S)
            if tried:
                self._renewal("tried", tried)
            # Before anything else: a kept session delivers its commands at once.
            listener = asyncio.create_task(self._hear(client))
            self._client = client
            await client.subscribe([(self._base + "ack", 0), (self._base + "command", 1), (self._base + "desired", 1)])
            await self._publish_status(client, self._online())
            self._ring.reconnect()
            self.connected = True
            self.sessions += 1
            self.trouble = ""
            print("link: connected")  # noqa: T201 - for who waits at the cable
            await self._serve(client)
            if self._drain_until is not None:
                await self._publish_status(client, OFFLINE)
                await client.close()
        finally:
            self.connected = False
            self._client = None
            self._inbox.clear()
            if listener is not None:
                listener.cancel()
            await client.close(4)

    async def _hear(self, client):
        await client.listen()
        self._wake.set()
        self._arrived.set()

    def _online(self):
        found = {"online": True}
        found.update(self._status())
        return json.dumps(found).encode()

    async def _publish_status(self, client, payload):
        await client.publish(self._base + "status", payload, retain=True, wait=True)

    async def _serve(self, client):
        while client.ended is None:
            self._wake.clear()
            await self._answer(client)
            if self.trying > 0 and self._drain_until is None and self._clock.ticks_ms() >= self.rest_until:
                return  # without a goodbye: it is back before anybody is told
            await self._send(client)
            if self._drain_until is not None:
                left = self._drain_until - self._clock.ticks_ms()
                if left <= 0 or not (self._ring.pending or self._answers):
                    return
                await wait(self._wake, min(left, 1000))
            else:
                await self._until_needed(client)
        raise client.ended

    async def _until_needed(self, client):
        if not self._inbox and not self._answers and client.ended is None:
            now = self._clock.ticks_ms()
            due_ms = self._ring.due_ms(now)
            await wait(self._wake, IDLE_MS if due_ms is None else max(0, due_ms - now))

    # A command is acknowledged to the broker once it has our answer: where that fails, it comes again, and is known.
    async def _answer(self, client):
        while self._inbox or self._answers:
            number = 0
            if self._inbox:
                channel, payload, number, expiry_s, at_ms = self._inbox.pop(0)
                if expiry_s is not None:
                    expiry_s = max(0, expiry_s - (self._clock.ticks_ms() - at_ms) // 1000)
                if channel:
                    for said in self._take(channel, payload, expiry_s):
                        self.say(*said)
            while self._answers:
                channel, payload, retain = self._answers[0]
                await client.publish(self._base + channel, payload, retain=retain, wait=True)
                self._answers.pop(0)
            if number:
                await client.acknowledge(number)

    # Give the ring's readings to the broker until there are none, or too many are on their way.
    async def _send(self, client):
        while found := self._ring.take(self._clock.ticks_ms()):
            bodies, size = [], 0
            for _, body in found:
                if body[:8] == b'{"event"':
                    await client.publish(self._base + "event", body)
                    continue
                if bodies and (len(bodies) >= READINGS_PER_MESSAGE or size + len(body) > MESSAGE_MAX):
                    await self._publish_readings(client, bodies)
                    bodies, size = [], 0
                bodies.append(body)
                size += len(body) + 1
            if bodies:
                await self._publish_readings(client, bodies)

    async def _publish_readings(self, client, bodies):
        payload = bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"
        await client.publish(self._base + "telemetry", payload)

    def _heard(self, topic, payload, number, expiry_s):
        channel = topic[len(self._base) :] if topic.startswith(self._base) else ""
        if channel == "ack":
            self._acknowledged(payload)
        elif topic == self._fetching:
            self._fetched = payload
            self._arrived.set()
        elif channel in ("command", "desired"):
            self._inbox.append((channel, payload, number, expiry_s, self._clock.ticks_ms()))
        elif number:
            self._inbox.append(("", b"", number, None, 0))
        self._wake.set()

    # {"boot": 7, "seq": [[1230, 1240]]}: closed ranges of one boot.
    def _acknowledged(self, payload):
        try:
            said = json.loads(payload)
            ranges = [(low, high) for low, high in said["seq"]]
            if not all(type(n) is int for pair in ranges for n in pair) or type(said["boot"]) is not int:
                raise ValueError("an ack is made of whole numbers")
        except Exception:  # whatever it is made of, also nested beyond the stack
            self.malformed += 1
            return
        self._ring.acknowledge(said["boot"], ranges)
