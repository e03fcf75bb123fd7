"""Readings of a few roofs, one layer after another, straight into the inputs of a kind."""

from collections.abc import Mapping, Sequence

import numpy as np

from kraj.assets import AssetRow
from kraj.kinds import SOLAR
from kraj.readings import Floats
from rules.estate import Estate
from rules.inputs import Seam, health, of_kind
from rules.inputs.solar import refresh, track
from rules.layer import Layer
from rules.state import State

START_MS = 1_781_000_000_000
"""A June morning: 2026-06-09 10:13 UTC."""
RATED_W = 10_000.0


def roof(number: int, **metadata: object) -> AssetRow:
    return AssetRow(
        asset_id=number + 1,
        municipality_id=1,
        kind="solar",
        label=f"FVE {number}",
        latitude=49.5,
        longitude=15.5 + number / 100,
        metadata={"power_rated_w": RATED_W, "power_peak_w": RATED_W, "azimuth_deg": 180.0, **metadata},
    )


class Series:
    """The memory of some roofs; ``read`` gives the layer as rules see it."""

    def __init__(self, rows: Sequence[AssetRow]) -> None:
        self.estate = Estate.of(1, rows)
        self.state = State(len(rows))
        self.seam: Seam = of_kind("solar")

    def read(
        self, ts_ms: int | np.ndarray, columns: Mapping[str, Floats | float], slots: Sequence[int] | None = None
    ) -> Layer:
        """One reading of each of these roofs (all)."""
        at = np.arange(self.state.size) if slots is None else np.array(slots, np.intp)
        values = np.full((len(SOLAR.metrics), len(at)), np.nan)
        for name, column in columns.items():
            values[SOLAR.positions[name]] = column
        ts = np.broadcast_to(np.asarray(ts_ms, np.int64), len(at)).copy()
        before = health.newest_ms(self.state)[at]
        gap_s = np.where(before == health.NEVER, np.nan, (ts - before) / 1000)
        layer = self._layer(at, ts, values, gap_s, int(ts.max(initial=0)))
        with np.errstate(all="ignore"):
            health.track(layer, None)
            track(layer)
        return layer

    def tick(self, now_ms: int) -> Layer:
        """The clock's tick, which looks at the neighbours."""
        count = self.state.size
        layer = self._layer(
            np.arange(count), np.full(count, now_ms), np.empty((0, count)), np.full(count, 60.0), now_ms
        )
        refresh(layer)
        return layer

    def _layer(self, slots: np.ndarray, ts: np.ndarray, values: Floats, gap_s: Floats, now_ms: int) -> Layer:
        return Layer(
            kind=SOLAR,
            estate=self.estate,
            states={"solar": self.state},
            slots=slots,
            ts_ms=ts,
            values=values,
            gap_s=gap_s,
            now_ms=now_ms,
            inputs=self.seam.by_name,
        )
