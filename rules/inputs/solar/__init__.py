"""What the rules of rooftop PV speak of: expected power, peers, strings, voltage, counters, snow, whole days."""

from rules.inputs.solar import azimuths, counter, days, light, neighbours, output, shading, strings, weather
from rules.inputs.solar.daily import DAILY
from rules.inputs.solar.memory import Memory
from rules.inputs.solar.neighbours import refresh
from rules.layer import Input, Layer

__all__ = ["DAILY", "DAY_INPUTS", "INPUTS", "refresh", "track"]

INPUTS: tuple[Input, ...] = (
    *light.INPUTS,
    *neighbours.INPUTS,
    *output.INPUTS,
    *strings.INPUTS,
    *counter.INPUTS,
    *weather.INPUTS,
)
DAY_INPUTS: tuple[Input, ...] = (*days.INPUTS, *shading.INPUTS)


def track(layer: Layer) -> None:
    """Move on everything that is remembered of a roof; ``State`` gets one row a roof."""
    memory = Memory(layer)
    weather.track(layer, memory)
    output.track(layer, memory)
    counter.track(layer, memory)
    azimuths.track(layer, memory)
    strings.track(layer)
    memory.save()
