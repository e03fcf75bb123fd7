"""Rows against each other and against the registry: duplicates, names that are taken, municipalities by their name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kraj.importing.checking import Row
from kraj.importing.findings import Finding
from kraj.importing.table import folded


@dataclass(frozen=True, slots=True)
class Town:
    """A municipality in which the principal may register."""

    municipality_id: int
    name: str
    title: str


@dataclass(frozen=True, slots=True)
class KnownAsset:
    """An asset of the registry with what serves it now."""

    municipality_id: int
    kind: str
    label: str
    device: str | None
    channel: int | None


@dataclass(frozen=True, slots=True)
class Registry:
    """What the file is held against; ``devices`` are names → owner, None for somebody else's."""

    towns: Sequence[Town]
    assets: Sequence[KnownAsset] = ()
    devices: Mapping[str, int | None] = field(default_factory=dict[str, int | None])


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with its municipality; ``known`` rows are in the registry already and are skipped."""

    row: Row
    municipality_id: int | None
    known: bool


def judge(rows: Sequence[Row], registry: Registry) -> list[Judged]:
    """Add what is found to the rows, and say which are new."""
    towns = _towns(registry.towns)
    labels = {(a.municipality_id, a.kind, folded(a.label)): a for a in registry.assets}
    channels: dict[tuple[str | None, int | None], KnownAsset] = {
        (a.device, a.channel): a for a in registry.assets if a.device is not None
    }
    firsts: dict[tuple[object, ...], int] = {}
    owners: dict[str, tuple[int, int]] = {}
    judged: list[Judged] = []
    for row in rows:
        town = _town(row, towns)
        _twice(row, town, firsts, owners)
        known = town is not None and _known(row, town, labels, channels)
        if town is not None and not known:
            _taken(row, town, registry.devices, channels)
        judged.append(Judged(row, town, known))
    return judged


def _towns(towns: Sequence[Town]) -> dict[str, list[Town]]:
    found: dict[str, list[Town]] = {}
    for town in towns:
        for key in {folded(town.name), folded(town.title)}:
            found.setdefault(key, []).append(town)
    return found


def _town(row: Row, towns: Mapping[str, Sequence[Town]]) -> int | None:
    if row.municipality is None:
        return None
    found = towns.get(folded(row.municipality), ())
    exact = [town for town in found if town.name == row.municipality]
    if len(found) == 1 or exact:
        return (exact or found)[0].municipality_id
    if found:
        known = ", ".join(town.name for town in found)
        row.add(Finding("municipality_ambiguous", None, {"value": row.municipality, "known": known}))
    else:
        row.add(Finding("municipality", None, {"value": row.municipality}))
    return None


def _twice(
    row: Row, town: int | None, firsts: dict[tuple[object, ...], int], owners: dict[str, tuple[int, int]]
) -> None:
    if row.label is not None and town is not None:
        first = firsts.setdefault(("label", town, row.kind, folded(row.label)), row.number)
        if first != row.number:
            row.add(Finding("label_twice", None, {"label": row.label, "row": first}))
    if row.device is None:
        return
    first = firsts.setdefault(("device", row.device, row.channel), row.number)
    if first != row.number:
        row.add(Finding("device_twice", None, {"device": row.device, "channel": row.channel, "row": first}))
    if town is not None:
        owner, first = owners.setdefault(row.device, (town, row.number))
        if owner != town:
            row.add(Finding("device_two_towns", None, {"device": row.device, "row": first}))


def _known(
    row: Row,
    town: int,
    labels: Mapping[tuple[int, str, str], KnownAsset],
    channels: Mapping[tuple[str | None, int | None], KnownAsset],
) -> bool:
    if row.label is None or row.kind is None:
        return False
    there = labels.get((town, row.kind, folded(row.label)))
    if there is None:
        return False
    if row.device is None or channels.get((row.device, row.channel)) is there:
        row.add(Finding("known"))
        return True
    row.add(Finding("label_taken", None, {"label": row.label, "device": there.device or "–"}))
    return False


def _taken(
    row: Row,
    town: int,
    devices: Mapping[str, int | None],
    channels: Mapping[tuple[str | None, int | None], KnownAsset],
) -> None:
    if row.device is None or row.device not in devices:
        return
    if devices[row.device] != town:
        row.add(Finding("device_taken", None, {"device": row.device}))
    elif (other := channels.get((row.device, row.channel))) is not None and other.label != row.label:
        values = {"device": row.device, "channel": row.channel, "label": other.label}
        row.add(Finding("channel_taken", None, values))
