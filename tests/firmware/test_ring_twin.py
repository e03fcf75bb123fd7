"""The firmware's ring and the simulated fleet's do the same: whatever happens, both send, resend and count alike."""

import importlib
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from simulators.ring import Resend, Ring

ROOT = Path(__file__).parents[2]
TURNS = 400


class Middle(Random):
    """Draws the middle of every span, as the firmware's is made to."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class Both:
    """A deed done to both rings, and their answers compared; ``flash`` survives a restart."""

    def __init__(self, node: Any, flash: Any) -> None:
        self.node, self.flash = node, flash
        self.kind = importlib.import_module("node.constants").kind("lamp")
        self.twin = Ring(1, Middle(), capacity=100_000, resend_after=Resend())
        self.ring = self.made()

    def made(self) -> Any:
        return self.node.Ring(self.flash, self.kind, None, lambda n: n // 2)  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType]

    def append(self, ts_ms: int, channel: int) -> None:
        other = self.twin.append({"ts": ts_ms, "power_w": ts_ms % 50}, ts_ms, channel)
        assert self.ring.append({"power_w": ts_ms % 50 * 10}, ts_ms, 0, channel) == other

    def take(self, now_ms: int) -> None:
        found: list[tuple[int, bytes]] = []
        while some := self.ring.take(now_ms):
            found.extend(some)
        twins = self.twin.take(now_ms)
        assert sorted(seq for seq, _ in found) == sorted(entry.seq for entry in twins)
        for seq, said in found:
            twin = next(json.loads(entry.body) for entry in twins if entry.seq == seq)
            read = {key: value for key, value in json.loads(said).items() if key != "channel"}
            assert read == twin

    def acknowledge(self, boot: int, ranges: list[tuple[int, int]]) -> None:
        self.twin.acknowledge(boot, ranges)
        self.ring.acknowledge(boot, ranges)

    def resend(self, **bounds: int) -> None:
        assert self.ring.resend(**bounds) == self.twin.resend(**bounds)

    def restart(self) -> None:
        self.ring = self.made()
        self.twin.restart(self.ring.boot)

    def same(self, now_ms: int) -> None:
        assert (self.ring.pending, self.ring.in_flight) == (self.twin.pending, self.twin.in_flight)
        assert self.ring.due_ms(now_ms) == self.twin.due_ms(now_ms)


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Both:
    for folder in ("tests/firmware", "firmware"):
        monkeypatch.syspath_prepend(str(ROOT / folder))  # pyright: ignore[reportUnknownMemberType]
    return Both(importlib.import_module("node.ring"), importlib.import_module("nor").Nor(32, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_both_rings_do_the_same(both: Both, seed: int) -> None:
    random, now_ms, resent = Random(seed), 0, 0
    for _ in range(TURNS):
        now_ms += random.choice((0, 1_000, 31_000, 700_000))
        match random.randrange(10):
            case 0 | 1 | 2 | 3:
                for _ in range(random.randrange(1, 12)):
                    both.append(1795212345000 + now_ms + random.randrange(1000), random.randrange(2))
            case 4 | 5:
                both.take(now_ms)
            case 6 | 7:
                low = random.randrange(600)
                both.acknowledge(both.ring.boot - random.randrange(2), [(low, low + random.randrange(40)), (low, low)])
            case 8:
                both.ring.reconnect()
                both.twin.reconnect()
            case _ if random.random() < 0.3:
                both.restart()
            case _ if resent < 3:  # what a record in flash can tell
                resent += 1
                low = random.randrange(600)
                both.resend(from_seq=low, to_seq=low + 50, from_ts=1795212345000 + now_ms // 2)
            case _:
                both.take(now_ms)
        both.same(now_ms)
    assert both.twin.counters.acknowledged > 20
