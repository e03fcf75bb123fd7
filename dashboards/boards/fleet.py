"""What pages of many devices of one kind share: the table that leads to each, and its map."""

from collections.abc import Mapping

from dashboards import sql
from dashboards.board import path
from dashboards.boards import alerts
from dashboards.panels import Column, Panel, places, rows
from dashboards.units import SHARE
from dashboards.wording import Words

WHERE = f"{sql.TOWN} AND {sql.IN_GROUP}"


def of_kind(kind: str) -> str:
    """Condition for what belongs to assets of the kind among those chosen."""
    return f"asset_id IN (SELECT asset_id FROM seen_asset WHERE kind = '{kind}') AND {WHERE}"  # noqa: S608


DEVICES_MAX = 1000
"""Rows of a table; the ones to look at come first."""


def table(
    words: Words,
    kind: str,
    title: str,
    values: Mapping[str, tuple[str, Column]],
    *,
    about: str = "",
) -> Panel:
    """A row a device: what it did in the time range, how much is known of it, its open alerts; links to its own page.

    ``values`` are columns (name → expression over rollups ``r``, how to show it). Rollups are summed up before anything
    is joined: they are many.
    """
    summed = "".join(f", {expression} AS {sql.quoted(name)}" for name, (expression, _) in values.items())
    listed = "".join(f", v.{sql.quoted(name)}" for name in values)
    asked = f"""
SELECT a.label AS "label"{listed},
    CASE WHEN {sql.SPAN_S} > 0 THEN least(1, coalesce(v.covered_s, 0) / {sql.SPAN_S}) END AS "known",
    coalesce(w.alerts, 0) AS "alerts", a.asset_id
FROM (SELECT asset_id, label FROM seen_asset
      WHERE kind = '{kind}' AND retired_at IS NULL AND {WHERE}) AS a
LEFT JOIN (SELECT r.asset_id, sum(r.covered_s) AS covered_s{summed} FROM {sql.rollup(kind)} r
           WHERE {WHERE} AND {sql.TIME} GROUP BY r.asset_id) AS v USING (asset_id)
LEFT JOIN (SELECT asset_id, count(*) AS alerts FROM seen_alert WHERE {sql.OPEN} GROUP BY 1) AS w USING (asset_id)
ORDER BY "alerts" DESC, "label" LIMIT {DEVICES_MAX}
"""  # noqa: S608
    near = path(kind, words, asset="${__data.fields.asset_id}")
    return rows(
        title,
        asked,
        none=words("board.none"),
        about=about,
        columns={
            "label": Column(title=words("fleet.label"), link=(words("fleet.near"), near)),
            **{name: column for name, (_, column) in values.items()},
            "known": Column(title=words("board.completeness"), unit=SHARE, width=110),
            "alerts": Column(title=words("alerts.open"), link=(words("alerts.asset"), alerts.DEVICE), width=110),
            "asset_id": Column(hidden=True),
        },
    )


def located(words: Words, kind: str, title: str) -> Panel:
    """Where they stand, coloured by their worst open alert."""
    asked = f"""
SELECT a.latitude, a.longitude, a.label, coalesce(worst.rank, 0) AS worst, worst.rule, a.asset_id
FROM (SELECT asset_id, label, latitude, longitude FROM seen_asset
      WHERE kind = '{kind}' AND retired_at IS NULL AND latitude IS NOT NULL AND {WHERE}) AS a
LEFT JOIN (SELECT DISTINCT ON (asset_id) asset_id, rule, {sql.RANK} AS rank FROM seen_alert
           WHERE {sql.OPEN} AND {sql.TOWN} ORDER BY asset_id, rank DESC) AS worst USING (asset_id)
ORDER BY worst DESC LIMIT 10000
"""  # noqa: S608
    link = (words("fleet.near"), path(kind, words, asset="${__data.fields.asset_id}"))
    return places(title, asked, link, none=words("board.none"), about=words("overview.map_about"))
