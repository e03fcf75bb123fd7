"""What simulated readings take in the archive: sensors round, so files are small."""

from pathlib import Path

import numpy as np

from kraj.kinds import KINDS
from kraj.metrics import Kind
from kraj.readings import Readings
from kraj.store.archive import Column
from kraj.store.schema import columns
from simulators.region import region
from simulators.stream import days
from stack import archive_files

START_MS = 1_792_368_000_000
"""Monday, 19 October 2026, when nights are long: lamps tell most at night."""
BYTES_MAX = 20
ROWS_MIN = 2000
"""Of each kind: a file's own few kilobytes would weigh too much on fewer."""


def test_a_simulated_reading_takes_no_more_than_twenty_bytes_in_parquet(tmp_path: Path) -> None:
    told: dict[str, list[Readings]] = {name: [] for name in KINDS}
    for delivery in days(region(7, 80), START_MS, 4):
        for readings in delivery.readings:
            told[readings.kind.name].append(readings)
    for name, kind in KINDS.items():
        file = tmp_path / name / "town" / "week.parquet"
        rows = archive_files.write(file, kind, [_stored(kind, told[name])]).rows
        assert rows > ROWS_MIN
        assert file.stat().st_size / rows <= BYTES_MAX, name


def _stored(kind: Kind, parts: list[Readings]) -> dict[str, Column]:
    """By asset and time, as they are read out of the database."""
    asset, town, ts, seq, boot, implausible = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("asset_id", "municipality_id", "ts_ms", "seq", "boot", "implausible")
    )
    values = np.concatenate([part.values for part in parts])
    order = np.lexsort((seq, ts, asset))
    core = {
        "asset_id": asset,
        "municipality_id": town,
        "ts": ts * 1000,
        "seq": seq,
        "boot": boot,
        "batch_id": ts // 120_000,
        "implausible": implausible,
    }
    types = {"real": np.float32, "double precision": np.float64, "smallint": np.int16, "integer": np.int32}
    found: dict[str, Column] = {}
    for column in columns(kind):
        given = core[column.name] if column.metric is None else values[:, kind.positions[column.name]]
        null = np.isnan(given)[order]
        whole = np.where(null, 0, given[order]).astype(
            np.bool_ if column.sql == "boolean" else types.get(column.sql, np.int64)
        )
        found[column.name] = Column(whole, null)
    return found
