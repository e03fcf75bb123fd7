"""The functions of the rule language, each with what it takes and gives; adding one is one entry here.

All take numbers of one unit and give a number of that unit; what an argument does not know, the result does not know,
unless the function says otherwise. ``known`` is not among them, as it gives a condition: see the checker.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from types import MappingProxyType
from typing import Any

import numpy as np

from kraj.metrics import Title
from rules.language.plan import Number, Operator, operate

KNOWN = "known"
_where: Operator = np.where


@dataclass(frozen=True, slots=True)
class Function:
    """A function: how many arguments it takes, what it does with them, and how people are told of it."""

    least: int
    most: int
    example: str
    title: Title
    plan: Callable[[list[Number]], Number]


def first_known(first: Any, second: Any, out: Any = None) -> Any:
    """``first`` where it is known, else ``second``; called like a ufunc, but ``out`` is left alone."""
    del out
    return np.asarray(_where(np.isnan(first), second, first), np.float64)


def _fold(operator: Operator) -> Callable[[list[Number]], Number]:
    def plan(arguments: list[Number]) -> Number:
        return reduce(partial(operate, operator), arguments)

    return plan


def _clip(arguments: list[Number]) -> Number:
    # Not np.clip: it takes three times as long on a few thousand rows.
    value, low, high = arguments
    return operate(np.minimum, operate(np.maximum, value, low), high)


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "abs": Function(
            1,
            1,
            "abs(power_w - expected_power_w)",
            Title(cs="velikost bez znaménka", en="size without the sign"),
            lambda arguments: operate(np.absolute, arguments[0]),
        ),
        "clip": Function(
            3,
            3,
            "clip(level_commanded_pct, 10 %, 100 %)",
            Title(
                cs="hodnota stažená do mezí: hodnota, nejméně, nejvíce", en="the value kept within: value, least, most"
            ),
            _clip,
        ),
        "first_known": Function(
            2,
            8,
            "first_known(export_limit_w, power_rated_w)",
            Title(cs="první hodnota, která je známa", en="the first value that is known"),
            _fold(first_known),
        ),
        "max": Function(
            2,
            20,
            "max(3 W, 0.2 * expected_power_w)",
            Title(cs="největší z hodnot; neznámá, když některá chybí", en="the largest; unknown where one is missing"),
            _fold(np.maximum),
        ),
        "min": Function(
            2,
            20,
            "min(l1_voltage_v, l2_voltage_v, l3_voltage_v)",
            Title(cs="nejmenší z hodnot; neznámá, když některá chybí", en="the smallest; unknown where one is missing"),
            _fold(np.minimum),
        ),
    }
)
