"""What the firmware is told of the region's language is what the kinds say, and its readings are what ingest takes."""

import ast
import importlib
import math
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kraj import firmware, wire
from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Title, Type
from kraj.units import Unit
from simulators import device, ring

ROOT = Path(__file__).parents[2]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of ``firmware/node`` by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "firmware"))  # pyright: ignore[reportUnknownMemberType]

    def module(name: str) -> Any:
        return importlib.import_module(f"node.{name}")

    return module


def test_the_generated_files_are_what_the_kinds_say() -> None:
    folder = ROOT / firmware.FOLDER
    for name, text in firmware.files().items():
        assert (folder / name).read_text("utf-8") == text, "run kraj firmware constants"
    found = {path.name for path in (folder / "metrics").glob("*.py")}
    assert found == {f"{kind}.py" for kind in KINDS}


def test_the_simulated_fleet_keeps_the_same_limits(node: Any) -> None:
    constants, resend = node("constants"), ring.Resend()
    assert constants.WINDOW == ring.IN_FLIGHT_MAX == wire.READINGS_PER_MESSAGE_MAX
    assert constants.READINGS_PER_MESSAGE == device.READINGS_PER_MESSAGE
    assert constants.COMMANDS_REMEMBERED == device.COMMANDS_REMEMBERED
    assert constants.SESSION_EXPIRY_S == device.SESSION_EXPIRY_S
    assert (resend.first_ms, resend.longest_ms) == (constants.RESEND_FIRST_MS, constants.RESEND_LONGEST_MS)
    assert round(resend.jitter * 100) == constants.RESEND_JITTER_PCT


def test_the_firmware_takes_each_limit_from_there() -> None:
    taken: set[str] = set()
    for path in (ROOT / firmware.FOLDER).glob("*.py"):
        for one in ast.walk(ast.parse(path.read_text("utf-8"))):
            match one:
                case ast.ImportFrom(module="node.constants"):
                    taken |= {alias.name for alias in one.names}
                case ast.Attribute(value=ast.Name(id="constants")):
                    taken.add(one.attr)
                case _:
                    pass
    assert not firmware.LIMITS.keys() - taken


def test_a_kind_is_loaded_by_its_name_alone(node: Any) -> None:
    constants = node("constants")
    assert constants.kind("stop").NAMES[0] == "pv_voltage_v"
    with pytest.raises(ValueError, match="unknown kind"):
        constants.kind("os")


def test_bounds_that_the_decimals_cannot_say_are_refused() -> None:
    metric = Metric("power_w", Unit.WATT, Title(cs="", en=""), possible=(0, 0.15), deadband=1)
    with pytest.raises(ConfigurationError, match="more than 1 decimals"):
        firmware.scaled(metric, 0.15 + 0.001)
    assert firmware.scaled(metric, 0.2) == 2


def expected(kind: Kind, metric: Metric, value: int) -> float:
    """What the column of a metric holds for the firmware's whole number."""
    return float(value) if metric.decimals <= 0 and metric.type is not Type.REAL else value / 10**metric.decimals


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_ingest_reads_what_the_firmware_writes_on_its_fast_path(node: Any, kind: Kind) -> None:
    record, scale, tables = node("record"), node("scale"), node("constants").kind(kind.name)
    random = Random(5)
    for number in range(50):
        values: list[int | None] = []
        for place, metric in enumerate(kind.metrics):
            assert tables.NAMES[place] == metric.name
            low, high = (scale.about(tables, place, what) for what in (scale.LOW, scale.HIGH))
            values.append(None if random.random() < 0.3 else random.choice((low, high, random.randint(low, high))))
        said = record.text(tables, 1000 + number, (7, number % 3, True, 1795212345000, None, values))
        found = wire.matrix(kind, [wire.decoder(kind).decode(said)])[0]
        core = dict(zip(wire.CORE, found, strict=False))
        assert (core["boot"], core["seq"], core["ts"]) == (7, 1000 + number, 1795212345000)
        for metric, value, column in zip(kind.metrics, values, found[len(wire.CORE) :], strict=True):
            if value is None:
                assert math.isnan(column)
            else:
                assert column == pytest.approx(expected(kind, metric, value), rel=1e-12)
