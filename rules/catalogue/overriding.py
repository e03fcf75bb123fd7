"""Thresholds that a municipality sets differently: checked against the rule that they belong to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rules.catalogue import values
from rules.language.errors import RuleTextError, near, quoted
from rules.rule import Rule


def with_overrides(rule: Rule, thresholds: Mapping[str, Any]) -> Rule:
    """The rule with these thresholds in place of its own; ``RuleTextError`` for a name it lacks or no number."""
    return replace(rule, thresholds={**rule.thresholds, **checked(rule, thresholds)})


def checked(rule: Rule, thresholds: Mapping[str, Any]) -> dict[str, float]:
    """The overrides as numbers."""
    found: dict[str, float] = {}
    for name, value in thresholds.items():
        if name not in rule.thresholds:
            has = ", ".join(rule.thresholds) or "none"
            expected = f"a threshold that this rule has ({has})"
            hint = near(name, rule.thresholds)
            raise RuleTextError(f"unknown threshold {quoted(name)}", expected, hint=hint, where=rule.name)
        try:
            found[name] = values.threshold(value)
        except RuleTextError as error:
            raise error.within(f"{rule.name}: {name}") from None
    return found
