"""A night is judged once, an hour after noon, on what has come until then."""

from collections.abc import Iterable

import numpy as np

from kraj.alerts import SymptomChange
from kraj.kinds import LAMP
from kraj.metrics import Title
from kraj.readings import Floats
from kraj.units import Unit
from rules.inputs import Daily, Seam, of_kind, seam
from rules.layer import Form, Input, Layer
from rules.observer import Observer
from rules.rule import Per, Rule
from tests.rules.world import MINUTE_MS, START_MS, lamps, readings, rule

HOUR = 60
DAY = 24 * HOUR
"""Minutes, from midnight UTC on; at 15° east noon by the sun is at 11:00."""
DUSK, DAWN = 15 * HOUR, 30 * HOUR
JUDGED = 36 * HOUR


def _power(layer: Layer) -> Floats:
    return layer.column("power_w")


def _doubled(layer: Layer) -> Floats:
    return (layer.column("mean_w") > 2 * layer.past("mean_w", 1)[0]).astype(np.float64)


MEAN = Daily("mean_w", Unit.WATT, Title(cs="x", en="x"), "mean", _power, past=3)
DOUBLED = Input("doubled", Unit.NONE, Title(cs="x", en="x"), _doubled, Form.FLAG)
OWN = seam(LAMP, active=of_kind("lamp").active, daily=(MEAN,), day_inputs=(DOUBLED,))
HEAVY = rule("heavy", "mean_w > 100", per=Per.NIGHT, guards=("data_complete",), loses="mean_w")


def seam_of(kind: str) -> Seam:
    return OWN if kind == "lamp" else of_kind(kind)


def observer(*rules: Rule) -> Observer:
    found = Observer(lamps(1), rules, seam_of)
    tick(found, 0)
    return found


def tick(to: Observer, minute: int, *, attentive: bool = True) -> list[SymptomChange]:
    found = to.step([], [], START_MS + minute * MINUTE_MS, attentive=attentive)
    to.commit()
    return found


def lit(to: Observer, minutes: Iterable[int], watts: float, arrived: int | None = None) -> None:
    """Readings of a lit lamp, each when it was taken, or all at once."""
    rows = [(1, START_MS + m * MINUTE_MS, {"power_w": watts, "level_commanded_pct": 100.0}) for m in minutes]
    for row in rows if arrived is None else []:
        to.step([readings("lamp", [row])], [], row[1])
    if arrived is not None:
        to.step([readings("lamp", rows)], [], START_MS + arrived * MINUTE_MS)
    to.commit()


def test_a_night_is_judged_once_an_hour_after_noon() -> None:
    to = observer(HEAVY)
    lit(to, range(DUSK, DAWN, 5), 150)
    assert tick(to, JUDGED - 10) == []
    (raised,) = tick(to, JUDGED + 1)
    assert (raised.rule, raised.raised, raised.evidence) == ("heavy", True, {"mean_w": 150})
    noon = START_MS + (JUDGED - HOUR) * MINUTE_MS
    assert abs(raised.ts_ms - noon) < MINUTE_MS
    assert raised.ts_ms - raised.since_ms == DAY * MINUTE_MS
    assert [tick(to, JUDGED + m) for m in (2, 60, 600)] == [[], [], []]


def test_a_night_of_which_too_little_is_known_is_not_judged() -> None:
    to = observer(HEAVY)
    lit(to, range(DUSK, DUSK + 8 * HOUR, 5), 150)  # of fifteen hours
    assert tick(to, JUDGED + 1) == []


def test_what_comes_within_the_hour_still_counts() -> None:
    to = observer(HEAVY)
    lit(to, [DUSK, DAWN], 150)
    lit(to, range(DUSK + 5, DAWN, 5), 150, arrived=JUDGED - 20)
    assert [change.rule for change in tick(to, JUDGED + 1)] == ["heavy"]


def test_after_our_own_absence_devices_have_an_hour_to_send_what_they_kept() -> None:
    to = observer(HEAVY)
    lit(to, [DUSK], 150)
    assert tick(to, JUDGED + 30, attentive=False) == []
    lit(to, range(DUSK + 5, DAWN, 5), 150, arrived=JUDGED + 45)
    assert tick(to, JUDGED + 80) == []
    assert [change.rule for change in tick(to, JUDGED + 95)] == ["heavy"]


def test_nights_are_compared_with_those_before() -> None:
    to = observer(rule("twice", "doubled", per=Per.NIGHT))
    found: list[list[bool]] = []
    for night, watts in enumerate((50, 120, 130)):
        lit(to, range(night * DAY + DUSK, night * DAY + DAWN, 5), watts)
        found.append([change.raised for change in tick(to, night * DAY + JUDGED + 1)])
    assert found == [[], [True], [False]]


def test_energy_is_lost_for_the_hours_of_each_night_and_day() -> None:
    to = observer(HEAVY)
    told: list[SymptomChange] = []
    for night, watts in enumerate((150, 200, 20)):
        lit(to, range(night * DAY + DUSK, night * DAY + DAWN, 5), watts)
        told += tick(to, night * DAY + JUDGED + 1)
    assert [(change.raised, change.lost_wh) for change in told] == [(True, None), (False, 24.0 * (150 + 200 + 20))]


def test_after_a_long_absence_every_night_is_judged_in_turn() -> None:
    to = observer(HEAVY, rule("unheard", "not (coverage > 0)", per=Per.NIGHT, of=(3, 3)))
    lit(to, range(DUSK, DAWN, 5), 150)
    (raised, quiet) = tick(to, 6 * DAY)
    assert (raised.rule, quiet.rule) == ("heavy", "unheard")
    assert quiet.ts_ms - raised.ts_ms == 3 * DAY * MINUTE_MS
