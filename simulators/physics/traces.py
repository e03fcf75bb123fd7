"""Small noise of sensors, cheaper than ``frame.noise``: four traces from one hash."""

import numpy as np

from simulators.physics.frame import Floats, Ints


def traces(seed: int, ids: Ints, ts_ms: Ints, what: int) -> Floats:
    """Four unrelated noises of deviation 1 within ±1.73 (even), shape ``(4, k)``: a pure function of its arguments.

    The four 16-bit parts of a SplitMix64 hash (Steele et al. 2014): sensors' noise needs no tails.
    """
    key = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    key ^= ts_ms.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    key ^= np.uint64((seed * 0xBF58476D1CE4E5B9 + what * 0x94D049BB133111EB) % 2**64)
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    key ^= key >> np.uint64(31)
    parts = np.ascontiguousarray(key).view(np.uint16).reshape(-1, 4)
    return (parts.T.astype(np.float64) - 32767.5) * (np.sqrt(12.0) / 65536)
