"""The device kinds, one file each; adding a metric is one line there, adding a kind one file and one line here."""

from kraj.kinds.cabinet import CABINET
from kraj.kinds.lamp import LAMP
from kraj.kinds.solar import SOLAR
from kraj.kinds.stop import STOP
from kraj.metrics import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (LAMP, CABINET, STOP, SOLAR)}

__all__ = ["CABINET", "KINDS", "LAMP", "SOLAR", "STOP"]
