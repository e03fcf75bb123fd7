"""Thousands of marks are a handful of paths, from which each mark can be read again."""

import re

from hypothesis import given
from hypothesis import strategies as st

from api.freshness import Condition
from api.marks import DOTS_MIN, PLAIN, Group, Mark, gathered
from kraj.kinds import KINDS

CONDITIONS = [*(condition.value for condition in Condition), PLAIN]
MARKS = st.lists(
    st.builds(
        Mark,
        st.sampled_from(sorted(KINDS)),
        st.integers(1, 2**31 - 1),
        st.text(min_size=1, max_size=5),
        st.sampled_from(CONDITIONS),
        st.floats(0, 800),
        st.floats(0, 480),
    ),
    unique_by=lambda mark: mark.number,
    max_size=30,
)


def read(groups: tuple[Group, ...]) -> dict[int, tuple[str, str, str, float, float]]:
    """As the script reads them."""
    found: dict[int, tuple[str, str, str, float, float]] = {}
    for group in groups:
        corners = re.findall(r"[ML]([\d.]+) ([\d.]+)", group.path)
        labels = group.labels.split("\n")
        steps = group.numbers.split(",") if group.numbers else []
        assert len(corners) == len(steps) == group.count
        number = 0
        for at, (x, y) in enumerate(corners):
            number += int(steps[at])
            label = labels[at] if group.labels else ""
            found[number] = (group.kind, label, group.condition, float(x), float(y))
    return found


@given(MARKS)
def test_every_mark_can_be_read_again(marks: list[Mark]) -> None:
    found = read(gathered(marks))
    assert set(found) == {mark.number for mark in marks}
    for mark in marks:
        kind, label, condition, x, y = found[mark.number]
        assert (kind, condition) == (mark.kind, mark.condition)
        assert label == ("" if condition == PLAIN else " ".join(mark.label.split()))
        assert abs(x - mark.x) <= 0.051
        assert abs(y - mark.y) <= 0.051


def test_twenty_thousand_marks_are_as_many_paths_as_a_few_and_faults_lie_above() -> None:
    def spread(count: int) -> tuple[Group, ...]:
        conditions = [condition.value for condition in Condition]
        return gathered(
            [Mark("lamp", n, f"VO-{n}", conditions[n % 5], n % 800, n % 480) for n in range(1, count + 1)]
            + [Mark("stop", 10**6, "Náměstí", "reporting", 1, 1)],
            conditions,
        )

    few, many = spread(5), spread(20_000)
    assert len(few) == len(many) == 10
    assert sum(group.count for group in many) == 20_001
    assert many[-1].condition == "silent"
    assert {group.condition for group in many if group.dots} == {"reporting", "unusual"}, "the hollow keep their shape"
    assert not any(group.dots for group in spread(5 * DOTS_MIN - 5))
