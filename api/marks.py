"""Marks of a map gathered into few paths: as many as there are kinds and conditions, however many marks there are."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from api.freshness import Condition

DOTS_MIN = 300
"""So many filled circles are drawn as dots of a stroke, which a browser paints twice as fast as marks of shape."""
FILLED = frozenset({Condition.REPORTING, Condition.UNUSUAL})
ORDER = {name: place for place, name in enumerate(("plain", "reporting", "never", "unusual", "offline", "silent"))}
"""From what lies below to what lies above."""
PLAIN = "plain"
"""The condition of what is drawn without saying how it does."""
DOTTED = "lamp"
"""The kind whose shape is the circle, and of which there are thousands."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something on a drawing, which ``number`` finds again."""

    kind: str
    number: int
    label: str
    condition: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Group:
    """All marks of a kind in a condition, by number.

    ``path`` has a corner at each mark; of ``dots`` each is a line without length, whose round ends are the dot.
    ``numbers`` are each the difference from the one before, ``labels`` stand one a line; none where nobody needs them.
    """

    kind: str
    condition: str
    dots: bool
    path: str
    numbers: str
    labels: str
    count: int


def gathered(marks: Iterable[Mark], every: Sequence[str] = ()) -> tuple[Group, ...]:
    """Groups from the lowest to the highest; ``every`` names conditions that each kind has, be it without a mark."""
    found: dict[tuple[str, str], list[Mark]] = defaultdict(list)
    for mark in marks:
        found[mark.kind, mark.condition].append(mark)
    for kind in {kind for kind, _ in found}:
        for condition in every:
            found.setdefault((kind, condition), [])
    ordered = sorted(found.items(), key=lambda item: (ORDER[item[0][1]], item[0][0] != DOTTED, item[0]))
    return tuple(_group(kind, condition, group) for (kind, condition), group in ordered)


def _group(kind: str, condition: str, marks: list[Mark]) -> Group:
    marks.sort(key=lambda mark: mark.number)
    dots = condition == PLAIN or (kind == DOTTED and condition in FILLED and len(marks) >= DOTS_MIN)
    corners = [f"{mark.x:.1f} {mark.y:.1f}" for mark in marks]
    path = "".join(f"M{corner}h0" for corner in corners) if dots else "M" + "L".join(corners) if corners else ""
    numbers = [0, *(mark.number for mark in marks)]
    return Group(
        kind,
        condition,
        dots,
        path,
        ",".join(str(number - before) for before, number in pairwise(numbers)),
        "" if condition == PLAIN else "\n".join(" ".join(mark.label.split()) for mark in marks),
        len(marks),
    )
