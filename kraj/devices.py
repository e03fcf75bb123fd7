"""The life of a device: its states, the steps that people and telemetry take, and which step may follow which."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from kraj.kinds import KINDS


class DeviceState(StrEnum):
    """Where a device is in its life; the registry holds one of these."""

    REGISTERED = "registered"
    PROVISIONED = "provisioned"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DECOMMISSIONED = "decommissioned"


class DeviceStep(StrEnum):
    """What happens to a device; each becomes a line of its history."""

    REGISTERED = "registered"
    CLAIMED = "claimed"
    PROVISIONED = "provisioned"
    ACTIVATED = "activated"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    REPLACED = "replaced"
    DECOMMISSIONED = "decommissioned"
    SAFE_MODE = "safe_mode"


_ALIVE = (DeviceState.REGISTERED, DeviceState.PROVISIONED, DeviceState.ACTIVE)

AFTER: Final[Mapping[DeviceStep, Mapping[DeviceState, DeviceState]]] = {
    # Provisioning again gives a new code to a device whose key is lost; a device that works goes on working.
    DeviceStep.PROVISIONED: {
        DeviceState.REGISTERED: DeviceState.PROVISIONED,
        DeviceState.PROVISIONED: DeviceState.PROVISIONED,
        DeviceState.ACTIVE: DeviceState.ACTIVE,
    },
    DeviceStep.ACTIVATED: {
        DeviceState.REGISTERED: DeviceState.ACTIVE,
        DeviceState.PROVISIONED: DeviceState.ACTIVE,
    },
    DeviceStep.SUSPENDED: dict.fromkeys(_ALIVE, DeviceState.SUSPENDED),
    # Whether it still works is told by telemetry, which makes it active again.
    DeviceStep.RESUMED: {DeviceState.SUSPENDED: DeviceState.PROVISIONED},
    DeviceStep.REPLACED: dict.fromkeys((*_ALIVE, DeviceState.SUSPENDED), DeviceState.DECOMMISSIONED),
    DeviceStep.DECOMMISSIONED: dict.fromkeys((*_ALIVE, DeviceState.SUSPENDED), DeviceState.DECOMMISSIONED),
    DeviceStep.SAFE_MODE: {state: state for state in _ALIVE},
}
"""Step to state before to state after. A decommissioned device stays so, as names are never used again."""

BY_PEOPLE: Final = (
    DeviceStep.PROVISIONED,
    DeviceStep.SUSPENDED,
    DeviceStep.RESUMED,
    DeviceStep.REPLACED,
    DeviceStep.DECOMMISSIONED,
    DeviceStep.SAFE_MODE,
)


def after(state: DeviceState, step: DeviceStep) -> DeviceState | None:
    """The state after a step; None where the step is not possible."""
    return AFTER.get(step, {}).get(state)


def allowed(state: DeviceState) -> tuple[DeviceStep, ...]:
    """The steps that people may take now."""
    return tuple(step for step in BY_PEOPLE if after(state, step) is not None)


def guess_kind(keys: Iterable[str]) -> str | None:
    """The kind that knows most of these keys of a reading; None where none does, or two know as many."""
    given = frozenset(keys)
    known = sorted(((len(given & kind.by_name.keys()), name) for name, kind in KINDS.items()), reverse=True)
    (most, name), (next_most, _) = known[0], known[1]
    return name if most > next_most else None
