"""What may explain an alert, by the words of its rule and the topology, and whether an open cause does."""

from collections.abc import Callable, Mapping, Sequence

from kraj.alerts import Scope
from rules.correlation.causes import Cause
from rules.correlation.losses import Losses
from rules.correlation.places import Places
from rules.correlation.power import Power, dead_phases
from rules.correlation.records import EXPLAIN_MS, HOLD_HEARTBEATS, HOLD_MS, Cell, Open
from rules.rule import Per, Rule

_WHOLE = frozenset({Per.NIGHT, Per.DAY})


class Explaining:
    """Answers for one registry version."""

    def __init__(
        self, places: Places, losses: Losses, power: Power, rules: Mapping[str, Rule], causes: Sequence[Cause]
    ) -> None:
        self._places = places
        self._losses = losses
        self._power = power
        self._rules = rules
        self._by_name = {cause.name: cause for cause in causes}
        self._depth = {cause.name: depth for depth, cause in enumerate(causes)}
        self._names: dict[str, tuple[str, ...]] = {}
        self._parents: dict[Cell, tuple[Cell, ...]] = {}
        self._alike: dict[tuple[str, frozenset[Scope]], tuple[Cell, ...]] = {}
        """Of assets in the same groups: their causes are found in the same places."""

    def names(self, rule: str) -> tuple[str, ...]:
        """Causes and rules that may explain a rule's or cause's alerts, the nearest to it first: another rule on the
        same asset, then causes, those that others explain before the others."""
        if rule not in self._names:
            if rule in self._by_name:
                named = self._by_name[rule].explained_by
            else:
                declared = self._rules[rule].explained_by if rule in self._rules else ()
                counting = (cause.name for cause in self._by_name.values() if rule in cause.symptoms)
                named = tuple(dict.fromkeys([*declared, *counting]))
            known = (name for name in named if name in self._by_name or self._is_alert(name, rule))
            self._names[rule] = tuple(sorted(known, key=lambda name: -self._depth.get(name, len(self._depth))))
        return self._names[rule]

    def _is_alert(self, name: str, rule: str) -> bool:
        return name != rule and name in self._rules and not self._rules[name].hidden

    def parents(self, cell: Cell, asset_id: int | None) -> tuple[Cell, ...]:
        """Where an alert that explains this one could be: only groups that are large enough for their cause."""
        if cell not in self._parents:
            self._parents[cell] = self._find(cell, asset_id)
        return self._parents[cell]

    def forget(self, cell: Cell) -> None:
        """The alert is gone for good."""
        self._parents.pop(cell, None)

    def _find(self, cell: Cell, asset_id: int | None) -> tuple[Cell, ...]:
        own = self._by_name.get(cell[0])
        if own is not None:
            return self._of_causes(cell[0], lambda type_: self._places.over(cell[1], own.kinds, type_))
        if asset_id is None:
            return ()
        alike = (cell[0], self._places.around(asset_id))
        if alike not in self._alike:
            self._alike[alike] = self._of_causes(cell[0], lambda type_: self._places.above(asset_id, type_))
        return (*((name, cell[1]) for name in self.names(cell[0]) if name not in self._by_name), *self._alike[alike])

    def _of_causes(self, rule: str, scopes: Callable[[str], tuple[Scope, ...]]) -> tuple[Cell, ...]:
        causes = (self._by_name[name] for name in self.names(rule) if name in self._by_name)
        return tuple(
            (cause.name, scope)
            for cause in causes
            for scope in scopes(cause.group)
            if self._places.members(scope, cause.kinds) >= cause.count
        )

    def wait_ms(self, rule: str, parents: Sequence[Cell]) -> int:
        """How long an alert of this rule or cause waits for these; what is judged of whole nights or days speaks long
        after what is judged at once, and is not waited for."""
        at_once = rule not in self._rules or self._rules[rule].per not in _WHOLE
        return max((self._wait_ms(name, at_once=at_once) for name, _ in parents), default=0)

    def _wait_ms(self, name: str, *, at_once: bool) -> int:
        if name in self._by_name:
            return self._by_name[name].wait_ms
        return 0 if at_once and self._rules[name].per in _WHOLE else EXPLAIN_MS

    def explains(self, parent: tuple[Cell, Open], cell: Cell, since_ms: int, asset_id: int | None, at_ms: int) -> bool:
        """Whether an alert that is open, or was until a moment ago, explains one that has begun at ``since_ms``."""
        name, above = parent[0][0], parent[1]
        cause = self._by_name.get(name)
        window_ms = EXPLAIN_MS if cause is None else cause.window_ms
        if since_ms < above.since_ms - window_ms:
            return False
        if not (above.active or above.holds_down(at_ms, self._hold_ms(cell, asset_id))):
            return False
        if cause is None:
            return True
        assets = self._suffering(cell, asset_id)
        if cause.network:
            return not any(self._power.gone(a, cause) for a in assets)
        return self._on_dead_phase(parent[0], assets)

    def _hold_ms(self, cell: Cell, asset_id: int | None) -> int:
        """How long who suffers under an alert may take to say that it is over, as the slowest of them reports."""
        slowest_ms = max((self._places.interval_ms(a) for a in self._suffering(cell, asset_id)), default=0)
        return max(HOLD_MS, HOLD_HEARTBEATS * slowest_ms)

    def rests(self, cell: Cell, asset_id: int | None) -> bool:
        """Whether all that suffer under an alert are switched off by habit, so that none can say whether it is over."""
        assets = self._suffering(cell, asset_id)
        return bool(assets) and all(self._power.rests(asset) for asset in assets)

    def _suffering(self, cell: Cell, asset_id: int | None) -> set[int]:
        if cell[0] in self._by_name:
            return set(self._losses.of(cell))
        return set() if asset_id is None else {asset_id}

    def _on_dead_phase(self, parent: Cell, assets: set[int]) -> bool:
        """A missing phase explains nothing on the others, as far as phases are known."""
        dead = self.dead(parent)
        phases = [self._places.phase(a) for a in assets if self._places.estate.kind_by_asset.get(a) == "lamp"]
        known = [phase for phase in phases if phase is not None]
        return not dead or not known or 2 * sum(phase in dead for phase in known) >= len(known)

    def dead(self, cell: Cell) -> frozenset[int]:
        """The dead phases that the symptoms counted under a cause name."""
        return frozenset(n for s in self._losses.symptoms(cell) for n in dead_phases(s.evidence))
