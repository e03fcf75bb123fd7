# Who is still alive: each task tells by its heartbeat, and the watchdog is fed only while all of them do.
# A task that fails is started again; one that hangs is answered by a reset, as nothing else helps. A server that is
# gone is no failure: the link's heartbeat says that it tries.

LOOK_MS = 20000
RESTART_MS = 2000
RESTARTS_MAX = 5  # of one task in RESTARTS_MS; then there is something that only a new start can mend
RESTARTS_MS = 3600000
TROUBLES_MAX = 4


# What went wrong in one line; out with it to who is at the cable, unless it was said before.
def say(what, error, before=()):
    text = f"{what}: {type(error).__name__}: {error}"
    if text not in before:
        print(text)  # noqa: T201
    return text


class Supervisor:
    def __init__(self, board):
        self.troubles = []  # what went wrong, the newest last
        self._board = board
        self._clock = board.clock
        self._limits = {}  # name -> the longest silence in ms
        self._beats = {}
        self._failures = {}

    # A function for the task to call at least every `limit_ms`.
    def watch(self, name, limit_ms):
        self._limits[name] = limit_ms
        self._beats[name] = self._clock.ticks_ms()

        def beat():
            self._beats[name] = self._clock.ticks_ms()

        return beat

    # Run `main(beat)`, again when it fails; ends when it ends by itself.
    async def keep(self, name, limit_ms, main):
        beat = self.watch(name, limit_ms)
        failed = []
        while True:
            try:
                await main(beat)
                self.leave(name)
                return
            except Exception as error:  # whatever it is, the other tasks go on
                self.note(name, error)
            now = self._clock.ticks_ms()
            failed = [at for at in failed if now - at < RESTARTS_MS]
            failed.append(now)
            if len(failed) > RESTARTS_MAX:
                self._failures[name] = True  # `run` resets
            await self._clock.sleep_ms(RESTART_MS)
            beat()

    # Nobody waits for it any more.
    def leave(self, name):
        self._limits.pop(name, None)
        self._failures.pop(name, None)

    def note(self, name, error):
        self.troubles.append(say(name, error, self.troubles))
        del self.troubles[:-TROUBLES_MAX]

    # Who has not been heard of for too long, or fails again and again; None while all is well.
    def missing(self):
        now = self._clock.ticks_ms()
        for name, limit_ms in self._limits.items():
            if name in self._failures or now - self._beats[name] > limit_ms:
                return name
        return None

    # Feeds the watchdog; gives back who is missing, for a reset. Should this hang too, the watchdog is not fed.
    async def run(self):
        while True:
            name = self.missing()
            if name is not None:
                return name
            self._board.feed()
            await self._clock.sleep_ms(LOOK_MS)
