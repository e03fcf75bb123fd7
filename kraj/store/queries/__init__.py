"""What people and other systems read: each question is one bounded statement, pages go by key and never by offset."""

from kraj.store.queries.accounts import (
    QuarantineRow,
    SlotTotals,
    missing_columns,
    quarantine,
    quarantine_beyond_quota,
    totals,
)
from kraj.store.queries.history import ReadingRow, Span, Stretch, Value, latest, readings, readings_csv, series
from kraj.store.queries.registry import (
    AssetFilter,
    AssetRow,
    DeviceRow,
    HeadlineRow,
    MunicipalityRow,
    asset,
    assets,
    device,
    devices,
    folded,
    headlines,
    municipalities,
)

__all__ = [
    "AssetFilter",
    "AssetRow",
    "DeviceRow",
    "HeadlineRow",
    "MunicipalityRow",
    "QuarantineRow",
    "ReadingRow",
    "SlotTotals",
    "Span",
    "Stretch",
    "Value",
    "asset",
    "assets",
    "device",
    "devices",
    "folded",
    "headlines",
    "latest",
    "missing_columns",
    "municipalities",
    "quarantine",
    "quarantine_beyond_quota",
    "readings",
    "readings_csv",
    "series",
    "totals",
]
