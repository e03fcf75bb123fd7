"""Rooftop PV: the portfolio, its sites, and the yield of each roof beside what is known of it."""

from dashboards import kpi_sql, sql
from dashboards.board import Board, Row, console, group, municipality, source, step
from dashboards.boards import alerts, figures, fleet
from dashboards.panels import Column, Panel, figure, rows, series
from dashboards.units import SHARE
from dashboards.wording import Words
from kraj.kpis import KPIS

SITES = (
    "JOIN (SELECT asset_id AS number, coalesce(metadata->>'site', label) AS site FROM seen_asset) AS a"
    " ON a.number = asset_id"
)
ROOFS = fleet.of_kind("solar")
SITE_LIST = f"""
SELECT DISTINCT coalesce(metadata->>'site', label) AS site FROM seen_asset
WHERE kind = 'solar' AND retired_at IS NULL AND {fleet.WHERE}
"""  # noqa: S608
ROOF_KPIS = (
    "pv_specific_yield_kwh_per_kwp",
    "pv_performance_index_pct",
    "pv_performance_ratio_pct",
    "pv_availability_pct",
    "pv_energy_availability_pct",
    "pv_against_peers_pct",
    "pv_energy_kwh",
    "pv_expected_kwh",
    "pv_lost_kwh",
    "pv_lost_czk",
    "pv_self_consumption_pct",
    "pv_self_sufficiency_pct",
    "pv_export_kwh",
    "pv_avoided_co2_kg",
)
SITE_KPIS = ("pv_specific_yield_kwh_per_kwp", "pv_performance_index_pct", "pv_against_peers_pct", "pv_availability_pct")
FAULT_KPIS = ("pv_lost_kwh", "pv_lost_czk")


def board(words: Words) -> Board:
    """From the portfolio over the site to the roof; strings are on the roof's own page."""
    none = words("board.none")
    view = sql.rollup("solar")
    energy = f"SELECT sum(energy_wh) FROM {view} WHERE {fleet.WHERE} AND {sql.TIME}"  # noqa: S608
    return Board(
        slug="roofs",
        title=words("roofs.title"),
        about=words("roofs.about"),
        rows=[
            Row(
                words("overview.now"),
                [
                    alerts.counted(words, ROOFS),
                    figure(words("overview.roofs"), energy, "watth", none=none),
                    figure(
                        words("board.completeness"),
                        sql.completeness(["solar"], fleet.WHERE),
                        SHARE,
                        none=none,
                        about=words("board.completeness_about"),
                    ),
                ],
                height=4,
                widths=(16, 4, 4),
            ),
            *figures.figures(words, words("kpi.row"), ROOF_KPIS, fleet.WHERE),
            Row(
                words("roofs.by_day"),
                [
                    figures.days(words, words("roofs.expected"), ("pv_energy_kwh", "pv_expected_kwh"), fleet.WHERE),
                    figures.days(
                        words,
                        words("roofs.performance"),
                        ("pv_performance_index_pct", "pv_performance_ratio_pct", "pv_availability_pct"),
                        fleet.WHERE,
                    ),
                    figures.days(
                        words,
                        words("roofs.own"),
                        ("pv_self_consumption_pct", "pv_self_sufficiency_pct"),
                        fleet.WHERE,
                    ),
                ],
            ),
            Row(words("roofs.lost"), [_faults(words)], height=10),
            Row(
                words("roofs.portfolio"),
                [
                    series(
                        words("roofs.power"),
                        sql.lines(view, fleet.WHERE, {words("roofs.power"): "sum(power_w)"}),
                        "watt",
                    ),
                    series(
                        words("roofs.balance"),
                        sql.lines(
                            view,
                            fleet.WHERE,
                            {
                                words("roofs.made"): "sum(energy_wh)",
                                words("roofs.exported"): "sum(export_energy_wh)",
                                words("roofs.imported"): "sum(import_energy_wh)",
                            },
                        ),
                        "watth",
                        draw="bars",
                        about=words("roofs.balance_about"),
                    ),
                ],
            ),
            Row(
                words("roofs.sites"),
                [
                    series(
                        words("roofs.site_power"),
                        sql.lines_by(view, fleet.WHERE, "site", "sum(power_w)", SITES),
                        "watt",
                    ),
                    figures.compared(words, words("roofs.compared"), SITE_KPIS, fleet.WHERE, "site", SITE_LIST),
                ],
                height=10,
            ),
            Row(
                words("roofs.roofs"),
                [fleet.located(words, "solar", words("roofs.map")), _roofs(words)],
                height=14,
                widths=(10, 14),
            ),
        ],
        variables=[source(words), console(), municipality(words), group(words, "solar"), step()],
        alerts="a.asset_id IN (SELECT asset_id FROM seen_asset WHERE kind = 'solar')"
        " AND a.severity IN ('critical', 'major')",
        tags=["roofs"],
    )


def _faults(words: Words) -> Panel:
    """What each fault has cost; a row leads to its work order."""
    kpis = [KPIS[name] for name in FAULT_KPIS]
    order = (words("alerts.order"), alerts.ORDER)
    return rows(
        words("roofs.faults"),
        kpi_sql.by_fault(kpis, fleet.WHERE),
        none=words("alerts.none"),
        about=figures.together(kpis, words),
        columns={
            "day": Column(title=words("roofs.over"), unit="dateTimeAsIso", width=170),
            "rule": Column(title=words("alerts.rule"), words=words.rules(), link=order),
            "where": Column(title=words("alerts.where"), link=(words("alerts.asset"), alerts.DEVICE)),
            **figures.columns(kpis, words),
            "alert_id": Column(title=words("alerts.order"), link=order, width=130),
            "asset_id": Column(hidden=True),
        },
    )


def _roofs(words: Words) -> Panel:
    return fleet.table(
        words,
        "solar",
        words("roofs.roofs"),
        {
            "energy": ("sum(r.energy_wh)", Column(title=words("fleet.energy"), unit="watth")),
            "isolation": ("min(r.isolation_ohm)", Column(title=words("roofs.isolation"), unit="ohm")),
            "throttled": ("avg(r.throttle_pct)", Column(title=words("roofs.throttled"), unit="percent")),
        },
    )
