"""From symptoms to alerts: one alert a cause, its symptoms under it."""

from rules.correlation.causes import Cause, load
from rules.correlation.correlator import Correlator

__all__ = ["Cause", "Correlator", "load"]
