"""A town for measurements: its registry, a year of its readings by day, and its faults, made in numpy from a seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import numpy as np
import psycopg

from kraj.kinds import KINDS
from kraj.metrics import Kind, Type
from kraj.readings import DAY_MS, Floats, Ints, Mask, Readings
from kraj.store.registry import NewAsset, NewDevice, register

DAYS: Final = 365
SLOTS: Final = 288
SLOT_MS: Final = DAY_MS // SLOTS
OF_HUNDRED: Final = {"lamp": 85, "cabinet": 3, "stop": 5, "solar": 7}
"""How a town's devices are spread over the kinds."""
PER_DAY: Final = {"lamp": 155, "cabinet": 155, "stop": 240, "solar": 288}
"""Readings of a device a day, about: heartbeats of active and of quiet hours."""
STREET: Final = 25
TOWN: Final = ("mereni", "Měření")
LOST: Final = 0.002
"""The share of readings that never came."""

Values: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Town:
    """How many devices of each kind, whose readings of so many days are asked for; ``begins_ms`` is a midnight."""

    counts: dict[str, int]
    days: int
    begins_ms: int

    @property
    def devices(self) -> int:
        return sum(self.counts.values())


def sized(readings: int, at: datetime) -> Town:
    """A town that sends about so many readings in the year before ``at``; for very few the year is shorter."""
    a_day = sum(OF_HUNDRED[kind] * PER_DAY[kind] for kind in KINDS) / 100
    wanted = readings / (DAYS * a_day)
    counts = {kind: max(1, round(wanted * share / 100)) for kind, share in OF_HUNDRED.items()}
    each_day = sum(count * PER_DAY[kind] for kind, count in counts.items())
    days = round(readings / each_day)
    days = DAYS if days > DAYS * 0.8 else max(2, days)
    today_ms = int(at.timestamp() * 1000) // DAY_MS * DAY_MS
    return Town(counts, days, today_ms - (days - 1) * DAY_MS)


def hundreds(devices: int) -> dict[str, int]:
    """So many devices, spread as in a town."""
    counts = {kind: devices * share // 100 for kind, share in OF_HUNDRED.items()}
    counts["lamp"] += devices - sum(counts.values())
    return counts


def build(owner: psycopg.Connection[Any], counts: dict[str, int], at: datetime, prefix: str = "") -> dict[str, Ints]:
    """Register the devices, lamps in streets of their own; asset numbers by kind."""
    attributes: dict[str, dict[str, Any]] = {
        "lamp": {"power_rated_w": 40},
        "cabinet": {},
        "stop": {},
        "solar": {"power_peak_w": 10_000, "power_rated_w": 10_000},
    }
    devices = [
        NewDevice(
            name=f"{prefix}{kind}-{n:05}",
            municipality=TOWN[0],
            assets={
                0: NewAsset(
                    kind=kind,
                    label=f"{prefix}{kind} {n}",
                    latitude=49.2 + n % 100 / 5000,
                    longitude=16.5 + n / 50_000,
                    metadata=attributes[kind] | ({"site": f"{prefix}{n // 3}"} if kind == "solar" else {}),
                )
            },
        )
        for kind, count in counts.items()
        for n in range(count)
    ]
    register(owner, dict([TOWN]), devices, at)
    found = {
        kind: np.array([number for (number,) in owner.execute(_NUMBERS, [kind, f"{prefix}{kind} %"]).fetchall()])
        for kind in counts
    }
    owner.execute(
        "WITH street AS (INSERT INTO asset_group (municipality_id, name, kind) SELECT 1, %(prefix)s || 'ulice ' || n,"
        " 'segment' FROM generate_series(0, (%(count)s - 1) / %(size)s) n RETURNING group_id, name)"
        " INSERT INTO asset_group_member (group_id, asset_id) SELECT group_id, asset_id FROM"
        " unnest(%(lamps)s::integer[]) WITH ORDINALITY AS l (asset_id, n)"
        " JOIN street ON name = %(prefix)s || 'ulice ' || ((n - 1) / %(size)s)",
        {"prefix": prefix, "count": counts["lamp"], "size": STREET, "lamps": found["lamp"].tolist()},
    )
    owner.execute(
        "INSERT INTO device_status (device_id, online, boot, changed_at) SELECT device_id, true, 1, %s FROM device"
        " ON CONFLICT DO NOTHING",
        [at],
    )
    return found


_NUMBERS = "SELECT asset_id FROM asset WHERE kind = %s AND label LIKE %s ORDER BY asset_id"


class Sending:
    """Devices of one kind, day by day; counters and sequence numbers go on from day to day."""

    def __init__(self, kind: Kind, asset: Ints, town_id: int, seed: int) -> None:
        self._kind = kind
        self._asset = asset
        self._town = town_id
        self._rng = np.random.default_rng([seed, len(kind.name)])
        n = len(asset)
        self._of = self._rng.random((n, 1))
        """What makes one device unlike another."""
        self._phase_ms = self._rng.integers(0, SLOT_MS, n)
        self._seq = np.zeros(n, np.int64)
        self._counters = {
            m.name: np.floor(self._rng.random((n, 1)) * 1e6) for m in kind.metrics if m.type is Type.COUNTER
        }

    def day(self, day_ms: int, until_ms: int) -> Readings:
        """What they send from a midnight on, but not from ``until_ms`` on; by time."""
        sky = _Sky(day_ms)
        n = len(self._asset)
        active = _ACTIVE[self._kind.name](sky)
        pace = self._kind.heartbeat_idle_s * 1000 // SLOT_MS
        slot = np.arange(SLOTS)
        due = active | ((slot + np.arange(n)[:, None]) % pace == 0)
        ts = day_ms + slot * SLOT_MS + self._phase_ms[:, None]
        keep = due & (ts < until_ms) & (self._rng.random((n, SLOTS)) >= LOST)
        values = self._values(sky)
        seq = self._seq[:, None] + np.cumsum(due, axis=1)
        self._seq += due.sum(axis=1)
        row, column = np.nonzero(keep)
        order = np.argsort(ts[row, column], kind="stable")
        row, column = row[order], column[order]
        table = np.stack([np.broadcast_to(values[m.name], (n, SLOTS))[row, column] for m in self._kind.metrics], axis=1)
        none = np.zeros(len(row), np.int64)
        return Readings(
            self._kind,
            self._asset[row],
            none + self._town,
            ts[row, column],
            seq[row, column],
            none + 1,
            table,
            none,
            none,
        )

    def _values(self, sky: "_Sky") -> dict[str, Any]:
        known = _VALUES[self._kind.name](sky, self._of, self._rng)
        rates = _RATES[self._kind.name](known, sky)
        shape = (len(self._asset), SLOTS)
        for name, base in self._counters.items():
            grown = base + np.cumsum(np.broadcast_to(rates.get(name, 0.0), shape), axis=1)
            known[name] = np.floor(grown)
            self._counters[name] = grown[:, -1:]
        calm = {"clock_offset_s": np.round(self._rng.normal(0, 0.02, shape), 3), "uptime_s": sky.slot * 300.0 + 86_400}
        calm["rssi_dbm"] = -75.0 - np.round(10 * self._of + self._rng.normal(0, 2, shape))
        for metric in self._kind.metrics:
            if metric.name not in known:
                known[metric.name] = calm.get(metric.name, 0.0)
        return known


class _Sky:
    """A day's season and light, by slot."""

    def __init__(self, day_ms: int) -> None:
        self.slot = np.arange(SLOTS)
        hour = self.slot / 12
        year = 2 * np.pi * (day_ms / DAY_MS % 365.25 - 80) / 365.25
        self.season = float(np.sin(year))
        half = 6 + 2.1 * self.season
        self.sun: Floats = np.clip(np.cos((hour - 11) / half * np.pi / 2), 0, 1) * (abs(hour - 11) < half)
        self.dark: Mask = self.sun <= 0
        self.late: Mask = (hour >= 21) | (hour < 3.5)
        self.air_degc: Floats = 10 + 11 * self.season + 5 * np.cos((hour - 13) / 12 * np.pi)


def _lamp(sky: _Sky, of: Floats, rng: np.random.Generator) -> Values:
    level = np.where(sky.dark, np.where(sky.late, 60.0, 100.0), 0.0)
    load, mains, warmth = (rng.normal(0, 1, (len(of), SLOTS)) for _ in range(3))
    power = np.where(sky.dark, np.round((20 + 40 * of) * level / 100 * (1 + 0.01 * load), 1), 0.4)
    voltage = np.round(231 + 3 * of - 2 * sky.dark + 0.7 * mains, 1)
    return {
        "level_commanded_pct": level,
        "level_effective_pct": level,
        "level_measured_pct": level,
        "level_reason": 4.0,
        "power_w": power,
        "voltage_v": voltage,
        "current_a": np.round(power / voltage, 3),
        "power_factor": np.where(sky.dark, np.round(0.95 + 0.01 * of, 2), 0.4),
        "gear_temp_degc": np.round(sky.air_degc + 18 * sky.dark + 3 * of + warmth / 2),
        **dict.fromkeys(("illuminance_lx", "tilt_deg", "shock_g"), np.nan),
    }


def _cabinet(sky: _Sky, of: Floats, rng: np.random.Generator) -> Values:
    noise = rng.normal(0, 1, (len(of), SLOTS))
    power = np.round(np.where(sky.dark, np.where(sky.late, 700.0, 1200.0) * (1 + of), 20) * (1 + 0.01 * noise))
    found: Values = {"power_w": power, "breaker_closed": 1.0, "contactor_closed": sky.dark * 1.0}
    for n in (1, 2, 3):
        found[f"l{n}_voltage_v"] = np.round(231 + n / 2 + 2 * of + noise, 1)
        found[f"l{n}_power_w"] = np.round(power / 3 * (0.9 + n / 20))
        found[f"l{n}_current_a"] = np.round(power / 690, 2)
        found[f"l{n}_power_factor"] = 0.95
    found["leakage_ma"] = np.round(12 + 10 * of + np.abs(noise), 1)
    found["illuminance_lx"] = np.round(20_000 * sky.sun * (0.6 + 0.4 * of))
    found["cabinet_temp_degc"] = np.round(sky.air_degc + 6 + noise, 1)
    return found


def _stop(sky: _Sky, of: Floats, rng: np.random.Generator) -> Values:
    noise = rng.normal(0, 1, (len(of), SLOTS))
    pv = np.round(250 * sky.sun * (0.6 + 0.4 * of) * (0.8 + 0.2 * np.tanh(noise)), 1)
    load = np.round(18 + 4 * np.abs(noise), 1)
    charge = np.round(np.clip(60 + 20 * sky.season + 15 * np.sin((sky.slot - 120) / 46) + 5 * of, 16, 100), 1)
    return {
        "pv_voltage_v": np.round(18 * (sky.sun > 0) + noise * (sky.sun > 0) / 2, 1),
        "pv_current_a": np.round(pv / 18, 2),
        "pv_power_w": pv,
        "battery_voltage_v": np.round(12 + charge / 60, 2),
        "battery_current_a": np.round((pv - load) / 12.8, 2),
        "battery_temp_degc": np.round(sky.air_degc + 2 * of, 1),
        "battery_soc_pct": charge,
        "battery_soh_pct": np.round(96 + of),
        "charger_state": np.where(sky.sun > 0, 3.0, 0.0),
        "load_power_w": load,
        "load_network_power_w": np.round(load / 3, 1),
        "load_display_power_w": 4.2,
        "load_sos_power_w": 3.1,
        "load_light_power_w": np.where(sky.dark, 5.0, 0.0),
        **{f"usb{n}_state": 1.0 for n in (1, 2, 3, 4)},
        "display_content_age_s": np.round(30 + 20 * np.abs(noise)),
        "display_refresh_ok": 1.0,
        "display_temp_degc": np.round(sky.air_degc + 4, 1),
        "wifi_clients": np.round(3 + 3 * np.abs(noise) * (sky.sun > 0)),
        "wifi_up": (noise > -3) * 1.0,
        "uplink_rtt_ms": np.round(45 + 10 * np.abs(noise)),
        "pm2_5_ug_per_m3": np.round(14 - 6 * sky.season + 3 * noise**2, 1),
        "pm10_ug_per_m3": np.round(20 - 6 * sky.season + 4 * noise**2, 1),
        "air_temp_degc": np.round(sky.air_degc + of, 1),
        "air_humidity_pct": np.round(np.clip(70 + 5 * noise, 10, 100)),
        "voice_selftest_ok": 1.0,
        "voice_receiver_ok": 1.0,
        "sos_selftest_ok": 1.0,
        "sos_answer_s": np.nan,
        "shock_g": np.round(0.02 * np.abs(noise), 2),
        "light_level_pct": np.where(sky.dark, 60.0, 0.0),
    }


def _solar(sky: _Sky, of: Floats, rng: np.random.Generator) -> Values:
    cloud = 0.75 + 0.25 * np.tanh(rng.normal(0, 1, (len(of), SLOTS)))
    light = np.round(950 * sky.sun * cloud)
    power = np.round(10.0 * light * (0.85 + 0.1 * of))
    found: Values = {"power_w": power, "dc_power_w": np.round(power * 1.03), "frequency_hz": 50.0}
    for n in range(1, 9):
        there = n <= 2
        found[f"string{n}_current_a"] = np.round(power / 1240, 2) if there else np.nan
        found[f"string{n}_voltage_v"] = np.round(600 * (sky.sun > 0) + 20 * cloud, 1) if there else np.nan
    for n in (1, 2, 3):
        found[f"l{n}_voltage_v"] = np.round(231 + 4 * cloud + n / 2, 1)
    found["irradiance_w_per_m2"] = light
    found["module_temp_degc"] = np.round(sky.air_degc + light / 40, 1)
    found["inverter_temp_degc"] = np.round(sky.air_degc + power / 500 + 5)
    found["isolation_ohm"] = np.round(2e6 + 1e6 * cloud, -4)
    found["state"] = np.where(sky.sun > 0, 3.0, 1.0)
    return found


def _nothing(sky: _Sky) -> Mask:
    return sky.dark | True


_ACTIVE: dict[str, Callable[[_Sky], Mask]] = {
    "lamp": lambda sky: sky.dark,
    "cabinet": lambda sky: sky.dark,
    "stop": lambda sky: (sky.slot > 60) & (sky.slot < 276),
    "solar": _nothing,
}
_VALUES: dict[str, Callable[[_Sky, Floats, np.random.Generator], Values]] = {
    "lamp": _lamp,
    "cabinet": _cabinet,
    "stop": _stop,
    "solar": _solar,
}
_RATES: dict[str, Callable[[Values, _Sky], Values]] = {
    "lamp": lambda known, sky: {
        "energy_wh": known["power_w"] / 12,
        "lamp_on_time_s": 300.0 * sky.dark,
        "gear_on_time_s": 300.0 * sky.dark,
        "lamp_starts": np.diff(sky.dark * 1, prepend=sky.dark[0] * 1) > 0,
        "gear_starts": np.diff(sky.dark * 1, prepend=sky.dark[0] * 1) > 0,
    },
    "cabinet": lambda known, sky: {"energy_wh": known["power_w"] / 12},
    "stop": lambda known, sky: {"pv_energy_wh": known["pv_power_w"] / 12},
    "solar": lambda known, sky: {
        "energy_wh": known["power_w"] / 12,
        "export_energy_wh": known["power_w"] / 20,
        "import_energy_wh": 30.0 * sky.dark,
    },
}


def days(town: Town) -> Iterator[int]:
    """The midnights of the time."""
    return iter(range(town.begins_ms, town.begins_ms + town.days * DAY_MS, DAY_MS))


def since(town: Town) -> datetime:
    """When the first device was there."""
    return datetime.fromtimestamp(town.begins_ms / 1000, UTC) - timedelta(days=1)
