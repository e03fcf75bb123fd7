"""What in a region a fault can strike: assets one by one, and the groups that feeders, cabinets and the grid make."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from simulators.asset import Asset, Region
from simulators.physics.bank import is_dimmed
from simulators.physics.lamp import accelerometer
from simulators.physics.roofs import has_sensor

LAMPS_MIN = 3
"""Fewer are no group: rules would tell of each."""
CABINETS_MIN = 3
"""In a supply area without power."""


@dataclass(frozen=True, slots=True)
class Target:
    """What one fault strikes: ``assets`` suffer; ``beside`` are others whose readings it spoils, so that no second
    fault may be there. ``lead`` is the asset whose ratings say how bad it can be."""

    scope: str
    municipality: str | None
    name: str
    assets: tuple[Asset, ...]
    beside: tuple[Asset, ...] = ()

    @property
    def lead(self) -> Asset:
        return self.assets[0]


class Grounds:
    """A region by what its assets hang on."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self._of_kind: dict[str, list[Asset]] = defaultdict(list)
        for asset in region.assets:
            self._of_kind[asset.kind].append(asset)
        self._clockless = {i.asset.key for d in region.devices if not d.clock for i in d.installed}

    def each(self, *kinds: str, where: Callable[[Asset], bool] = lambda asset: True) -> list[Target]:
        """Single assets."""
        return [
            Target("asset", a.municipality, a.label, (a,)) for kind in kinds for a in self._of_kind[kind] if where(a)
        ]

    def has_clock(self, asset: Asset) -> bool:
        """Whether its device can tell the time, and so can be wrong about it."""
        return asset.key not in self._clockless

    @cached_property
    def leaning(self) -> list[Target]:
        """Lamps that can tell that their pole leans."""
        return self._lamps(accelerometer(self.region.seed, self._of_kind["lamp"]).tolist())

    @cached_property
    def dimmed(self) -> list[Target]:
        """Lamps whose program has more than one level."""
        return self._lamps(is_dimmed(self.region.seed, self._of_kind["lamp"]).tolist())

    @cached_property
    def sensing(self) -> list[Target]:
        """Roofs with a sensor of irradiance."""
        return self.each("solar", where=lambda asset: has_sensor(asset, self.region.seed))

    @cached_property
    def feeders(self) -> list[Target]:
        """Feeders with controllers on them."""
        found: list[Target] = []
        for (town, name), lamps in _grouped(self._of_kind["lamp"], "feeder").items():
            if len(lamps) >= LAMPS_MIN:
                found.append(Target("feeder", town, name, tuple(lamps), self._cabinet(lamps[0])))
        return found

    @cached_property
    def cabinets(self) -> list[Target]:
        """Cabinets with the lamps behind them; ``villages`` are not among them."""
        return [
            Target("cabinet", c.municipality, c.label, (c, *self._behind(c)))
            for c in self._of_kind["cabinet"]
            if len(self._behind(c)) >= LAMPS_MIN
        ]

    @cached_property
    def villages(self) -> list[Target]:
        """Cabinets of lamps without controllers."""
        return self.each("cabinet", where=lambda c: c.number("lamps") == c.number("lamps_unmetered") > 0)

    @cached_property
    def contactors(self) -> list[Target]:
        """Cabinets with the lamps that their contactor switches."""
        found: list[Target] = []
        for cabinet in self._of_kind["cabinet"]:
            lamps = tuple(lamp for lamp in self._behind(cabinet) if lamp.number("feeder_switched"))
            if len(lamps) >= LAMPS_MIN:
                others = tuple(lamp for lamp in self._behind(cabinet) if not lamp.number("feeder_switched"))
                found.append(Target("cabinet", cabinet.municipality, cabinet.label, (cabinet, *lamps), others))
        return found

    @cached_property
    def areas(self) -> list[Target]:
        """Supply areas with all that hangs on the grid there."""
        found: list[Target] = []
        for name, assets in _by_name(self.region.assets, "supply_area").items():
            if sum(asset.kind == "cabinet" for asset in assets) >= CABINETS_MIN:
                found.append(Target("supply_area", None, name, tuple(assets)))
        return found

    @cached_property
    def gateways(self) -> list[Target]:
        """Gateways with the devices that speak through them."""
        return [
            Target("gateway", None, name, tuple(assets))
            for name, assets in _by_name(self.region.assets, "gateway").items()
            if len(assets) >= LAMPS_MIN
        ]

    @cached_property
    def sites(self) -> list[Target]:
        """Buildings with several inverters."""
        return [
            Target("site", town, name, tuple(assets))
            for (town, name), assets in _grouped(self._of_kind["solar"], "site").items()
            if len(assets) > 1
        ]

    @cached_property
    def alone(self) -> list[Target]:
        """Roofs with a controller of their own: what befalls that of several inverters is the site's."""
        shared = {i.asset.key for d in self.region.devices if len(d.installed) > 1 for i in d.installed}
        return self.each("solar", where=lambda asset: asset.key not in shared)

    @cached_property
    def everything(self) -> list[Target]:
        """All roofs of the region together."""
        roofs = tuple(self._of_kind["solar"])
        return [Target("region", None, "snow", roofs)] if roofs else []

    def _lamps(self, chosen: Sequence[bool]) -> list[Target]:
        pairs = zip(self._of_kind["lamp"], chosen, strict=True)
        return [Target("asset", lamp.municipality, lamp.label, (lamp,)) for lamp, taken in pairs if taken]

    @cached_property
    def _lamps_by_cabinet(self) -> dict[tuple[str, str], list[Asset]]:
        return _grouped(self._of_kind["lamp"], "cabinet")

    @cached_property
    def _cabinets_by_key(self) -> dict[str, Asset]:
        return {cabinet.key: cabinet for cabinet in self._of_kind["cabinet"]}

    def _behind(self, cabinet: Asset) -> tuple[Asset, ...]:
        return tuple(self._lamps_by_cabinet.get((cabinet.municipality, cabinet.label), ()))

    def _cabinet(self, lamp: Asset) -> tuple[Asset, ...]:
        found = self._cabinets_by_key.get(f"{lamp.municipality}/{lamp.word('cabinet')}")
        return (found,) if found else ()


def _grouped(assets: Iterable[Asset], attribute: str) -> dict[tuple[str, str], list[Asset]]:
    found: dict[tuple[str, str], list[Asset]] = defaultdict(list)
    for asset in assets:
        name = asset.word(attribute)
        if name:
            found[asset.municipality, name].append(asset)
    return found


def _by_name(assets: Iterable[Asset], attribute: str) -> dict[str, list[Asset]]:
    """Of names that hold in the whole region."""
    found: dict[str, list[Asset]] = defaultdict(list)
    for asset in assets:
        name = asset.word(attribute)
        if name:
            found[name].append(asset)
    return found
