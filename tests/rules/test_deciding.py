"""The server's twin of a lamp's decision: by the shared vectors, and against the lamp's own on random input."""

import importlib.util
import json
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.deciding import NONE, Orders, Sensors, decide
from rules.dimming import Programs
from tests.firmware import vectors
from tests.firmware.node.test_program import PROGRAM

WORDS = ("emergency", "cabinet", "manual", "sensor", "program", "fallback")
FOUND: dict[str, Any] = json.loads(vectors.FILE.read_text())
NIGHT_S = vectors.moment("2026-06-10 23:00")


def device() -> ModuleType:
    spec = importlib.util.spec_from_file_location("node_program", PROGRAM)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


DEVICE = device()


def column(values: list[Any]) -> Any:
    return np.array([NONE if value is None else int(value) for value in values])


def together(cases: list[dict[str, Any]], document: dict[str, Any]) -> list[list[Any]]:
    """All cases at once; 0 where there is no time, and blind then."""
    at = np.array([case["utc_s"] or 0 for case in cases])
    levels = Programs.of([document]).levels_pct(np.zeros(len(cases), np.int64), at)
    blind = np.array([case["utc_s"] is None or case["program"] is None for case in cases])

    def ordered(name: str, place: int) -> list[Any]:
        return [None if case["orders"][name] is None else case["orders"][name][place] for case in cases]

    orders = Orders(
        uptime_s=column([case["uptime_s"] for case in cases]),
        emergency_until_s=column(ordered("emergency", 1)),
        manual_pct=column(ordered("manual", 0)),
        manual_until_s=column(ordered("manual", 1)),
        local=np.array([case["orders"]["local"] for case in cases]),
        motion_s=column([case["orders"]["motion_s"] for case in cases]),
    )
    sensor = document.get("sensor", {"level_pct": NONE, "up_s": 1, "hold_s": 1, "down_s": 1})
    sensors = Sensors(**{name: np.array(value) for name, value in sensor.items()})
    level, reason = decide(levels, blind, column([case["dark"] for case in cases]), orders, sensors)
    return [[pct, WORDS[code]] for pct, code in zip(level.tolist(), reason.tolist(), strict=True)]


def test_the_twin_decides_as_the_shared_vectors_say() -> None:
    cases = FOUND["decisions"]
    assert len(cases) >= 20
    assert together(cases, FOUND["levels"][0]["program"]) == [case["expected"] for case in cases]


ORDER = st.none() | st.tuples(st.integers(0, 100), st.integers(0, 50)).map(list)
ORDERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"emergency": ORDER, "manual": ORDER, "local": st.booleans(), "motion_s": st.none() | st.integers(0, 80)}
)
CASES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "program": st.sampled_from([0, 0, None]),
        "utc_s": st.none() | st.integers(NIGHT_S - 43_200, NIGHT_S + 43_200),
        "uptime_s": st.integers(0, 50),
        "orders": ORDERS,
        "dark": st.sampled_from([None, True, False]),
    }
)


@settings(max_examples=200, deadline=None)
@given(st.lists(CASES, min_size=1, max_size=20), st.sampled_from([0, 2]))
def test_the_twin_decides_as_the_lamp_itself(cases: list[dict[str, Any]], which: int) -> None:
    document = FOUND["levels"][which]["program"]
    alone = [
        list(
            DEVICE.decide(None if c["program"] is None else document, c["utc_s"], c["uptime_s"], c["orders"], c["dark"])
        )
        for c in cases
    ]
    assert together(cases, document) == alone
