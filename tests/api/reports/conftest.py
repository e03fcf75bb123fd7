"""A town with a month of figures in which much is missing, and its twin without anything."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kraj import reports
from tests.api.conftest import Region

OCTOBER = datetime(2026, 9, 30, 22, tzinfo=UTC)
"""Midnight in Prague; the month ends at 23:00 UTC, as clocks go back on the 25th."""


def day_row(region: Region, label: str, bucket: datetime, hours: int) -> None:
    region.connection.execute(
        "INSERT INTO asset_day SELECT %s, asset_id, municipality_id, %s, kind FROM asset WHERE label = %s",
        [bucket, hours * 3600, label],
    )


def rolled(region: Region, label: str, bucket: datetime, covered_h: float, **values: Any) -> None:
    row = region.connection.execute(
        "SELECT asset_id, municipality_id, kind FROM asset WHERE label = %s", [label]
    ).fetchone()
    assert row is not None
    asset, town, kind = row
    region.connection.execute("SELECT ensure_rollup_partition(%s, '1d', %s)", [kind, bucket.date()])
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    region.connection.execute(
        f"INSERT INTO rollup_{kind}_1d (bucket, asset_id, municipality_id, readings, covered_s, {names})"
        f" VALUES (%s, %s, %s, 1, %s, {marks})".encode(),
        [bucket, asset, town, covered_h * 3600, *values.values()],
    )


def set_up(region: Region) -> Region:
    """October of two lamps: one is heard on every hour, the other never; the last day is not made."""
    first = reports.midnight(OCTOBER.astimezone(reports.ZONE).date())
    for n in range(31):
        day = (first + timedelta(days=n)).replace(tzinfo=None)
        bucket = reports.midnight(day.date())
        hours = 25 if n == 24 else 24
        if n < 30:
            region.connection.execute(
                "INSERT INTO kpi_day (bucket, readings, until, made_at) VALUES (%s, 1, %s, %s)", [bucket] * 3
            )
        for label in ("VO-9 Nádražní", "VO-10 Školní"):
            day_row(region, label, bucket, hours)
        rolled(region, "VO-9 Nádražní", bucket, hours, energy_wh=1000 * hours / 24)
    region.connection.execute(
        "INSERT INTO asset_group (municipality_id, name, kind) VALUES (1, '=Nádražní', 'segment'), (1, 'Škola', 'site')"
    )
    region.connection.execute("INSERT INTO asset_group_member SELECT 1, asset_id FROM asset WHERE kind = 'lamp'")
    region.connection.execute(
        "INSERT INTO asset_group_member SELECT 2, asset_id FROM asset WHERE label = 'VO-10 Školní'"
    )
    region.connection.execute(
        "INSERT INTO metering_point (ean, municipality_id, title, at)"
        " VALUES ('859182400200000003', 1, 'Škola', now()), ('859182400200000010', 1, 'Úřad', now())"
    )
    region.connection.execute(
        "INSERT INTO metering_point_asset (ean, municipality_id, group_id, valid_from, who, at)"
        " VALUES ('859182400200000003', 1, 2, '2026-01-01', 'Jana', now())"
    )
    region.connection.execute(
        "INSERT INTO tariff (municipality_id, name, direction, czk_per_kwh, valid_from, valid_until, source, who, at)"
        " VALUES (1, 'Ceník', 'import', 5, '2026-10-01', '2026-10-10', 'Smlouva 1', 'Jana', '2026-09-01'),"
        " (1, 'Nový', 'import', 6, '2026-10-21', NULL, 'Smlouva 2', 'Jana', '2026-11-05'),"
        " (2, 'Cizí', 'import', 9, '2026-10-01', NULL, 'Smlouva 9', 'Jana', '2026-09-01')"
    )
    return region


@pytest.fixture
def town(region: Region) -> Region:
    return set_up(region)
