"""Whom a roof can be compared with on which days: what it lacks, only sound roofs beside it can tell."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rules.estate import Estate, Slots
from rules.peers import PEERS_LEAST, peers, twins
from simulators.asset import Asset
from simulators.physics.frame import DAY_MS, Fault, Floats, Ints, Mask
from simulators.physics.weather import Weather

HOURLY_MS = 3_600_000
TWIN_LOST, PEER_LOST = 0.05, 0.15
"""What partial_loss and peer_underperformance promise to tell (solar.md): less is no fault."""
TWIN_LIGHT, PEER_LIGHT = 0.1, 0.35
"""Share of a cloudless day's light from which days compare: below the first even inverters of one roof are mostly noise
of their meters; below the second the sky is grey and roofs ten kilometres apart differ by more than ``PEER_LOST``."""
TWIN_DAYS, PEER_DAYS, PEER_WITHIN = 2, 3, 5
"""Two days, and three of five (solar.md)."""
SNOW_DAYS = 3
"""A roof may keep its snow so long."""
BASELINE_DAYS = 14
"""Comparable days before, without which nobody knows what is usual for this roof: solar.md asks its own past."""


@dataclass(frozen=True)
class Company:
    """The neighbours of each roof and when each of them has a fault of its own, in ms; ``begin_ms`` is when rules began
    to look."""

    peers: Mapping[str, tuple[str, ...]]
    twins: Mapping[str, tuple[str, ...]]
    ill: Mapping[str, tuple[tuple[int, int], ...]]
    begin_ms: int

    @staticmethod
    def of(estate: Estate, assets: Sequence[Asset], faults: Iterable[Fault], begin_ms: int) -> "Company":
        """``assets`` in the order of the estate's ids, which are places from 1."""
        members = estate.members.get("solar")
        ill: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for fault in faults:
            # What lies under snow is left out by the snow itself.
            for key in fault.targets if fault.cause != "snow" else ():
                ill[key].append((fault.start_ms, fault.end_ms))
        spans = {key: tuple(spans) for key, spans in ill.items()}
        if members is None:
            return Company({}, {}, spans, begin_ms)
        ids: list[int] = members.asset_id.tolist()
        keys: list[str] = [assets[asset_id - 1].key for asset_id in ids]

        # Who feeds in at a limit for part of each bright day compares with nobody (solar.md: clipping suppresses).
        limited = members.numbers["export_limit_w"] < members.numbers["power_peak_w"]

        def named(index: Slots) -> dict[str, tuple[str, ...]]:
            rows: list[list[int]] = index.tolist()
            return {
                keys[slot]: tuple(keys[n] for n in row if n >= 0 and not limited[n] and not limited[slot])
                for slot, row in enumerate(rows)
            }

        return Company(named(peers(members)), named(twins(members)), spans, begin_ms)

    def has_peers(self, asset: Asset, days: Ints) -> Mask:
        """On which days (numbers since 1970) five peers are sound: fewer are no verdict."""
        return self._sound(self.peers.get(asset.key, ()), days) >= PEERS_LEAST

    def has_twin(self, asset: Asset, days: Ints) -> Mask:
        """On which days another inverter on the same plane is sound."""
        return self._sound(self.twins.get(asset.key, ()), days) >= 1

    def _sound(self, keys: Iterable[str], days: Ints) -> Ints:
        count = np.zeros(len(days), np.int64)
        for key in keys:
            well = np.ones(len(days), np.bool_)
            for start_ms, end_ms in self.ill.get(key, ()):
                well &= (end_ms <= days * DAY_MS) | (start_ms >= (days + 1) * DAY_MS)
            count += well
        return count

    def told_from(self, weather: Weather, asset: Asset, fault: Fault, lost: Mapping[int, float]) -> int | None:
        """The first day (its beginning in ms) of those on which comparing tells of a loss; None where it cannot.

        ``lost`` is the share of the day's energy that the fault has cost, by the number of the day.
        """
        before = np.arange(self.begin_ms // DAY_MS, fault.start_ms // DAY_MS)
        days = np.array(sorted(lost), np.int64)
        share = np.array([lost[day] for day in days.tolist()], np.float64)
        found: list[int] = []
        for sound, light, least, count, within in (
            (self.has_twin, TWIN_LIGHT, TWIN_LOST, TWIN_DAYS, len(days)),
            (self.has_peers, PEER_LIGHT, PEER_LOST, PEER_DAYS, PEER_WITHIN),
        ):
            known = sound(asset, before) & (light_of_days(weather, asset, before) >= TWIN_LIGHT)
            shows = days[sound(asset, days) & (light_of_days(weather, asset, days) >= light) & (share >= least)]
            close = [n for n in range(len(shows) - count + 1) if shows[n + count - 1] - shows[n] < within]
            if np.count_nonzero(known) >= BASELINE_DAYS and close:
                found.append(int(shows[close[0]]) * DAY_MS)
        return max(fault.start_ms, min(found)) if found else None


ALONE = Company({}, {}, {}, 0)
"""Nobody has anybody."""


def light_of_days(weather: Weather, asset: Asset, days: Ints) -> Floats:
    """Light of these days (UTC) as a share of what a cloudless sky would give; 0 where snow lay on the roof on that day
    or lately, as some roofs around keep it for longer."""
    if not len(days):
        return np.zeros(0)
    ts_ms = (days[:, None] * DAY_MS + np.arange(24) * HOURLY_MS).reshape(-1)
    sky = weather.sky(np.array([[asset.latitude]]), np.array([[asset.longitude]]), ts_ms[None, :])
    ground = sky.light.ground[0].reshape(len(days), 24)
    clear = ground / np.maximum(sky.index[0].reshape(len(days), 24), 1e-6)
    tilt = np.array(asset.number("tilt_deg", 30.0))
    snow = np.stack([weather.snow_cm(tilt, ts_ms - back * DAY_MS).reshape(len(days), 24) for back in range(SNOW_DAYS)])
    share = ground.sum(axis=1) / np.maximum(clear.sum(axis=1), 1.0)
    return np.where(snow.max(axis=(0, 2)) > 0, 0.0, share)
