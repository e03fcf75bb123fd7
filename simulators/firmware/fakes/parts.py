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
spi = []
"""Who listens on it: ``write(bytes)`` looks at its own select pin."""
lines = {}
"""By the pin that pulses go out of: ``heard(lengths)`` from a low one on, ``rx``, and ``pulse_us(level)`` back."""
state = {}
"""What went out last, by pin."""
changes = []
"""What is called when the world outside has changed."""
remembered = {}
"""What was found out since the world changed, as asking the host takes time; nothing where it changes by a table."""
_watched = []
_value, _stands = _host.value, _host.values_stand


def remember(key, found):
    """Until the world changes; gives what was found."""
    if _stands():
        remembered[key] = found
    return found


def value(name):
    """What the host says of a metric: a number or None. What needs more than 31 bits comes as text."""
    if name in remembered:
        return remembered[name]
    found = _value(name)
    return remember(name, int(found) if isinstance(found, str) else found)


def went_out(pin, level):
    """A pin was set."""
    if state.get(pin) == level:
        return
    state[pin] = level
    remembered.clear()
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
    remembered.clear()
    for feel in changes:
        feel()
    for one in _watched:
        pin, handler, trigger, before = one
        now = pin.value()
        one[3] = now
        if now != before and trigger & (1 if now else 2):
            handler(pin)
