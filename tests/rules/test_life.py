"""What people may do to an alert, state by state: the whole table, and that nobody can talk away what still holds."""

import pytest

from kraj.alerts import AlertState, Step
from rules.life import BY_PEOPLE, FALSE_ALARMS, REPAIRS, after, allowed

OPEN, ACKNOWLEDGED, ASSIGNED, FIXED, CLOSED = AlertState
NOT_DONE = (OPEN, ACKNOWLEDGED, ASSIGNED)


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (OPEN, {Step.ACKNOWLEDGED, Step.ASSIGNED, Step.FIXED, Step.FALSE_ALARM, Step.COMMENTED}),
        (ACKNOWLEDGED, {Step.ASSIGNED, Step.FIXED, Step.FALSE_ALARM, Step.COMMENTED}),
        (ASSIGNED, {Step.ASSIGNED, Step.FIXED, Step.FALSE_ALARM, Step.COMMENTED}),
        (FIXED, {Step.FALSE_ALARM, Step.COMMENTED}),
        (CLOSED, {Step.COMMENTED}),
    ],
)
def test_what_still_holds_is_fixed_or_a_false_alarm_and_never_just_closed(state: AlertState, steps: set[Step]) -> None:
    assert set(allowed(state, active=True)) == steps
    closable = {Step.CLOSED} if state is not CLOSED else set[Step]()
    assert set(allowed(state, active=False)) == steps | closable


def test_the_way_of_an_alert_goes_from_hand_to_hand() -> None:
    state: AlertState | None = OPEN
    for step, expected in (
        (Step.ACKNOWLEDGED, ACKNOWLEDGED),
        (Step.ASSIGNED, ASSIGNED),
        (Step.ASSIGNED, ASSIGNED),  # to somebody else
        (Step.COMMENTED, ASSIGNED),
        (Step.FIXED, FIXED),
        (Step.COMMENTED, FIXED),
        (Step.FALSE_ALARM, CLOSED),
        (Step.COMMENTED, CLOSED),
    ):
        assert state is not None
        state = after(state, step, active=True)
        assert state is expected


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("state", list(AlertState))
def test_allowed_is_what_leads_somewhere_and_nobody_wakes_the_closed(state: AlertState, active: bool) -> None:
    assert set(allowed(state, active=active)) == {s for s in Step if after(state, s, active=active) is not None}
    if state is CLOSED:
        assert {after(state, step, active=active) for step in Step} == {None, CLOSED}


@pytest.mark.parametrize(
    "step",
    [
        *(Step.OPENED, Step.CHANGED, Step.ATTACHED, Step.DETACHED, Step.CLEARED, Step.RAISED_AGAIN, Step.RECORDED),
        *(Step.VERIFIED, Step.REOPENED, Step.ESCALATED),
    ],
)
def test_what_telemetry_and_time_say_is_nobodys_to_say(step: Step) -> None:
    assert step not in BY_PEOPLE
    assert all(after(state, step, active=active) is None for state in AlertState for active in (True, False))


def test_a_cause_is_a_repair_or_a_false_alarm_and_not_both() -> None:
    assert not set(FALSE_ALARMS) & set(REPAIRS)
    assert len(set(FALSE_ALARMS)) == len(FALSE_ALARMS)
