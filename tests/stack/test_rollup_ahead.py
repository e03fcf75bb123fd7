"""One thing is worked on while the one before is used, in order, and what goes wrong is told where it is used."""

import threading

import pytest

from stack.rollup_ahead import ahead
from tests.waiting import PATIENCE_S


def test_the_next_is_worked_on_while_the_one_before_is_used_and_no_more() -> None:
    begun = [threading.Event() for _ in range(4)]

    def work(n: int) -> int:
        begun[n].set()
        return n * n

    found: list[int] = []
    for one in ahead(work, range(4)):
        n = len(found)
        found.append(one)
        if n < 3:
            assert begun[n + 1].wait(PATIENCE_S)
        assert not any(event.is_set() for event in begun[n + 2 :])
    assert found == [0, 1, 4, 9]
    assert list(ahead(work, [])) == []


def test_what_goes_wrong_is_raised_behind_what_was_made_before() -> None:
    found = ahead(lambda n: 6 // n, [3, 2, 0, 1])
    assert (next(found), next(found)) == (2, 3)
    with pytest.raises(ZeroDivisionError):
        next(found)
