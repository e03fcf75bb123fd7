"""What a data set is: its words, its columns and the SQL of its rows; everything that is published follows from it."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from kraj.errors import ConfigurationError
from kraj.metrics import NAME, Title

ZONE: Final = ZoneInfo("Europe/Prague")
SETTLED: Final = time(5)
"""By then in Prague the figures of the day before are made (stack/kpi_days.py waits three hours)."""


class Type(Enum):
    """Of a column: its datatype in CSVW, and in Arrow."""

    TEXT = ("string", "string")
    INTEGER = ("integer", "int64")
    NUMBER = ("double", "double")
    BOOLEAN = ("boolean", "bool")
    DATE = ("date", "date32")
    INSTANT = ("datetime", "timestamp[us, tz=UTC]")

    @property
    def csvw(self) -> str:
        return self.value[0]


class Frequency(Enum):
    """How often it is made anew: the name in the EU's authority table of frequencies, and in words."""

    HOURLY = ("HOURLY", Title(cs="každou hodinu", en="every hour"))
    DAILY = ("DAILY", Title(cs="každý den", en="every day"))

    @property
    def authority(self) -> str:
        return self.value[0]

    @property
    def title(self) -> Title:
        return self.value[1]

    def turn(self, at: datetime) -> datetime:
        """When the turn began to which a moment belongs: what was built before it is due. Days turn at ``SETTLED``."""
        if self is Frequency.HOURLY:
            return at.replace(minute=0, second=0, microsecond=0)
        local = at.astimezone(ZONE)
        begun = datetime.combine(local.date(), SETTLED, ZONE)
        return begun if begun <= local else datetime.combine(local.date() - timedelta(days=1), SETTLED, ZONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; ``unit`` is its symbol, ``decimals`` the places to which a number is rounded, the same in every file.

    One that is not ``required`` is empty where nobody knows the value: unknown is never zero.
    """

    name: str
    type: Type
    title: Title
    meaning: Title
    unit: str = ""
    decimals: int = 1
    required: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigurationError(f"column {self.name!r}: a name is lower-case words joined by _")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set.

    ``rows`` is SQL over views that anybody may know (``public_*``, ``open_*``) which gives the columns in order; it may
    name ``%(at)s``, the region's time. ``view`` is the SELECT of its own view ``open_<name>``, read with the owner's
    rights past the wall: it holds harmless columns of published municipalities alone. ``themes`` are names in the EU's
    authority table of themes; with ``placed`` the columns latitude and longitude become points of GeoJSON.
    ``resolution`` is that of time, in ISO 8601; such rows begin with a time.
    """

    name: str
    title: Title
    meaning: Title
    keywords: tuple[Title, ...]
    themes: tuple[str, ...]
    frequency: Frequency
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    rows: str
    view: str | None = None
    resolution: str | None = None
    placed: bool = field(default=False)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names) or not set(self.key) <= set(names):
            raise ConfigurationError(f"data set {self.name!r}: columns stand once, and keys are columns")
        if self.placed and not {"latitude", "longitude"} <= set(names):
            raise ConfigurationError(f"data set {self.name!r}: what is placed has latitude and longitude")

    @property
    def view_name(self) -> str:
        return "open_" + self.name.replace("-", "_")

    @property
    def forms(self) -> tuple[str, ...]:
        """Endings of its files, besides the metadata of the CSV."""
        return ("csv", "geojson", "parquet") if self.placed else ("csv", "parquet")

    @property
    def digest(self) -> str:
        """Another one when it is declared otherwise: then it is made anew."""
        return hashlib.sha256(repr(self).encode()).hexdigest()


MUNICIPALITY: Final = (
    Column(
        name="municipality",
        type=Type.TEXT,
        title=Title(cs="Obec (zkratka)", en="Municipality (short name)"),
        meaning=Title(
            cs="Jméno obce v systému, stálé i při přejmenování.", en="Its name in the system, the same for good."
        ),
        required=True,
    ),
    Column(
        name="municipality_title",
        type=Type.TEXT,
        title=Title(cs="Obec", en="Municipality"),
        meaning=Title(cs="Název obce.", en="The municipality's name."),
        required=True,
    ),
)
COMPLETENESS: Final = Column(
    name="completeness_pct",
    type=Type.NUMBER,
    title=Title(cs="Úplnost", en="Completeness"),
    meaning=Title(
        cs="Jaký díl doby, kterou jsme měli znát, opravdu známe.", en="Which share of the time due is really known."
    ),
    unit="%",
)
