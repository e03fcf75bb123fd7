"""Units of measurement: the suffix that ends a metric's name and the symbol that people read."""

from enum import Enum


class Unit(Enum):
    """A unit: ``Unit.WATT.suffix`` is ``w`` (``power_w``), ``Unit.WATT.symbol`` is ``W``.

    An empty suffix means that the name carries no unit (states, flags, counts).
    """

    NONE = ("", "")
    RATIO = ("", "1")
    COUNT = ("", "×")
    PERCENT = ("pct", "%")
    WATT = ("w", "W")
    WATT_HOUR = ("wh", "Wh")
    VOLT = ("v", "V")
    AMPERE = ("a", "A")
    MILLIAMPERE = ("ma", "mA")
    HERTZ = ("hz", "Hz")
    OHM = ("ohm", "Ω")
    CELSIUS = ("degc", "°C")
    SECOND = ("s", "s")
    MILLISECOND = ("ms", "ms")
    LUX = ("lx", "lx")
    DEGREE = ("deg", "°")
    STANDARD_GRAVITY = ("g", "g")
    DECIBEL_MILLIWATT = ("dbm", "dBm")
    WATT_PER_SQUARE_METRE = ("w_per_m2", "W/m²")
    MICROGRAM_PER_CUBIC_METRE = ("ug_per_m3", "µg/m³")

    @property
    def suffix(self) -> str:
        return self.value[0]

    @property
    def symbol(self) -> str:
        return self.value[1]
