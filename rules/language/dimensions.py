"""Units in calculations: what may be compared and added, what a product is measured in, what converts into what."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

from kraj.units import Unit

ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Dimension:
    """A product of powers of base units, times ``scale``: kWh is W·s times 3,600,000.

    ``free`` is a bare number or a quantity declared without a unit: it takes the unit of what it is compared with or
    added to, and is a plain factor in products. Per cent is a base of its own, on purpose: 60 % is written 60 in one
    place and 0.6 in another, so the two are never mixed in silence.
    """

    exponents: tuple[tuple[str, int], ...] = ()
    scale: Fraction = ONE
    free: bool = False

    def times(self, other: "Dimension", power: int = 1) -> "Dimension":
        """The dimension of a product; of a quotient with ``power`` -1."""
        if self.free and other.free:
            return FREE
        total = dict(self.exponents)
        for base, exponent in other.exponents:
            total[base] = total.get(base, 0) + power * exponent
        return Dimension(_tidy(total), self.scale * other.scale**power)

    def fits(self, other: "Dimension") -> bool:
        """Whether the two may be compared or added."""
        return self.free or other.free or self.exponents == other.exponents

    def factor(self, other: "Dimension") -> Fraction:
        """By what a number in this unit is multiplied to be in the other, which fits."""
        return ONE if self.free or other.free else self.scale / other.scale

    def exponent(self, base: str) -> int:
        return dict(self.exponents).get(base, 0)

    def without(self, base: str) -> "Dimension":
        """One power of the base less."""
        total = dict(self.exponents)
        total[base] = total.get(base, 0) - 1
        return Dimension(_tidy(total), self.scale)

    @property
    def symbol(self) -> str:
        """As people write it: W, W/m², or a product of bases."""
        if self.free:
            return "a number"
        for symbol, known in SYMBOLS.items():
            if known.exponents == self.exponents and known.scale == self.scale:
                return symbol
        parts = [base if exponent == 1 else f"{base}^{exponent}" for base, exponent in self.exponents]
        return "·".join(parts if self.scale == 1 else [f"{float(self.scale):g}", *parts]) or "a ratio"


def _tidy(exponents: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Sorted, without zeros. Pieces vanish beside a real unit (60 W a lamp times 30 lamps are watts)."""
    kept = {base: exponent for base, exponent in exponents.items() if exponent}
    if COUNTED in kept:
        if len(kept) > 1:
            del kept[COUNTED]
        elif kept[COUNTED] > 1:
            kept[COUNTED] = 1
    return tuple(sorted(kept.items()))


def _of(scale: Fraction | int = 1, /, **exponents: int) -> Dimension:
    return Dimension(tuple(sorted(exponents.items())), Fraction(scale))


def _base(name: str, scale: Fraction | int = 1) -> Dimension:
    return Dimension(((name, 1),), Fraction(scale))


COUNTED = "×"
PERCENT = "%"
FREE = Dimension(free=True)
RATIO = Dimension()

_VOLT = _of(W=1, A=-1)
_OHM = _of(W=1, A=-2)
_MILLI = Fraction(1, 1000)

SYMBOLS: Mapping[str, Dimension] = MappingProxyType(
    {
        "W": _of(W=1),
        "kW": _of(1000, W=1),
        "MW": _of(10**6, W=1),
        "Wh": _of(3600, W=1, s=1),
        "kWh": _of(3_600_000, W=1, s=1),
        "MWh": _of(3_600_000_000, W=1, s=1),
        "V": _VOLT,
        "mV": Dimension(_VOLT.exponents, _MILLI),
        "kV": Dimension(_VOLT.exponents, Fraction(1000)),
        "A": _of(A=1),
        "mA": _of(_MILLI, A=1),
        "Hz": _of(s=-1),
        "Ω": _OHM,
        "kΩ": Dimension(_OHM.exponents, Fraction(1000)),
        "MΩ": Dimension(_OHM.exponents, Fraction(10**6)),
        "s": _of(s=1),
        "ms": _of(_MILLI, s=1),
        "min": _of(60, s=1),
        "h": _of(3600, s=1),
        "d": _of(86_400, s=1),
        "°C": _base("°C"),
        "lx": _base("lx"),
        "klx": _base("lx", 1000),
        "°": _base("°"),
        "g": _base("g"),
        "dBm": _base("dBm"),
        "%": _base(PERCENT),
        "W/m²": _of(W=1, m=-2),
        "µg/m³": _of(m=-3, µg=1),
        COUNTED: _base(COUNTED),
    }
)
"""Every unit that may be written behind a number, as it is shown."""

SPELLINGS: Mapping[str, str] = MappingProxyType(
    {
        **{symbol: symbol for symbol in SYMBOLS if symbol != COUNTED},
        "VA": "W",  # V·A and W are one here: power factors are metrics of their own
        "kVA": "kW",
        "ohm": "Ω",
        "kohm": "kΩ",
        "Mohm": "MΩ",
        "\u2126": "Ω",  # the ohm sign, which some keyboards give for the Greek letter
        "degC": "°C",
        "K": "°C",  # a difference of temperatures
        "deg": "°",
        "pct": "%",
        "W/m2": "W/m²",
        "ug/m3": "µg/m³",
        "\u03bcg/m³": "µg/m³",  # the Greek letter for the micro sign
    }
)
"""What a keyboard may give for it."""

OF_UNIT: Mapping[Unit, Dimension] = MappingProxyType(
    {
        Unit.NONE: FREE,
        Unit.RATIO: RATIO,
        **{unit: SYMBOLS[unit.symbol] for unit in Unit if unit not in (Unit.NONE, Unit.RATIO)},
    }
)
