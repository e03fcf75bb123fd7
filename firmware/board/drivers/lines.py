# Serial lines and I2C buses.

from board.drivers import parts
from machine import I2C, UART, Pin
from node.lis3dh import Lis3dh

PARITY = {"none": None, "even": 0, "odd": 1}


# Without waiting: read() gives what has come. `de` is the pin that turns an RS-485 driver to sending.
class Line:
    def __init__(self, wiring):
        self.uart = UART(
            wiring.get("id", 1),
            baudrate=wiring.get("baud", 9600),
            bits=8,
            parity=PARITY[wiring.get("parity", "none")],
            stop=wiring.get("stop", 1),
            tx=wiring.get("tx", 17),
            rx=wiring.get("rx", 16),
            timeout=0,
            rxbuf=512,
        )
        self.de = Pin(wiring["de"], Pin.OUT, value=0) if "de" in wiring else None

    def write(self, data):
        if self.de is None:
            self.uart.write(data)
            return
        self.de.value(1)
        self.uart.write(data)
        self.uart.flush()  # eight bytes: 8 ms at 9600 baud
        self.de.value(0)

    def read(self):
        return self.uart.read() or b""


def uart(wiring):
    return Line(wiring)


def i2c(wiring):
    return I2C(
        wiring.get("id", 0),
        scl=Pin(wiring.get("scl", 22)),
        sda=Pin(wiring.get("sda", 21)),
        freq=wiring.get("hz", 100000),
    )


def lis3dh(wiring):
    bus = dict(wiring)
    bus["type"] = "i2c"
    return Lis3dh(parts.made(bus), wiring.get("address", 0x18))
