"""How the devices of a kind report: what they tell at once, and the phase that each has of its own."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kraj.metrics import Kind
from simulators.asset import Asset
from simulators.physics.frame import DAY_MS, GRID_MS, Floats, Ints, Mask, Rows

MINUTE_MS = 60_000
STEP = GRID_MS // MINUTE_MS
"""Minutes between two heartbeats of an active device."""
STEP_DEADBANDS = 3.0
"""Only a change of so many deadbands within a step is an event: noise and the grid's slow drift leave a single one
many times a day. Whatever has no deadband (states, flags, counters of faults) is an event at any change."""
BOOT_MS = (4_000, 20_000)
"""From power to the first words; each device has its own time in this span."""
GASP_MS = 65_000
"""So long the storage capacitor of a lamp's controller carries it through its last words: one report within a minute of
the loss, and its way."""
GASPING_PCT: Mapping[str, int] = {"lamp": 40}
"""Of the devices of a kind: those with such a capacitor (lighting.md: a last-gasp message)."""
RUNNING_MS = 30 * DAY_MS
"""Devices that have power when a simulation begins have run for up to so long."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What a kind tells at once: ``commanded`` changes by one report, ``unexpected`` ones by a closer look."""

    commanded: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def watched(self) -> tuple[str, ...]:
        return (*self.commanded, *self.unexpected)


HABITS: Mapping[str, Habit] = {
    "lamp": Habit(
        commanded=("level_commanded_pct", "level_reason"),
        unexpected=("power_w", "voltage_v", "power_factor", "lamp_starts", "failure_flags", "tilt_deg", "shock_g"),
    ),
    "cabinet": Habit(
        commanded=("contactor_closed",),
        unexpected=(
            *("breaker_closed", "door_open", "leakage_ma", "local_switch"),
            *(f"l{n}_{what}" for n in (1, 2, 3) for what in ("voltage_v", "power_w")),
        ),
    ),
    "stop": Habit(
        # Passengers and the sun move most of its metrics all day long; these they do not.
        commanded=("light_level_pct", "shedding"),
        unexpected=(
            *("charger_error", "battery_temp_degc", "door_open", "water_present", "shock_g"),
            *("wifi_up", "display_refresh_ok", "voice_selftest_ok", "voice_receiver_ok"),
            *("sos_pressed", "sos_selftest_ok", *(f"usb{n}_faults" for n in (1, 2, 3, 4))),
        ),
    ),
    # Under broken clouds power leaves its deadband every minute; states and events are what is told at once (solar.md).
    "solar": Habit(commanded=("state", "throttle_flags"), unexpected=("event_flags",)),
}


def noticeable(kind: Kind, name: str, before: Floats, after: Floats) -> Mask:
    """Whether a metric changed by so much that its device tells at once; shapes broadcast, unknown is no change."""
    metric = kind.by_name[name]
    limit: Floats | float = (metric.deadband or 0.0) * STEP_DEADBANDS
    if metric.deadband_pct:
        limit = np.maximum(limit, np.abs(before) * (metric.deadband_pct / 100 * STEP_DEADBANDS))
    return np.abs(after - before) > limit


@dataclass(frozen=True, slots=True)
class Crew:
    """Assets of one kind as reporters, arrays of shape ``(n,)``.

    ``rows`` are their rows in the model; ``lead`` the row whose power decides (the first asset of the device).
    ``second_ms`` (below a minute) and ``minute`` (0 … 4) are the phase of the heartbeat, ``turn`` that of slower ones,
    in steps. ``active_steps`` and ``idle_steps`` lie between heartbeats; ``terse`` devices, which have an interval of
    their own, send nothing besides. ``boot_ms`` passes from power to the first words; at the beginning a device has run
    for ``running_ms``.
    """

    rows: Rows
    lead: Rows
    second_ms: Ints
    minute: Ints
    turn: Ints
    active_steps: Ints
    idle_steps: Ints
    terse: Mask
    boot_ms: Ints
    gasp_ms: Ints
    running_ms: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @staticmethod
    def of(kind: Kind, assets: Sequence[Asset], devices: Sequence[str], seed: int, rows: Rows) -> "Crew":
        """Of some ``rows`` of a model's ``assets``, which hang on the named devices.

        The traits of a device are functions of its name: others coming or going do not change them.
        """
        first: dict[str, int] = {}
        for row, name in enumerate(devices):
            first.setdefault(name, row)
        chosen: list[int] = rows.tolist()
        names = [devices[row] for row in chosen]
        own = np.array([assets[row].number("report_interval_s") for row in chosen], np.float64)
        steps = np.maximum(1, np.round(own * 1000 / GRID_MS)).astype(np.int64)
        terse = own > 0
        return Crew(
            rows=rows,
            lead=np.array([first[name] for name in names], np.intp),
            second_ms=whole(seed, names, "second", 0, MINUTE_MS),
            minute=whole(seed, names, "minute", 0, STEP),
            turn=whole(seed, names, "turn", 0, DAY_MS // GRID_MS),
            active_steps=np.where(terse, steps, kind.heartbeat_s * 1000 // GRID_MS),
            idle_steps=np.where(terse, steps, kind.heartbeat_idle_s * 1000 // GRID_MS),
            terse=terse,
            boot_ms=whole(seed, names, "boot", *BOOT_MS),
            gasp_ms=np.where(whole(seed, names, "gasp", 0, 100) < GASPING_PCT.get(kind.name, 0), GASP_MS, 0),
            running_ms=whole(seed, names, "running", MINUTE_MS, RUNNING_MS),
        )


def whole(seed: int, names: Sequence[str], what: str, low: int, high: int) -> Ints:
    """A lasting trait of each device, a whole number evenly within ``low`` and (less than) ``high``."""
    draws = np.array([zlib.crc32(f"{seed} {name} {what}".encode()) for name in names], np.int64)
    return low + draws * (high - low) // 2**32
