"""The whole region, or a whole municipality, on one page: what is wrong, what it takes and gives, what is not known."""

from dashboards import sql
from dashboards.board import Board, Row, console, municipality, source, step
from dashboards.boards import alerts, figures
from dashboards.panels import Column, Panel, figure, places, rows, series
from dashboards.units import SHARE
from dashboards.wording import Words
from kraj.kinds import KINDS

MAIN_KPIS = (
    "lighting_availability_pct",
    "lighting_lit_2200_pct",
    "lighting_saved_dimming_kwh",
    "pv_specific_yield_kwh_per_kwp",
    "pv_availability_pct",
    "pv_lost_czk",
    "stop_uptime_pct",
    "fault_time_to_repair_h",
)
TOWN_KPIS = ("lighting_availability_pct", "pv_availability_pct", "stop_uptime_pct")
TOWN_LIST = f"SELECT municipality_id, title FROM seen_municipality WHERE {sql.TOWN}"  # noqa: S608


def board(words: Words) -> Board:
    """What somebody looks at first."""
    return Board(
        slug="overview",
        title=words("overview.title"),
        about=words("overview.about"),
        rows=[
            Row(
                words("overview.now"),
                [alerts.counted(words, alerts.HERE), *_sums(words)],
                height=4,
                widths=(12, 4, 4, 4),
            ),
            Row(
                words("overview.where"),
                [_map(words), alerts.listed(words, alerts.HERE, about=words("alerts.list_about"), limit=50)],
                height=14,
                widths=(10, 14),
            ),
            *figures.figures(words, words("kpi.row"), MAIN_KPIS, sql.TOWN),
            Row(words("overview.power"), [_power(words, "lamp"), _power(words, "solar")]),
            Row(
                words("overview.towns"),
                [
                    _towns(words),
                    figures.compared(words, words("overview.compared"), TOWN_KPIS, sql.TOWN, "municipality", TOWN_LIST),
                ],
                height=12,
            ),
        ],
        variables=[source(words), console(), municipality(words), step()],
        alerts="a.severity = 'critical'",
        tags=["overview"],
    )


def _sums(words: Words) -> list[Panel]:
    none = words("board.none")
    lamps, roofs = (
        f"SELECT sum(energy_wh) FROM {sql.rollup(kind)} WHERE {sql.TOWN} AND {sql.TIME}"  # noqa: S608
        for kind in ("lamp", "solar")
    )
    return [
        figure(words("overview.lighting"), lamps, "watth", none=none),
        figure(words("overview.roofs"), roofs, "watth", none=none),
        figure(
            words("board.completeness"),
            sql.completeness(list(KINDS), sql.TOWN),
            SHARE,
            none=none,
            about=words("board.completeness_about"),
            steps=((None, "red"), (0.7, "yellow"), (0.95, "green")),
        ),
    ]


def _map(words: Words) -> Panel:
    asked = f"""
SELECT a.latitude, a.longitude, a.label, a.kind, coalesce(worst.rank, 0) AS worst, worst.rule, a.asset_id
FROM seen_asset a LEFT JOIN (
    SELECT DISTINCT ON (asset_id) asset_id, rule, {sql.RANK} AS rank FROM seen_alert
    WHERE {sql.OPEN} AND {sql.TOWN} ORDER BY asset_id, rank DESC) AS worst USING (asset_id)
WHERE {sql.TOWN} AND a.latitude IS NOT NULL AND a.retired_at IS NULL
ORDER BY worst DESC LIMIT 10000
"""  # noqa: S608
    return places(
        words("overview.map"),
        asked,
        (words("alerts.asset"), alerts.DEVICE),
        none=words("board.none"),
        about=words("overview.map_about"),
    )


def _power(words: Words, kind: str) -> Panel:
    title = words(f"overview.power_{kind}")
    return series(title, sql.lines(sql.rollup(kind), sql.TOWN, {title: "sum(power_w)"}), "watt", low=0)


def _towns(words: Words) -> Panel:
    asked = f"""
SELECT t.title AS "town", coalesce(a.devices, 0) AS "devices", coalesce(w.alerts, 0) AS "alerts",
    coalesce(w.critical, 0) AS "critical", t.municipality_id
FROM seen_municipality t
LEFT JOIN (SELECT municipality_id, count(*) AS devices FROM seen_device GROUP BY 1) AS a USING (municipality_id)
LEFT JOIN (SELECT municipality_id, count(*) AS alerts, count(*) FILTER (WHERE severity = 'critical') AS critical
           FROM seen_alert WHERE {sql.OPEN} GROUP BY 1) AS w USING (municipality_id)
WHERE {sql.TOWN}
ORDER BY critical DESC, alerts DESC, t.title
"""  # noqa: S608
    one = f"/d/kraj-{words.language}-overview?${{__url_time_range}}&var-municipality=${{__data.fields.municipality_id}}"
    return rows(
        words("overview.towns"),
        asked,
        none=words("board.none"),
        columns={
            "town": Column(title=words("variable.municipality"), link=(words("overview.title"), one)),
            "devices": Column(title=words("overview.devices")),
            "alerts": Column(title=words("alerts.open")),
            "critical": Column(title=words("severity.critical")),
            "municipality_id": Column(hidden=True),
        },
    )
