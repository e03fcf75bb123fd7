"""What a rule is: the record that the catalogue, overrides and custom rules are read into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kraj.alerts import Severity
from kraj.metrics import Title


class Per(StrEnum):
    """When a rule is judged."""

    READING = "reading"
    """On each reading, in its own time."""
    TIME = "time"
    """Every tick, whether readings come or not: silence."""
    NIGHT = "night"
    """Once a night, noon to noon by the sun, on the night's aggregates."""
    DAY = "day"
    """Once a day, midnight to midnight by the sun, on the day's aggregates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule for one or more kinds; conditions are texts of the rule language.

    ``when`` must hold for ``for_s`` (per reading, per time) or on ``of[0]`` of the last ``of[1]`` nights or days.
    One per time that is ``quick`` is asked every ten seconds, others once a minute.
    ``clear_when`` must then hold for ``clear_for_s``; without it, ``when`` must be known not to hold.
    ``guards`` name flags of the kind that must hold besides ``when`` and are not part of the evidence.
    ``thresholds`` are names with numbers that ``when`` may use and municipalities may override.
    ``critical_when`` raises the severity to critical where it holds; ``hidden`` rules feed correlation and are no alert
    by themselves; ``explained_by`` names correlated causes that may explain this symptom; ``loses`` is power in watts
    that is lost while the rule holds. ``proof_when`` proves a repair when it holds in two readings after somebody has
    called it fixed, whatever ``clear_for`` and switching say; ``proof_fails_when`` refutes it. Per reading only.
    """

    name: str
    kinds: tuple[str, ...]
    per: Per
    when: str
    severity: Severity
    title: Title
    symptom: Title
    bring: Title | None = None
    for_s: float = 0.0
    clear_when: str | None = None
    clear_for_s: float = 0.0
    of: tuple[int, int] = (1, 1)
    guards: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict[str, float])
    critical_when: str | None = None
    proof_when: str | None = None
    proof_fails_when: str | None = None
    loses: str | None = None
    hidden: bool = False
    quick: bool = False
    explained_by: tuple[str, ...] = ()
    source: str = ""
    municipality_id: int | None = None
    """Of a custom rule: it is judged on this municipality's assets alone."""
