"""What devices that tell only changes have told before: each of their readings becomes a whole snapshot again."""

from typing import Any

CARRIED_MS = 15 * 60_000
"""A value that was not told again for so long is unknown: three periods of Tasmota, fifteen of Shelly."""
SET = frozenset({"level_commanded_pct", "contactor_closed"})
"""When one of these changes, what was measured before says nothing of now."""
FOLLOWING = ("power_w", "current_a", "power_factor")

AHEAD_MS_MAX = 60_000
"""More than a batch has messages of one device; beyond it the clock was set back."""


class Snapshots:
    """The last values by device and channel. Telling the same message twice changes nothing."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], dict[str, tuple[Any, int]]] = {}
        self._came_ms: dict[tuple[int, int], int] = {}

    def moment(self, device_id: int, channel: int, now_ms: int) -> int:
        """The time of a message that tells none: now, and later than the one before it, with which it may have come in
        one batch; the newest is the one that counts."""
        last = self._came_ms.get((device_id, channel), 0)
        found = self._came_ms[device_id, channel] = (
            now_ms if last < now_ms or last > now_ms + AHEAD_MS_MAX else last + 1
        )
        return found

    def whole(self, device_id: int, channel: int, told: dict[str, Any], ts_ms: int) -> dict[str, Any]:
        """What is known at ``ts_ms`` with what is told then; nothing of later goes into what is told late."""
        known = self._known.setdefault((device_id, channel), {})
        if any(name in known and name in told and known[name][0] != told[name] for name in SET):
            for name in [n for n, (_, at) in known.items() if n.endswith(FOLLOWING) and at < ts_ms]:
                del known[name]
        out = {name: value for name, (value, at) in known.items() if 0 <= ts_ms - at <= CARRIED_MS}
        for name, value in told.items():
            if name not in known or known[name][1] <= ts_ms:
                known[name] = (value, ts_ms)
        return out | told

    def forget(self, device_id: int) -> None:
        """The device is gone; what it said before it comes back is no news then."""
        for key in [key for key in self._known if key[0] == device_id]:
            del self._known[key]
