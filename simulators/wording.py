"""How what a model measures is written on the wire."""

import numpy as np

from kraj.metrics import Kind, Metric, Type
from simulators.physics.frame import Columns, Floats


def readings(kind: Kind, columns: Columns) -> list[dict[str, object]]:
    """Flat columns as metrics of single readings: unknown values left out, states as words, counters as integers."""
    count = len(next(iter(columns.values())))
    out: list[dict[str, object]] = [{} for _ in range(count)]
    for name, column in columns.items():
        for reading, value in zip(out, _written(kind.by_name[name], column), strict=True):
            if value is not None:
                reading[name] = value
    return out


def _written(metric: Metric, values: Floats) -> list[object]:
    if metric.type is Type.REAL:
        return [None if v != v else v for v in np.round(values, metric.decimals).tolist()]  # noqa: PLR0124 - NaN
    known = [None if v != v else int(v) for v in values.tolist()]  # noqa: PLR0124
    match metric.type:
        case Type.BOOLEAN:
            return [None if v is None else bool(v) for v in known]
        case Type.STATE:
            return [None if v is None else metric.states[v] for v in known]
        case _:
            return list(known)
