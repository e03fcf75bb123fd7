"""Which state of a command may follow which, what supersedes what, what a lock refuses, and when orders end."""

from datetime import UTC, datetime, timedelta

import pytest

from kraj.commands import OPEN, SETTLED, CommandState, Do, OrderKind
from rules import commanding
from rules.commanding import Happening

NOW = datetime(2026, 11, 21, 18, tzinfo=UTC)
SUNRISE = NOW + timedelta(hours=13)


def test_what_is_settled_stays_so_and_what_is_open_can_always_end() -> None:
    assert set(commanding.AFTER) == set(CommandState) == {*OPEN, *SETTLED}
    for state in SETTLED:
        assert [commanding.after(state, one) for one in Happening] == [None] * len(Happening)
    for state in OPEN:
        assert commanding.after(state, Happening.EXPIRED) is CommandState.EXPIRED
        assert commanding.after(state, Happening.SUPERSEDED) is CommandState.SUPERSEDED


def test_a_command_goes_from_request_to_proof() -> None:
    state = CommandState.REQUESTED
    for happening in (Happening.SENT, Happening.SENT, Happening.ACCEPTED, Happening.CONFIRMED):
        following = commanding.after(state, happening)
        assert following is not None
        state = following
    assert state is CommandState.CONFIRMED


def test_nothing_is_proved_before_the_device_has_accepted_it() -> None:
    assert commanding.before(Happening.CONFIRMED) == (CommandState.ACCEPTED,)
    assert commanding.before(Happening.REFUSED) == (CommandState.REQUESTED, CommandState.SENT)


def test_only_the_same_channel_and_reason_is_superseded() -> None:
    mine = (1, 0, "manual")
    assert commanding.superseded(mine, mine, CommandState.SENT)
    assert not commanding.superseded(mine, mine, CommandState.CONFIRMED)
    for other in ((2, 0, "manual"), (1, 1, "manual"), (1, 0, "emergency")):
        assert not commanding.superseded(mine, other, CommandState.SENT)


@pytest.mark.parametrize(
    ("do", "level_pct", "ends_pct", "refused"),
    [
        (Do.SET_LEVEL, 1, None, True),
        (Do.SET_LEVEL, 100, None, True),
        (Do.SET_LEVEL, 0, None, False),
        (Do.RELEASE, None, 0, True),
        (Do.RELEASE, None, 99, True),
        (Do.RELEASE, None, 100, False),
        (Do.RELEASE, None, None, True),
    ],
)
def test_a_lock_refuses_what_may_energise(do: Do, level_pct: int | None, ends_pct: int | None, refused: bool) -> None:
    assert commanding.refused(do, level_pct, ends_pct, locked=True) is refused
    assert not commanding.refused(do, level_pct, ends_pct, locked=False)


def test_orders_end_by_themselves_and_an_emergency_says_when() -> None:
    assert commanding.until(OrderKind.MANUAL, None, NOW, SUNRISE) == SUNRISE
    assert commanding.until(OrderKind.LIGHT_NOW, None, NOW, SUNRISE) == NOW + timedelta(minutes=30)
    assert commanding.until(OrderKind.EMERGENCY, None, NOW, SUNRISE) is None


@pytest.mark.parametrize("kind", list(OrderKind))
def test_no_order_ends_in_the_past_or_lasts_too_long(kind: OrderKind) -> None:
    most = NOW + commanding.LASTS_MAX[kind]
    for wish in (NOW, NOW - timedelta(seconds=1), most + timedelta(seconds=1)):
        assert commanding.until(kind, wish, NOW, SUNRISE) is None
    for wish in (most, NOW + timedelta(seconds=1)):
        assert commanding.until(kind, wish, NOW, SUNRISE) == wish
