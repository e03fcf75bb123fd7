"""Platform and device mean the same by a release: what one makes the other reads, and both refuse alike."""

import json

import pytest

from kraj import firmware_release
from kraj.errors import PayloadError
from stack.firmware import partitions
from stack.firmware.building import ROOT
from tests.firmware import releases

CASES = json.loads(releases.FILE.read_text())


def test_the_releases_are_what_the_platform_makes() -> None:
    assert json.loads(json.dumps(releases.build())) == CASES, "run python -m tests.firmware.releases"


@pytest.mark.parametrize("case", CASES["cases"], ids=lambda case: case["title"])
def test_the_platform_judges_a_container_as_a_device_does(case: dict[str, str | int]) -> None:
    """But for time, the order and the interpreter, of which only the device knows."""
    data = bytes.fromhex(str(case["head"]) + CASES["tails"][case["tail"]])
    expected = case["expected"]
    found = ""
    try:
        firmware_release.read(data, releases.KEYS)
    except PayloadError as error:
        found = error.reason.removeprefix("release_")
    if expected in ("digest", "version", "expired", "runtime"):
        assert found == ""
    elif expected in ("missing", "block"):  # on its way it was cut or grew: for the platform the sizes do not add up
        assert found == "file"
    else:
        assert found == expected


def test_a_slot_is_half_of_the_partition_of_both() -> None:
    found = partitions.read(ROOT / "partitions.csv")
    assert found["romfs"].size == 2 * firmware_release.SLOT_BYTES
