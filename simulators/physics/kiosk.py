"""What a stop offers and watches besides its energy: display, network, air, voice, SOS, doors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulators.asset import Asset
from simulators.physics.battery import DISPLAY_HOURLY, WIFI_OFF
from simulators.physics.frame import Columns, Effects, Floats, Ints, Rows
from simulators.physics.lamp import between
from simulators.physics.passengers import WIFI_SHARE, bucket
from simulators.physics.traces import traces
from simulators.physics.wander import trait

WEEK_S = 7 * 86_400
AIR_SHARE = 0.4
DUST_UG_PER_M3 = (6.0, 13.0)
HOURLY_S = 3600.0
RTT_MS, RTT_DOWN = 48.0, 12.0
PANEL_WARM_K, PANEL_SUN_W_PER_M2_K = 3.0, 80.0
SHOCK_G = 0.02
BROKEN_DISPLAY = RECEIVER = 2.0
"""Sizes of display_stale (refreshes fail as well) and voice_failed (the receiver, else the voice)."""

WHAT_AIR, WHAT_WEEK, WHAT_DUST, WHAT_SENSORS, WHAT_SERVICES = 276, 278, 279, 282, 283


@dataclass(frozen=True, slots=True)
class Moment:
    """Stops at moments, with the shedding and the people there; shapes ``(k,)``."""

    rows: Rows
    ts_ms: Ints
    shed: Floats
    people: Floats


@dataclass(frozen=True, slots=True)
class Above:
    """The day's weather at the stops on the grid, ``(n, GRID + 1)``; the air is the same for all, ``(1, GRID + 1)``."""

    start_ms: int
    air_degc: Floats
    ground_w_per_m2: Floats
    rain_mm_per_h: Floats


@dataclass(frozen=True)
class Kiosk:
    """What is lasting, arrays of shape ``(n,)``; ``air``, ``voice`` and ``sos`` are NaN where a stop has none."""

    seed: int
    ids: Ints
    interval_s: Floats
    week_s: Floats
    air: Floats
    voice: Floats
    sos: Floats
    dust: Floats

    @staticmethod
    def of(seed: int, ids: Ints, stops: Sequence[Asset]) -> "Kiosk":
        def has(attribute: str) -> Floats:
            return np.array([1.0 if stop.number(attribute) > 0 else np.nan for stop in stops], np.float64)

        return Kiosk(
            seed,
            ids,
            np.array([stop.number("display_interval_s", 300.0) for stop in stops], np.float64),
            np.floor(trait(seed, ids, WHAT_WEEK, 0, WEEK_S)),
            np.where(trait(seed, ids, WHAT_AIR) < AIR_SHARE, 1.0, np.nan),
            has("voice"),
            has("sos"),
            trait(seed, ids, WHAT_DUST, *DUST_UG_PER_M3),
        )

    def columns(self, at: Moment, above: Above, effects: Effects) -> Columns:
        """All of it."""
        return self._services(at, above, effects) | self._surroundings(at, above) | self._safety(at, effects)

    def _services(self, at: Moment, above: Above, effects: Effects) -> Columns:
        """Display and network; of people only counts leave the stop."""
        rows, ts_ms = at.rows, at.ts_ms
        first, second, third, _ = traces(self.seed, self.ids[rows], ts_ms, WHAT_SERVICES)
        interval = np.where(at.shed < DISPLAY_HOURLY, self.interval_s[rows], HOURLY_S)
        age = np.mod(ts_ms / 1000 + self.week_s[rows], interval)
        stale = effects.size("display_stale", rows, ts_ms)
        # What was shown when the fault began stays.
        age = np.where(stale > 0, age + effects.since_ms("display_stale", rows, ts_ms) / 1000, age)
        wifi = (at.shed < WIFI_OFF) & ~(effects.size("wifi_down", rows, ts_ms) > 0)
        loss = effects.size("uplink_down", rows, ts_ms)
        ordinary: Floats = np.maximum(0.7 * third - 0.9, 0.0)
        passed = ts_ms - above.start_ms
        sunned = between(above.ground_w_per_m2, rows, passed) / PANEL_SUN_W_PER_M2_K
        return {
            "display_content_age_s": np.floor(age),
            "display_refresh_ok": np.where(stale == BROKEN_DISPLAY, 0.0, 1.0),
            "display_temp_degc": between(above.air_degc, rows * 0, passed) + PANEL_WARM_K + sunned + 0.2 * first,
            "wifi_clients": np.where(wifi & (loss == 0), np.floor(at.people * WIFI_SHARE), 0.0),
            "wifi_up": wifi.astype(np.float64),
            "uplink_rtt_ms": RTT_MS * np.exp(0.25 * second) * np.where(loss > 0, RTT_DOWN, 1.0),
            "uplink_loss_pct": np.where(loss > 0, loss + third, ordinary),
        }

    def _surroundings(self, at: Moment, above: Above) -> Columns:
        """Air, for stops with sensors; shed with the display."""
        rows, passed = at.rows, at.ts_ms - above.start_ms
        first, second, third, fourth = traces(self.seed, self.ids[rows], at.ts_ms, WHAT_SENSORS)
        air = between(above.air_degc, rows * 0, passed)
        has = np.where(at.shed < DISPLAY_HOURLY, self.air[rows], np.nan)
        # Winter's stoves and still air.
        dust = self.dust[rows] * np.exp(0.035 * np.clip(5 - air, -10, 15) + 0.04 * first)
        wet = np.minimum(between(above.rain_mm_per_h, rows, passed), 1.0)
        return {
            "pm2_5_ug_per_m3": dust * has,
            "pm10_ug_per_m3": dust * 1.5 * has,
            "air_temp_degc": (air + 0.1 * second) * has,
            "air_humidity_pct": np.clip(84 - 1.4 * air + 12 * wet + third, 20, 99) * has,
            "shock_g": np.abs(SHOCK_G * fourth),
        }

    def _safety(self, at: Moment, effects: Effects) -> Columns:
        """Doors, water, and the self-tests, which are a week old at most."""
        rows, ts_ms = at.rows, at.ts_ms

        def shows(cause: str) -> Floats:
            return (effects.size(cause, rows, ts_ms) > 0).astype(np.float64)

        age = np.floor(np.mod(ts_ms / 1000 + self.week_s[rows], WEEK_S))
        mute = effects.size("voice_failed", rows, ts_ms)
        voice, sos = self.voice[rows], self.sos[rows]
        return {
            "presence_bucket": bucket(at.people),
            "door_open": shows("stop_door_open"),
            "water_present": shows("water"),
            "voice_selftest_ok": np.where((mute > 0) & (mute != RECEIVER), 0.0, 1.0) * voice,
            "voice_selftest_age_s": age * voice,
            "voice_receiver_ok": np.where(mute == RECEIVER, 0.0, 1.0) * voice,
            "sos_pressed": shows("sos_unanswered") * sos,
            "sos_selftest_ok": (1 - shows("sos_selftest")) * sos,
            "sos_selftest_age_s": age * sos,
            "sos_answer_s": np.full(len(rows), np.nan),  # nobody has answered: nobody has called, or nobody was there
        }
