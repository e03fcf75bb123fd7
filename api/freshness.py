"""What can be said of an asset at a glance, from when it was last heard of and what it said."""

from datetime import datetime, timedelta
from enum import StrEnum

from kraj.metrics import Kind

HEARTBEATS_MISSED_MAX = 3
"""Three missed heartbeats are silence. Whether a lamp is lit is not asked here, so the idle heartbeat counts."""


class Condition(StrEnum):
    """From good to unknown."""

    REPORTING = "reporting"
    UNUSUAL = "unusual"
    SILENT = "silent"
    OFFLINE = "offline"
    NEVER = "never"


def condition(kind: Kind, *, online: bool | None, last: datetime | None, implausible: bool, at: datetime) -> Condition:
    """The condition of an asset at the time ``at``; ``last`` is the time of its newest reading."""
    if last is None:
        return Condition.NEVER
    if online is False:
        return Condition.OFFLINE
    if at - last > HEARTBEATS_MISSED_MAX * timedelta(seconds=kind.heartbeat_idle_s):
        return Condition.SILENT
    return Condition.UNUSUAL if implausible else Condition.REPORTING
