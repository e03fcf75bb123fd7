"""What settings may say is declared once: documentation and firmware say the same, and whatever else is told."""

import re
from pathlib import Path

import pytest

from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from simulators.firmware import wiring as simulated
from stack.firmware import building, wiring

DOCS = (building.ROOT.parent / "docs/firmware.md").read_text()


def told(kind: str, text: str, folder: Path) -> str:
    """What is told of settings; empty where nothing is wrong."""
    file = folder / "device.toml"
    file.write_text(text)
    try:
        wiring.check(kind, wiring.read(file))
    except ConfigurationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("lamp", 'ouput = { type = "pwm", pin = 25 }', "ouput is no part of a lamp; did you mean output?"),
        ("lamp", 'output = { type = "pwn", pin = 25 }', "output cannot be of type 'pwn'; did you mean pwm?"),
        ("lamp", "output = { pin = 25 }", "output has no type; there are pwm, dali"),
        ("lamp", 'output = { type = "pwm", pin = 25, curv = "log" }', "curv is no setting of it; did you mean curve?"),
        ("lamp", 'output = { type = "pwm", pin = 34 }', "pin = 34 cannot be; a GPIO that can be an output"),
        ("lamp", 'photocell = { type = "adc", pin = 25 }', "the others cannot measure beside the radio"),
        ("lamp", 'output = { type = "pwm" }', "output: pin is missing"),
        ("lamp", 'meter = { type = "uart" }', "meter: chip is missing; pzem is expected"),
        ("lamp", 'relay = { type = "contact", pin = 25 }', "relay cannot be of type 'contact'; there are switch"),
        ("lamp", "relay = 25", "relay is 25; its wiring is expected, such as { type"),
        ("lamp", 'output1 = { type = "pwm", pin = 25 }', "output1 is no part of a lamp"),
        ("stop", 'sos = { type = "contact", pin = 4 }\ndoor = { type = "contact", pin = 4 }', "a pin of sos already"),
        ("cabinet", 'meter = { type = "uart", chip = "sdm", phases = 4 }', "phases = 4 cannot be; a whole number"),
        ("solar", 'meter = { type = "uart" }', "meter is no part of a solar; did you mean inverter?"),
    ],
)
def test_a_wrong_word_is_told_with_the_right_one(kind: str, text: str, expected: str, tmp_path: Path) -> None:
    assert expected in told(kind, f"[parts]\n{text}\n", tmp_path)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = told("solar", 'unit = [1]\nunits = [1, 1]\n[parts]\na = 1\ninverter = { type = "uart", tx = 99 }', tmp_path)
    assert found.count("\n- ") == 4
    for text in ("parts = 3", "units = [[1]]", "units = []", "units = 1", "lamps = 2"):
        assert told("solar", text, tmp_path), text
    assert told("lamp", "upright_mg = [0, 1]", tmp_path)
    assert told("lamp", "lamps = true", tmp_path)


def test_what_works_is_not_refused(tmp_path: Path) -> None:
    for kind in KINDS:
        said = simulated.settings(kind)
        wiring.check(kind, {name: said[name] for name in said if name not in ("version", "kind")})
    example = re.search(r"```toml\n(.*?)```", DOCS, re.DOTALL)
    assert example
    assert not told("lamp", re.sub("(?m)^   ", "", example[1]), tmp_path)
    two = 'lamps = 2\nupright_mg = [0, 0, 1000]\n[parts]\noutput1 = { type = "dali", tx = 4, rx = 5, address = 1 }\n'
    assert not told("lamp", two + 'output = { type = "dali", tx = 4, rx = 5, address = 0 }', tmp_path)


def test_the_tables_of_the_documentation_name_what_is_declared_and_nothing_else() -> None:
    rows = dict(re.findall(r"(?m)^\| `?(\w+)`? \| (.*) \|$", DOCS.partition("## Wiring")[2].partition("\n## ")[0]))
    for kind, parts in wiring.PARTS.items():
        own = {name for types in parts.values() for fields in types.values() for name in fields}
        named = {*parts, *(name for types in parts.values() for name in types), *own, *wiring.SETTINGS[kind]}
        ports = {name for name in parts if re.fullmatch(r"usb[234](_\w+)?", name)}
        words = {word for text in re.findall(r"`([^`]+)`", rows[kind]) for word in re.findall(r"[a-z]\w*", text)}
        fields = {name for by in wiring.TYPES.values() for name in by}
        assert named - ports <= words, (kind, named - ports - words)
        assert words <= named | fields | {f"{name}1" for name in wiring.OF_EACH_LAMP}, (kind, words - named - fields)
    for by, fields in wiring.TYPES.items():
        words = re.findall(r"`(\w+)`", rows[by])
        assert sorted(words) == sorted(fields), by


def test_the_firmware_reads_what_is_declared_and_nothing_else() -> None:
    drivers, kinds = (
        "".join(file.read_text() for file in sorted((building.ROOT / folder).glob("*.py")))
        for folder in ("board/drivers", "node/kinds")
    )
    types = re.search(r"MODULES = {(.*?)}", drivers, re.DOTALL)
    assert types
    assert set(re.findall(r'"(\w+)":', types[1])) == set(wiring.TYPES)
    read = re.findall(r'wiring(?: or {}\))?(?:\[|\.get\()"(\w+)"', drivers + kinds)
    spi = re.findall(r'"(\w+)"', (re.search(r"for name in \((.*?)\)\)", drivers) or [""])[0])
    own = {name for parts in wiring.PARTS.values() for types in parts.values() for by in types.values() for name in by}
    declared = {name for fields in wiring.TYPES.values() for name in fields} | own
    assert {*read, *spi} - {"type"} == declared
    assert set(re.findall(r'config\.get\("(\w+)"', kinds)) - {"parts", "device"} == {
        name for fields in wiring.SETTINGS.values() for name in fields
    }
    for kind, parts in wiring.PARTS.items():
        code = (building.ROOT / f"node/kinds/{kind}.py").read_text()
        for name in parts:
            stem = re.sub(r"^usb\d", "usb", re.sub(r"^rail_.*", "rail_", name))
            assert any(f'"{one}' in code for one in (name, stem, stem.removeprefix("usb"))), (kind, name)
