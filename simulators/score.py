"""``kraj score``: simulate a region with labelled faults, let the rules find them, and count what they found."""

import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from kraj.assets import AssetRow
from rules import catalogue
from rules.correlation import causes
from rules.estate import Estate
from rules.rule import Per, Rule
from rules.watch import Watch
from simulators.company import Company
from simulators.faults import chosen, disturbances
from simulators.figures import Exposure, Outcome, figures, mean_and_worst
from simulators.labels import EQUIVALENTS, SHOWS, Labels, Witness, needs
from simulators.matching import Diary, Label, match
from simulators.physics.frame import DAY_MS, Fault, Ints
from simulators.radio import RADIOS, Radio
from simulators.region import Region, region
from simulators.stream import BATCH_S, Stream
from simulators.visibility import WITNESSED, Light
from simulators.world import World, today

HOUR_MS = 3_600_000
GRACE_MS = HOUR_MS
"""After a fault's end its alert may still open: readings come late, and a cause is judged minutes later."""
GRACE_DAYS_MS = 36 * HOUR_MS
"""What is judged by nights and days is told when they are over."""
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
STRIDE_DAYS = 37
"""Runs of following seeds begin so many days apart, so that ten of them see every season."""
SAY_S = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What to simulate. The faults begin after ``warm_up`` days, in which rules learn what is ordinary; ``faults`` is
    ``none``, ``scenario`` or ``CAUSE@LABEL``."""

    seed: int
    days: int
    devices: int
    faults: str = "scenario"
    rate: float = 1.0
    radio: Radio = RADIOS["ordinary"]
    start: datetime | None = None
    warm_up: int = 10
    batch_s: int = BATCH_S

    @property
    def start_ms(self) -> int:
        """The first midnight (UTC) of the warm-up."""
        begin = self.start or FIRST_DAY + timedelta(days=self.seed * STRIDE_DAYS % 365)
        return int(begin.timestamp() * 1000) // DAY_MS * DAY_MS


@dataclass(frozen=True, slots=True)
class Run:
    """A task done: its outcome, and all that was put together, for whoever wants to know why."""

    task: Task
    outcome: Outcome
    readings: int
    seconds: float


def run(task: Task, say: Say) -> Run:
    """Simulate, watch and match one seed."""
    began = time.perf_counter()
    say(f"seed {task.seed}: {task.devices} devices, {task.warm_up} days of warm-up, {task.days} days")
    made = region(task.seed, task.devices)
    rules = catalogue.load()
    start_ms = task.start_ms + task.warm_up * DAY_MS
    end_ms = start_ms + task.days * DAY_MS
    world = World(made)
    faults = chosen(task.faults, made, seed=task.seed, start_ms=start_ms, days=task.days, rate=task.rate)
    faults = (*faults, *world.weather_faults(task.start_ms, task.warm_up + task.days))
    tests = disturbances(task.seed, made, task.start_ms, task.warm_up + task.days)
    lived = _watch(task, world, rules, faults, tests, say)
    company = Company.of(estate(made), made.assets, faults, task.start_ms)
    witness = Witness(lived.shown, lived.lost, company)
    making = Labels(made, world.weather, needs(rules, (c.name for c in causes.load())), end_ms, witness, faults)
    labels = [making.of(fault) for fault in faults]
    hidden = {rule.name for rule in rules if rule.hidden}
    daily = frozenset(rule.name for rule in rules if rule.per in {Per.NIGHT, Per.DAY})
    alerts = [alert for alert in lived.diary.alerts.values() if alert.rule not in hidden]

    def grace(rule: str) -> int:
        return GRACE_DAYS_MS if rule in daily else GRACE_MS

    outcome = Outcome(
        matching=match(labels, alerts, EQUIVALENTS, grace, making.members),
        exposure=exposure(made, labels, task.start_ms, end_ms),
        daily=daily,
        kinds={n: asset.kind for n, asset in enumerate(made.assets, 1)},
    )
    return Run(task, outcome, lived.readings, time.perf_counter() - began)


@dataclass
class _Lived:
    """What a run has seen: every alert, how many readings, when faults that show only sometimes did, and which share
    of each day's energy those cost that only comparing can tell of."""

    diary: Diary = field(default_factory=Diary)
    readings: int = 0
    shown: dict[Fault, Ints] = field(default_factory=dict["Fault", "Ints"])
    lost: dict[Fault, dict[int, float]] = field(default_factory=dict["Fault", "dict[int, float]"])


def _watch(  # noqa: PLR0917 - what is simulated, then what is told
    task: Task, world: World, rules: Sequence[Rule], faults: Sequence[Fault], tests: Sequence[Fault], say: Say
) -> _Lived:
    """Let the rules live through it as ingest would: what comes in, a tick, commit."""
    watch = Watch(estate(world.region), rules)
    lived = _Lived()
    stream = Stream(world, task.start_ms, (*faults, *tests), task.radio)
    sometimes = [fault for fault in faults if SHOWS.get(fault.cause) in WITNESSED]
    compared = [fault for fault in faults if SHOWS.get(fault.cause) is Light.COMPARED or fault.cause == "string_open"]
    said = time.perf_counter()
    for day in range(task.warm_up + task.days):
        start_ms = task.start_ms + day * DAY_MS
        for delivery in stream.day(start_ms, task.batch_s):
            lived.readings += sum(len(part) for part in delivery.readings)
            lived.diary.write(watch.step(delivery.readings, delivery.statuses, delivery.now_ms), delivery.now_ms)
            watch.commit()
        for fault in today(sometimes, start_ms):
            known = lived.shown.get(fault, np.zeros(0, np.int64))
            lived.shown[fault] = np.append(known, world.shown_ms(fault, start_ms))
        for fault in today(compared, start_ms):
            lived.lost.setdefault(fault, {})[start_ms // DAY_MS] = world.lost_share(fault, start_ms)
        if time.perf_counter() - said > SAY_S:
            said = time.perf_counter()
            say(f"  seed {task.seed}: day {day + 1} of {task.warm_up + task.days}, {lived.readings:,} readings")
    for rule, error in watch.failures.items():
        say(f"  seed {task.seed}: rule {rule} failed and was switched off: {error}")
    return lived


def estate(made: Region) -> Estate:
    """The region as an empty database would register it: ids are places, from 1."""
    towns = {town.name: n for n, town in enumerate(made.municipalities, 1)}
    rows: list[AssetRow] = []
    for device_id, device in enumerate(made.devices, 1):
        for installed in device.installed:
            asset = installed.asset
            rows.append(
                AssetRow(
                    asset_id=len(rows) + 1,
                    municipality_id=towns[asset.municipality],
                    kind=asset.kind,
                    label=asset.label,
                    latitude=asset.latitude,
                    longitude=asset.longitude,
                    metadata=asset.metadata,
                    device_id=device_id,
                )
            )
    return Estate.of(1, rows)


def exposure(made: Region, labels: Iterable[Label], start_ms: int, end_ms: int) -> Exposure:
    """Nights of lamps and years of roofs, without the time in which a labelled fault acts on them."""
    kinds = {n: asset.kind for n, asset in enumerate(made.assets, 1)}
    days = (end_ms - start_ms) / DAY_MS
    total = {kind: days * sum(found == kind for found in kinds.values()) for kind in ("lamp", "solar")}
    for label in labels:
        spans = max(0, min(label.end_ms, end_ms) - label.start_ms) / DAY_MS
        for asset_id in label.asset_ids:
            if kinds[asset_id] in total:
                total[kinds[asset_id]] -= spans
    return Exposure(lamp_nights=max(0.0, total["lamp"]), site_years=max(0.0, total["solar"]) / 365.25)


def score(tasks: Sequence[Task], say: Say, jobs: int = 1) -> tuple[dict[str, Any], list[Run]]:
    """Run every task, ``jobs`` at a time; the figures pooled, and of several seeds the mean, the worst and each."""
    if jobs > 1 and len(tasks) > 1:
        # Spawned, as a fork of a process with threads may hang; what they have to say goes to stderr by itself.
        with ProcessPoolExecutor(min(jobs, len(tasks)), multiprocessing.get_context("spawn")) as pool:
            runs = list(pool.map(_run_aloud, tasks))
    else:
        runs = [run(task, say) for task in tasks]
    result = figures([done.outcome for done in runs])
    result["seconds"] = round(sum(done.seconds for done in runs), 1)
    result["readings"] = sum(done.readings for done in runs)
    if len(runs) > 1:
        each = {str(done.task.seed): figures([done.outcome]) for done in runs}
        result |= mean_and_worst_of(each)
    return result, runs


def _run_aloud(task: Task) -> Run:
    def say(line: str) -> None:
        sys.stderr.write(line + "\n")

    return run(task, say)


def mean_and_worst_of(each: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What several seeds say besides the pool."""
    return {"over_seeds": mean_and_worst(list(each.values())), "seeds": each}


def explain(runs: Iterable[Run]) -> list[str]:
    """Every label that was missed and every alert that was wrong, one line each."""
    lines: list[str] = []
    for done in runs:
        for found in done.outcome.matching.found:
            label = found.label
            scope = min(label.scopes, key=str)
            if not found.detected and not label.excluded:
                lines.append(f"seed {done.task.seed}: missed {label.cause} on {scope}, {_span(label)}")
            lines += [f"seed {done.task.seed}: surplus {a.key} in {label.cause} on {scope}" for a in found.surplus]
        lines += [f"seed {done.task.seed}: false {a.key}, {_when(a.opened_ms)}" for a in done.outcome.matching.false]
    return lines


def _span(label: Label) -> str:
    return f"{_when(label.start_ms)} to {_when(label.end_ms)}, shows {_when(label.shows_ms)}"


def _when(ts_ms: int) -> str:
    return f"{datetime.fromtimestamp(ts_ms / 1000, UTC):%F %H:%M}"
