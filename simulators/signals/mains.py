"""The grid at a socket: voltage that sags in the evening peak and differs from street to street."""

import numpy as np

from simulators.signals.state import Floats, Sites, State
from simulators.signals.weather import Sky


def voltage_v(sites: Sites, sky: Sky, state: State, own: Floats, *, rise_v: Floats | float = 0.0) -> Floats:
    """Phase voltage within EN 50160 (207 to 253 V); ``rise_v`` is what the asset itself adds or takes."""
    evening = np.exp(-(((sky.local_minute - 19 * 60) / 150) ** 2))
    return np.clip(232.0 + own - 3.5 * evening + rise_v + state.noise(sites, 0.4), 208.0, 252.0)
