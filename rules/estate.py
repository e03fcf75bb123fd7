"""The assets that rules look at, as arrays: who they are, what is known of them, what they hang on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kraj.alerts import Scope
from kraj.assets import AssetRow, Override, Window
from kraj.attributes import ATTRIBUTES
from kraj.kinds import KINDS
from kraj.readings import Floats, Ints

__all__ = ["GROUPS", "REGIONAL", "AssetRow", "Estate", "Members", "Override", "Slots", "Window", "scope_of"]

Slots = NDArray[np.intp]

GROUPS = ("feeder", "supply_area", "gateway", "site", "cabinet")
"""Attributes that name what an asset hangs on; the first and the last two within a municipality, the others in the
region."""
REGIONAL = frozenset({"supply_area", "gateway"})


@dataclass(frozen=True)
class Members:
    """All assets of one kind in ascending order of their ids; arrays have shape ``(n,)``, a row is a *slot*.

    ``numbers`` holds each numeric attribute (NaN: unknown), ``words`` each text (None: unknown). ``group[type]`` is
    the index into ``Estate.groups[type]``, -1 for none. ``device_id`` is -1 for none.
    """

    kind: str
    asset_id: Ints
    municipality_id: Ints
    device_id: Ints
    latitude: Floats
    longitude: Floats
    labels: tuple[str, ...]
    numbers: Mapping[str, Floats]
    words: Mapping[str, tuple[str | None, ...]]
    group: Mapping[str, Slots]
    slot_by_asset: Slots
    """By asset id; -1 for assets of other kinds."""
    kept: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
    """What is computed from these assets alone and asked for again (neighbours, tables): it goes when they go."""

    def __len__(self) -> int:
        return len(self.asset_id)

    def slots(self, asset_id: Ints) -> Slots:
        """The slots of these assets, -1 where unknown; shape as given."""
        if not asset_id.size or (asset_id.min() >= 0 and asset_id.max() < len(self.slot_by_asset)):  # as nearly always
            return self.slot_by_asset[asset_id]
        known = (asset_id >= 0) & (asset_id < len(self.slot_by_asset))
        return np.where(known, self.slot_by_asset[np.where(known, asset_id, 0)], -1)


@dataclass(frozen=True)
class Estate:
    """Everything registered, under one registry version.

    ``groups[type]`` lists the scopes of that type; ``cabinet_slot`` of a group is the slot (in kind ``cabinet``) of the
    cabinet that feeds it, found by label, or -1.
    """

    version: int
    members: Mapping[str, Members]
    groups: Mapping[str, tuple[Scope, ...]]
    kind_by_asset: Mapping[int, str]
    windows: tuple[Window, ...] = ()
    overrides: tuple[Override, ...] = ()
    assets_by_device: Mapping[int, tuple[int, ...]] = field(default_factory=dict[int, tuple[int, ...]])

    @staticmethod
    def of(
        version: int,
        rows: Iterable[AssetRow],
        windows: Sequence[Window] = (),
        overrides: Sequence[Override] = (),
    ) -> "Estate":
        """Arrange the registry's rows; unknown kinds are left out."""
        by_kind: dict[str, list[AssetRow]] = {name: [] for name in KINDS}
        devices: dict[int, list[int]] = {}
        for row in sorted(rows, key=lambda r: r.asset_id):
            if row.kind in by_kind:
                by_kind[row.kind].append(row)
                if row.device_id is not None:
                    devices.setdefault(row.device_id, []).append(row.asset_id)
        scopes: dict[str, dict[Scope, int]] = {type_: {} for type_ in GROUPS}
        members = {kind: _members(kind, listed, scopes) for kind, listed in by_kind.items()}
        return Estate(
            version=version,
            members=members,
            groups={type_: tuple(found) for type_, found in scopes.items()},
            kind_by_asset={row.asset_id: kind for kind, listed in by_kind.items() for row in listed},
            windows=tuple(windows),
            overrides=tuple(overrides),
            assets_by_device={device: tuple(ids) for device, ids in devices.items()},
        )


def scope_of(type_: str, name: str, municipality_id: int) -> Scope:
    """The scope that a topology attribute of an asset names."""
    return Scope(type=type_, name=name, municipality_id=None if type_ in REGIONAL else municipality_id)


def _members(kind: str, rows: Sequence[AssetRow], scopes: dict[str, dict[Scope, int]]) -> Members:
    group: dict[str, Slots] = {}
    for type_ in GROUPS:
        known = scopes[type_]
        index = np.full(len(rows), -1, np.intp)
        for slot, row in enumerate(rows):
            # A cabinet is its own: what it feeds and it itself belong to one group.
            name = row.label if kind == "cabinet" and type_ == "cabinet" else row.metadata.get(type_)
            if isinstance(name, str) and name:
                index[slot] = known.setdefault(scope_of(type_, name, row.municipality_id), len(known))
        group[type_] = index
    numbers: dict[str, Floats] = {}
    words: dict[str, tuple[str | None, ...]] = {}
    for attribute in ATTRIBUTES[kind]:
        given = [row.metadata.get(attribute.name) for row in rows]
        if attribute.words:
            words[attribute.name] = tuple(g if isinstance(g, str) else None for g in given)
        else:
            absent = np.nan if attribute.default is None else attribute.default
            numbers[attribute.name] = np.array(
                [float(g) if isinstance(g, int | float) else absent for g in given], np.float64
            )
    ids = np.array([row.asset_id for row in rows], np.int64)
    slot_by_asset = np.full(int(ids.max(initial=0)) + 1, -1, np.intp)
    slot_by_asset[ids] = np.arange(len(ids))
    return Members(
        kind=kind,
        asset_id=ids,
        municipality_id=np.array([row.municipality_id for row in rows], np.int64),
        device_id=np.array([-1 if row.device_id is None else row.device_id for row in rows], np.int64),
        latitude=np.array([np.nan if row.latitude is None else row.latitude for row in rows], np.float64),
        longitude=np.array([np.nan if row.longitude is None else row.longitude for row in rows], np.float64),
        labels=tuple(row.label for row in rows),
        numbers=numbers,
        words=words,
        group=group,
        slot_by_asset=slot_by_asset,
    )
