"""What a metric and a device kind are; everything else about readings is derived from these two records."""

import math
import re
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from kraj.errors import ConfigurationError
from kraj.units import Unit

NAME = re.compile(r"[a-z][a-z0-9_]{1,47}")
METRICS_MAX = 63
"""A reading flags implausible values in one 64-bit mask, one bit a metric, and the sign bit stays free."""
COUNTER_MAX = 2**53
"""Counters travel through float64 columns; up to here every integer is exact."""
BITS_MAX = 31
"""Flags are stored in a signed 32-bit column."""


class Type(Enum):
    """How a metric's value is written on the wire and stored."""

    REAL = "real"
    INTEGER = "integer"
    COUNTER = "bigint"
    BOOLEAN = "boolean"
    STATE = "smallint"
    FLAGS = "integer flags"

    @property
    def sql(self) -> str:
        """The PostgreSQL column type."""
        return self.value.removesuffix(" flags")

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are values of this type."""
        return self is not Type.REAL


class Rollup(Enum):
    """What becomes of a metric over a quarter of an hour, an hour or a day."""

    MEAN = "mean"
    """Weighted by the time for which each value held."""
    INCREASE = "increase"
    """By how much a counter went up: restarts and zeros are no work."""
    SHARE = "share"
    """The share of the known time in which it was true, 0 to 1."""
    LAST = "last"
    BITS = "bits"
    """Every bit that was set at any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A name for people, Czech first."""

    cs: str
    en: str


@dataclass(frozen=True)
class Metric:
    """One quantity that a device reports; the name ends with its unit.

    ``possible`` is what the sensor can truly say: outside it the value is quarantined.
    ``plausible`` is what an ordinary day brings: outside it the value is stored and flagged.
    ``deadband`` is the change that makes a device send a new snapshot (0: any change; None: heartbeat only);
    where ``deadband_pct`` of the last sent value is more, that counts.
    ``states`` are the wire words of a ``Type.STATE`` metric; their order is their stored code, so only append.
    ``bits`` name the bits of a ``Type.FLAGS`` metric from bit 0; only append here too.
    ``rollup`` is what becomes of it over time where its type does not tell; with ``extremes`` the lowest and the
    highest value are kept beside a mean.
    ``public`` says that anybody may know it, of each asset in each quarter-hour, since it tells nothing of persons
    (nor that somebody is there: lights that follow motion, charging phones, what a house uses), nothing to a thief
    (doors, shocks, what is switched off inside) and nothing of the connection. Nothing is public by itself.
    """

    name: str
    unit: Unit
    title: Title
    possible: tuple[float, float]
    plausible: tuple[float, float] | None = None
    deadband: float | None = None
    type: Type = Type.REAL
    states: tuple[str, ...] = ()
    source: str = ""
    deadband_pct: float | None = None
    bits: tuple[str, ...] = ()
    rollup: Rollup | None = None
    extremes: bool = False
    public: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ConfigurationError(f"metric {self.name!r}: a name is lower-case words joined by _")
        if self.unit.suffix and not self.name.endswith("_" + self.unit.suffix):
            raise ConfigurationError(f"metric {self.name!r}: the name must end with _{self.unit.suffix}")
        if bool(self.states) != (self.type is Type.STATE):
            raise ConfigurationError(f"metric {self.name!r}: states belong to Type.STATE, and only there")
        low, high = self.possible
        if not (low < high and max(abs(low), abs(high)) <= COUNTER_MAX):
            raise ConfigurationError(f"metric {self.name!r}: possible must be a span within ±2^53")
        if self.plausible and not (low <= self.plausible[0] < self.plausible[1] <= high):
            raise ConfigurationError(f"metric {self.name!r}: plausible must lie within possible")
        if self.bits and (self.type is not Type.FLAGS or len(self.bits) > BITS_MAX):
            raise ConfigurationError(f"metric {self.name!r}: bits belong to Type.FLAGS, at most {BITS_MAX} of them")
        if self.deadband is not None and not self.deadband >= 0:
            raise ConfigurationError(f"metric {self.name!r}: a deadband is not negative")
        if self.deadband_pct is not None and not (self.deadband and 0 < self.deadband_pct < 100):
            raise ConfigurationError(f"metric {self.name!r}: deadband_pct is within 0 and 100 and needs a deadband")
        if self.extremes and self.rolled is not Rollup.MEAN:
            raise ConfigurationError(f"metric {self.name!r}: extremes belong to a mean")

    @property
    def decimals(self) -> int:
        """How finely an ordinary sensor tells it: the decimal place below a tenth of the deadband (0.1 V of 2 V; -3 are
        thousands). Without one per cent have a tenth, all else a thousandth, and what is no real number none."""
        if self.type is not Type.REAL:
            return 0
        if self.deadband:
            return -math.floor(math.log10(self.deadband / 10) + 1e-9)
        return 1 if self.unit is Unit.PERCENT else 3

    @property
    def rolled(self) -> Rollup:
        """What becomes of it over time: by its type, where ``rollup`` does not say otherwise. Codes have no mean."""
        if self.rollup is not None:
            return self.rollup
        if self.type is Type.INTEGER and self.unit is Unit.NONE:
            return Rollup.LAST
        return _ROLLED[self.type]


_ROLLED = {
    Type.REAL: Rollup.MEAN,
    Type.INTEGER: Rollup.MEAN,
    Type.COUNTER: Rollup.INCREASE,
    Type.BOOLEAN: Rollup.SHARE,
    Type.STATE: Rollup.LAST,
    Type.FLAGS: Rollup.BITS,
}


def state(name: str, title: Title, states: tuple[str, ...], *, source: str, public: bool = False) -> Metric:
    """A metric whose value is one of a few words; stored as the word's position."""
    return Metric(
        name,
        Unit.NONE,
        title,
        (0, max(1, len(states) - 1)),
        deadband=0,
        type=Type.STATE,
        states=states,
        source=source,
        public=public,
    )


def flag(name: str, title: Title, *, source: str, public: bool = False) -> Metric:
    """A yes-or-no metric, sent at once when it changes."""
    return Metric(name, Unit.NONE, title, (0, 1), deadband=0, type=Type.BOOLEAN, source=source, public=public)


def flags(name: str, title: Title, bits: tuple[str, ...], *, source: str) -> Metric:
    """A mask of named yes-or-no bits, sent at once when one changes; a device may set bits without a name here."""
    return Metric(name, Unit.NONE, title, (0, 2**BITS_MAX - 1), deadband=0, type=Type.FLAGS, bits=bits, source=source)


def counter(
    name: str, unit: Unit, title: Title, *, source: str, deadband: float | None = None, public: bool = False
) -> Metric:
    """A cumulative whole number that never falls in ordinary life."""
    span = (0, COUNTER_MAX)
    return Metric(name, unit, title, span, deadband=deadband, type=Type.COUNTER, source=source, public=public)


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of asset: its metrics in stored order (append only) and how often it must be heard of.

    ``heartbeat_s`` is the longest silence while active (lit, producing), ``heartbeat_idle_s`` otherwise.
    ``headline`` names the metric shown first where there is room for one. A kind is equal to itself alone, as much is
    cached by kind.
    """

    name: str
    title: Title
    metrics: tuple[Metric, ...]
    heartbeat_s: int
    heartbeat_idle_s: int
    headline: str
    by_name: dict[str, Metric] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {m.name: m for m in self.metrics})
        if len(self.by_name) != len(self.metrics):
            raise ConfigurationError(f"kind {self.name!r}: a metric is declared twice")
        if len(self.metrics) > METRICS_MAX:
            raise ConfigurationError(f"kind {self.name!r}: at most {METRICS_MAX} metrics")
        if self.headline not in self.by_name:
            raise ConfigurationError(f"kind {self.name!r}: headline {self.headline!r} is not one of its metrics")

    @cached_property
    def numeric(self) -> tuple[Metric, ...]:
        """The metrics that travel as JSON numbers or booleans (all but the states)."""
        return tuple(m for m in self.metrics if m.type is not Type.STATE)

    @cached_property
    def public(self) -> tuple[Metric, ...]:
        """The metrics that anybody may know."""
        return tuple(m for m in self.metrics if m.public)

    @cached_property
    def positions(self) -> dict[str, int]:
        """Each metric's place among the metrics."""
        return {m.name: i for i, m in enumerate(self.metrics)}

    @property
    def reading_table(self) -> str:
        return f"reading_{self.name}"

    @property
    def latest_table(self) -> str:
        return f"latest_{self.name}"

    @property
    def reading_view(self) -> str:
        """What a principal may see of the readings."""
        return f"seen_{self.reading_table}"

    @property
    def latest_view(self) -> str:
        return f"seen_{self.latest_table}"

    def rollup_table(self, step: str, *, group: bool = False) -> str:
        """Of assets or of groups; ``step`` is 15m, 1h or 1d. What a principal may see of it is ``seen_`` before it."""
        return f"rollup_group_{self.name}_{step}" if group else f"rollup_{self.name}_{step}"
