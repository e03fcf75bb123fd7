# Contacts, pulses and switches on single pins.

from machine import Pin


# A contact to ground with the chip's pull-up. With `latch` a closing between two looks is not missed, as of a button:
# the interrupt runs a moment after the edge, so that a spark shorter than that does not count.
class Contact:
    def __init__(self, wiring):
        self.pin = Pin(wiring["pin"], Pin.IN, Pin.PULL_UP)
        self.closed = wiring.get("closed", 0)
        self.latched = False
        if wiring.get("latch"):
            edge = Pin.IRQ_RISING if self.closed else Pin.IRQ_FALLING
            self.pin.irq(self.hit, edge)

    def hit(self, pin):
        if pin.value() == self.closed:
            self.latched = True

    def value(self):
        latched, self.latched = self.latched, False
        return self.closed if latched else self.pin.value()


# A motion sensor or another source of pulses: how many came since it was last asked.
class Pulses:
    def __init__(self, wiring):
        self.count = 0
        self.pin = Pin(wiring["pin"], Pin.IN, Pin.PULL_DOWN)
        self.pin.irq(self.hit, Pin.IRQ_RISING)

    def hit(self, pin):
        self.count += 1

    def taken(self):
        count, self.count = self.count, 0
        return count


# A relay, a contactor's driver or a transistor. `on` is the pin's level for on; `at_start` is what it has until the
# first order (a lamp's relay: 1, as a street is not dark because a controller starts).
class Switch:
    def __init__(self, wiring):
        self.level = wiring.get("on", 1)
        start = wiring.get("at_start", 0)
        self.pin = Pin(wiring["pin"], Pin.OUT, value=self.level if start else 1 - self.level)

    def set(self, wanted):
        self.pin.value(self.level if wanted else 1 - self.level)


contact, pulses, switch = Contact, Pulses, Switch
