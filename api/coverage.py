"""Which rules run on an asset, and which metrics or attributes the others lack."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kraj.attributes import ATTRIBUTES
from kraj.kinds import KINDS
from kraj.store.queries import Bent, MuteRow, Value
from rules.inputs import of_kind
from rules.language import tree
from rules.language.parser import parse
from rules.rule import Rule

DEPTH_MAX = 8
"""Inputs that need inputs; a circle among them ends here."""


class Standing(StrEnum):
    """How a rule stands on an asset."""

    RUNS = "runs"
    LACKS = "lacks"
    MUTED = "muted"
    OFF = "off"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Coverage:
    """A rule on an asset; ``lacks`` names metrics and attributes, ``mute`` who has silenced it until when."""

    rule: Rule
    standing: Standing
    lacks: tuple[str, ...]
    mute: MuteRow | None


class Coverer:
    """Tells how rules stand on assets; conditions are read once."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._trees: dict[str, tree.Node] = {}

    def coverage(
        self, kind: str, metadata: Mapping[str, Any], newest: Mapping[str, Value] | None, bent: Bent
    ) -> list[Coverage]:
        """Each rule of the kind; ``newest`` are the metrics of the latest reading, None when nothing ever came."""
        absent = _Absent(kind, metadata, newest or {})
        found: list[Coverage] = []
        for rule in self._rules:
            if kind not in rule.kinds:
                continue
            missing = _missing(self._tree(rule), absent, negated=False)
            lacks = tuple(sorted(missing.union(*(absent(name) for name in rule.guards))))
            mute = bent.mutes.get(rule.name)
            if rule.name in bent.failed:
                standing = Standing.FAILED
            elif rule.name in bent.off:
                standing = Standing.OFF
            elif lacks:
                standing = Standing.LACKS
            else:
                standing = Standing.RUNS if mute is None else Standing.MUTED
            found.append(Coverage(rule, standing, lacks, mute))
        return found

    def _tree(self, rule: Rule) -> tree.Node:
        if rule.name not in self._trees:
            self._trees[rule.name] = parse(rule.when)
        return self._trees[rule.name]


class _Absent:
    """Which metrics and attributes a name would need, and this asset does not have."""

    def __init__(self, kind: str, metadata: Mapping[str, Any], newest: Mapping[str, Value]) -> None:
        seam = of_kind(kind)
        self._inputs = {given.name: given for given in (*seam.day_inputs, *seam.inputs)}
        self._attributes = {attribute.name: attribute for attribute in ATTRIBUTES.get(kind, ())}
        self._metrics = KINDS[kind].by_name
        self._metadata = metadata
        self._newest = newest

    def __call__(self, name: str, depth: int = 0) -> frozenset[str]:
        if name in self._metrics:
            return frozenset() if name in self._newest else frozenset({name})
        if name in self._attributes:
            given = self._metadata.get(name) not in (None, "") or self._attributes[name].default is not None
            return frozenset() if given else frozenset({name})
        if name not in self._inputs or depth == DEPTH_MAX:
            return frozenset()
        return frozenset[str]().union(*(self(need, depth + 1) for need in self._inputs[name].needs))


def _missing(node: tree.Node, absent: _Absent, *, negated: bool) -> frozenset[str]:
    """What is missing for the condition ever to be known to hold; where one way of several is open, nothing."""
    parts: tuple[tree.Node, ...] = ()
    every = True
    match node:
        case tree.Name():
            return absent(node.name)
        case tree.Not():
            return _missing(node.condition, absent, negated=not negated)
        case tree.Logic():
            parts, every = node.parts, (node.operator == "and") != negated
        case tree.Call() if node.name != "known":
            parts = node.arguments
        case tree.Negative():
            parts = (node.value,)
        case tree.Arithmetic() | tree.Comparison():
            parts = (node.left, node.right)
        case tree.Has():
            parts = (node.flags,)
        case _:
            pass
    missing = [_missing(part, absent, negated=negated) for part in parts]
    return frozenset[str]().union(*missing) if every or all(missing) else frozenset[str]()
