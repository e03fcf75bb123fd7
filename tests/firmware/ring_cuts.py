"""The ring cut at each byte of each write and each moment of each erase: ring_cuts.py [every]; prints one JSON object.

``ring_cuts`` were tried, over the two lives of ``suite/test_ring_cuts.py``; ``ring_lost`` counts those after which
something was lost, came back, had changed or had its number given again.
"""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1] / "firmware"), str(HERE), str(HERE / "suite")]

suite: Any = importlib.import_module("test_ring_cuts")


class Counting(suite.EveryByte):
    """Goes on where the suite fails."""

    lost = 0

    def look(self, *what: Any) -> None:
        try:
            suite.EveryByte.look(self, *what)
        except AssertionError:
            self.lost += 1


def main(every: int) -> None:
    """Cut both lives at each ``every``-th byte."""
    suite.EVERY = suite.EVERY_OF_APPEND = every
    lives, cuts = Counting(), 0
    lives.setUp()
    for seed, quiet in ((3, False), (4, True)):
        cuts += lives.one_life(seed, quiet)[0]
    print(json.dumps({"ring_cuts": cuts, "ring_lost": lives.lost}))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
