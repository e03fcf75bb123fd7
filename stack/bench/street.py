"""An estate and its readings for measuring rules, about one asset in a hundred in fault."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from kraj.kinds import KINDS
from kraj.readings import Floats, Ints, Readings
from rules.estate import AssetRow, Estate

SHARES = {"lamp": 0.90, "cabinet": 0.04, "stop": 0.02, "solar": 0.04}
LAMPS_PER_FEEDER = 30
LAMPS_PER_CABINET = 90
ASSETS_PER_MUNICIPALITY = 1000
REPORT_MS = 300_000
FAULTY_SHARE = 0.01

NIGHT_MS = 1_795_284_000_000  # 2026-11-21 18:00 UTC: lamps are lit, roofs sleep
NOON_MS = 1_795_258_800_000  # 11:00 UTC: the other way round

ORDINARY: dict[str, dict[str, float]] = {
    "lamp": {
        "level_commanded_pct": 100,
        "level_effective_pct": 100,
        "level_measured_pct": 100,
        "level_reason": 4,
        "power_w": 58,
        "energy_wh": 2e6,
        "voltage_v": 231,
        "current_a": 0.26,
        "power_factor": 0.97,
        "gear_temp_degc": 35,
        "lamp_on_time_s": 3e7,
        "gear_on_time_s": 4e7,
        "lamp_starts": 3000,
        "gear_starts": 500,
        "supply_losses": 20,
        "failure_flags": 0,
        "tilt_deg": 0.5,
        "shock_g": 0.1,
        "illuminance_lx": 8,
    },
    "cabinet": {
        "power_w": 5200,
        "energy_wh": 9e7,
        "contactor_closed": 1,
        "breaker_closed": 1,
        "door_open": 0,
        **{f"l{n}_{what}": value for n in (1, 2, 3) for what, value in (("voltage_v", 231), ("current_a", 7.7))},
        **{f"l{n}_{what}": value for n in (1, 2, 3) for what, value in (("power_w", 1730), ("power_factor", 0.97))},
        "leakage_ma": 12,
        "illuminance_lx": 8,
        "cabinet_temp_degc": 12,
        "local_switch": 0,
    },
    "stop": {
        "pv_voltage_v": 18,
        "pv_current_a": 2,
        "pv_power_w": 36,
        "battery_voltage_v": 13.2,
        "battery_soc_pct": 80,
        "battery_current_a": 0.5,
        "battery_temp_degc": 8,
        "battery_soh_pct": 97,
        "load_power_w": 14,
        "display_content_age_s": 60,
        "display_refresh_ok": 1,
        "display_temp_degc": 6,
        "uplink_rtt_ms": 60,
        "uplink_loss_pct": 0,
    },
    "solar": {
        "power_w": 1500,
        "energy_wh": 2e7,
        "l1_voltage_v": 233,
        "l2_voltage_v": 233,
        "l3_voltage_v": 233,
        "frequency_hz": 50,
        "dc_power_w": 1560,
        "string1_current_a": 2.6,
        "string1_voltage_v": 310,
        "string2_current_a": 2.6,
        "string2_voltage_v": 310,
        "inverter_temp_degc": 30,
        "isolation_ohm": 2e6,
        "state": 3,
        "event_flags": 0,
        "throttle_pct": 0,
    },
}
HEALTH = {"clock_offset_s": 0.1, "rssi_dbm": -80, "uptime_s": 1e6, "reset_cause": 0}
BY_NIGHT: dict[str, dict[str, float]] = {
    "solar": {"power_w": 0, "dc_power_w": 0, "state": 1, "string1_current_a": 0, "string2_current_a": 0}
}
BY_DAY: dict[str, dict[str, float]] = {
    "lamp": {"level_commanded_pct": 0, "level_effective_pct": 0, "level_measured_pct": 0, "power_w": 0.4},
    "cabinet": {"power_w": 60, **{f"l{n}_power_w": 20 for n in (1, 2, 3)}},
}
FAULTS: dict[str, dict[str, float]] = {
    "lamp": {"power_w": 0.5},
    "cabinet": {"door_open": 1},
    "stop": {"battery_soc_pct": 5},
    "solar": {"power_w": 0, "state": 6},
}
JITTER = 0.01


def estate(devices: int, seed: int = 1) -> Estate:
    """About so many assets, all of them with a controller."""
    random = np.random.default_rng(seed)
    lamps, others = round(devices * SHARES["lamp"]), [k for k in SHARES if k != "lamp"]
    kinds = ["lamp"] * lamps + [kind for kind in others for _ in range(round(devices * SHARES[kind]))]
    latitude, longitude = random.uniform(49.0, 50.5, len(kinds)), random.uniform(13.5, 18.0, len(kinds))
    rows: list[AssetRow] = []
    place = dict.fromkeys(SHARES, 0)
    for number, kind in enumerate(kinds):
        at = place[kind]
        place[kind] += 1
        rows.append(
            AssetRow(
                asset_id=number + 1,
                municipality_id=1 + number // ASSETS_PER_MUNICIPALITY,
                kind=kind,
                label=f"RVO{at}" if kind == "cabinet" else str(number),
                latitude=float(latitude[number]),
                longitude=float(longitude[number]),
                metadata=_metadata(kind, at),
                device_id=number + 1,
            )
        )
    return Estate.of(1, rows)


def _metadata(kind: str, at: int) -> Mapping[str, object]:
    if kind == "lamp":
        cabinet = at // LAMPS_PER_CABINET
        return {
            "power_rated_w": 60.0,
            "power_min_w": 9.0,
            "cabinet": f"RVO{cabinet}",
            "supply_area": f"T{cabinet // 4}",
            "feeder": f"RVO{cabinet}/{at // LAMPS_PER_FEEDER % 3}",
            "phase": 1 + at % 3,
        }
    if kind == "cabinet":
        return {"power_rated_w": 6000.0, "lamps": 90, "supply_area": f"T{at // 4}"}
    if kind == "stop":
        return {"battery_capacity_wh": 1200.0}
    strings = {"strings": 2, "string1_modules": 10, "string2_modules": 10}
    return {"power_rated_w": 5000.0, "power_peak_w": 5500.0, "site": f"S{at // 2}", **strings}


@dataclass
class Load:
    """Readings of every asset each five minutes, in batches in random order, as a region sends them."""

    estate: Estate
    batch: int
    start_ms: int
    seed: int = 2

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        self._values = {kind: self._ordinary(kind, random) for kind in SHARES}
        assets = np.concatenate([m.asset_id for m in self.estate.members.values()])
        self._order = random.permutation(assets)

    def round(self, number: int) -> Iterator[tuple[list[Readings], int]]:
        """The batches of one round of all assets, each with its moment."""
        count = len(self._order)
        for start in range(0, count, self.batch):
            ids = self._order[start : start + self.batch]
            ts = self.start_ms + number * REPORT_MS + np.arange(start, start + len(ids)) * REPORT_MS // count
            yield [self._readings(kind, ids, ts, number) for kind in SHARES], int(ts[-1]) + 1000

    def _readings(self, kind: str, ids: Ints, ts: Ints, number: int) -> Readings:
        slots = self.estate.members[kind].slots(ids)
        mine = slots >= 0
        slots, count = slots[mine], int(mine.sum())
        values = self._values[kind][slots]
        grown = [place for name, place in KINDS[kind].positions.items() if name in {"energy_wh", "uptime_s"}]
        values[:, grown] += 300 * number
        nothing = np.zeros(count, np.int64)
        return Readings(KINDS[kind], ids[mine], nothing, ts[mine], nothing + number, nothing, values, nothing, nothing)

    def _ordinary(self, kind: str, random: np.random.Generator) -> Floats:
        now = (BY_NIGHT if self.start_ms == NIGHT_MS else BY_DAY).get(kind, {})
        named = ORDINARY[kind] | HEALTH | now
        metrics, count = KINDS[kind], len(self.estate.members[kind])
        values = np.full((count, len(metrics.metrics)), np.nan)
        for name, value in named.items():
            exact = metrics.by_name[name].type.whole
            jitter = 0 if exact else JITTER * random.standard_normal(count)
            values[:, metrics.positions[name]] = value * (1 + jitter)
        faulty = np.flatnonzero(random.random(count) < FAULTY_SHARE)
        for name, value in FAULTS[kind].items():
            values[faulty, metrics.positions[name]] = value
        return values
