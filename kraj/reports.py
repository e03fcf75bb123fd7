"""What a monthly report is about: its month, what it draws, what it compares, and when it goes out."""

from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kraj.kpis import KPIS, Domain, Kpi

ZONE: Final = ZoneInfo("Europe/Prague")
SENT_ON: Final = (3, time(6))
"""Day of the month and time of day: late readings and the distributor's quarter-hours have come by then."""
FIRST: Final = date(2000, 1, 1)
DRAWN: Final = (
    "lighting_energy_kwh",
    "lighting_availability_pct",
    "pv_energy_kwh",
    "pv_performance_index_pct",
    "stop_uptime_pct",
    "stop_autonomy_d",
    "ean_import_kwh",
    "ean_export_kwh",
)
"""KPIs that are drawn day by day."""
COMPARED: Final[dict[Domain, tuple[str, ...]]] = {
    Domain.LIGHTING: (
        "lighting_energy_kwh",
        "lighting_saved_led_kwh",
        "lighting_saved_dimming_kwh",
        "lighting_lit_2200_pct",
        "lighting_availability_pct",
    ),
    Domain.ROOFS: ("pv_energy_kwh", "pv_specific_yield_kwh_per_kwp", "pv_performance_ratio_pct", "pv_availability_pct"),
    Domain.STOPS: ("stop_autonomy_d", "stop_display_truth_pct", "stop_uptime_pct"),
    Domain.METERING: ("ean_import_kwh", "ean_export_kwh", "ean_shared_kwh"),
    Domain.FAULTS: ("fault_time_to_detect_h", "fault_time_to_repair_h", "pv_lost_kwh", "pv_lost_czk"),
}
"""What the table of a domain compares: streets, roofs, stops, metering points, and faults by rule."""
COMPLETE_FROM: Final = 0.9
"""A figure of which less is known is marked as known in part."""


def kpis(domain: Domain) -> list[Kpi]:
    """A domain's KPIs in their order."""
    return [kpi for kpi in KPIS.values() if kpi.domain is domain]


def following(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def before(month: date) -> date:
    """The first day of the month before."""
    return (month.replace(day=1) - timedelta(days=1)).replace(day=1)


def midnight(day: date) -> datetime:
    """When a day of Prague begins."""
    return datetime.combine(day, time(), ZONE)


def sending(now: datetime) -> tuple[date, datetime]:
    """The month whose report went or goes out last by ``now``, and since when it is due."""
    today = now.astimezone(ZONE).date().replace(day=1)
    due = datetime.combine(today.replace(day=SENT_ON[0]), SENT_ON[1], ZONE)
    if now < due:
        due = datetime.combine(before(today).replace(day=SENT_ON[0]), SENT_ON[1], ZONE)
    return before(due.date()), due
