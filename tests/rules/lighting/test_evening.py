"""Which lamps are lit at a moment: by the last reading, unless it is old or nobody wanted light."""

import numpy as np

from rules.lighting.evening import lit_at
from rules.lighting.ledger import GAP_S, Due, Seen
from rules.lighting.power import Luminaire

AT = 1_000_000
DUE = Due.of([(np.array([AT - 3600]), np.array([AT + 3600]))])


def lamps(n: int) -> Luminaire:
    unknown = np.full(n, np.nan)
    return Luminaire(np.full(n, 40.0), unknown, np.full(n, 0.5), np.full(n, 10.0))


def test_the_last_reading_up_to_the_moment_tells() -> None:
    lamp = np.array([0, 0, 1, 2, 3, 4, 4])
    ts = np.array([AT - 600, AT - 60, AT - 60, AT - GAP_S - 1, AT + 60, AT - 600, AT - 60])
    power = np.array([0.0, 40, 1, 40, 40, 40, np.nan])
    wanted, lit = lit_at(Seen(lamp, ts, power, power, np.full(7, 100.0)), lamps(5), DUE, AT)
    assert wanted.all()
    np.testing.assert_array_equal(lit, [1, 0, np.nan, np.nan, 1])  # lit, dark, too old, only later, power unknown


def test_a_dimmed_lamp_is_lit_and_nobody_is_due_by_day() -> None:
    one = Seen(np.array([0]), np.array([AT - 60]), np.array([4.0]), np.array([np.nan]), np.array([10.0]))
    wanted, lit = lit_at(one, lamps(1), DUE, AT)
    assert (wanted.tolist(), lit.tolist()) == ([True], [1])
    wanted, lit = lit_at(one, lamps(1), DUE, AT + 7200)
    assert not wanted[0]
    assert np.isnan(lit[0])


def test_without_readings_nothing_is_known() -> None:
    none = np.zeros(0)
    wanted, lit = lit_at(Seen(none.astype(np.int64), none.astype(np.int64), none, none, none), lamps(2), DUE, AT)
    assert wanted.all()
    assert np.isnan(lit).all()
