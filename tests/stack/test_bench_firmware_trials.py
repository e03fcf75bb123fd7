"""Bad releases and power cuts against the firmware's own code; and both measures can tell a firmware that is wrong."""

import shutil
from pathlib import Path

import pytest

from stack.bench import firmware_trials as trials
from stack.firmware.building import ROOT


def broken(folder: Path, file: str, right: str, wrong: str) -> Path:
    copy = folder / "firmware"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("typings", "__pycache__"))
    text = (copy / file).read_text()
    assert text.count(right) == 1
    (copy / file).write_text(text.replace(right, wrong))
    return copy


def test_no_mutated_update_is_accepted_and_no_power_cut_bricks() -> None:
    found = trials.measure(updates=600, stride=13)
    assert found["cuts"] > 50
    assert found == {"bad_updates": 600, "bad_updates_accepted": 0, "cuts": found["cuts"], "brick_states": 0}


@pytest.mark.parametrize(
    ("file", "right", "wrong", "told"),
    [
        ("node/update.py", 'raise Refused("signature")', "pass", "bad_updates_accepted"),
        ("node/update.py", 'found["version"] != order["version"] or', "False and", "bad_updates_accepted"),
        ("node/update.py", 'now_ms // 1000 >= found["expires"]', "False", "bad_updates_accepted"),
        (
            "node/update.py",
            "self.area = areas[f\"code_{1 - running['slot']}\"]",
            "self.area = areas[f\"code_{running['slot']}\"]",
            "brick_states",
        ),
        ("loader.py", 'if found and found["version"] > state.floor:', "if False:", "brick_states"),
    ],
)
def test_a_firmware_that_is_wrong_is_told(tmp_path: Path, file: str, right: str, wrong: str, told: str) -> None:
    found = trials.measure(updates=400, stride=97, root=broken(tmp_path, file, right, wrong))
    assert found[told] > 0
