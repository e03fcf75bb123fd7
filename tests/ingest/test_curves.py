"""What the rules have learnt of lamps is told to the database once, and again when it has moved."""

import numpy as np

from ingest import curves
from ingest.curves import Curves
from kraj.readings import Floats
from rules.lighting.power import COMMISSION_H


def learnt(*rows: tuple[float, float, float, float]) -> Floats:
    """``power_curve`` of lamps, each ``(low, full, hours, rated)``."""
    return np.array([(low, full, 0, hours, 0, rated) for low, full, hours, rated in rows], float)


def test_a_curve_is_told_when_it_is_known_and_again_when_it_has_moved() -> None:
    told, ids = Curves(), np.array([7, 9, 11])
    state = learnt((0.1, 0.2, COMMISSION_H, 40), (0.1, 0.1, COMMISSION_H - 1, 40), (0, 0, 0, 0))
    found, rows = told.news(ids, state)
    assert (found.tolist(), rows.tolist()) == ([7], [[0.1, 0.2, COMMISSION_H, 40]])
    assert told.news(ids, state)[0].tolist() == [7], "the database did not take it"
    told.told(state)
    assert told.news(ids, state)[0].tolist() == []
    state[0, 1] += 0.004
    assert told.news(ids, state)[0].tolist() == []
    state[0, 1] += 0.004
    assert told.news(ids, state)[0].tolist() == [7]


def test_a_registry_that_changes_makes_no_news_of_what_is_known() -> None:
    told = Curves()
    state = learnt((0.1, 0.2, 50, 40), (0.3, 0.3, 50, 40))
    told.news(np.array([7, 9]), state)
    told.told(state)
    more = learnt((0, 0.1, 50, 60), (0.3, 0.3, 50, 40))
    assert told.news(np.array([8, 9]), more)[0].tolist() == [8]


def test_no_more_are_told_at_once_than_a_checkpoint_can_bear() -> None:
    told, count = Curves(), curves.ROWS_MAX + 5
    state = learnt(*[(0.1, 0.1, 50, 40)] * count)
    ids = np.arange(count)
    assert len(told.news(ids, state)[0]) == curves.ROWS_MAX
    told.told(state)
    assert told.news(ids, state)[0].tolist() == ids[-5:].tolist()
