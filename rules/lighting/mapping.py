"""Lamps that are registered on a wrong feeder or cabinet, found from the outages that they share with others.

The model. A lamp hangs on one feeder. Had it lost its supply by itself, with its own losses a Poisson process of rate
``r``, one loss would fall by chance on a given outage with ``p = 1 − exp(−r · w)``, where ``w`` is the width within
which it counts as shared: twice ``RETURN_MS``, and where the moment of its return (it must be that of the others) is
unknown, the outage's length besides. So ``k`` independent outages (a day apart) of one feeder are all shared by chance
with ``Π p_i``, and of one of ``m`` feeders that were looked at with at most

    chance = min(1, m · Π p_i),   r = (own losses + ½) / time observed    (Jeffreys' prior of a Poisson rate)

``own`` are the losses that ``supply_losses`` counted beyond the shared ones; where it is unknown, a lamp is taken to
lose its supply once a day. Proposed is what is shared at least twice with ``chance`` at most ``CHANCE_MAX``, where the
lamp never kept its supply while the proposed feeder lost it, and each time most others of its registered feeder kept
theirs: so contactors that switch, and outages above the feeder, speak for nothing. It may have lost its supply with its
registered feeder only before all of that: then it was wired anew. Cabinets do not tell feeders apart: what only they
tell is the cabinet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from kraj.readings import Floats, Ints, Mask
from kraj.wiring import Around, Outage, Wired

REACH_M: Final = 300.0
"""From some lamp of the outage: nobody would have taken one farther away for a lamp of another feeder."""
METRES_PER_DEGREE: Final = 111_320.0
BEFORE_MS: Final = 5 * 60_000
"""Clocks may be off by so much: who started earlier before the outage began ran through it."""
RETURN_MS: Final = 10 * 60_000
"""A supply that returns starts all lamps at once; their clocks differ."""
DEAD_V: Final = 50.0
TOGETHER_MS: Final = 10 * 60_000
"""Outages that begin together have one cause, which lies above them."""
APART_MS: Final = 24 * 3_600_000
"""Outages that follow sooner are one event: a storm, a breaker that is closed again and again."""
SHARED_MIN: Final = 2
WITNESSES_MIN: Final = 2
LOST_MIN: Final = 3
"""As many lamps as make an outage of a feeder (rules/correlation/causes.toml)."""
CHANCE_MAX: Final = 0.01
HOUR_MS: Final = 3_600_000.0
UNKNOWN_PER_H: Final = 1 / 24
UNKNOWN, KEPT, LOST = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """What became of each lamp in each outage, shapes ``(outages, lamps)``: UNKNOWN, KEPT or LOST, and ``width_h``,
    within which a loss counts as shared. ``per_lamp``: losses counted in all, and the hours observed; NaN unknown."""

    state: Ints
    width_h: Floats
    losses: Floats
    hours: Floats


@dataclass(frozen=True, slots=True)
class Evidence:
    """One outage that says something of a lamp: it lost its supply too (``shared``), kept it while its registered
    feeder lost it (``kept``), or lost it with that one (``with_registered``, which speaks against the proposal)."""

    outage: Outage
    says: Literal["shared", "kept", "with_registered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A lamp, how it is registered, how it seems to be wired (``feeder`` None: only the cabinet is known), the outages
    that tell, the newest first, and the probability that they are chance."""

    asset_id: int
    registered_feeder: str | None
    registered_cabinet: str | None
    feeder: str | None
    cabinet: str | None
    evidence: tuple[Evidence, ...]
    chance: float


def asked(outages: Sequence[Outage], lamps: Wired) -> Mask:
    """Of whom readings are needed, shape ``(outages, lamps)``: lamps within reach of those that each outage struck, and
    all that share their feeders."""
    places = _Places(lamps)
    out = np.zeros((len(outages), len(lamps)), np.bool_)
    for row, outage in enumerate(outages):
        struck = places.struck(outage)
        near = struck | _near(lamps, struck)
        out[row] = np.isin(places.home, np.unique(places.home[near & (places.home >= 0)])) | struck
    return out


def fates(outages: Sequence[Outage], lamps: Wired, around: Around) -> Fates:
    """What the readings around outages tell; a lamp that was merely silent ran on, and has kept its supply."""
    shape = (len(outages), len(lamps))
    begun = np.array([o.from_ms for o in outages], np.float64)[around.outage]
    booted = around.ts_ms - around.uptime_s * 1000
    more = around.losses - around.losses_before
    ran_on = (booted < begun - BEFORE_MS) | (np.isnan(booted) & (more == 0))
    fell = (booted >= begun - BEFORE_MS) & (around.restarted != 0) & (more != 0)
    fell |= np.isnan(booted) & ((more > 0) | (around.voltage_v < DEAD_V))
    where = (around.outage, around.lamp)
    state = np.full(shape, UNKNOWN, np.int64)
    state[where] = np.select([fell, ran_on], [LOST, KEPT], UNKNOWN)
    returned = np.full(shape, np.nan)
    returned[where] = booted
    first, last = np.full(len(lamps), np.inf), np.full(len(lamps), -np.inf)
    low, high = first.copy(), last.copy()
    for ts_ms, count in ((around.before_ms, around.losses_before), (around.ts_ms, around.losses)):
        known = ~np.isnan(count) & ~np.isnan(ts_ms)
        for limit, value, take in ((first, ts_ms, np.minimum), (low, count, np.minimum)):
            take.at(limit, around.lamp[known], value[known])
        for limit, value in ((last, ts_ms), (high, count)):
            np.maximum.at(limit, around.lamp[known], value[known])
    seen = last > first
    length = np.array([[(o.to_ms - o.from_ms) / HOUR_MS] for o in outages]).reshape(-1, 1)
    return _together(
        outages,
        lamps,
        returned,
        Fates(
            state=state,
            width_h=np.where(np.isnan(returned), length, 0.0) + 2 * RETURN_MS / HOUR_MS,
            losses=np.where(seen, high - np.where(seen, low, 0.0), np.nan),
            hours=np.where(seen, (last - np.where(seen, first, 0.0)) / HOUR_MS, np.nan),
        ),
    )


def proposals(
    outages: Sequence[Outage], lamps: Wired, found: Fates, settled: Mapping[int, frozenset[int]] | None = None
) -> list[Proposal]:
    """Whose wiring is to be looked at, by asset. ``settled``: outages (by key) that no longer speak of an asset."""
    court = _Court(outages, lamps, found, settled or {})
    best: dict[int, Proposal] = {}
    for feeder in sorted({o.feeder for o in court.outages if o.feeder is not None}):
        _keep(best, court.hear(feeder, court.places.cabinet_of(feeder)))
    by_feeder = frozenset(best)
    for cabinet in sorted({o.cabinet for o in court.outages if o.cabinet is not None}):
        _keep(best, [one for one in court.hear(None, cabinet) if one.asset_id not in by_feeder])
    return [best[asset_id] for asset_id in sorted(best)]


def _keep(best: dict[int, Proposal], found: Sequence[Proposal]) -> None:
    for one in found:
        if one.asset_id not in best or one.chance < best[one.asset_id].chance:
            best[one.asset_id] = one


def _together(outages: Sequence[Outage], lamps: Wired, returned: Floats, found: Fates) -> Fates:
    """Losses that ended at another time than those of the outage's own lamps tell nothing."""
    places = _Places(lamps)
    state = found.state.copy()
    for row, outage in enumerate(outages):
        theirs = returned[row][places.struck(outage) & (state[row] == LOST)]
        theirs = theirs[~np.isnan(theirs)]
        if len(theirs):
            other = np.abs(returned[row] - np.median(theirs)) > RETURN_MS
            state[row, other & (state[row] == LOST)] = UNKNOWN
    return replace(found, state=state)


def _near(lamps: Wired, struck: Mask) -> Mask:
    """Which lamps stand within ``REACH_M`` of a struck one; those without a place are taken to be near."""
    if not struck.any():
        return np.zeros(len(lamps), np.bool_)
    north = lamps.latitude * METRES_PER_DEGREE
    east = lamps.longitude * METRES_PER_DEGREE * np.cos(np.radians(np.nanmean(lamps.latitude[struck])))
    apart = np.hypot(north[:, None] - north[struck], east[:, None] - east[struck])
    return ~(np.nanmin(np.where(np.isnan(apart), 0.0, apart), axis=1) > REACH_M)


class _Places:
    """Names as numbers, shapes ``(lamps,)``, -1 for none; ``home`` is a lamp's feeder or, without one, its cabinet."""

    def __init__(self, lamps: Wired) -> None:
        names = sorted({n for n in (*lamps.feeder, *lamps.cabinet) if n is not None})
        self._number = {name: place for place, name in enumerate(names)}
        self.names = names
        self.feeder = self._numbers(lamps.feeder)
        own = self._numbers(lamps.cabinet)
        self._above = np.full(len(names), -1, np.int64)
        for feeder in np.unique(self.feeder[(self.feeder >= 0) & (own >= 0)]):
            self._above[feeder] = np.bincount(own[(self.feeder == feeder) & (own >= 0)]).argmax()
        fed = (self.feeder >= 0) & (own < 0)
        self.cabinet = np.where(fed, self._above[self.feeder], own) if len(names) else own
        self.home = np.where(self.feeder >= 0, self.feeder, np.where(own >= 0, len(names) + own, -1))

    def _numbers(self, words: Sequence[str | None]) -> Ints:
        return np.array([-1 if word is None else self._number[word] for word in words], np.int64)

    def struck(self, outage: Outage) -> Mask:
        """The lamps that are registered where it was."""
        if outage.feeder is not None:
            return self.feeder == self._number.get(outage.feeder, -2)
        return self.cabinet == self._number.get(outage.cabinet or "", -2)

    def cabinet_of(self, feeder: str) -> str | None:
        """The cabinet that most of a feeder's lamps name."""
        place = self._number.get(feeder)
        return None if place is None or self._above[place] < 0 else self.names[int(self._above[place])]


class _Court:
    """Outages that were ones, in order of time, with what became of everybody; each hypothesis is heard by itself."""

    def __init__(
        self, outages: Sequence[Outage], lamps: Wired, found: Fates, settled: Mapping[int, frozenset[int]]
    ) -> None:
        self.places = _Places(lamps)
        self._lamps, self._found = lamps, found
        named = [o if o.feeder is None else replace(o, cabinet=self._cabinet(o)) for o in outages]
        order = sorted(range(len(named)), key=lambda n: named[n].from_ms)
        real = [n for n in order if self._was(named[n], n)]
        kept = [(n, one) for n in real if (one := self._alone(named, real, n)) is not None]
        self.outages = [one for _, one in kept]
        rows = np.array([n for n, _ in kept], np.intp)
        self._state, self._width_h = found.state[rows], found.width_h[rows]
        self._home_kept = self._witnesses()
        self._spent = np.zeros(self._state.shape, np.bool_)
        for asset_id, keys in settled.items():
            spent = np.array([o.key in keys for o in self.outages], np.bool_)
            self._spent |= spent[:, None] & (lamps.asset_id == asset_id)

    def hear(self, feeder: str | None, cabinet: str | None) -> list[Proposal]:
        """The lamps that seem to hang on this feeder, or on this cabinet, and are not registered there."""
        state, places = self._state, self.places
        theirs = np.array([o.feeder == feeder if feeder else o.cabinet == cabinet for o in self.outages], np.bool_)
        all_of_it = np.array([o.feeder is None and o.cabinet == cabinet for o in self.outages], np.bool_)
        proposed = places.struck(Outage(key=0, feeder=feeder, cabinet=cabinet, from_ms=0, to_ms=0))
        shared = theirs[:, None] & (state == LOST) & self._home_kept & ~self._spent
        must = theirs | all_of_it if feeder else all_of_it
        stood = (must[:, None] & (state == KEPT)).any(axis=0)
        registered = np.array([places.struck(o) for o in self.outages], np.bool_).reshape(state.shape)
        registered &= ~(theirs | all_of_it)[:, None]
        fell = registered & (state == LOST)
        order = np.arange(len(self.outages))[:, None]
        wired_anew = np.where(fell, order, -1).max(axis=0, initial=-1) < np.where(shared, order, len(order)).min(
            axis=0, initial=len(order)
        )
        chance, events = self._chance(shared)
        taken = (events >= SHARED_MIN) & (chance <= CHANCE_MAX) & ~stood & wired_anew & ~proposed & (places.home >= 0)
        kept = registered & (state == KEPT) & ~self._spent
        return [
            self._proposal(lamp, feeder, cabinet, (shared[:, lamp], kept[:, lamp], fell[:, lamp]), chance[lamp])
            for lamp in np.flatnonzero(taken).tolist()
        ]

    def _proposal(
        self, lamp: int, feeder: str | None, cabinet: str | None, told: tuple[Mask, Mask, Mask], chance: float
    ) -> Proposal:
        shared, kept, fell = told
        evidence = [
            Evidence(outage, "shared" if shared[n] else "kept" if kept[n] else "with_registered")
            for n, outage in enumerate(self.outages)
            if shared[n] or kept[n] or fell[n]
        ]
        return Proposal(
            asset_id=int(self._lamps.asset_id[lamp]),
            registered_feeder=self._lamps.feeder[lamp],
            registered_cabinet=self._lamps.cabinet[lamp],
            feeder=feeder,
            cabinet=cabinet,
            evidence=tuple(reversed(evidence)),
            chance=float(chance),
        )

    def _chance(self, shared: Mask) -> tuple[Floats, Ints]:
        """That these outages are shared by chance, and how many independent ones they are; shapes ``(lamps,)``."""
        times = shared.sum(axis=0)
        own = np.maximum(self._found.losses - times, 0.0)
        rate = np.where(self._found.hours > 0, (own + 0.5) / self._found.hours, UNKNOWN_PER_H)
        rate = np.where(np.isnan(rate), UNKNOWN_PER_H, rate)
        each = np.where(shared, -np.expm1(-rate * self._width_h), 0.0)
        chance, events = np.ones(shared.shape[1]), np.zeros(shared.shape[1], np.int64)
        begun, most = np.full(shared.shape[1], -np.inf), np.ones(shared.shape[1])
        for row in np.flatnonzero(shared.any(axis=1)).tolist():
            another = shared[row] & (self.outages[row].from_ms - begun >= APART_MS)
            begun = np.where(another, self.outages[row].from_ms, begun)
            # Of one event the likeliest counts.
            chance *= np.where(another, each[row], np.where(shared[row], np.maximum(each[row] / most, 1.0), 1.0))
            most = np.where(another, each[row], np.where(shared[row], np.maximum(each[row], most), most))
            events += another
        known = self._state != UNKNOWN
        scopes = [o.feeder or o.cabinet for o in self.outages]
        looked = sum(
            (known[[s == scope for s in scopes]].any(axis=0).astype(np.int64) for scope in set(scopes)),
            np.zeros(shared.shape[1], np.int64),
        )
        return np.minimum(1.0, looked * chance), events

    def _cabinet(self, outage: Outage) -> str | None:
        return self.places.cabinet_of(outage.feeder or "") or outage.cabinet

    def _was(self, outage: Outage, row: int) -> bool:
        """Whether most of those who are registered there, and say so, lost their supply."""
        return _fell(self._found.state[row][self.places.struck(outage)])

    def _alone(self, outages: Sequence[Outage], real: Sequence[int], place: int) -> Outage | None:
        """The outage as far as it can be told apart from others that began with it, and from feeders that had no supply
        either (contactors at dusk): of several feeders of a cabinet only the cabinet, of several cabinets nothing.
        """
        own = outages[place]
        beside = [outages[n] for n in real if abs(outages[n].from_ms - own.from_ms) <= TOGETHER_MS]
        scopes = {(other.feeder, other.cabinet) for other in beside}
        for feeder in sorted({name for name in self._lamps.feeder if name is not None}):
            there = replace(own, feeder=feeder, cabinet=self.places.cabinet_of(feeder))
            if (own.feeder is not None or there.cabinet != own.cabinet) and self._was(there, place):
                scopes.add((feeder, there.cabinet))
        if scopes <= {(own.feeder, own.cabinet)}:
            return own
        if own.cabinet is not None and {cabinet for _, cabinet in scopes} == {own.cabinet}:
            return replace(own, feeder=None)
        return None

    def _witnesses(self) -> Mask:
        """Where most other lamps of a lamp's registered feeder kept their supply, shape ``(outages, lamps)``."""
        home = self.places.home
        has = home >= 0
        out = np.zeros(self._state.shape, np.bool_)
        for row, state in enumerate(self._state):
            size = int(home.max(initial=0)) + 1
            kept = np.bincount(home[has], state[has] == KEPT, size)[home] - (state == KEPT)
            lost = np.bincount(home[has], state[has] == LOST, size)[home] - (state == LOST)
            out[row] = has & (kept >= WITNESSES_MIN) & (kept > lost)
        return out


def _fell(state: Ints) -> bool:
    """Whether these lamps, most of those who say anything, lost their supply."""
    lost = int((state == LOST).sum())
    return lost >= LOST_MIN and lost > int((state == KEPT).sum())
