# This board by the ports that node/ knows: areas of flash, clock, secrets, network, watchdog, parts.
import random

import machine
from board import flash
from board.clock import Clock
from board.network import Network
from board.secrets import Secrets
from machine import RTC, WDT

WATCHDOG_MS = 60000
MARK = b"kraj:"  # in the memory that outlives a reset: why we did it ourselves
FAILED = b"failed"
CAUSES = {
    machine.PWRON_RESET: "power_on",
    machine.HARD_RESET: "hardware",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep_sleep",
    machine.SOFT_RESET: "software",
}


class Board:
    def __init__(self, running=None):
        self.running = running
        self.areas = flash.areas()
        self.clock = Clock()
        self.secrets = Secrets()
        self.wlan = Network(self.secrets)
        self._cause = CAUSES.get(machine.reset_cause(), "unknown")
        kept = bytes(RTC().memory())
        if kept[: len(MARK)] == MARK:
            # To the chip our own resets look like any that is not the power's. After a failure it stays one.
            if self._cause in ("hardware", "software"):
                self._cause = "hardware" if kept[len(MARK) :] == FAILED else "software"
            RTC().memory(b"")
        self._watchdog = WDT(timeout=WATCHDOG_MS)

    def reset_cause(self):
        return self._cause

    def reset(self, cause):
        RTC().memory(MARK + cause.encode())
        machine.reset()

    def feed(self):
        self._watchdog.feed()

    def secret(self, name):
        return self.secrets.get(name)

    # None forgets it.
    def keep_secret(self, name, value):
        self.secrets.keep(name, value)

    # A whole number below n; the chip seeds by its own noise.
    def random(self, n):
        return random.getrandbits(30) % n if n > 0 else 0

    async def network(self):
        await self.wlan.up()

    # `by` in place of its own are certificates and roots on trial.
    async def dial(self, host, port, by=None):
        return await self.wlan.dial(host, port, by)

    # Whom to ask may be set: a network of one's own has a clock of its own.
    async def ask_time(self):
        own = self.secrets.get("ntp")
        return await self.clock.ask((own.decode(),)) if own else await self.clock.ask()

    def rssi(self):
        return self.wlan.rssi()

    def clock_offset_ms(self):
        return self.clock.offset_ms

    def confirm_image(self):
        flash.confirm_image()

    def part(self, wiring):
        from board.drivers import parts

        return parts.made(wiring)
