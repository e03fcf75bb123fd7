"""What is at the other ends of the board's pins and buses."""

import _host

inputs = {}
"""By pin: () -> whether it is high."""
voltages = {}
"""By pin: () -> microvolts."""
outputs = {}
"""By pin: (value) -> None."""
i2c = {}
uart = {}
spi_bytes = 0
state = {}
"""What went out last, by pin."""
_watched = []
_value = _host.value


def value(name):
    """What the host says of a metric: a number or None. What needs more than 31 bits comes as text."""
    found = _value(name)
    return int(found) if isinstance(found, str) else found


def went_out(pin, level):
    """A pin was set."""
    if state.get(pin) == level:
        return
    state[pin] = level
    hears = outputs.get(pin)
    if hears is not None:
        hears(level)


def watch(pin, handler, trigger):
    """Have a handler called when an input changes; ``look`` looks."""
    _watched[:] = [one for one in _watched if one[0].id != pin.id]
    if handler is not None:
        _watched.append([pin, handler, trigger, pin.value()])


def look(*_):
    """The world outside has changed: call who waits for it."""
    for one in _watched:
        pin, handler, trigger, before = one
        now = pin.value()
        one[3] = now
        if now != before and trigger & (1 if now else 2):
            handler(pin)
