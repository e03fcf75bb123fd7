"""Smart stops: do they last through the winter, is what they show true, does what they offer work."""

from dashboards import sql
from dashboards.board import Board, Row, console, group, municipality, source, step
from dashboards.boards import alerts, figures, fleet
from dashboards.panels import Column, Panel, figure, series
from dashboards.units import SHARE
from dashboards.wording import Words

LABELS = "JOIN (SELECT asset_id AS number, label FROM seen_asset WHERE kind = 'stop') AS a ON a.number = asset_id"
STOPS = fleet.of_kind("stop")
STOP_LIST = f"SELECT asset_id, label FROM seen_asset WHERE kind = 'stop' AND retired_at IS NULL AND {fleet.WHERE}"  # noqa: S608
STOP_KPIS = (
    "stop_autonomy_d",
    "stop_display_truth_pct",
    "stop_uptime_pct",
    "stop_charging_uptime_pct",
    "stop_lit_when_dark_pct",
    "stop_sos_availability_pct",
)
SHARE_KPIS = STOP_KPIS[1:]


def board(words: Words) -> Board:
    """All stops; one stop has a page of its own."""
    view = sql.rollup("stop")
    none = words("board.none")
    wifi, sos = (
        f"SELECT sum({name} * covered_s) / nullif(sum(covered_s) FILTER (WHERE {name} IS NOT NULL), 0)"  # noqa: S608
        f" FROM {view} WHERE {fleet.WHERE} AND {sql.TIME}"
        for name in ("wifi_up", "sos_selftest_ok")
    )
    return Board(
        slug="stops",
        title=words("stops.title"),
        about=words("stops.about"),
        rows=[
            Row(
                words("overview.now"),
                [
                    alerts.counted(words, STOPS),
                    figure(words("stops.wifi"), wifi, SHARE, none=none, about=words("stops.share_about")),
                    figure(words("stops.sos"), sos, SHARE, none=none, about=words("stops.share_about")),
                    figure(
                        words("board.completeness"),
                        sql.completeness(["stop"], fleet.WHERE),
                        SHARE,
                        none=none,
                        about=words("board.completeness_about"),
                    ),
                ],
                height=4,
                widths=(12, 4, 4, 4),
            ),
            Row(words("kpi.row"), [figures.one(words, name, fleet.WHERE) for name in STOP_KPIS], 4),
            Row(
                words("stops.by_day"),
                [
                    figures.days(words, words("stops.autonomy"), STOP_KPIS[:1], fleet.WHERE),
                    figures.days(words, words("stops.services"), SHARE_KPIS, fleet.WHERE),
                    figures.compared(words, words("stops.compared"), STOP_KPIS[:3], fleet.WHERE, "asset", STOP_LIST),
                ],
                height=10,
            ),
            Row(
                words("stops.energy"),
                [
                    series(
                        words("stops.charge"),
                        sql.lines_by(view, fleet.WHERE, "label", "min(battery_soc_pct)", LABELS),
                        "percent",
                        low=0,
                        high=100,
                    ),
                    series(
                        words("stops.balance"),
                        sql.lines(
                            view,
                            fleet.WHERE,
                            {words("stops.pv"): "sum(pv_power_w)", words("stops.load"): "sum(load_power_w)"},
                        ),
                        "watt",
                    ),
                ],
            ),
            Row(
                words("stops.shown"),
                [
                    series(
                        words("stops.age"),
                        sql.lines_by(view, fleet.WHERE, "label", "max(display_content_age_s)", LABELS),
                        "s",
                        about=words("stops.age_about"),
                    ),
                    series(
                        words("stops.link"),
                        sql.lines_by(view, fleet.WHERE, "label", "max(uplink_rtt_ms)", LABELS),
                        "ms",
                    ),
                ],
            ),
            Row(
                words("stops.stops"),
                [fleet.located(words, "stop", words("stops.map")), _stops(words)],
                height=14,
                widths=(10, 14),
            ),
        ],
        variables=[source(words), console(), municipality(words), group(words, "stop"), step()],
        alerts="a.asset_id IN (SELECT asset_id FROM seen_asset WHERE kind = 'stop')"
        " AND a.severity IN ('critical', 'major')",
        tags=["stops"],
    )


def _stops(words: Words) -> Panel:
    return fleet.table(
        words,
        "stop",
        words("stops.stops"),
        {
            "charge": ("min(r.battery_soc_pct)", Column(title=words("stops.charge_min"), unit="percent")),
            "pv": ("sum(r.pv_energy_wh)", Column(title=words("stops.pv_energy"), unit="watth")),
            "wifi": ("avg(r.wifi_up)", Column(title=words("stops.wifi"), unit=SHARE)),
            "display": ("avg(r.display_refresh_ok)", Column(title=words("stops.display"), unit=SHARE)),
        },
    )
