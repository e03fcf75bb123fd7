"""Which step a person may take on an alert in which state, and what they may find to be its cause."""

from kraj.alerts import AlertState, Step

_NOT_DONE = frozenset({AlertState.OPEN, AlertState.ACKNOWLEDGED, AlertState.ASSIGNED})

_STEPS: dict[Step, tuple[frozenset[AlertState], AlertState | None]] = {
    Step.ACKNOWLEDGED: (frozenset({AlertState.OPEN}), AlertState.ACKNOWLEDGED),
    Step.ASSIGNED: (_NOT_DONE, AlertState.ASSIGNED),
    Step.FIXED: (_NOT_DONE, AlertState.FIXED),
    Step.FALSE_ALARM: (_NOT_DONE | {AlertState.FIXED}, AlertState.CLOSED),
    Step.CLOSED: (_NOT_DONE | {AlertState.FIXED}, AlertState.CLOSED),
    Step.COMMENTED: (frozenset(AlertState), None),
}
"""Step → from which states, and to which one (None: it stays)."""

BY_PEOPLE = tuple(_STEPS)
"""In the order in which a page offers them."""

FALSE_ALARMS = (
    "comms_only",
    "crew_test",
    "rated_power_stale",
    "twilight",
    "part_night",
    "wrong_feeder",
    "no_fault_found",
)
"""Why an alert was none: what operators complain of, and the crew that finds nothing. Codes; the page has the words."""

REPAIRS = ("driver", "lamp", "controller", "fuse", "cable", "contactor", "grid", "vandalism", "cleaned", "other")
"""What was at fault, as the crew found it."""


def after(state: AlertState, step: Step, *, active: bool) -> AlertState | None:
    """The state that follows when a person takes the step; None where it is not allowed.

    What still holds (``active``) cannot be closed by hand: it is fixed and telemetry proves it, or it is a false alarm.
    """
    states, to = _STEPS.get(step, (frozenset[AlertState](), None))
    if state not in states or (step is Step.CLOSED and active):
        return None
    return state if to is None else to


def allowed(state: AlertState, *, active: bool) -> tuple[Step, ...]:
    """The steps that a person may take now."""
    return tuple(step for step in BY_PEOPLE if after(state, step, active=active) is not None)
