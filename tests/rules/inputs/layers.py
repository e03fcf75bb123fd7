"""Layers of readings for tests of inputs: an estate of some assets of a kind, fed moment by moment."""

from collections.abc import Mapping, Sequence

import numpy as np

from kraj.assets import AssetRow
from kraj.kinds import KINDS
from rules.estate import Estate
from rules.inputs import health, of_kind
from rules.layer import Layer
from rules.state import State

Snapshot = Mapping[str, float]


class Bench:
    """Assets of one kind, numbered from 0, whose inputs are looked at; ``known`` is each one's metadata."""

    def __init__(self, kind: str, known: Sequence[Mapping[str, object]], others: Sequence[AssetRow] = ()) -> None:
        rows = [
            AssetRow(
                asset_id=n + 1,
                municipality_id=1,
                kind=kind,
                label=f"X{n}",
                latitude=49.5,
                longitude=15.6,
                metadata=metadata,
            )
            for n, metadata in enumerate(known)
        ]
        self.kind = KINDS[kind]
        self.seam = of_kind(kind)
        self.estate = Estate.of(1, [*rows, *others])
        self.states = {name: State(len(members)) for name, members in self.estate.members.items()}

    def tell(self, readings: Mapping[int, tuple[int, Snapshot]], *, track: bool = True) -> Layer:
        """One reading of each of these assets (moment and metrics), in one layer; tracked like the engine does it."""
        slots = np.array(list(readings), np.intp)
        ts_ms = np.array([ts for ts, _ in readings.values()], np.int64)
        values = np.full((len(self.kind.metrics), len(slots)), np.nan)
        for row, (_, snapshot) in enumerate(readings.values()):
            for name, value in snapshot.items():
                values[self.kind.positions[name], row] = value
        before = health.newest_ms(self.states[self.kind.name])[slots]
        layer = Layer(
            kind=self.kind,
            estate=self.estate,
            states=self.states,
            slots=slots,
            ts_ms=ts_ms,
            values=values,
            gap_s=np.where(before == health.NEVER, np.nan, (ts_ms - before) / 1000),
            now_ms=int(ts_ms.max()),
            attentive_ms=int(ts_ms.max()),
            inputs=self.seam.by_name,
        )
        if track:
            health.track(layer, self.seam.active)
            if self.seam.track is not None:
                self.seam.track(layer)
        return layer

    def at(self, now_ms: int) -> Layer:
        """All assets at a tick."""
        n = len(self.estate.members[self.kind.name])
        return Layer(
            kind=self.kind,
            estate=self.estate,
            states=self.states,
            slots=np.arange(n),
            ts_ms=np.full(n, now_ms),
            values=np.empty((0, n)),
            gap_s=np.full(n, 60.0),
            now_ms=now_ms,
            attentive_ms=now_ms,
            inputs=self.seam.by_name,
        )
