"""What a device's settings may name: parts by kind, drivers by type, and the settings of each; wrong ones are told."""

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from kraj.errors import ConfigurationError

LAMPS_MAX = 16
SIMILAR = 0.5


@dataclass(frozen=True, slots=True)
class Value:
    """What a setting may be, in words and as a check; ``needed`` where the part does not work without it."""

    told: str
    fits: Callable[[Any], bool]
    needed: bool = False
    pin: bool = False


def _whole(low: int, high: int, *, needed: bool = False) -> Value:
    return Value(f"a whole number from {low} to {high}", lambda n: type(n) is int and low <= n <= high, needed)


def _one_of(*words: str | int, needed: bool = False) -> Value:
    told = " or ".join(map(str, words))
    return Value(told, lambda word: any(type(word) is type(one) and word == one for one in words), needed)


def _pin(told: str, *numbers: int | range, needed: bool = False) -> Value:
    found = {n for one in numbers for n in (one if isinstance(one, range) else (one,))}
    return Value(told, lambda n: type(n) is int and n in found, needed, pin=True)


_LOW = (range(6), range(12, 20), range(21, 24), range(25, 28), range(32, 34))


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _output(*, needed: bool = False) -> Value:
    return _pin("a GPIO that can be an output (0 to 5, 12 to 19, 21 to 23, 25 to 27, 32, 33)", *_LOW, needed=needed)


def _input(*, needed: bool = False) -> Value:
    told = "a GPIO that the ESP32 leaves free (0 to 5, 12 to 19, 21 to 23, 25 to 27, 32 to 39)"
    return _pin(told, *_LOW, range(34, 40), needed=needed)


_YES = Value("true or false", lambda n: n in (0, 1))
_LEVEL = _one_of(0, 1)
_UNIT = _whole(1, 247)
_VECTOR = Value(
    "three whole numbers, in thousandths of g",
    lambda n: len(_list(n)) == 3 and all(type(one) is int for one in _list(n)),
)
_UNITS = Value(
    "a list of whole numbers from 1 to 247, each once",
    lambda n: all(map(_UNIT.fits, _list(n))) and 0 < len(_list(n)) == len(set(_list(n))),
)
_I2C = {
    "id": _whole(0, 1),
    "scl": _output(),
    "sda": _output(),
    "address": _whole(0x08, 0x77),
    "hz": _whole(10_000, 400_000),
}

Fields = Mapping[str, Value]

TYPES: Mapping[str, Fields] = {
    "contact": {"pin": _input(needed=True), "closed": _LEVEL, "latch": _YES},
    "pulses": {"pin": _input(needed=True)},
    "switch": {"pin": _output(needed=True), "on": _LEVEL, "at_start": _YES},
    "pwm": {"pin": _output(needed=True), "hz": _whole(1, 40_000), "inverted": _YES},
    "adc": {
        "pin": _pin("a GPIO from 32 to 39: the others cannot measure beside the radio", range(32, 40), needed=True),
        "times": _whole(1, 1000),
        "by": _whole(1, 1000),
    },
    "uart": {
        "id": _whole(1, 2),
        "tx": _output(),
        "rx": _input(),
        "baud": _whole(300, 1_000_000),
        "parity": _one_of("none", "even", "odd"),
        "stop": _whole(1, 2),
        "de": _output(),
    },
    "i2c": _I2C,
    "lis3dh": _I2C,
    "dali": {
        "id": _whole(0, 7),
        "tx": _output(needed=True),
        "rx": _input(needed=True),
        "address": _whole(0, 63),
        "inverted": _YES,
        "rx_inverted": _YES,
    },
    "epaper": {
        "id": _whole(1, 2),
        **{name: _output(needed=True) for name in ("sck", "mosi", "cs", "dc", "rst")},
        "busy": _input(needed=True),
    },
}
"""By a part's ``type`` the settings of its driver in ``firmware/board/drivers``."""
SHARED = {"uart": "uart", "i2c": "i2c", "lis3dh": "i2c", "dali": "dali"}
"""Types of which several parts share one line or bus, by its ``id``: they name the same pins."""

Types = Mapping[str, Fields]
_CONTACT: Types = {"contact": {}}
_SWITCH: Types = {"switch": {}}
_CLIMATE: Types = {"i2c": {}}
_RAIL: Types = {"i2c": {"shunt_uohm": _whole(1, 1_000_000)}}
_LEAN: Types = {"lis3dh": {}}
_ANALOGUE: Types = {"adc": {"per_v": _whole(1, 1_000_000), "zero_mv": _whole(0, 5000)}}
_CURVE: Fields = {"curve": _one_of("linear", "log"), "least_pct": _whole(0, 100)}
_PORTS = range(1, 5)

PARTS: Mapping[str, Mapping[str, Types]] = {
    "lamp": {
        "output": {"pwm": _CURVE, "dali": _CURVE},
        "relay": _SWITCH,
        "meter": {"uart": {"chip": _one_of("pzem", needed=True), "unit": _UNIT}},
        "photocell": _ANALOGUE,
        "motion": {"pulses": {}},
        "tilt": _LEAN,
    },
    "cabinet": {
        "contactor": _SWITCH,
        **dict.fromkeys(("auxiliary", "breaker", "door", "switch_on", "switch_off"), _CONTACT),
        "meter": {"uart": {"chip": _one_of("sdm", "pzem", needed=True), "unit": _UNIT, "phases": _whole(1, 3)}},
        "leakage": _ANALOGUE,
        "photocell": _ANALOGUE,
        "climate": _CLIMATE,
    },
    "stop": {
        "charger": {"uart": {}},
        **dict.fromkeys(("battery", "panel"), _RAIL),
        **{f"rail_{name}": _RAIL for name in ("usb", "network", "display", "light", "sos")},
        **{f"usb{n}": {"switch": {"limit_ma": _whole(1, 20_000)}} for n in _PORTS},
        **{f"usb{n}_meter": _RAIL for n in _PORTS},
        **{f"usb{n}_fault": _CONTACT for n in _PORTS},
        "light": {"pwm": {}},
        "wifi": _SWITCH,
        "air": _SWITCH,
        "display": {"epaper": {}},
        "climate": _CLIMATE,
        **dict.fromkeys(("sos", "door", "water"), _CONTACT),
        "shock": _LEAN,
        "photocell": _ANALOGUE,
    },
    "solar": {"inverter": {"uart": {}}},
}
"""By kind and part: the types that it may be of, each with the settings that the kind itself reads."""
OF_EACH_LAMP = ("output", "relay", "meter")
"""Further lamps of one device have these, too: their channel stands behind the name."""

SETTINGS: Mapping[str, Fields] = {
    "lamp": {"lamps": _whole(1, LAMPS_MAX), "upright_mg": _VECTOR},
    "cabinet": {},
    "stop": {
        "battery_mah": _whole(1, 10_000_000),
        "display_s": _whole(60, 86_400),
        "upright_mg": _VECTOR,
    },
    "solar": {"units": _UNITS},
}
"""By kind: what stands beside ``parts``."""


def read(file: Path) -> dict[str, Any]:
    """The settings of a TOML file, as they stand there; raises ``ConfigurationError``."""
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read ({error.strerror}); docs/firmware.md has one") from error
    except ValueError as error:
        raise ConfigurationError(f"{file}: this is no TOML: {error}; docs/firmware.md has an example") from error


def check(kind: str, said: Mapping[str, Any]) -> None:
    """Raise ``ConfigurationError`` that tells everything in the settings that a device of this kind cannot use."""
    if wrong := list(_wrong(kind, said)):
        raise ConfigurationError("the settings cannot be used:\n" + "\n".join(f"- {one}" for one in wrong))


def _wrong(kind: str, said: Mapping[str, Any]) -> Iterator[str]:
    known = SETTINGS[kind]
    yield from _fields("the file", {name: value for name, value in said.items() if name != "parts"}, known, ("parts",))
    if not isinstance(said.get("parts", {}), dict):
        yield f"parts is {said['parts']!r}; a table of parts is expected: [parts]"
        return
    parts: dict[str, Any] = said.get("parts", {})
    lamps = said.get("lamps", 1)
    possible = _parts(kind, lamps if known.get("lamps", _LEVEL).fits(lamps) else LAMPS_MAX)
    pins: dict[int, tuple[str, str]] = {}
    for name, wiring in parts.items():
        if name in possible:
            yield from _part(name, wiring, possible[name], pins)
        else:
            yield f"{name} is no part of a {kind}" + _nearest(name, possible)


def _part(name: str, wiring: Any, wanted: Types, pins: dict[int, tuple[str, str]]) -> Iterator[str]:
    if not isinstance(wiring, dict):
        yield f'{name} is {wiring!r}; its wiring is expected, such as {{ type = "{next(iter(wanted))}" }}'
        return
    told = dict(cast("dict[str, Any]", wiring))
    by = told.pop("type", None)
    if by not in wanted:
        found = "has no type" if by is None else f"cannot be of type {by!r}"
        yield f"{name} {found}" + _nearest(str(by), wanted)
        return
    fields = {**TYPES[by], **wanted[by]}
    yield from _fields(name, told, fields)
    at = f"{SHARED[by]} {told.get('id', 1 if by == 'uart' else 0)}" if by in SHARED else name
    for field, value in told.items():
        if field in fields and fields[field].pin and fields[field].fits(value):
            other, place = pins.setdefault(value, (name, at))
            if place != at:
                yield f"{name}: {field} = {value} is a pin of {other} already"


def _fields(where: str, said: Mapping[str, Any], known: Fields, more: tuple[str, ...] = ()) -> Iterator[str]:
    for name, value in said.items():
        if name not in known:
            yield f"{where}: {name} is no setting of it" + _nearest(name, (*known, *more))
        elif not known[name].fits(value):
            yield f"{where}: {name} = {value!r} cannot be; {known[name].told} is expected"
    for name, value in known.items():
        if value.needed and name not in said:
            yield f"{where}: {name} is missing; {value.told} is expected"


def _parts(kind: str, lamps: int) -> dict[str, Types]:
    found = dict(PARTS[kind])
    if kind == "lamp":
        found |= {f"{name}{n}": PARTS[kind][name] for n in range(1, lamps) for name in OF_EACH_LAMP}
    return found


def _nearest(word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word.casefold(), known, n=1, cutoff=SIMILAR)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
