"""``machine``: pins, converters and buses, at whose other ends the parts of ``parts`` answer; reset and watchdog."""

import _host
import parts

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5
_CAUSES = {"power_on": PWRON_RESET, "watchdog": WDT_RESET, "reset": SOFT_RESET, "hard": HARD_RESET}
ENODEV = 19


def reset():
    """The process ends; the host starts it again."""
    _host.power("reset")


soft_reset = reset


def reset_cause():
    """Why it runs."""
    return _CAUSES.get(_host.reset_cause(), PWRON_RESET)


def unique_id():
    """Six bytes."""
    return b"\x02\x00\x00\x00\x00\x01"


def freq(hertz=None):
    """Of the processor."""
    return hertz or 160_000_000


def idle():
    """Nothing to wait for."""


def disable_irq():
    """Nothing interrupts."""
    return 0


def enable_irq(state):
    """Nothing interrupts."""
    del state


class Pin:
    """A pin by its number; ``parts.inputs`` says what comes in, ``parts.outputs`` hears what goes out."""

    IN, OUT, OPEN_DRAIN = 1, 3, 7
    PULL_UP, PULL_DOWN = 2, 1
    IRQ_RISING, IRQ_FALLING = 1, 2
    DRIVE_0, DRIVE_1, DRIVE_2, DRIVE_3 = 0, 1, 2, 3

    def __init__(self, id, mode=-1, pull=-1, value=None, **more):  # noqa: A002 - as the board names it
        del more
        self.id = id.id if isinstance(id, Pin) else id
        self.pull = pull
        self._value = 0
        if mode in (Pin.OUT, Pin.OPEN_DRAIN) and value is not None:
            self.value(value)

    def init(self, mode=-1, pull=-1, value=None, **more):
        """Once more."""
        self.__init__(self.id, mode, pull, value, **more)

    def value(self, value=None):
        """What comes in, or what is to go out."""
        if value is None:
            source = parts.inputs.get(self.id)
            return self._value if source is None else int(bool(source()))
        self._value = int(bool(value))
        parts.went_out(self.id, self._value)
        return None

    __call__ = value

    def on(self):
        """High."""
        self.value(1)

    def off(self):
        """Low."""
        self.value(0)

    def irq(self, handler=None, trigger=3, **more):
        """Call the handler when the input changes so."""
        del more
        parts.watch(self, handler, trigger)
        return self


class Signal:
    """A pin that may be upside down."""

    def __init__(self, pin, *rest, invert=False):
        del rest
        self.pin = pin
        self.invert = invert

    def value(self, value=None):
        """As ``Pin.value``."""
        if value is None:
            return self.pin.value() ^ self.invert
        return self.pin.value(bool(value) ^ self.invert)

    def on(self):
        """Active."""
        self.value(1)

    def off(self):
        """Not."""
        self.value(0)


class PWM:
    """A share of the time high; ``parts.outputs`` hears it as 0 to 65535."""

    def __init__(self, pin, freq=1000, duty_u16=None, duty=None, **more):
        del more
        self.pin = pin
        self._freq = freq
        self._duty = 0
        if duty is not None:
            duty_u16 = duty * 65535 // 1023
        if duty_u16 is not None:
            self.duty_u16(duty_u16)

    def freq(self, hertz=None):
        """Periods a second."""
        if hertz is None:
            return self._freq
        self._freq = hertz
        return None

    def duty_u16(self, duty=None):
        """0 to 65535."""
        if duty is None:
            return self._duty
        self._duty = duty
        parts.went_out(self.pin.id, duty)
        return None

    def duty(self, duty=None):
        """0 to 1023."""
        if duty is None:
            return self._duty * 1023 // 65535
        return self.duty_u16(duty * 65535 // 1023)

    def deinit(self):
        """Low."""
        self.duty_u16(0)


class ADC:
    """A voltage; ``parts.voltages`` says how many microvolts."""

    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = 0, 1, 2, 3
    WIDTH_12BIT = 3
    FULL_UV = 3_300_000
    STEADY = 16
    """Conversions for which a voltage stands still: firmware takes their mean, and asking the host takes time."""

    def __init__(self, pin, **more):
        del more
        self.id = pin.id if isinstance(pin, Pin) else pin
        self._uv = self._left = 0

    def read_uv(self):
        """Microvolts."""
        left = self._left
        if left:
            self._left = left - 1
            return self._uv
        source = parts.voltages.get(self.id)
        self._uv = min(self.FULL_UV, max(0, int(source()))) if source else 0
        self._left = self.STEADY - 1
        return self._uv

    def read_u16(self):
        """0 to 65535."""
        return self.read_uv() * 65535 // self.FULL_UV

    def read(self):
        """0 to 4095."""
        return self.read_uv() * 4095 // self.FULL_UV

    def atten(self, attenuation):
        """Any."""

    def width(self, bits):
        """Any."""


class I2C:
    """A bus; ``parts.i2c`` has its devices by address: ``write(bytes)`` and ``read(n) -> bytes``."""

    def __init__(self, *bus, **more):
        del bus, more

    def _at(self, address):
        found = parts.i2c.get(address)
        if found is None:
            raise OSError(ENODEV)
        return found

    def scan(self):
        """Who answers."""
        return sorted(parts.i2c)

    def writeto(self, address, data, stop=True):
        """Gives how many bytes were taken."""
        del stop
        self._at(address).write(bytes(data))
        return len(data)

    def readfrom(self, address, n, stop=True):
        """What it answers."""
        del stop
        return bytes(self._at(address).read(n))

    def readfrom_into(self, address, buffer, stop=True):
        """Into a buffer."""
        buffer[:] = self.readfrom(address, len(buffer), stop)

    def readfrom_mem(self, address, register, n, addrsize=8):
        """A register."""
        other = self._at(address)
        other.write(register.to_bytes(addrsize // 8, "big"))
        return bytes(other.read(n))

    def readfrom_mem_into(self, address, register, buffer, addrsize=8):
        """A register, into a buffer."""
        buffer[:] = self.readfrom_mem(address, register, len(buffer), addrsize=addrsize)

    def writeto_mem(self, address, register, data, addrsize=8):
        """Set a register."""
        self._at(address).write(register.to_bytes(addrsize // 8, "big") + bytes(data))


SoftI2C = I2C


class UART:
    """A serial line; ``parts.uart`` has who is at its other end: ``write(bytes)`` and ``poll() -> bytes``."""

    INV_TX, INV_RX, IRQ_RXIDLE = 1, 2, 4

    def __init__(self, id, baudrate=115200, **more):  # noqa: A002 - as the board names it
        del more
        self.id = id
        self.baudrate = baudrate
        self._in = b""

    def init(self, baudrate=115200, **more):
        """Once more."""
        del more
        self.baudrate = baudrate

    def deinit(self):
        """Done."""

    def _heard(self):
        other = parts.uart.get(self.id)
        if other is not None:
            self._in += other.poll()
        return self._in

    def any(self):
        """How many bytes wait."""
        return len(self._heard())

    def read(self, n=None):
        """What waits, at most ``n``; None where nothing does."""
        heard = self._heard()
        taken = heard if n is None else heard[:n]
        self._in = heard[len(taken) :]
        return taken or None

    def readinto(self, buffer, n=None):
        """Into a buffer; gives how many or None."""
        taken = self.read(len(buffer) if n is None else n)
        if taken is None:
            return None
        buffer[: len(taken)] = taken
        return len(taken)

    def readline(self):
        """Up to the end of a line."""
        heard = self._heard()
        return self.read(heard.find(b"\n") + 1 or None)

    def write(self, data):
        """To the other end."""
        other = parts.uart.get(self.id)
        if other is not None:
            other.write(bytes(data))
        return len(data)

    def flush(self):
        """All is out."""

    def txdone(self):
        """All is out."""
        return True


class SPI:
    """A bus on which ``parts.spi`` listens and nobody answers."""

    MSB, LSB = 0, 1

    def __init__(self, *bus, **more):
        del bus, more

    def init(self, **more):
        """Once more."""

    def write(self, data):
        """To whom it concerns."""
        for panel in parts.spi:
            panel.write(data)

    def readinto(self, buffer, write=0):
        """Zeros."""
        del write
        buffer[:] = bytes(len(buffer))


SoftSPI = SPI


def time_pulse_us(pin, pulse_level, timeout_us=1000000):
    """How long a pulse on a pin lasts; -2 where none begins within the time."""
    del timeout_us
    for line in parts.lines.values():
        if line.rx == pin.id:
            return line.pulse_us(pulse_level)
    return -2


class RTC:
    """The clock on the chip; it outlives a reset, not the power."""

    def datetime(self, parts=None):
        """(year, month, day, weekday, hour, minute, second, microsecond)."""
        import time

        if parts is None:
            y, m, d, hh, mm, ss, weekday, _ = time.gmtime()
            return (y, m, d, weekday, hh, mm, ss, 0)
        seconds = time.mktime((parts[0], parts[1], parts[2], parts[4], parts[5], parts[6], 0, 0)) + 946684800
        _host.rtc_set(str(seconds * 1000 + (parts[7] // 1000 if parts[7] else 0)))
        return None

    init = datetime

    def memory(self, data=None):
        """Up to 2 KB that outlive a reset."""
        import binascii

        if data is None:
            return binascii.unhexlify(_host.rtc_memory("-"))
        _host.rtc_memory(binascii.hexlify(bytes(data)).decode())
        return None


class WDT:
    """Ends the process when it is not fed."""

    def __init__(self, id=0, timeout=5000):  # noqa: A002 - as the board names it
        del id
        _host.watchdog(timeout)

    def feed(self):
        """It lives."""
        _host.feed()


class Timer:
    """Calls back; nothing of ours uses it."""

    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, id=-1, **more):  # noqa: A002 - as the board names it
        raise NotImplementedError("Timer")
