# The driver of a part by its wiring's `type`; what several parts share (a bus, a line) is opened once.

shared = {}
MODULES = {
    "contact": "pins",
    "pulses": "pins",
    "switch": "pins",
    "pwm": "outputs",
    "adc": "outputs",
    "uart": "lines",
    "i2c": "lines",
    "lis3dh": "lines",
    "dali": "dali_bus",
    "epaper": "epaper",
}
ONE_LINE = ("uart", "i2c", "dali")


# ValueError for a type that this firmware does not know, OSError for what the board does not have.
def made(wiring):
    kind = wiring["type"]
    if kind not in MODULES:
        raise ValueError("unknown part " + str(kind))
    name = (kind, wiring.get("id", 0))
    if kind in ONE_LINE and name in shared:
        return shared[name]
    module = __import__("board.drivers." + MODULES[kind], None, None, (kind,))
    found = getattr(module, kind)(wiring)
    if kind in ONE_LINE:
        shared[name] = found
    return found
