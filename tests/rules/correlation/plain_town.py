"""A town as correlation sees it, said twice: who hangs on what, found by looking at every asset."""

from collections.abc import Iterable, Sequence
from functools import cache

from kraj.assets import AssetRow

Group = tuple[str, str]
"""Type and name; in these towns names are unique."""


class PlainTown:
    """The town never changes, so that what is asked of it is asked once."""

    def __init__(self, rows: Iterable[AssetRow]) -> None:
        self.rows = {row.asset_id: row for row in rows}
        for name in ("group", "groups", "above", "_members", "_over"):
            setattr(self, name, cache(getattr(self, name)))

    def group(self, asset: int, type_: str) -> Group | None:
        row = self.rows[asset]
        if type_ == "region":
            return "region", "region"
        name = row.label if (row.kind, type_) == ("cabinet", "cabinet") else row.metadata.get(type_)
        return (type_, str(name)) if name else None

    def groups(self, type_: str) -> list[Group]:
        return sorted({g for a in self.rows if (g := self.group(a, type_)) is not None})

    def above(self, asset: int, type_: str) -> set[Group]:
        own = self.group(asset, type_)
        if own is not None:
            return {own}
        cabinet = self.group(asset, "cabinet")
        if type_ == "supply_area" and cabinet is not None:
            areas = {self.group(a, "supply_area") for a in self.members(cabinet, ("cabinet",))}
            return {area for area in areas if area is not None}
        if type_ == "feeder" and self.rows[asset].kind == "cabinet" and cabinet is not None:
            feeders = {self.group(a, "feeder") for a in self.members(cabinet, ("lamp",))}
            return {feeder for feeder in feeders if feeder is not None}
        return set()

    def hold_min(self, assets: Iterable[int | None]) -> float:
        """How long after a cause these get to say that they are well."""
        own = [self.rows[a].metadata.get("report_interval_s", 0.0) for a in assets if a is not None]
        return max(15.0, *(3 * float(str(seconds)) / 60 for seconds in own)) if own else 15.0

    def switching(self, asset: int | None) -> list[int]:
        """The cabinets whose contactor switches a lamp off by day."""
        row = self.rows.get(asset or 0)
        if row is None or row.kind != "lamp" or row.metadata.get("feeder_switched") != 1:
            return []
        cabinet = self.group(row.asset_id, "cabinet")
        return self.members(cabinet, ("cabinet",)) if cabinet else []

    def members(self, group: Group, kinds: Sequence[str]) -> list[int]:
        return self._members(group, tuple(kinds))

    def _members(self, group: Group, kinds: tuple[str, ...]) -> list[int]:
        return [a for a, row in self.rows.items() if row.kind in kinds and self.group(a, group[0]) == group]

    def over(self, group: Group, kinds: Sequence[str], type_: str) -> set[Group]:
        return self._over(group, tuple(kinds), type_)

    def _over(self, group: Group, kinds: tuple[str, ...], type_: str) -> set[Group]:
        members = self.members(group, kinds)
        all_ = [g for a in members for g in self.above(a, type_)]
        return {g for g in all_ if 2 * all_.count(g) > len(members)}
