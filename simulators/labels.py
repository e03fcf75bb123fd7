"""Faults as labels: on what scope their alert counts, and which of them could not be told at all.

What could not be seen is excluded by the tables here, by a rule's own time and by the light of the day, and never by
what was found.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from kraj import sun
from kraj.alerts import Scope
from rules.estate import GROUPS, scope_of
from rules.peers import PEERS_LEAST
from rules.proofs import WARM
from rules.rule import Per, Rule
from simulators.asset import Asset, Region
from simulators.company import ALONE, BASELINE_DAYS, Company
from simulators.matching import Label
from simulators.physics.frame import DAY_MS, GRID_MS, Fault, Ints, Mask
from simulators.physics.roofs import beside_open, has_sensor
from simulators.physics.supply import OUTAGES
from simulators.physics.weather import Weather
from simulators.visibility import Light, Seen, clear_days, visible

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
NOON_MS = 11 * HOUR_MS
"""Solar noon in Czechia, in UTC: nights go from one to the next."""
SETTLING_MS = 10 * MINUTE_MS
"""The guards ``settled`` and ``settled_or_dark``: ten minutes after a lamp was lit, in which it is not judged; latency
begins behind them."""
ISOLATION_MORNINGS = 3
"""On which a resistance that is above its limit must have fallen by half (solar.md)."""
REPORTS = 3
"""So many reports may pass from a beginning to the verdict besides the rule's own time: the one before, one that
completes ``for``, and one on its way."""

VERDICT_REPORTS = 2
"""So many reports a verdict takes, the first and the one that completes ``for``. Latency begins where they could have
come of a device with an interval of its own: an hourly lamp cannot be told within fifteen minutes (lighting.md)."""

_LAMPS = (
    "lamp_out",
    "dim_not_followed",
    "low_power_factor",
    "gear_temp",
    "gear_shutdown",
    "cycling",
    "power_deviation",
)
_ROOFS = ("inverter_fault", "shading", "irradiance_sensor")
_SILENT_ROOFS = ("solar_comms_lost", "site_silent", "site_outage")
SHOWS: Mapping[str, Light] = {
    **dict.fromkeys((*_LAMPS, "circuit_unlit", "lamps_dark"), Light.LIT),
    **dict.fromkeys(("day_burner", "contactor_stuck", "circuit_day_burning"), Light.DAY),
    # Loggers fed by the modules sleep at night: silence then means nothing for twelve hours.
    **dict.fromkeys((*_ROOFS, *_SILENT_ROOFS), Light.SUN),
    # Their rules ask whether somebody else produces; in a dark week nobody does.
    **dict.fromkeys(("zero_output", "string_open"), Light.BRIGHT),
    # It prevents a start, so a roof that runs goes on until the evening.
    "no_start": Light.BRIGHT_NEXT_DAY,
    # On a dull day, or where the grid is a little better than it was drawn, it costs nothing and nobody could tell.
    "voltage_derating": Light.COSTLY,
    # What a stop has switched off to save energy nobody misses, and content is stale only after two intervals.
    **dict.fromkeys(("wifi_down", "display_stale"), Light.MISSED),
    # A battery that is full lasts for a while, and the load is judged as the mean of a day.
    **dict.fromkeys(("autonomy_low", "autonomy_critical"), Light.SHORT),
    "pv_dead": Light.SHINING,
    "isolation": Light.LOW,
    "snow": Light.COVERED,
    # What a roof lacks of what it might give, only sound roofs beside it can tell.
    **dict.fromkeys(("partial_loss", "peer_underperformance"), Light.COMPARED),
}
"""When a cause has an effect that could be seen; those that are not named have it whenever there is power."""

EQUIVALENTS: Mapping[str, frozenset[str]] = {
    # After a day the minor alert takes over from the info.
    "comms_lost": frozenset({"comms_lost_long"}),
    # One falls as the battery empties: three days left become two, and nobody knows beforehand how far it will go.
    "autonomy_low": frozenset({"autonomy_critical"}),
    "autonomy_critical": frozenset({"autonomy_low"}),
    # A gear is too hot before it is so hot that it switches itself off.
    "gear_shutdown": frozenset({"gear_temp"}),
    # Dead in the evening is not started in the morning; and without peers that shine it is only suspected.
    "zero_output": frozenset({"no_start", "zero_output_unconfirmed", "zero_output_lasting"}),
    "no_start": frozenset({"zero_output", "zero_output_unconfirmed", "zero_output_lasting"}),
    # A resistance that falls by half on the way to the limit.
    "isolation": frozenset({"isolation_falling"}),
    # Whom a roof is compared with depends on whether it has siblings.
    "partial_loss": frozenset({"peer_underperformance"}),
    "peer_underperformance": frozenset({"partial_loss"}),
}
"""Rules whose alert tells of a cause as well as its own rule's would."""

BY_COMPARING = frozenset({"partial_loss", "peer_underperformance"})
"""Of a string without another on its plane no current tells; what the roof lacks does."""

LINGERS_MS: Mapping[str, int] = {
    # The load is judged as the mean of a day.
    "autonomy_low": 2 * DAY_MS,
    "autonomy_critical": 2 * DAY_MS,
    # They cool down with a lag of half an hour and of hours.
    "gear_temp": 2 * HOUR_MS,
    "gear_shutdown": 2 * HOUR_MS,
    "battery_hot": 6 * HOUR_MS,
    # Three of five days, and five clear days, may end after the fault.
    "peer_underperformance": 4 * DAY_MS,
    "shading": 6 * DAY_MS,
}
"""How long the effect of a cause outlasts it."""


@dataclass(frozen=True, slots=True)
class Need:
    """What must have been seen: ``for_ms`` without interruption, or (``nights``, ``days``, ``clear_days``) so many
    whole ones, these by so many other ``sensors``, too.

    ``for_ms`` holds for assets that report every five minutes; those with an interval of their own need more. Where it
    shows by something being switched on, ``settling_ms`` pass before anybody may look.
    """

    for_ms: int = 0
    settling_ms: int = 0
    nights: int = 0
    days: int = 0
    clear_days: int = 0
    sensors: int = 0

    def of(self, asset: Asset) -> "Need":
        """What is needed of this asset."""
        return replace(self, for_ms=self.for_ms + REPORTS * slower_ms(asset))

    def lacking(self, light: Light) -> str:
        """Why there was not enough, for people."""
        needed = ((self.nights, "nights"), (self.clear_days, "clear days with peers"), (self.days, "whole days"))
        for count, what in needed:
            if count:
                return f"fewer than {count} {what}"
        return f"never {light.value} for {self.for_ms // MINUTE_MS} min on end"


NEEDS: Mapping[str, Need] = {
    # The deficit must come back on five clear days (solar.md).
    "shading": Need(clear_days=5),
    # Off the fleet on three clear days: five other sensors must have seen a clear sky as well.
    "irradiance_sensor": Need(clear_days=3, sensors=PEERS_LEAST),
    # The cause's window, and half an hour of the symptom before.
    "snow": Need(for_ms=3 * HOUR_MS),
    # A quarter of an hour after the last word, the will before it.
    "comms_lost": Need(for_ms=25 * MINUTE_MS),
    # Half an hour, and the heartbeat before.
    **dict.fromkeys(_SILENT_ROOFS, Need(for_ms=45 * MINUTE_MS)),
}
"""What no rule's own text says."""
CAUSE_NEED = Need(for_ms=30 * MINUTE_MS)
"""Of many together: the window, the time until it is judged, and the wills before."""


def needs(rules: Iterable[Rule], causes: Iterable[str]) -> dict[str, Need]:
    """What each cause needs: by the table, or by its rule's ``for``, guards, nights and days."""
    return {**dict.fromkeys(causes, CAUSE_NEED), **{rule.name: _need(rule) for rule in rules}, **NEEDS}


def _need(rule: Rule) -> Need:
    if rule.per is Per.NIGHT:
        return Need(nights=rule.of[0])
    if rule.per is Per.DAY:
        return Need(days=rule.of[0])
    settling_ms = SETTLING_MS if WARM.intersection(rule.guards) else 0
    return Need(for_ms=int(1000 * rule.for_s) + settling_ms + REPORTS * GRID_MS, settling_ms=settling_ms)


@dataclass(frozen=True, slots=True)
class Witness:
    """What faults were seen to do, by fault: the moments at which they had an effect (``World.shown_ms``), and the
    share of the energy of each day (its number since 1970) that they cost; and whom roofs are compared with."""

    shown_ms: Mapping[Fault, Ints] = field(default_factory=dict["Fault", "Ints"])
    lost: Mapping[Fault, Mapping[int, float]] = field(default_factory=dict["Fault", "Mapping[int, float]"])
    company: Company = ALONE


class Labels:
    """Makes labels of a region's faults; ids are places in the region, from 1.

    ``witness`` tells by what causes could be seen that show only sometimes; ``faults`` are all that act, as one may
    hide another.
    """

    def __init__(  # noqa: PLR0917 - where, under what sky, what is needed, until when, who saw it, beside what
        self,
        region: Region,
        weather: Weather,
        needs: Mapping[str, Need],
        end_ms: int,
        witness: Witness,
        faults: Iterable[Fault] = (),
    ) -> None:
        self._seed = region.seed
        self._towns = {town.name: n for n, town in enumerate(region.municipalities, 1)}
        self._ids = {asset.key: n for n, asset in enumerate(region.assets, 1)}
        self._assets = {asset.key: asset for asset in region.assets}
        self._weather, self._needs, self._end_ms, self._witness = weather, needs, end_ms, witness
        self._outages: dict[str, list[Fault]] = {}
        for fault in faults:
            for target in fault.targets if fault.cause in OUTAGES else ():
                self._outages.setdefault(target, []).append(fault)
        self._members: dict[Scope, set[int]] = {}
        for asset in region.assets:
            for type_ in GROUPS:
                name = asset.label if asset.kind == "cabinet" and type_ == "cabinet" else asset.word(type_)
                if name:
                    scope = scope_of(type_, name, self._towns[asset.municipality])
                    self._members.setdefault(scope, set()).add(self._ids[asset.key])

    def members(self, scope: Scope) -> frozenset[int]:
        """The assets of a group; those of the region are not counted up."""
        return frozenset(self._members.get(scope, ()))

    def of(self, fault: Fault) -> Label:
        """The label of a fault, excluded where its effect cannot have been told before the run's end."""
        shows_ms, excluded = self._shows(fault)
        return Label(
            cause=fault.cause,
            scopes=frozenset(self._scopes(fault)),
            asset_ids=frozenset(self._ids[target] for target in fault.targets),
            start_ms=fault.start_ms,
            end_ms=fault.end_ms,
            shows_ms=shows_ms,
            excluded=excluded,
            lingers_ms=LINGERS_MS.get(fault.cause, 0),
            also=frozenset() if fault.cause != "string_open" or self._beside_open(fault) else BY_COMPARING,
        )

    def _scopes(self, fault: Fault) -> list[Scope]:
        if fault.scope == "region":
            return [Scope(type="region", name="region", municipality_id=None)]
        if fault.scope == "asset":
            return [
                Scope(
                    type="asset",
                    name=str(self._ids[target]),
                    municipality_id=self._towns[self._assets[target].municipality],
                )
                for target in fault.targets
            ]
        town = self._towns[fault.municipality] if fault.municipality is not None else 0
        return [scope_of(fault.scope, fault.name, town)]

    def _shows(self, fault: Fault) -> tuple[int, str | None]:
        """From when it shows for long enough on one of the assets, and else why not."""
        need = self._needs.get(fault.cause, Need())
        light = SHOWS.get(fault.cause, Light.POWERED)
        if light is Light.COMPARED:
            return self._compared(fault)
        if fault.cause == "string_open" and not self._beside_open(fault):
            return self._compared(fault)
        ends_ms = min(fault.end_ms, self._end_ms)
        ts_ms = np.arange(-(-fault.start_ms // GRID_MS) * GRID_MS, ends_ms, GRID_MS, dtype=np.int64)
        if not len(ts_ms):
            return fault.start_ms, "after the end of the run"
        seen = Seen(self._weather, ts_ms, self._witness.shown_ms.get(fault, np.zeros(0, np.int64)))
        since: list[int] = []
        for target in fault.targets:
            asset = self._assets[target]
            shown = visible(seen, asset, light) & self._fed(fault, target, ts_ms)
            moment = self._since(seen, asset, shown, ends_ms, need)
            if moment is not None:
                lit_ms = self._lit_just_now(fault, target, light, need) if moment == ts_ms[0] else moment
                begins_ms = fault.start_ms if lit_ms is None else max(fault.start_ms, lit_ms + need.settling_ms)
                since.append(begins_ms + VERDICT_REPORTS * slower_ms(asset))
        if fault.cause == "isolation" and not since:
            since = self._low_mornings(fault, ends_ms)
        return (min(since), None) if since else (fault.start_ms, need.lacking(light))

    def _lit_just_now(self, fault: Fault, target: str, light: Light, need: Need) -> int | None:
        """When a lamp was lit that failed before it had settled; None where it had, or need not."""
        if not need.settling_ms:
            return None
        steps = np.arange(-(need.settling_ms // GRID_MS) - 1, 0, dtype=np.int64)
        ts_ms = -(-fault.start_ms // GRID_MS) * GRID_MS + steps * GRID_MS
        seen = Seen(self._weather, ts_ms, np.zeros(0, np.int64))
        dark = ts_ms[~(visible(seen, self._assets[target], light) & self._fed(fault, target, ts_ms))]
        return int(dark[-1]) + GRID_MS if len(dark) else None

    def _low_mornings(self, fault: Fault, ends_ms: int) -> list[int]:
        """The first of three mornings on which a resistance that has fallen is measured, known by a past of its own.

        It is measured when the inverter wakes up, and judged when the day is over.
        """
        asset = self._assets[fault.targets[0]]
        if fault.start_ms // DAY_MS - self._witness.company.begin_ms // DAY_MS < BASELINE_DAYS:
            return []
        found: list[int] = []
        for day in range(fault.start_ms // DAY_MS, ends_ms // DAY_MS):
            ts_ms = np.arange(day * DAY_MS, day * DAY_MS + NOON_MS, GRID_MS, dtype=np.int64)
            up = sun.elevation_deg(ts_ms, asset.latitude, asset.longitude) > 0
            if up.any() and fault.start_ms <= ts_ms[np.argmax(up)]:
                found.append(day * DAY_MS)
        return found[:1] if len(found) >= ISOLATION_MORNINGS else []

    def _beside_open(self, fault: Fault) -> bool:
        return any(beside_open(self._assets[key], self._seed, fault.size) for key in fault.targets)

    def _compared(self, fault: Fault) -> tuple[int, str | None]:
        """From when sound roofs beside it tell that it lacks something, and else why they do not."""
        lost = self._witness.lost.get(fault, {})
        told = [self._witness.company.told_from(self._weather, self._assets[key], fault, lost) for key in fault.targets]
        known = [ms for ms in told if ms is not None]
        return (min(known), None) if known else (fault.start_ms, "too little, too dark or nobody to compare with")

    def _fed(self, fault: Fault, target: str, ts_ms: Ints) -> Mask:
        """Where no other fault takes the power of a lamp: what breaks in the dark shows when it has power again."""
        out = np.ones(len(ts_ms), np.bool_)
        for outage in self._outages.get(target, ()) if self._assets[target].kind == "lamp" else ():
            if outage != fault:
                out &= (ts_ms < outage.start_ms) | (ts_ms >= outage.end_ms)
        return out

    def _clear(self, seen: Seen, asset: Asset) -> Mask:
        return clear_days(seen, asset) & self._witness.company.has_peers(asset, seen.ts_ms // DAY_MS)

    def _sensors(self, seen: Seen, asset: Asset, needed: int) -> Ints:
        """How many other sensors have a clear day; not counted where none is needed."""
        fleet = [a for a in self._sensing if a.key != asset.key] if needed else []
        return np.sum([self._clear(seen, other) for other in fleet], axis=0, dtype=np.int64) + np.zeros_like(seen.ts_ms)

    @cached_property
    def _sensing(self) -> list[Asset]:
        return [a for a in self._assets.values() if a.kind == "solar" and has_sensor(a, self._seed)]

    def _since(self, seen: Seen, asset: Asset, shown: Mask, ends_ms: int, need: Need) -> int | None:
        if need.clear_days:
            # Whether a day was clear is known by the peers.
            shown = shown & self._clear(seen, asset) & (self._sensors(seen, asset, need.sensors) >= need.sensors)
            return _whole(seen.ts_ms, shown, ends_ms, need.clear_days, 0)
        if need.nights or need.days:
            return _whole(seen.ts_ms, shown, ends_ms, need.nights or need.days, NOON_MS if need.nights else 0)
        return _long_enough(seen.ts_ms, shown, need.of(asset).for_ms)


def slower_ms(asset: Asset) -> int:
    """How much longer than others its device takes from report to report."""
    return max(0, int(asset.number("report_interval_s") * 1000) - GRID_MS)


def _long_enough(ts_ms: Ints, shown: Mask, for_ms: int) -> int | None:
    """From when it shows without interruption for so long; None where it never does."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], shown, [False]]).astype(np.int8)))
    begins, ends = edges[::2], edges[1::2]
    long = np.flatnonzero((ends - begins) * GRID_MS >= for_ms)
    return int(ts_ms[begins[long[0]]]) if len(long) else None


def _whole(ts_ms: Ints, shown: Mask, ends_ms: int, count: int, turn_ms: int) -> int | None:
    """From when it shows in the first of ``count`` whole days (from midnight) or nights (from noon, by ``turn_ms``)
    within the fault; None where it shows in fewer."""
    number = (ts_ms - turn_ms) // DAY_MS
    first, last = -((turn_ms - int(ts_ms[0])) // DAY_MS), (ends_ms - turn_ms) // DAY_MS
    whole = shown & (number >= first) & (number < last)
    return int(ts_ms[np.argmax(whole)]) if len(np.unique(number[whole])) >= count else None
