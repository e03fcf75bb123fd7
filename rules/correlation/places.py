"""Who hangs on what: groups of an asset, members of a group, the asset to go to, looked up one at a time."""

from collections import Counter
from functools import cached_property
from math import isnan

import numpy as np

from kraj.alerts import Scope
from rules.estate import GROUPS, Estate, Slots

REGION = Scope(type="region", name="region", municipality_id=None)


class Places:
    """An estate as correlation asks it; everything is computed once and kept."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self._of_asset: dict[int, dict[str, Scope]] = {}
        self._alike: dict[frozenset[Scope], frozenset[Scope]] = {}
        self._around: dict[int, frozenset[Scope]] = {}
        self._slots: dict[tuple[str, str], dict[Scope, Slots]] = {}
        self._over: dict[tuple[Scope, tuple[str, ...], str], tuple[Scope, ...]] = {}

    def scopes(self, asset_id: int) -> dict[str, Scope]:
        """By type: the asset itself, its groups, its municipality and the region; empty for an unknown asset."""
        found = self._of_asset.get(asset_id)
        if found is None:
            found = self._of_asset[asset_id] = self._scopes(asset_id)
        return found

    def _scopes(self, asset_id: int) -> dict[str, Scope]:
        kind = self.estate.kind_by_asset.get(asset_id)
        if kind is None:
            return {}
        members = self.estate.members[kind]
        slot = int(members.slot_by_asset[asset_id])
        owner = int(members.municipality_id[slot])
        out = {
            "asset": Scope(type="asset", name=str(asset_id), municipality_id=owner),
            "municipality": Scope(type="municipality", name=str(owner), municipality_id=owner),
            "region": REGION,
        }
        for type_ in GROUPS:
            index = int(members.group[type_][slot])
            if index >= 0:
                out[type_] = self.estate.groups[type_][index]
        return out

    def above(self, asset_id: int, type_: str) -> tuple[Scope, ...]:
        """The groups of this type in which the cause of an asset's symptom may be found: of a cabinet also its feeders,
        of what hangs on a cabinet also that one's supply area."""
        scopes = self.scopes(asset_id)
        if type_ in scopes:
            return (scopes[type_],)
        if type_ == "supply_area" and "cabinet" in scopes:
            return self._fed_by.get(scopes["cabinet"], ())
        if type_ == "feeder" and self.estate.kind_by_asset.get(asset_id) == "cabinet":
            return self.feeders(scopes.get("cabinet"))
        return ()

    def around(self, asset_id: int) -> frozenset[Scope]:
        """All groups whose symptoms and causes bear on what an asset suffers from."""
        found = self._around.get(asset_id)
        if found is None:
            found = frozenset(scope for type_ in GROUPS for scope in self.above(asset_id, type_))
            self._around[asset_id] = found = self._alike.setdefault(found, found)
        return found

    def over(self, scope: Scope, kinds: tuple[str, ...], type_: str) -> tuple[Scope, ...]:
        """The group of this type that most members of a group hang on, if there is one."""
        key = (scope, kinds, type_)
        if key not in self._over:
            members = self.members_of(scope, kinds)
            times = Counter(group for asset_id in members for group in self.above(asset_id, type_))
            self._over[key] = tuple(group for group, n in times.items() if 2 * n > len(members))
        return self._over[key]

    def feeders(self, cabinet: Scope | None) -> tuple[Scope, ...]:
        """The feeders that leave a cabinet."""
        return () if cabinet is None else self._feeders.get(cabinet, ())

    def cabinet(self, asset_id: int) -> int | None:
        """The cabinet that an asset hangs on."""
        scope = self.scopes(asset_id).get("cabinet")
        return None if scope is None else self._cabinet_by_scope.get(scope)

    def phase(self, lamp: int) -> int | None:
        """The phase that feeds a lamp, 1 to 3."""
        members = self.estate.members["lamp"]
        number = float(members.numbers["phase"][members.slot_by_asset[lamp]])
        return int(number) if number in {1.0, 2.0, 3.0} else None

    def interval_ms(self, asset_id: int) -> int:
        """The reporting interval of its own that an asset has; 0 where it reports like all of its kind."""
        kind = self.estate.kind_by_asset.get(asset_id)
        own = None if kind is None else self.estate.members[kind].numbers.get("report_interval_s")
        if kind is None or own is None:
            return 0
        seconds = float(own[self.estate.members[kind].slot_by_asset[asset_id]])
        return 0 if isnan(seconds) else round(seconds * 1000)

    def switched(self, asset_id: int) -> bool:
        """Whether it is a lamp on a feeder that its cabinet switches off by day."""
        if self.estate.kind_by_asset.get(asset_id) != "lamp":
            return False
        members = self.estate.members["lamp"]
        return float(members.numbers["feeder_switched"][members.slot_by_asset[asset_id]]) == 1

    def device(self, asset_id: int) -> int | None:
        """The device that serves an asset now."""
        kind = self.estate.kind_by_asset.get(asset_id)
        if kind is None:
            return None
        members = self.estate.members[kind]
        device = int(members.device_id[members.slot_by_asset[asset_id]])
        return device if device >= 0 else None

    def members(self, scope: Scope, kinds: tuple[str, ...]) -> int:
        """How many assets of these kinds belong to the scope."""
        return sum(len(self._listed(kind, scope)) for kind in kinds)

    def members_of(self, scope: Scope, kinds: tuple[str, ...]) -> list[int]:
        """The assets of these kinds that belong to the scope."""
        return [
            asset_id
            for kind in kinds
            for asset_id in self.estate.members[kind].asset_id[self._listed(kind, scope)].tolist()
        ]

    def _listed(self, kind: str, scope: Scope) -> Slots:
        key = (kind, scope.type)
        if key not in self._slots:
            self._slots[key] = self._by_group(kind, scope.type)
        return self._slots[key].get(scope, np.empty(0, np.intp))

    def _by_group(self, kind: str, type_: str) -> dict[Scope, Slots]:
        members = self.estate.members[kind]
        if type_ == "region":
            return {REGION: np.arange(len(members))}
        group = members.group[type_]
        order = np.argsort(group, kind="stable")
        edges = np.searchsorted(group[order], np.arange(len(self.estate.groups[type_]) + 1))
        parts = np.split(order, edges)[1:]  # before the first edge are those without a group
        return {scope: part for scope, part in zip(self.estate.groups[type_], parts, strict=False) if len(part)}

    @cached_property
    def _cabinet_by_scope(self) -> dict[Scope, int]:
        """The cabinet of each cabinet group."""
        cabinets = self.estate.members["cabinet"]
        pairs = zip(cabinets.asset_id.tolist(), cabinets.group["cabinet"].tolist(), strict=True)
        return {self.estate.groups["cabinet"][index]: asset_id for asset_id, index in pairs if index >= 0}

    @cached_property
    def _fed_by(self) -> dict[Scope, tuple[Scope, ...]]:
        """The supply area of each cabinet: what hangs on it need not name it again."""
        cabinets, groups = self.estate.members["cabinet"], self.estate.groups
        pairs = zip(cabinets.group["cabinet"].tolist(), cabinets.group["supply_area"].tolist(), strict=True)
        return {groups["cabinet"][c]: (groups["supply_area"][area],) for c, area in pairs if c >= 0 <= area}

    @cached_property
    def _feeders(self) -> dict[Scope, tuple[Scope, ...]]:
        lamps, groups = self.estate.members["lamp"], self.estate.groups
        found: dict[Scope, tuple[Scope, ...]] = {}
        for feeder, cabinet in sorted(_pairs(lamps.group["feeder"], lamps.group["cabinet"])):
            if feeder >= 0 and cabinet >= 0:
                scope = groups["cabinet"][cabinet]
                found[scope] = (*found.get(scope, ()), groups["feeder"][feeder])
        return found

    @cached_property
    def _cabinet_of_feeder(self) -> dict[Scope, Scope]:
        return {feeder: cabinet for cabinet, feeders in self._feeders.items() for feeder in feeders}

    def go_to(self, scope: Scope, symptomatic: int | None) -> int | None:
        """The asset that a crew goes to: the cabinet of a feeder, else one that has the symptom."""
        return self._cabinet_by_scope.get(self._cabinet_of_feeder.get(scope, scope), symptomatic)


def _pairs(first: Slots, second: Slots) -> set[tuple[int, int]]:
    return set(zip(first.tolist(), second.tolist(), strict=True))
