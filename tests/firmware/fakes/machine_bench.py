"""As much of ``machine`` and ``esp32`` as the drivers touch: pins set by hand, and a DALI line of pulses."""

import asyncio

from fakes.dali_line import Line, backward
from node import dali_wire

pins = {}
FAST_US = 409  # half a bit of a gear that is a little fast


class Pin:
    IN, OUT, PULL_UP, PULL_DOWN, IRQ_RISING, IRQ_FALLING = 0, 1, 2, 3, 4, 5

    def __init__(self, number, mode=None, pull=None, value=None):
        self.level = value if value is not None else 1 if pull == self.PULL_UP else 0
        self.handler = None
        pins[number] = self

    def value(self, level=None):
        if level is not None:
            self.level = level
        return self.level

    def irq(self, handler, trigger):
        self.handler = handler

    def fire(self):
        self.handler(self)


class PWM:
    def __init__(self, pin, freq, duty_u16):
        self.duty = duty_u16

    def duty_u16(self, duty):
        self.duty = duty


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin, atten):
        self.uv = 0

    def read_uv(self):
        return self.uv


class UART:
    def __init__(self, number, **how):
        self.written, self.pin, self.level_then = b"", None, None

    def write(self, data):
        self.written += data
        self.level_then = self.pin and self.pin.level

    def flush(self):
        pass

    def read(self):
        return None


class I2C:
    def __init__(self, number, **how):
        self.how = how


class SPI:
    def __init__(self, number, **how):
        self.written = b""

    def write(self, data):
        self.written += data


class Wire:
    """The DALI line: forward frames as pulses go to ``gear``, its answer is measured pulse by pulse."""

    def __init__(self):
        self.gear, self.active, self.answer = Line(), 1, []


wire = Wire()


class RMT:
    def __init__(self, pin, resolution_hz, idle_level):
        self.idle = idle_level

    def write_pulses(self, lengths, level):
        assert level == wire.active
        assert bool(self.idle) == (not wire.active)
        frame = frame_of(lengths)
        asked = frame & 0x100 and frame & 255 in (0xA0, 0xC5)
        found = drive(wire.gear.ask(frame) if asked else wire.gear.send(frame))
        wire.answer = [] if found is None else backward(found, FAST_US)


def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value


def frame_of(lengths):
    halves, level = [], 0
    for length in lengths:
        halves += [level] * (length // dali_wire.HALF_US)
        level = 1 - level
    if len(halves) < 34:
        halves.append(1)
    assert len(halves) == 34
    assert halves[:2] == [0, 1]
    frame = 0
    for at in range(2, 34, 2):
        frame = frame << 1 | halves[at + 1]
    return frame


def time_pulse_us(pin, level, timeout):
    return wire.answer.pop(0) if wire.answer else -2


class Canvas:
    """As much of ``framebuf`` as the drivers use: letters lie in the first row as they are."""

    def __init__(self, buffer, width, height, form):
        self.buffer = buffer

    def fill(self, white):
        self.buffer[:] = (b"\xff" if white else b"\0") * len(self.buffer)

    def text(self, letters, x, y, colour):
        self.buffer[: len(letters)] = letters.encode()


class Module:
    def __init__(self, **held):
        for name in held:
            setattr(self, name, held[name])


def install(modules):
    modules["machine"] = Module(Pin=Pin, PWM=PWM, ADC=ADC, UART=UART, I2C=I2C, SPI=SPI, time_pulse_us=time_pulse_us)
    modules["esp32"] = Module(RMT=RMT)
    modules["framebuf"] = Module(FrameBuffer=Canvas, MONO_HLSB=3)
    if not hasattr(asyncio, "sleep_ms"):
        asyncio.sleep_ms = quick


async def quick(_ms):
    pass
