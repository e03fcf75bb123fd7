"""A smart stop: sun into the battery, people at its ports and WiFi, and services that it sheds as charge falls."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kraj import sun
from kraj.kinds import STOP
from rules.waiting.energy import stored_wh, weak_sun_w
from simulators.asset import Asset, Region
from simulators.physics import battery
from simulators.physics.battery import DISPLAY_HOURLY, SOS_ONLY, USB_OFF, WIFI_OFF, Charge, Ledger
from simulators.physics.frame import DAY_MS, GRID, GRID_MS, Columns, Effects, Floats, Ints, Mask, Rows
from simulators.physics.health import Health, merged
from simulators.physics.irradiance import on_plane
from simulators.physics.kiosk import HOURLY_S, Above, Kiosk, Moment
from simulators.physics.lamp import between
from simulators.physics.lighting import FLEET_BORN_MS
from simulators.physics.passengers import Passengers
from simulators.physics.ports import USB_EFFICIENCY, USB_V, Ports
from simulators.physics.season import civil_ms
from simulators.physics.traces import traces
from simulators.physics.wander import identities, trait
from simulators.physics.weather import Sky, Weather
from simulators.physics.winter import COVERED_CM

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
FULL_SERVICE_S = 120
"""A display that changes sooner than this is a bright one, at a stop with an access point and much light; others have
e-paper."""
PANEL_EFFICIENCY = 0.86
"""Charge controller, wires, and the dirt of a roadside."""
PANEL_TEMP_PER_K, PANEL_WARM_K = -0.0038, 28.0
PANEL_V, PANEL_WAKES_V = 36.0, 18.0
NETWORK_W = ((5.0, 2.2), (2.2, 0.8))
"""Modem and access point, and the modem alone; at a full stop and at one with e-paper."""
MODEM_ASLEEP_W = 0.3
"""Between its calls (3GPP TS 23.682 PSM), while only SOS is left."""
PERSON_W = 0.02
DISPLAY_W = ((2.5, 0.3), (0.35, 0.05))
"""As it ought to be, and hourly."""
LIGHT_W = (8.0, 3.0)
AIR_W = 0.25
SOS_W = 0.4
LIGHT_NIGHT_PCT, LIGHT_SHED_PCT = 40.0, 30.0
LIGHT_EVENING_MIN, LIGHT_MORNING_MIN = 23 * 60, 4 * 60 + 30
DARK_DEG = -1.0
DISPLAY_COLD_DEGC = -15.0
"""Below it e-paper must not be driven (stops.md)."""
SOH_PER_YEAR_PCT = 1.5
LACKS = ("autonomy_low", "autonomy_critical")
"""Faults that drain the battery: their size is the watts that something takes that ought not to run."""

LOW_DAYS, CRITICAL_DAYS = 5.0, 2.0
"""Of autonomy (stops.md)."""
HIGH_SUN_DEG, ALIVE_SHARE = 15.0, 0.02
"""Above it a panel gives something in any weather but under snow (stops.md); in fog at noon 3 % of its rating."""

WHAT_AGE, WHAT_SOC, WHAT_COUNT, WHAT_ENERGY = 277, 280, 281, 284

_CODE = {name: float(code) for code, name in enumerate(STOP.by_name["charger_state"].states)}


class StopModel:
    """All smart stops of a region; see ``frame.Model``."""

    kind = STOP

    def __init__(self, region: Region, weather: Weather) -> None:
        seed = self._seed = region.seed
        self.assets: tuple[Asset, ...] = tuple(a for a in region.assets if a.kind == "stop")
        self._weather, self._health = weather, Health(region, "stop")
        ids = self._ids = identities([a.key for a in self.assets])
        self._people = Passengers(seed, ids)
        self._latitude = np.array([a.latitude for a in self.assets], np.float64)
        self._longitude = np.array([a.longitude for a in self.assets], np.float64)
        self._peak_w = _column(self.assets, "power_rated_w")
        self._tilt, self._facing = _column(self.assets, "tilt_deg", 60), _column(self.assets, "azimuth_deg", 180)
        self._kiosk = Kiosk.of(seed, ids, self.assets)
        self._simple: Rows = (self._kiosk.interval_s >= FULL_SERVICE_S).astype(np.intp)
        self._capacity_wh = _column(self.assets, "battery_capacity_wh", 1200)
        self._ports = Ports(seed, ids, self._people)
        self._drift = trait(seed, ids, WHAT_COUNT, -battery.COUNT_ERROR_PCT, battery.COUNT_ERROR_PCT)
        self._least_pct = _column(self.assets, "battery_soc_min_pct", 15)
        self._charges: dict[int, tuple[Charge, Floats, Floats | None]] = {}

    def prepare(self, start_ms: int, effects: Effects) -> None:
        """See ``frame.Model``."""
        self.start_ms, self.effects = start_ms, effects
        grid = start_ms + np.arange(GRID + 1, dtype=np.int64) * GRID_MS
        sky = self._weather.sky(self._latitude[:, None], self._longitude[:, None], grid)
        self._above(sky, grid)
        charge, faults, before = self._charges.get(start_ms) or (self._fresh(start_ms), self._ports.fresh(), None)
        self._soh = np.clip(100 - SOH_PER_YEAR_PCT * self._age_s(start_ms) / (365 * 86_400), 80, 100)
        self._ledger = battery.run(
            charge,
            self._available_w,
            self._step_loads_w(grid[:-1] + GRID_MS // 2),
            self._swapped(),
            self._capacity_wh * self._soh / 100,
            np.broadcast_to(self._air_degc + battery.CASE_K, (len(self.assets), GRID + 1)),
            self._drift,
        )
        later = self._ports.prepare(start_ms, faults, effects)
        load_w = self._ledger.load_w
        # The first day is taken for one like others.
        self._two_days_w = np.concatenate([load_w if before is None else before, load_w], axis=1)
        self._charges = {start_ms: (charge, faults, before), start_ms + DAY_MS: (self._ledger.end, later, load_w)}

    def at(self, rows: Rows, ts_ms: Ints) -> Columns:
        """See ``frame.Model``."""
        shed = self.shed(rows, ts_ms)
        people = self._people.waiting(rows, ts_ms)
        usb, ports = self._ports.columns(rows, ts_ms, shed, self.effects)
        level = self.light_pct(rows, ts_ms, shed)
        loads = self.loads_w(rows, ts_ms, shed, people, level) | {
            "load_usb_power_w": usb.sum(axis=0) * USB_V / USB_EFFICIENCY
        }
        alive = between(self._ledger.soc_pct, rows, ts_ms - self.start_ms) > battery.EMPTY_PCT
        loads = {name: np.where(alive, watts, 0.0) for name, watts in loads.items()}
        total = np.sum(list(loads.values()), axis=0)
        booted = np.full(len(rows), self.start_ms - 30 * DAY_MS)
        return merged(
            self._energy(rows, ts_ms, total),
            {**loads, "load_power_w": total, "shedding": shed, "light_level_pct": level},
            ports,
            self._kiosk.columns(Moment(rows, ts_ms, shed, people), self._sky, self.effects),
            self._health.columns(rows, ts_ms, booted, self.effect("clock_drift", rows, ts_ms)),
        )

    def powered(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Until its battery is flat; what SOS alone takes lasts for days."""
        return between(self._ledger.soc_pct, rows, ts_ms - self.start_ms) > battery.EMPTY_PCT

    def active(self, rows: Rows, ts_ms: Ints) -> Mask:
        """While it has its display."""
        return self.shed(rows, ts_ms) < DISPLAY_HOURLY

    @property
    def ledger(self) -> Ledger:
        """The energy of the prepared day."""
        return self._ledger

    def shed(self, rows: Rows, ts_ms: Ints) -> Floats:
        """The shedding in force."""
        step = np.clip((ts_ms - self.start_ms) // GRID_MS, 0, GRID - 1)
        return self._ledger.shed[rows, step]

    def effect(self, cause: str, rows: Rows, ts_ms: Ints) -> Floats:
        """The size of a fault, 0 without one."""
        return self.effects.size(cause, rows, ts_ms)

    @property
    def shows(self) -> Mapping[str, Callable[[Rows, Ints], Mask]]:
        """When causes have an effect that anybody could see.

        A broken service: while it is missed, as it is not where it is off to save energy. A lack of energy: while the
        battery would not last. A dead panel: on days on which a sound one would give something.
        """
        return {
            "autonomy_low": lambda rows, ts_ms: self.autonomy_days(rows, ts_ms) < LOW_DAYS,
            "autonomy_critical": lambda rows, ts_ms: self.autonomy_days(rows, ts_ms) < CRITICAL_DAYS,
            "pv_dead": self._would_shine,
            "wifi_down": lambda rows, ts_ms: self.shed(rows, ts_ms) < WIFI_OFF,
            "display_stale": self._display_wrong,
        }

    def _display_wrong(self, rows: Rows, ts_ms: Ints) -> Mask:
        """Older than two intervals, or not refreshed (stops.md); not while it rests for cold or to save energy."""
        now = self.at(rows, ts_ms)
        interval = np.where(now["shedding"] < DISPLAY_HOURLY, self._kiosk.interval_s[rows], HOURLY_S)
        wrong = (now["display_content_age_s"] > 2 * interval) | (now["display_refresh_ok"] == 0)
        return wrong & (now["shedding"] < SOS_ONLY) & (now["display_temp_degc"] >= DISPLAY_COLD_DEGC)

    def autonomy_days(self, rows: Rows, ts_ms: Ints) -> Floats:
        """Days until the least charge at the mean load of the day past, in weak sun (stops.md)."""
        passed = ts_ms - self.start_ms
        step = np.clip(passed // GRID_MS, 0, GRID - 1)
        until = np.concatenate([np.zeros((len(self.assets), 1)), np.cumsum(self._two_days_w, axis=1)], axis=1)
        mean_w = (until[rows, step + GRID] - until[rows, step]) / GRID
        above = between(self._ledger.soc_pct, rows, passed) - self._least_pct[rows]
        left_wh = stored_wh(above, self._capacity_wh[rows], self._soh[rows])
        needs_w = mean_w - weak_sun_w(ts_ms, self._peak_w[rows])
        return np.divide(left_wh, 24 * needs_w, out=np.full(len(rows), np.inf), where=needs_w > 0)

    def _would_shine(self, rows: Rows, ts_ms: Ints) -> Mask:
        """While the sun is high, on days on which a sound panel would then give what one gives in fog: under snow all
        panels are dead."""
        grid = self.start_ms + np.arange(GRID, dtype=np.int64) * GRID_MS
        high = sun.elevation_deg(grid[None, :], self._latitude[:, None], self._longitude[:, None]) > HIGH_SUN_DEG
        mean_w = (self._sound_w[:, :-1] * high).sum(axis=1) / np.maximum(high.sum(axis=1), 1)
        step = np.clip((ts_ms - self.start_ms) // GRID_MS, 0, GRID - 1)
        return high[rows, step] & (mean_w >= ALIVE_SHARE * self._peak_w)[rows]

    def light_pct(self, rows: Rows, ts_ms: Ints, shed: Floats) -> Floats:
        """By dusk and by the hour."""
        minute = civil_ms(ts_ms) % DAY_MS / MINUTE_MS
        evening = (minute >= LIGHT_MORNING_MIN) & (minute < LIGHT_EVENING_MIN)
        dark = between(self._height, rows, ts_ms - self.start_ms) < DARK_DEG
        level = np.where(dark, np.where(evening, 100.0, LIGHT_NIGHT_PCT), 0.0)
        return np.select([shed >= SOS_ONLY, shed >= WIFI_OFF], [0.0, np.minimum(level, LIGHT_SHED_PCT)], level)

    def loads_w(self, rows: Rows, ts_ms: Ints, shed: Floats, people: Floats, level_pct: Floats) -> Columns:
        """All rails but that of the USB ports."""
        simple = self._simple[rows]
        network, display = np.array(NETWORK_W), np.array(DISPLAY_W)
        stuck = np.maximum(*(self.effect(cause, rows, ts_ms) for cause in LACKS))
        wifi = (shed < WIFI_OFF) & ~(self.effect("wifi_down", rows, ts_ms) > 0)
        air = np.where(shed < DISPLAY_HOURLY, AIR_W, 0.0) * np.nan_to_num(self._kiosk.air[rows])
        asleep = shed >= SOS_ONLY
        modem = np.where(asleep, MODEM_ASLEEP_W, network[simple, 1])
        hourly = np.where(asleep, 0.0, display[simple, 1])
        return {
            "load_network_power_w": np.where(wifi, network[simple, 0] + PERSON_W * people, modem) + air,
            "load_display_power_w": np.where(shed < DISPLAY_HOURLY, display[simple, 0], hourly),
            # What a fault takes hangs on the rail of the light; the last step of shedding cuts it off.
            "load_light_power_w": np.array(LIGHT_W)[simple] * level_pct / 100 + np.where(shed < SOS_ONLY, stuck, 0.0),
            "load_sos_power_w": np.full(np.shape(shed), SOS_W),
        }

    def _step_loads_w(self, middle_ms: Ints) -> Floats:
        """The load of all stops in the steps of the day under each shedding; shape ``(5, GRID, n)``."""
        rows = np.arange(len(self.assets))[None, :]
        middle = middle_ms[:, None]
        people = self._people.waiting(rows, middle)
        usb = self._ports.charging_a(rows, middle).sum(axis=0) * USB_V / USB_EFFICIENCY
        out = np.empty((SOS_ONLY + 1, *people.shape))
        for shed in range(SOS_ONLY + 1):
            now = np.full(people.shape, float(shed))
            rails = self.loads_w(rows, middle, now, people, self.light_pct(rows, middle, now))
            out[shed] = sum(rails.values(), usb if shed < USB_OFF else np.zeros(()))
        return out

    def _swapped(self) -> Mask:
        """Steps in which a crew ends a lack of energy with a charged battery; shape ``(GRID, n)``."""
        out = np.zeros((GRID, len(self.assets)), np.bool_)
        for cause in LACKS:
            if cause in self.effects.by_cause:
                rows, _, ends, _ = self.effects.by_cause[cause]
                step = -(-(ends - self.start_ms) // GRID_MS)
                today = (step >= 0) & (step <= GRID)
                out[np.minimum(step[today], GRID - 1), rows[today]] = True
        return out

    def _above(self, sky: Sky, grid: Ints) -> None:
        """What the sky does to the stops, at the points of the grid."""
        self._height = sky.elevation_deg
        self._air_degc = self._weather.air_degc(grid)
        self._sky = Above(self.start_ms, self._air_degc[None, :], sky.light.ground, sky.rain_mm_per_h)
        plane = on_plane(sky.light, sky.elevation_deg, sky.azimuth_deg, self._tilt[:, None], self._facing[:, None])
        through = plane.beam + plane.rest
        warm = 1 + PANEL_TEMP_PER_K * (self._air_degc + PANEL_WARM_K * through / 800 - 25)
        snow = np.clip(self._weather.snow_cm(self._tilt[:, None], grid) / COVERED_CM, 0, 1)
        lost = self.effect("pv_dead", np.arange(len(self.assets))[:, None], grid)
        self._sound_w = self._peak_w[:, None] * through / 1000 * PANEL_EFFICIENCY * warm * (1 - snow)
        self._available_w = self._sound_w * (1 - lost)

    def _fresh(self, start_ms: int) -> Charge:
        """A stop that has been there for years; fuller in summer than in winter."""
        n = len(self.assets)
        summer = 0.5 - 0.5 * np.cos(2 * np.pi * (start_ms / DAY_MS - 10) / 365.25)
        pv_wh = self._age_s(start_ms) / 86_400 * self._peak_w * 1.5
        soc = trait(self._seed, self._ids, WHAT_SOC, 76, 96) + 4 * summer
        none = np.zeros(n)
        temp = np.full(n, self._air_degc[0] + battery.CASE_K)
        return Charge(soc, none, none, temp, none, np.floor(pv_wh))

    def _age_s(self, start_ms: int) -> Floats:
        return (start_ms - FLEET_BORN_MS) / 1000 + trait(self._seed, self._ids, WHAT_AGE, 1, 6) * 365 * 86_400

    def _energy(self, rows: Rows, ts_ms: Ints, load: Floats) -> Columns:
        ledger, passed = self._ledger, ts_ms - self.start_ms
        first, second, _, _ = traces(self._seed, self._ids[rows], ts_ms, WHAT_ENERGY)
        step = np.clip(passed // GRID_MS, 0, GRID - 1)
        available = between(self._available_w, rows, passed)
        limited = ledger.limited[rows, step] > 0
        pv = np.where(limited, np.minimum(available, load), available)
        soc = between(ledger.soc_pct, rows, passed)
        current = (pv - load) / 13.2
        volts = battery.voltage_v(soc, current) + 0.01 * first
        sunny = pv > 1
        pv_v = np.where(sunny, PANEL_V + 0.3 * second, np.minimum(available, 1) * PANEL_WAKES_V)
        state = np.select([soc < 95, soc < battery.FULL_PCT], [_CODE["bulk"], _CODE["absorption"]], _CODE["float"])
        hot = self.effect("battery_hot", rows, ts_ms)
        temp = battery.heated_degc(
            between(ledger.temp_degc, rows, passed), hot, self.effects.since_ms("battery_hot", rows, ts_ms)
        )
        return {
            "pv_voltage_v": pv_v,
            "pv_current_a": np.where(sunny, pv / np.maximum(pv_v, 1), 0.0),
            "pv_power_w": np.where(sunny, pv, 0.0),
            "pv_energy_wh": np.floor(between(ledger.pv_wh, rows, passed)),
            "battery_voltage_v": volts,
            "battery_current_a": (pv - load) / volts,
            "battery_temp_degc": temp,
            "battery_soc_pct": np.clip(soc + between(ledger.counted_off_pct, rows, passed), 0, 100),
            "battery_soh_pct": self._soh[rows],
            "charger_state": np.where(sunny, state, _CODE["off"]),
            "charger_error": np.zeros(len(rows)),
        }


def _column(assets: Sequence[Asset], name: str, absent: float = 0.0) -> Floats:
    return np.array([asset.number(name, absent) for asset in assets], np.float64)
