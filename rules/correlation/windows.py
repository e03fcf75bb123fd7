"""Maintenance windows and mutes: in which of them a rule is silent, looked up by what they are about."""

from collections.abc import Mapping, Sequence

from kraj.alerts import Scope
from kraj.assets import Window


class Windows:
    """Windows by scope. One about a region-wide group holds for the assets of the municipality that set it."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._by_scope: dict[tuple[str, str], list[Window]] = {}
        for window in windows:
            # A municipality is told by its id; what a window calls it does not matter.
            name = "" if window.scope.type == "municipality" else window.scope.name
            self._by_scope.setdefault((window.scope.type, name), []).append(window)

    def until_ms(self, rule: str, scopes: Mapping[str, Scope], owner: int | None, at_ms: int) -> int | None:
        """When the last window ends that silences the rule now on something with these scopes; None where none does."""
        if not self._by_scope:
            return None
        ends = [
            window.to_ms
            for type_, scope in scopes.items()
            for window in self._by_scope.get((type_, "" if type_ == "municipality" else scope.name), ())
            if window.from_ms <= at_ms < window.to_ms
            and window.rule in {None, rule}
            and window.scope.municipality_id in {None, owner}
        ]
        return max(ends, default=None)
