"""A small estate and random readings of it, for the tests of the rules."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kraj.alerts import Severity, SymptomChange
from kraj.assets import DeviceStatus
from kraj.kinds import KINDS
from kraj.metrics import Title, Type
from kraj.readings import Readings
from rules.estate import AssetRow, Estate, Override
from rules.rule import Per, Rule

START_MS = 1_795_219_200_000  # 2026-11-21 00:00 UTC
MINUTE_MS = 60_000
NAN = float("nan")
TITLE = Title(cs="Zkouška", en="Test")


def rule(name: str, when: str, **others: Any) -> Rule:
    """A rule on lamps, by reading and without guards unless told otherwise."""
    given: dict[str, Any] = {"kinds": ("lamp",), "per": Per.READING, "severity": Severity.MINOR}
    return Rule(name=name, when=when, title=TITLE, symptom=TITLE, **(given | others))


def asset(asset_id: int, kind: str = "lamp", municipality_id: int = 1, **metadata: Any) -> AssetRow:
    return AssetRow(
        asset_id=asset_id,
        municipality_id=municipality_id,
        kind=kind,
        label=str(metadata.pop("label", asset_id)),
        latitude=49.5,
        longitude=15.0 + asset_id / 1000,
        metadata=metadata,
        device_id=asset_id + 1000,
    )


def lamps(count: int, **metadata: Any) -> Estate:
    """Lamps with ids from 1."""
    return Estate.of(1, [asset(i, power_rated_w=60.0, **metadata) for i in range(1, count + 1)])


def mixed(overrides: Sequence[Override] = ()) -> Estate:
    """A street with everything: two lamps on a feeder of a cabinet, a stop, and six roofs on four sites."""
    wired: dict[str, Any] = {"feeder": "A", "cabinet": "RVO1", "supply_area": "T1"}
    rows = [
        asset(1, power_rated_w=60.0, power_min_w=9.0, crossing=1, **wired),
        asset(2, power_rated_w=40.0, **wired),
        asset(3, "cabinet", label="RVO1", power_rated_w=5000.0, lamps=2, **wired),
        asset(4, "stop", battery_capacity_wh=1200.0, voice=1, sos=1),
        *(
            asset(5 + n, "solar", power_rated_w=5000.0, power_peak_w=5500.0, site=f"S{n // 2}", strings=2)
            for n in range(6)
        ),
    ]
    return Estate.of(1, rows, overrides=overrides)


def readings(kind: str, rows: Sequence[tuple[int, int, Mapping[str, float]]]) -> Readings:
    """Rows of asset, time and values by metric; what is not named is unknown."""
    metrics = KINDS[kind].positions
    values = np.full((len(rows), len(metrics)), np.nan)
    for place, (_, _, named) in enumerate(rows):
        for name, value in named.items():
            values[place, metrics[name]] = value
    count = len(rows)
    return Readings(
        kind=KINDS[kind],
        asset_id=np.array([a for a, _, _ in rows], np.int64),
        municipality_id=np.ones(count, np.int64),
        ts_ms=np.array([ts for _, ts, _ in rows], np.int64),
        seq=np.arange(count),
        boot=np.ones(count, np.int64),
        values=values,
        implausible=np.zeros(count, np.int64),
        message=np.zeros(count, np.int64),
    )


ORDINARY = {
    "lamp": {
        "level_commanded_pct": 100.0,
        "level_effective_pct": 100.0,
        "power_w": 58.0,
        "voltage_v": 231.0,
        "power_factor": 0.97,
        "gear_temp_degc": 40.0,
        "tilt_deg": 0.0,
        "shock_g": 0.0,
    },
    "cabinet": {f"l{n}_voltage_v": 230.0 for n in (1, 2, 3)} | {"power_w": 1500.0},
    "stop": {"battery_soc_pct": 80.0},
    "solar": {"power_w": 0.0, "l1_voltage_v": 230.0, "l2_voltage_v": 230.0, "l3_voltage_v": 230.0},
}


def random_value(random: np.random.Generator, kind: str, name: str) -> float:
    """Anything that a sensor can say, mostly from a few values, so that conditions hold for a while; also nothing."""
    metric = KINDS[kind].by_name[name]
    if random.random() < 0.15:
        return NAN
    if name in ORDINARY[kind] and random.random() < 0.7:
        return ORDINARY[kind][name]
    low, high = metric.possible if random.random() < 0.3 else metric.plausible or metric.possible
    if name == "clock_offset_s":
        return float(random.choice([0, 0, 0, 5, -90]))
    if metric.bits:
        return float(random.choice([0, 0, 2 ** int(random.integers(len(metric.bits)))]))
    if metric.type in {Type.COUNTER, Type.INTEGER}:
        high = min(high, 5000)
    value = low + (high - low) * float(random.choice([0, 0.02, 0.1, 0.5, 0.97, 1, random.random()]))
    return value if metric.type is Type.REAL else float(round(value))


Step = tuple[list[Readings], list[DeviceStatus], int, bool]


def random_steps(random: np.random.Generator, estate: Estate, steps: int, start_ms: int = START_MS) -> list[Step]:
    """Batches with several readings of an asset, gaps, repeats, late ones, wills and absences of ours."""
    kinds: Mapping[int, str] = estate.kind_by_asset
    now, out = start_ms + int(random.integers(24)) * 60 * MINUTE_MS, list[Step]()
    habits = {a: {m.name: random_value(random, kind, m.name) for m in KINDS[kind].metrics} for a, kind in kinds.items()}
    quiet: set[int] = set()
    for _ in range(steps):
        attentive = bool(random.random() > 0.05)
        now += int(random.choice([10_000, 60_000, 300_000, 300_000, 1_200_000])) if attentive else 7_200_000
        rows: dict[str, list[tuple[int, int, Mapping[str, float]]]] = {}
        statuses: list[DeviceStatus] = []
        for asset_id in random.permutation(list(kinds)).tolist():
            kind, metrics = kinds[asset_id], list(habits[asset_id])
            if random.random() < 0.05:
                quiet ^= {asset_id}
                statuses.append(_status(random, asset_id, now, online=asset_id not in quiet))
            for _ in range(0 if asset_id in quiet else int(random.choice([0, 1, 1, 1, 1, 2, 4]))):
                for name in random.choice(metrics, int(random.choice([0, 0, 0, 0, 2, len(metrics)])), replace=False):
                    habits[asset_id] = habits[asset_id] | {str(name): random_value(random, kind, str(name))}
                ts = now - int(random.choice([0, 1, 5, 20, 60, 600, 30_000])) * 1000
                rows.setdefault(kind, []).append((asset_id, ts, habits[asset_id]))
        out.append(([readings(kind, listed) for kind, listed in rows.items()], statuses, now, attentive))
    return out


def _status(random: np.random.Generator, asset_id: int, now: int, *, online: bool) -> DeviceStatus:
    reset = str(random.choice(["power_on", "watchdog"])) if online else None
    return DeviceStatus(device_id=asset_id + 1000, online=online, ts_ms=now, boot=1 if online else None, reset=reset)


def plain(changes: Sequence[SymptomChange]) -> list[tuple[Any, ...]]:
    """Comparable, whatever the order among those of one moment; energy to the Wh."""
    return sorted(
        (
            (
                c.ts_ms,
                c.rule,
                c.asset_id,
                not c.raised,
                c.since_ms,
                c.severity,
                c.late,
                dict(c.evidence),
                _round(c.lost_wh),
            )
            for c in changes
        ),
        key=lambda item: (item[:4], item[6]),
    )


def _round(value: float | None) -> float | None:
    return None if value is None else round(value)
