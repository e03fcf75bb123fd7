"""What a device measures and tells: the firmware's ``node/sampling`` and the fleet's reporting, minute by minute."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random

import numpy as np
import pytest

from kraj.kinds import KINDS
from kraj.metrics import Kind, Metric, Type
from simulators.firmware.host import Host, Options
from simulators.habits import HABITS, Crew
from simulators.physics.frame import Floats, Ints, Rows
from simulators.reporting import Moments, Reporter
from simulators.wording import readings
from tests.simulators.scripted import MINUTE_MS, START_MS, Course, Scripted, lamps, names

SILENT = ("rssi_dbm", 40, 44)
"""A metric that nobody could read from one minute to another."""
SCRIPT = """
import json, _host
from board import flash
from node import constants, ring
from node.sampling import Sampling
class Clock:
    def ticks_ms(self):
        return self.now_ms
    def utc_ms(self):
        return START + self.now_ms
class Kind:
    channels, every_ms, changed = (0,), 60000, False
    def __init__(self, name, rows):
        found = __import__("node.kinds." + name, None, None, ("Kind",)).Kind
        self.table, self.COMMANDED, self.UNEXPECTED = constants.kind(name), found.COMMANDED, found.UNEXPECTED
        self.places = {name: place for place, name in enumerate(self.table.NAMES)}
        self.rows, self.lit = rows[0], rows[1]
    async def apply(self):
        pass
    async def sample(self, channel):
        return {name: row[self.minute] for name, row in self.rows.items() if row[self.minute] is not None}
    def active(self, channel):
        return bool(self.lit[self.minute])
    def events(self):
        return ()
    def sent(self, channel):
        pass
async def live(name, rows):
    clock, kind = Clock(), Kind(name, rows)
    kept = ring.Ring(flash.areas()["ring"], kind.table, clock, lambda n: n // 2)
    sampling = Sampling(kind, kept, clock, kind.table.HEARTBEAT_S, kind.table.HEARTBEAT_IDLE_S)
    for kind.minute in range(len(kind.lit)):
        clock.now_ms = 60000 * kind.minute
        await sampling.turn()
    while found := kept.take():
        kept.acknowledge(kept.boot, [(seq, seq) for seq, _ in found])
        for _, said in found:
            _host.told("reading", said.decode())
with open("/script/rows.json") as file:
    START, name, rows = json.load(file)
await live(name, rows)
"""


class Life:
    """A kind's hours: each metric that is told of at once leaves its deadband once, while all others tremble within
    theirs. Then the light is put out, or what else is commanded changes, and two hours later changes back; soon after
    either something else moves: what floats is expected to, of words, flags and counters everything is told.

    Nearly all of it falls on heartbeats, as the firmware counts the next one from what it told last, the fleet by its
    clock.
    """

    def __init__(self, kind: Kind) -> None:
        habit, self.kind = HABITS[kind.name], kind
        self.moves = {name: [30 * (1 + n)] for n, name in enumerate(habit.unexpected)}
        self.off = (max(self.moves.values())[0] // 60 + 1) * 60
        """At a full hour, as heartbeats of idle devices are counted from there."""
        self.on, self.minutes = self.off + 120, self.off + 125
        self.moves |= {name: [self.off, self.on] for name in habit.commanded}
        floating = [name for name in habit.unexpected if kind.by_name[name].deadband]
        for number, name in enumerate(floating[:2]):
            self.moves[name].append(self.off + 2 + number)
        self.told = [name for name in habit.unexpected if name not in floating][:2]
        for number, name in enumerate(self.told):
            self.moves[name].append(self.on + 2 + number)
        self.lit = [int(not self.off <= minute < self.on) for minute in range(self.minutes)]
        self.rows = {metric.name: self._row(metric, Random(metric.name)) for metric in kind.metrics}

    def _row(self, metric: Metric, chance: Random) -> list[int | None]:
        """In the metric's unit times ten to its decimals."""
        low, high = metric.possible
        scale = 10**metric.decimals
        base = low + (high - low) * 0.3 if high - low < 1e6 else max(low, 1000.0)
        band = max(metric.deadband or 0, abs(base) * (metric.deadband_pct or 0) / 100)
        tremble = int(0.4 * band * scale) if metric.deadband else 0
        jump = max(1, round(8 * band * scale))
        row: list[int | None] = []
        for minute in range(self.minutes):
            number = 0 if metric.type in (Type.BOOLEAN, Type.STATE) else round(base * scale)
            number += chance.randint(-tremble, tremble)
            number += jump * (sum(at <= minute for at in self.moves.get(metric.name, ())) % 2)
            if metric.deadband is None:
                number += minute
            silent = metric.name == SILENT[0] and SILENT[1] <= minute < SILENT[2]
            row.append(None if silent else number)
        return row

    def columns(self) -> Mapping[str, Floats]:
        """By metric what its sensor says each minute, in the metric's unit; NaN where it says nothing."""
        return {
            metric.name: np.array(
                [np.nan if n is None else n / 10**metric.decimals for n in self.rows[metric.name]], np.float64
            )
            for metric in self.kind.metrics
        }

    def of_the_fleet(self) -> list[dict[str, object]]:
        def course(column: Floats) -> Course:
            def at(rows: Rows, ts_ms: Ints) -> Floats:
                del rows
                return column[np.minimum((ts_ms - START_MS) // MINUTE_MS, self.minutes - 1)]

            return at

        region = lamps(1)
        courses = {name: course(column) for name, column in self.columns().items()}
        model = Scripted(region.assets, self.kind, courses, lit=course(np.array(self.lit, np.float64)))
        crew = Crew.of(self.kind, region.assets, names(region), 1, np.arange(1))
        for phase in (crew.second_ms, crew.minute, crew.turn):
            phase[:] = 0
        reporter = Reporter(model, crew)
        due: Moments = reporter.moments(reporter.plan(START_MS))
        ts_ms = due.ts_ms[due.ts_ms < START_MS + self.minutes * MINUTE_MS]
        found = readings(self.kind, model.at(np.zeros(len(ts_ms), np.intp), ts_ms))
        return [{"ts": ts} | one for ts, one in zip(ts_ms.tolist(), found, strict=True)]

    async def of_the_firmware(self, folder: Path) -> list[dict[str, object]]:
        script = folder / "script"
        script.mkdir()
        (script / "rows.json").write_text(json.dumps([START_MS, self.kind.name, [self.rows, self.lit]]))
        files = {"/firmware": Options(folder=folder).firmware, "/script": script}
        host = await Host.start(Options(folder=folder / "flash", script=SCRIPT, files=files))
        ended = await host.wait()
        told = [host.told.get_nowait() for _ in range(host.told.qsize())]
        assert ended.get("ended") == "done", told[-3:]
        found = [json.loads(one["reading"]) for one in told if "reading" in one]
        assert [one.pop("seq") for one in found] == list(range(1, len(found) + 1))
        assert {one.pop("boot") for one in found} == {1}
        return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
async def test_of_the_same_sensors_both_tell_the_same_at_the_same_moments(kind: Kind, tmp_path: Path) -> None:
    life = Life(kind)
    ours, theirs = await life.of_the_firmware(tmp_path), life.of_the_fleet()
    minutes = [[(int(str(one["ts"])) - START_MS) // MINUTE_MS for one in told] for told in (ours, theirs)]
    assert minutes[0] == minutes[1]
    assert ours == theirs
    for name in HABITS[kind.name].unexpected:
        at = life.moves[name][0]
        assert {*range(at, at + 21)} < {*minutes[0]}, name
    assert [minute for minute in minutes[0] if life.off <= minute < life.off + 5] == [life.off]
    assert minutes[0][-1 - len(life.told) :] == [life.on, *(life.on + 2 + n for n in range(len(life.told)))]
