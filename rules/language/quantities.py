"""Numbers in units: how they convert, add, multiply and divide, and what becomes of per cent."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from rules.language.dimensions import PERCENT, RATIO, SYMBOLS, Dimension
from rules.language.plan import Constant, Number, operate, quotient

_HUNDRED, _HUNDREDTH = Fraction(100), Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a unit; ``exact`` where it is written in the text."""

    plan: Number
    dimension: Dimension
    exact: Fraction | None = None


def converted(quantity: Quantity, dimension: Dimension) -> Number:
    """The number in another unit that fits; what is written in the text is converted exactly."""
    factor = quantity.dimension.factor(dimension)
    if factor == 1:
        return quantity.plan
    if quantity.exact is not None:
        return Constant(float(quantity.exact * factor))
    if factor.numerator == 1:
        return operate(quotient, quantity.plan, Constant(float(factor.denominator)))
    return operate(np.multiply, quantity.plan, Constant(float(factor)))


def percent_hint(one: Quantity, other: Quantity) -> str:
    """What to do where the one is the other in per cent; nothing where that is not what is wrong."""
    if one.dimension.exponent(PERCENT) < 1 or one.dimension.without(PERCENT).exponents != other.dimension.exponents:
        return ""
    if one.exact is not None:
        return f"as a ratio it is {float(one.exact / 100):g}"
    return "per cent / 100 are a ratio, and 100 * (…) of a ratio are per cent"


def _exact(plan: Number, *parts: Quantity) -> Fraction | None:
    """The value of a calculation of written numbers alone."""
    if isinstance(plan, Constant) and all(part.exact is not None for part in parts) and np.isfinite(plan.value):
        return Fraction(plan.value)
    return None


def _bare(quantity: Quantity, value: Fraction) -> bool:
    return quantity.dimension.free and quantity.exact == value


def _share(quantity: Quantity) -> Quantity:
    """A written 20 % as the factor 0.2."""
    exact = (quantity.exact or Fraction()) / 100
    return Quantity(Constant(float(exact)), RATIO, exact)


def _written_percent(quantity: Quantity) -> bool:
    return quantity.exact is not None and quantity.dimension == SYMBOLS[PERCENT]


def added(sign: str, left: Quantity, right: Quantity, dimension: Dimension) -> Quantity:
    """The sum or difference of two numbers, in this unit that fits both."""
    operator = np.add if sign == "+" else np.subtract
    plan = operate(operator, converted(left, dimension), converted(right, dimension))
    return Quantity(plan, dimension, _exact(plan, left, right))


def negative(quantity: Quantity) -> Quantity:
    """The number with the other sign."""
    exact = None if quantity.exact is None else -quantity.exact
    return Quantity(operate(np.negative, quantity.plan), quantity.dimension, exact)


def product(left: Quantity, right: Quantity) -> Quantity:
    """``left * right``: 20 % of something is a factor 0.2, and 100 times a ratio is per cent."""
    left, right = (_share(side) if _written_percent(side) else side for side in (left, right))
    dimension = left.dimension.times(right.dimension)
    for one, other in ((left, right), (right, left)):
        if _bare(one, _HUNDRED) and other.dimension == RATIO:
            dimension = SYMBOLS[PERCENT]
        elif _bare(one, _HUNDREDTH) and other.dimension.exponent(PERCENT) > 0:
            dimension = other.dimension.without(PERCENT)
    plan = operate(np.multiply, left.plan, right.plan)
    return Quantity(plan, dimension, _exact(plan, left, right))


def ratio(left: Quantity, right: Quantity) -> Quantity:
    """``left / right``: per cent by 100 are a ratio."""
    if _written_percent(right) and not left.dimension.exponent(PERCENT):
        right = _share(right)
    elif _written_percent(left) and not right.dimension.exponent(PERCENT):
        left = _share(left)
    dimension = left.dimension.times(right.dimension, -1)
    if _bare(right, _HUNDRED) and left.dimension.exponent(PERCENT) > 0:
        dimension = left.dimension.without(PERCENT)
    plan = operate(quotient, left.plan, right.plan)
    return Quantity(plan, dimension, _exact(plan, left, right))
