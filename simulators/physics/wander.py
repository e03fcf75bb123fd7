"""Smooth seeded functions of time, and lasting traits: the same whenever and in whatever company they are asked for."""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from simulators.physics.frame import Floats, Ints, noise


def wander(seed: int, ids: Ints, ts_ms: Ints, period_ms: int, what: int) -> Floats:
    """Of normal distribution at any moment, alike within ``period_ms``, unrelated after two of them.

    Noise at whole multiples of the period, joined by a smooth step and scaled so that the deviation is 1 in between
    too. ``ids`` and ``ts_ms`` broadcast; one course does not depend on the others.
    """
    turn = ts_ms // period_ms
    part = (ts_ms - turn * period_ms) / period_ms
    later = part * part * (3.0 - 2.0 * part)
    before, after = _knots(seed, ids, turn, what)
    return (before * (1.0 - later) + after * later) / np.sqrt(later * later + (1.0 - later) ** 2)


def _knots(seed: int, ids: Ints, turn: Ints, what: int) -> tuple[Floats, Floats]:
    """Noise at the knots before and after; where moments share their knots, each is drawn once."""
    if ids.ndim == 0 or (turn.ndim == 1 and ids.ndim == 2 and ids.shape[1] == 1):
        return (
            by_number(turn, lambda turns: noise(seed, ids, turns, what)),
            by_number(turn + 1, lambda turns: noise(seed, ids, turns, what)),
        )
    return noise(seed, ids, turn, what), noise(seed, ids, turn + 1, what)


def by_number(numbers: Ints, compute: Callable[[Ints], Floats]) -> Floats:
    """What ``compute`` gives for whole numbers (days, turns): for each once where they lie close together.

    ``compute`` takes shape ``(m,)`` and gives ``(…, m)``; the result is ``(…, *numbers.shape)``.
    """
    if numbers.size:
        first, last = int(numbers.min()), int(numbers.max())
        if last - first < numbers.size:
            return compute(np.arange(first, last + 1))[..., numbers - first]
    found = compute(numbers.ravel())
    return found.reshape(*found.shape[:-1], *numbers.shape)


def identities(names: Sequence[str]) -> Ints:
    """A number for each name that stays the same for ever, so that others coming or going change nothing."""
    digests = [hashlib.blake2b(name.encode(), digest_size=7).digest() for name in names]
    return np.array([int.from_bytes(digest, "big") for digest in digests], np.int64)


def trait(seed: int, ids: Ints, what: int, low: float = 0.0, high: float = 1.0) -> Floats:
    """A lasting trait of each, even within the span."""
    mixed = ids.astype(np.uint64) ^ np.uint64((seed * 0xD6E8FEB86659FD93 + what * 0x94D049BB133111EB) % 2**64)
    for shift in (30, 27, 31):  # SplitMix64's finaliser, as frame.noise
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(0xBF58476D1CE4E5B9)
    return low + (high - low) * ((mixed >> np.uint64(11)).astype(np.float64) / 2.0**53)
