"""What becomes of each metric over quarters of an hour, hours and days: the columns of rollups."""

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from kraj.metrics import Kind, Metric, Rollup
from kraj.units import Unit

STEPS: Final = ("15m", "1h", "1d")
"""Days begin at midnight in Prague."""
Part = Literal["", "_min", "_max"]
WIDTH_BYTES: Final = {"double precision": 8, "timestamptz": 8, "integer": 4, "real": 4, "smallint": 2}
_TYPES = {
    Rollup.MEAN: "real",
    Rollup.SHARE: "real",
    Rollup.INCREASE: "double precision",  # a sum over many of single precision loses watt-hours
    Rollup.BITS: "integer",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a rollup; ``metric`` is None for those that each has, ``part`` tells the lowest and highest apart."""

    name: str
    sql: str
    metric: Metric | None = None
    part: Part = ""


CORE: Final = (
    Column("bucket", "timestamptz"),
    Column("asset_id", "integer"),
    Column("municipality_id", "integer"),
    Column("readings", "integer"),
    Column("covered_s", "real"),
)
GROUP_CORE: Final = (
    Column("bucket", "timestamptz"),
    Column("covered_s", "double precision"),
    Column("group_id", "integer"),
    Column("municipality_id", "integer"),
    Column("assets", "integer"),
)


@cache
def value_columns(kind: Kind) -> tuple[Column, ...]:
    """Of an asset's rollup, behind ``CORE``, widest first."""
    found: list[Column] = []
    for metric in kind.metrics:
        found += [Column(metric.name, _TYPES.get(metric.rolled, metric.type.sql), metric), *_extremes(metric)]
    return tuple(sorted(found, key=lambda column: -WIDTH_BYTES[column.sql]))


@cache
def group_columns(kind: Kind) -> tuple[Column, ...]:
    """Of a group's rollup, behind ``GROUP_CORE``: increases and powers are sums over the assets, other means are means;
    states have neither."""
    found: list[Column] = []
    for metric in kind.metrics:
        if metric.rolled is not Rollup.LAST:
            sql = "double precision" if summed(metric) else _TYPES[metric.rolled]
            found += [Column(metric.name, sql, metric), *_extremes(metric)]
    return tuple(sorted(found, key=lambda column: -WIDTH_BYTES[column.sql]))


def summed(metric: Metric) -> bool:
    """Whether a group's figure is the sum of its assets' ones."""
    return metric.rolled is Rollup.INCREASE or (metric.rolled is Rollup.MEAN and metric.unit is Unit.WATT)


def _extremes(metric: Metric) -> list[Column]:
    if not metric.extremes:
        return []
    return [Column(metric.name + "_min", "real", metric, "_min"), Column(metric.name + "_max", "real", metric, "_max")]
