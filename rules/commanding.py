"""The life of a command, and what a safety lock refuses: which state may follow which, what supersedes what."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from kraj.commands import OPEN, CommandState, Do, OrderKind

LASTS_MAX: Final[Mapping[OrderKind, timedelta]] = {
    OrderKind.MANUAL: timedelta(hours=24),
    OrderKind.LIGHT_NOW: timedelta(hours=24),
    OrderKind.EMERGENCY: timedelta(days=7),
}
"""No order lasts longer without somebody's saying so again."""
LIGHT_NOW = timedelta(minutes=30)
"""How long a crew's light lasts unless told."""
FULL_PCT: Final = 100


class Happening(StrEnum):
    """What happens to a command."""

    SENT = "sent"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    """By the device, or by a lock."""
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    """Its time is over, and nobody has proved it."""
    SUPERSEDED = "superseded"
    """Somebody has ordered something else since."""


_ENDS: Final = {
    Happening.EXPIRED: CommandState.EXPIRED,
    Happening.SUPERSEDED: CommandState.SUPERSEDED,
}
AFTER: Final[Mapping[CommandState, Mapping[Happening, CommandState]]] = {
    CommandState.REQUESTED: {
        Happening.SENT: CommandState.SENT,
        # The answer may be heard before the broker's word that it has the command.
        Happening.ACCEPTED: CommandState.ACCEPTED,
        Happening.REFUSED: CommandState.REFUSED,
        **_ENDS,
    },
    CommandState.SENT: {
        Happening.SENT: CommandState.SENT,  # once more: it is idempotent
        Happening.ACCEPTED: CommandState.ACCEPTED,
        Happening.REFUSED: CommandState.REFUSED,
        **_ENDS,
    },
    CommandState.ACCEPTED: {
        Happening.ACCEPTED: CommandState.ACCEPTED,
        Happening.CONFIRMED: CommandState.CONFIRMED,
        **_ENDS,
    },
    CommandState.CONFIRMED: {},
    CommandState.EXPIRED: {},
    CommandState.REFUSED: {},
    CommandState.SUPERSEDED: {},
}
"""What is settled stays so: a device that answers late changes nothing."""


def after(state: CommandState, happening: Happening) -> CommandState | None:
    """The state that follows; None where this cannot happen (any more)."""
    return AFTER[state].get(happening)


def before(happening: Happening) -> tuple[CommandState, ...]:
    """The states in which this can happen."""
    return tuple(state for state, following in AFTER.items() if happening in following)


def superseded(older: tuple[int, int, str], newer: tuple[int, int, str], state: CommandState) -> bool:
    """Whether a newer command takes an older one's place: the same device, channel and reason, not settled yet.

    An emergency leaves a manual order alone: the lamp returns to it afterwards.
    """
    return older == newer and state in OPEN


def energises(do: Do, level_pct: int | None, ends_pct: int | None = None) -> bool:
    """Whether a command may put a circuit under load; ``ends_pct`` is the level that a release ends.

    A lamp that is released returns to a program which may want more light than the order did, unless that was all.
    """
    if do is Do.SET_LEVEL:
        return (level_pct or 0) > 0
    return (ends_pct or 0) < FULL_PCT


def refused(do: Do, level_pct: int | None, ends_pct: int | None = None, *, locked: bool) -> bool:
    """Whether a safety lock refuses this; what takes load away is always let through."""
    return locked and energises(do, level_pct, ends_pct)


def until(kind: OrderKind, wish: datetime | None, now: datetime, sunrise: datetime) -> datetime | None:
    """When an order ends: as wished, or by default light now in 30 minutes and a manual level at the next sunrise.

    None where the wish is not in the future or too far in it, or an emergency comes without one.
    """
    if wish is None:
        if kind is OrderKind.EMERGENCY:
            return None
        return now + LIGHT_NOW if kind is OrderKind.LIGHT_NOW else min(sunrise, now + LASTS_MAX[kind])
    return wish if now < wish <= now + LASTS_MAX[kind] else None
