"""Alerts and how long they take: the list that leads to work orders, what is found when, what is repaired when."""

from dashboards import sql
from dashboards.board import Board, Row, console, group, municipality, source, step
from dashboards.boards import figures
from dashboards.panels import SEVERITY_COLOURS, Column, Panel, bars, figure, rows, series
from dashboards.wording import Words

ORDER = "${kraj_url}/alerts/${__data.fields.alert_id}"
"""The alert's page in Kraj's console is the crew's work order."""
DEVICE = "${kraj_url}/assets/${__data.fields.asset_id}"
HERE = f"(municipality_id IS NULL OR {sql.TOWN})"
"""A cause across municipalities belongs to nobody; the wall shows it to the region alone."""

FAULT_KPIS = (
    "fault_time_to_detect_h",
    "fault_time_to_repair_h",
    "fault_repaired_7d_pct",
    "fault_false_dispatch_pct",
)


def board(words: Words) -> Board:
    """Alerts of the chosen municipalities."""
    where = f"{HERE} AND {sql.IN_GROUP}"
    none = words("board.none")
    return Board(
        slug="alerts",
        title=words("alerts.title"),
        about=words("alerts.about"),
        rows=[
            Row(words("alerts.open"), [counted(words, where)], height=4),
            *figures.figures(words, words("alerts.kpis"), FAULT_KPIS, where),
            Row(words("alerts.list"), [listed(words, where, about=words("alerts.list_about"))], height=12),
            Row(
                words("alerts.times"),
                [
                    bars(
                        words("alerts.detect"),
                        _times(words, where, "opened_at - since", "opened_at"),
                        "s",
                        none=none,
                        about=words("alerts.detect_about"),
                    ),
                    bars(
                        words("alerts.repair"),
                        _times(words, where, "done_at - opened_at", "done_at"),
                        "s",
                        none=none,
                        about=words("alerts.repair_about"),
                    ),
                ],
                height=12,
            ),
            Row(
                words("alerts.per_day"),
                [series(words("alerts.opened"), _per_day(words, where), "short", draw="stacked")],
            ),
        ],
        variables=[source(words), console(), municipality(words), group(words), step()],
        since="now-30d",
        tags=["alerts"],
    )


_DONE = "coalesce(fixed_at, cleared_at)"


def counted(words: Words, where: str) -> Panel:
    """Open alerts by severity, side by side."""
    columns = ", ".join(
        f"count(*) FILTER (WHERE severity = '{name}') AS {sql.quoted(words(f'severity.{name}'))}"
        for name in SEVERITY_COLOURS
    )
    asked = f"SELECT {columns} FROM seen_alert WHERE {sql.OPEN} AND {where}"  # noqa: S608
    panel = figure(words("alerts.open"), asked, "short", none=words("board.none"), about=words("alerts.open_about"))
    for name, colour in SEVERITY_COLOURS.items():
        panel.override_by_name(words(f"severity.{name}"), Column.fixed(colour))
    return panel


def listed(words: Words, where: str, *, about: str, limit: int = 200) -> Panel:
    """Open alerts, the worst first; a row leads to the work order, the asset and its dashboard."""
    asked = f"""
SELECT severity AS "severity", rule AS "rule", coalesce(a.label, scope_name) AS "where", t.title AS "municipality",
    state AS "state", opened_at AS "since", lost_wh AS "lost", alert_id, asset_id
FROM seen_alert LEFT JOIN (SELECT asset_id, label FROM seen_asset) AS a USING (asset_id)
LEFT JOIN (SELECT municipality_id AS town, title FROM seen_municipality) AS t ON t.town = municipality_id
WHERE {sql.OPEN} AND {where}
ORDER BY {sql.RANK} DESC, opened_at DESC LIMIT {limit}
"""  # noqa: S608
    severities = {name: words(f"severity.{name}") for name in SEVERITY_COLOURS}
    states = {name: words(f"state.{name}") for name in ("open", "acknowledged", "assigned", "fixed", "closed")}
    order, device = (words("alerts.order"), ORDER), (words("alerts.asset"), DEVICE)
    return rows(
        words("alerts.list"),
        asked,
        none=words("alerts.none"),
        about=about,
        columns={
            "severity": Column(title=words("alerts.severity"), words=severities, colours=SEVERITY_COLOURS, width=110),
            "rule": Column(title=words("alerts.rule"), words=words.rules(), link=order),
            "where": Column(title=words("alerts.where"), link=device),
            "municipality": Column(title=words("variable.municipality")),
            "state": Column(title=words("alerts.state"), words=states, width=130),
            "since": Column(title=words("alerts.since"), unit="dateTimeAsIso"),
            "lost": Column(title=words("alerts.lost"), unit="watth", width=110),
            "alert_id": Column(title=words("alerts.order"), link=order, width=90),
            "asset_id": Column(hidden=True),
        },
    )


def _times(words: Words, where: str, lasted: str, moment: str) -> str:
    """Medians by rule, the slowest first."""
    titles = sql.named(words.rules(), "named")
    return f"""
SELECT coalesce(named.word, rule) AS "rule",
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM {lasted})) AS "s"
FROM (SELECT *, {_DONE} AS done_at FROM seen_alert) AS alerted LEFT JOIN {titles} ON named.code = rule
WHERE $__timeFilter({moment}) AND {moment} IS NOT NULL AND notify AND severity <> 'info' AND {where}
GROUP BY 1 ORDER BY 2 DESC LIMIT 20
"""  # noqa: S608


def _per_day(words: Words, where: str) -> str:
    names = sql.named({name: words(f"severity.{name}") for name in SEVERITY_COLOURS}, "named")
    return f"""
SELECT date_trunc('day', opened_at, 'Europe/Prague') AS "time", named.word AS metric, count(*) AS value
FROM seen_alert JOIN {names} ON named.code = severity WHERE $__timeFilter(opened_at) AND notify AND {where}
GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608
