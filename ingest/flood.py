"""A limit on how fast one device may send, so that a broken one does not crowd out its neighbours."""

from dataclasses import dataclass, field

import numpy as np

from kraj.readings import Floats, Ints, Mask

READINGS_PER_S_MAX = 2000.0
"""A healthy device that drains a backlog sends 64 readings a round trip, about 1,500 a second at the very most."""
BURST_READINGS_MAX = 10_000.0
MESSAGES_PER_S_MAX = 2.0
"""Of status, applied versions and results: a device says one when it connects, is reconfigured or has obeyed."""
BURST_MESSAGES_MAX = 200.0
"""An evening of a bad connection, or of somebody who tries out commands."""


class FloodGuard:
    """A token bucket a device, all buckets in one array."""

    def __init__(self, per_s: float = READINGS_PER_S_MAX, burst: float = BURST_READINGS_MAX) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens: Floats = np.full(1024, burst)
        self._at_ms = 0

    def excess(self, device_id: Ints, now_ms: int) -> Mask:
        """Which of these (in order of arrival) are beyond what their device may send; takes the tokens."""
        need = int(device_id.max(initial=0)) + 1
        if need > len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.full(2 * need - len(self._tokens), self._burst)])
        if now_ms > self._at_ms:
            refill = (now_ms - self._at_ms) / 1000 * self._per_s
            self._tokens = np.minimum(self._tokens + refill, self._burst)
        self._at_ms = now_ms
        sent = np.bincount(device_id, minlength=len(self._tokens))
        if (sent <= self._tokens).all():
            self._tokens -= sent
            return np.zeros(len(device_id), bool)
        order = np.argsort(device_id, kind="stable")
        starts = np.searchsorted(device_id[order], device_id[order])
        nth = np.empty(len(device_id), np.int64)
        nth[order] = np.arange(len(device_id)) - starts
        whole = np.floor(self._tokens)
        excess = nth >= whole[device_id]
        self._tokens -= np.minimum(sent, whole)
        return excess


@dataclass(frozen=True, slots=True)
class FloodGuards:
    """What one device may send: readings, and messages that are no readings."""

    readings: FloodGuard = field(default_factory=FloodGuard)
    messages: FloodGuard = field(default_factory=lambda: FloodGuard(MESSAGES_PER_S_MAX, BURST_MESSAGES_MAX))
