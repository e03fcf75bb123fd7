"""Values against what is possible, and refusals of rows with the numbers that they carry."""

import numpy as np

from kraj.metrics import Kind
from kraj.quarantine import Rejection
from kraj.readings import Floats, Ints, Mask, spans


class Refuser:
    """Adds rejections of rows, with the numbers that the rows carry."""

    def __init__(self, message: Ints, boot: Floats | Ints, seq: Floats | Ints, rejections: list[Rejection]) -> None:
        self._message, self._boot, self._seq, self._rejections = message, boot, seq, rejections

    def __call__(self, row: int, reason: str, detail: str, metric: str | None = None) -> None:
        boot, seq = self._boot[row], self._seq[row]
        number = None if np.isnan(boot) or boot < 0 else int(boot)
        self._rejections.append(
            Rejection(int(self._message[row]), reason, detail, number, None if np.isnan(seq) else int(seq), metric)
        )


def check_values(kind: Kind, values: Floats, keep: Mask, refuse: Refuser) -> None:
    """Blank what is impossible or not whole, and say so; in rows that are kept."""
    low, high = spans(kind)
    impossible = ((values < low) | (values > high)) & keep[:, None]
    whole = np.array([m.type.whole for m in kind.metrics])
    fraction = whole & (values != np.floor(values)) & ~np.isnan(values) & ~impossible & keep[:, None]
    for row, column in np.argwhere(impossible).tolist():
        metric = kind.metrics[column]
        span = f"possible are {metric.possible[0]:g} to {metric.possible[1]:g}"
        refuse(row, "value_impossible", f"{metric.name} is {values[row, column]:g}; {span}", metric.name)
    for row, column in np.argwhere(fraction).tolist():
        name = kind.metrics[column].name
        refuse(row, "value_type", f"{name} must be a whole number, found {values[row, column]:g}", name)
    values[impossible | fraction] = np.nan
