"""Which roofs can be compared: neighbours under the same weather and inverters of one site, facing alike."""

from dataclasses import dataclass

import numpy as np

from kraj.readings import Floats, Mask
from rules.estate import Members, Slots
from rules.photovoltaics.clear import plane_shares, planes, resultant

PEERS = 16
"""Of the nearest that qualify: the median of sixteen is within 0.3 of one roof's own deviation, more cost more."""
NEAR = 6
NEAR_KM = 5.0
"""Under the same thundercloud: their cores are some kilometres wide."""
PEERS_LEAST = 5
"""Fewer are no verdict."""
RADIUS_KM = 25.0
RADII_KM = (3.0, 8.0, RADIUS_KM)
"""Searched one after another, so that in a dense town nobody is compared with the whole region."""
SIBLINGS = 8
FACING_DEG = 30.0
TILT_DEG = 15.0
TWIN_FACING_DEG = 15.0
TWIN_TILT_DEG = 5.0
TWIN_SHARE = 0.05
"""Twins are compared to the per cent: with 15° of tilt between them, sound inverters differed by 14 % on a day whose
sun came out at one end. Nor are planes of 10° that face apart twins: under a sun at 20° one towards it
gets 1.5 times the direct light of one a quarter turn away."""
FLAT_DEG = 10.0
"""Planes as flat as that see the same sky whichever way they face."""
KM_PER_DEGREE = 111.195
PAIRS_MAX = 2_000_000
"""Pairs looked at in one piece: 16 MB for each array of them."""


def peers(members: Members) -> Slots:
    """For each roof the nearest others within 25 km that face alike and stand on other sites; shape ``(n, PEERS)``, -1
    where there are no more. Computed once for an estate."""
    if "peers" not in members.kept:
        members.kept["peers"] = _peers(members)
    return members.kept["peers"]


def near(members: Members) -> Slots:
    """For each roof the nearest others within 5 km on other sites, whichever way they face; shape ``(n, NEAR)``, -1
    where there are no more. Computed once for an estate."""
    if "near" not in members.kept:
        land = _Map.of(members)
        members.kept["near"] = np.full((len(members), NEAR), -1, np.intp)
        if len(land.placed):
            members.kept["near"][land.placed] = _within(land, land.placed, _Wanted(NEAR_KM, NEAR, alike=False))
    return members.kept["near"]


def siblings(members: Members) -> Slots:
    """For each roof the others of its site, in whatever direction they face; shape ``(n, SIBLINGS)``, -1 where there
    are no more. Of a larger site, each is compared with the next ``SIBLINGS``. Computed once for an estate."""
    if "siblings" not in members.kept:
        members.kept["siblings"] = _siblings(members.group["site"])
    return members.kept["siblings"]


def twins(members: Members) -> Slots:
    """The ``siblings`` on the same plane, or on the same planes in the same shares; -1 for others."""
    if "twins" not in members.kept:
        beside = siblings(members)
        here = np.arange(len(members))[:, None]
        shares, (tilt, facing) = plane_shares(members.numbers), planes(members.numbers)
        split = np.abs(shares[here] - shares[beside]).max(axis=-1) <= TWIN_SHARE
        limits = _Alike(TWIN_FACING_DEG, TWIN_TILT_DEG, flat_deg=0.0)
        fits = _alike((tilt[here], facing[here]), (tilt[beside], facing[beside]), limits)
        alike = (fits | (shares[here] == 0)).all(axis=-1)
        members.kept["twins"] = np.where((beside >= 0) & alike & split, beside, -1)
    return members.kept["twins"]


def _facing(members: Members) -> tuple[Floats, Floats]:
    """Tilt and azimuth by which roofs are compared, those of several planes by the one that stands for all."""
    if "facing" not in members.kept:
        members.kept["facing"] = resultant(members.numbers)
    return members.kept["facing"]


@dataclass(frozen=True)
class _Alike:
    """How far planes may differ; those up to ``flat_deg`` may face wherever they will."""

    facing_deg: float = FACING_DEG
    tilt_deg: float = TILT_DEG
    flat_deg: float = FLAT_DEG


PEER = _Alike()


def _alike(here: tuple[Floats, Floats], there: tuple[Floats, Floats], limits: _Alike = PEER) -> Mask:
    """Whether two planes (tilt and azimuth) face alike; unknown ones are like no other; arguments broadcast."""
    turned = np.abs((here[1] - there[1] + 180) % 360 - 180)
    flat = (here[0] <= limits.flat_deg) & (there[0] <= limits.flat_deg)
    return ((turned <= limits.facing_deg) | flat) & (np.abs(here[0] - there[0]) <= limits.tilt_deg)


def _siblings(site: Slots) -> Slots:
    out = np.full((len(site), SIBLINGS), -1, np.intp)
    order = np.flatnonzero(site >= 0)
    order = order[np.argsort(site[order], kind="stable")]
    if not len(order):
        return out
    _, first, size = np.unique(site[order], return_index=True, return_counts=True)
    start, members = np.repeat(first, size), np.repeat(size, size)
    place = np.arange(len(order)) - start
    for turn in range(1, min(SIBLINGS, int(size.max()) - 1) + 1):
        other = order[start + (place + turn) % members]
        out[order, turn - 1] = np.where(turn < members, other, -1)
    return out


@dataclass(frozen=True)
class _Wanted:
    """Whom to look for: so many within a radius, those that face alike or all."""

    radius_km: float
    most: int
    alike: bool = True


@dataclass(frozen=True)
class _Map:
    """The roofs on a plane, in kilometres; ``placed`` are those with a place."""

    members: Members
    east: Floats
    north: Floats
    placed: Slots

    @staticmethod
    def of(members: Members) -> "_Map":
        """One plane for the whole estate: over Czechia its distances are within 3 %."""
        placed = np.flatnonzero(~np.isnan(members.latitude + members.longitude))
        parallel = np.cos(np.radians(members.latitude[placed].mean())) if len(placed) else 1.0
        east = members.longitude * KM_PER_DEGREE * parallel
        return _Map(members, east, members.latitude * KM_PER_DEGREE, placed)

    def cells(self, width: float) -> tuple[Slots, int]:
        """The number of the square in which each placed roof lies, and how many squares a column has; the neighbours
        above and below are adjacent numbers, and no square lies at the edge."""
        column, row = (np.floor(axis[self.placed] / width).astype(np.intp) for axis in (self.east, self.north))
        rows = int(row.max() - row.min()) + 3
        return (column - column.min() + 1) * rows + row - row.min() + 1, rows


def _peers(members: Members) -> Slots:
    out = np.full((len(members), PEERS), -1, np.intp)
    land = _Map.of(members)
    missing = land.placed
    for radius in RADII_KM:
        if len(missing):
            found = out[missing] = _within(land, missing, _Wanted(radius, PEERS))
            missing = missing[found[:, -1] < 0]
    return out


def _within(land: _Map, of: Slots, wanted: _Wanted) -> Slots:
    """The nearest that are wanted of each of these roofs, shape ``(k, most)``; by squares as wide as the radius."""
    out = np.full((len(of), wanted.most), -1, np.intp)
    cell, rows = land.cells(wanted.radius_km)
    order = np.argsort(cell, kind="stable")
    ranked, ordered = cell[order], land.placed[order]
    cell_of = np.full(len(land.members), -1, np.intp)
    cell_of[land.placed] = cell
    by_cell = np.argsort(cell_of[of], kind="stable")
    cells, first = np.unique(cell_of[of][by_cell], return_index=True)
    for here, at in zip(cells.tolist(), np.split(by_cell, first[1:]), strict=True):
        spans = [np.searchsorted(ranked, (here + d * rows - 1, here + d * rows + 2)) for d in (-1, 0, 1)]
        around = np.concatenate([ordered[low:high] for low, high in spans])
        step = max(1, PAIRS_MAX // len(around))
        for start in range(0, len(at), step):
            piece = at[start : start + step]
            out[piece] = _nearest(land, of[piece], around, wanted)
    return out


def _nearest(land: _Map, here: Slots, around: Slots, wanted: _Wanted) -> Slots:
    distance = np.hypot(land.east[around] - land.east[here, None], land.north[around] - land.north[here, None])
    site = land.members.group["site"]
    same = (site[here, None] >= 0) & (site[here, None] == site[around])
    fit = (distance <= wanted.radius_km) & (around != here[:, None]) & ~same
    if wanted.alike:
        tilt, facing = _facing(land.members)
        fit &= _alike((tilt[here, None], facing[here, None]), (tilt[around], facing[around]))
    distance[~fit] = np.inf
    most = min(wanted.most, len(around))
    chosen = np.argpartition(distance, most - 1, axis=1)[:, :most]
    by_distance = np.argsort(np.take_along_axis(distance, chosen, axis=1), axis=1, kind="stable")
    order = np.take_along_axis(chosen, by_distance, axis=1)
    out = np.full((len(here), wanted.most), -1, np.intp)
    kept = np.isfinite(np.take_along_axis(distance, order, axis=1))
    out[:, :most] = np.where(kept, around[order], -1)
    return out
