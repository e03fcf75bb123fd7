"""A dashboard before it is JSON: rows of panels laid out on the grid, variables, links and marks of alerts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog import builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from dashboards import sql
from dashboards.panels import Panel
from dashboards.query import SOURCE, Ask
from dashboards.source import PROMETHEUS_TYPE, TYPE
from dashboards.wording import Words

WIDTH = 24
"""Columns of Grafana's grid."""
TAG = "kraj"
KRAJ_URL = "http://127.0.0.1:8080"
"""Of the console in the committed JSON; push and files put the installation's own there."""
ZONE = "Europe/Prague"

Variable = builder.Builder[models.VariableModel]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side under a heading, or without one below those before. ``widths`` in columns of 24; without,
    all are as wide."""

    title: str
    panels: Sequence[Panel]
    height: int = 8
    widths: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; ``slug`` is its name in files and, with the language, its uid. ``alerts`` picks those marked."""

    slug: str
    title: str
    about: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    since: str = "now-24h"
    alerts: str | None = None
    tags: Sequence[str] = ()


def uid(slug: str, words: Words) -> str:
    """Stable, so that links hold and a push finds what it has pushed before."""
    return f"{TAG}-{words.language}-{slug}"


def path(slug: str, words: Words, **variables: str) -> str:
    """A link to another of our dashboards that keeps the time range."""
    given = "".join(f"&var-{name}={value}" for name, value in variables.items())
    return f"/d/{uid(slug, words)}?${{__url_time_range}}&${{municipality:queryparam}}{given}"


def built(board: Board, words: Words) -> str:
    """The dashboard's JSON as it is committed."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(uid(board.slug, words))
        .description(board.about)
        .tags([TAG, *board.tags])
        .timezone(ZONE)
        .week_start("monday")
        .time(board.since, "now")
        .refresh("5m")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .editable()
        .version(1)
        .link(
            dashboard.DashboardLink(words("board.others"))
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .link(
            dashboard.DashboardLink(words("board.console"))
            .type(models.DashboardLinkType.LINK)
            .url("${kraj_url}/")
            .icon("external link")
        )
    )
    for variable in board.variables:
        made.with_variable(variable)
    if board.alerts is not None:
        made.annotation(_marks(board.alerts, words))
    number = top = 0
    for row in board.rows:
        if row.title:
            number, top = number + 1, top + 1
            made.with_row(dashboard.Row(row.title).id(number).grid_pos(models.GridPos(h=1, w=WIDTH, x=0, y=top - 1)))
        left = 0
        for panel, width in zip(row.panels, row.widths or [WIDTH // len(row.panels)] * len(row.panels), strict=True):
            number += 1
            placed = panel.build()
            placed.id_val = number
            placed.grid_pos = models.GridPos(h=row.height, w=width, x=left, y=top)
            made.with_panel(_Placed(placed))
            left += width
        top += row.height
    return json.dumps(made.build(), cls=JSONEncoder, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _marks(where: str, words: Words) -> dashboard.AnnotationQuery:
    """Alerts over the panels, each from its opening until it was over."""
    titles = sql.named(words.rules(), "named")
    asked = f"""
SELECT a.opened_at AS "time", coalesce(a.cleared_at, a.closed_at) AS "timeend", coalesce(named.word, a.rule) AS "text",
    a.severity || ',' || a.scope_name AS "tags"
FROM seen_alert a LEFT JOIN {titles} ON named.code = a.rule
WHERE $__timeFilter(a.opened_at) AND a.notify AND {where}
ORDER BY 1 DESC LIMIT 200
"""  # noqa: S608
    return (
        dashboard.AnnotationQuery()
        .name(words("board.alerts"))
        .datasource(SOURCE)
        .enable(True)
        .hide(False)
        .icon_color("red")
        .target(Ask(asked))
    )


class _Placed(builder.Builder[models.Panel]):
    def __init__(self, panel: models.Panel) -> None:
        self._panel = panel

    def build(self) -> models.Panel:
        return self._panel


def source(words: Words) -> Variable:
    """Which PostgreSQL."""
    return (
        dashboard.DatasourceVariable("ds")
        .label(words("variable.ds"))
        .type(TYPE)
        .hide(models.VariableHide.HIDE_VARIABLE)
    )


def prometheus(words: Words) -> Variable:
    """Which Prometheus."""
    return dashboard.DatasourceVariable("prometheus").label(words("variable.prometheus")).type(PROMETHEUS_TYPE)


def console() -> Variable:
    """Where Kraj's own pages are."""
    return dashboard.ConstantVariable("kraj_url").value(KRAJ_URL)


def step() -> Variable:
    """Which rollups suit the time range; nobody chooses it."""
    return (
        _asking("step", "", sql.STEP_QUERY)
        .hide(models.VariableHide.HIDE_VARIABLE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .current(models.VariableOption(text="15m", value="15m"))
    )


def municipality(words: Words) -> Variable:
    """All that the data source's role may see, or some of them."""
    asked = 'SELECT title AS "__text", municipality_id AS "__value" FROM seen_municipality ORDER BY title'
    return _several(_asking("municipality", words("variable.municipality"), asked))


def group(words: Words, kind: str | None = None) -> Variable:
    """Groups that hold assets (of the kind); all means also those in no group."""
    of_kind = f" AND a.kind = '{kind}'" if kind else ""
    asked = f"""
SELECT g.name AS "__text", g.group_id AS "__value" FROM seen_group g WHERE {sql.TOWN} AND EXISTS (
    SELECT FROM seen_group_member m JOIN seen_asset a USING (asset_id) WHERE m.group_id = g.group_id{of_kind})
ORDER BY g.name
"""  # noqa: S608
    return _several(_asking("group", words("variable.group"), asked)).all_value("0")


def asset(words: Words, kind: str | None, label: str) -> Variable:
    """One asset, by its label."""
    where = f" AND kind = '{kind}'" if kind else ""
    asked = f"""
SELECT label AS "__text", asset_id AS "__value" FROM seen_asset WHERE {sql.TOWN}{where} AND retired_at IS NULL
ORDER BY label LIMIT 5000
"""  # noqa: S608
    return _asking("asset", label or words("variable.asset"), asked)


def point(words: Words) -> Variable:
    """Metering points by name; all is 0, so that those whose name is gone count as well."""
    asked = f"""
SELECT title || ' (' || ean || ')' AS "__text", ean AS "__value" FROM seen_metering_point WHERE {sql.TOWN} ORDER BY 1
"""  # noqa: S608
    return _several(_asking("point", words("variable.point"), asked)).all_value("'0'")


def _several(variable: dashboard.QueryVariable) -> dashboard.QueryVariable:
    everything = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    return variable.multi(True).include_all(True).current(everything)


def _asking(name: str, label: str, asked: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(asked.strip())
        .definition(asked.strip())
        .refresh(models.VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(models.VariableSort.DISABLED)
    )
