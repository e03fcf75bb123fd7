"""Runs the firmware's suite under CPython: suite_cpython.py module ...; prints one JSON object a case, as suite.mjs."""

import importlib
import json
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).parent


def _told(case: str, outcome: str, said: str, ms: int) -> None:
    print(json.dumps({"case": case, "outcome": outcome, "said": said, "ms": ms}), flush=True)  # noqa: T201


class Telling(unittest.TestResult):
    """Prints each case when it is over."""

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._began = time.perf_counter()

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        said = [text for _, text in (*self.failures, *self.errors)]
        skipped = [reason for _, reason in self.skipped]
        for told in (self.failures, self.errors, self.skipped):
            told.clear()
        outcome = "failed" if said else "skipped" if skipped else "ok"
        _told(test.id(), outcome, "\n".join(said or skipped), round((time.perf_counter() - self._began) * 1000))


def main(modules: list[str]) -> None:
    """Run the named modules; one that cannot be imported is a case that failed."""
    sys.path[:0] = [str(HERE.parents[1] / "firmware"), str(HERE), str(HERE / "suite")]
    loader = unittest.TestLoader()
    for name in modules:
        try:
            found = loader.loadTestsFromModule(importlib.import_module(name))
        except Exception as error:
            _told(name, "failed", repr(error), 0)
            continue
        found.run(Telling())
    print(json.dumps({"done": True}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
