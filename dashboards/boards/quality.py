"""What is known and what is not: completeness, what was refused and why, and the gaps in a device's numbering."""

from dashboards import sql
from dashboards.board import Board, Row, asset, console, municipality, path, source, step
from dashboards.boards.alerts import DEVICE
from dashboards.panels import Column, Panel, bars, figure, rows
from dashboards.units import SHARE
from dashboards.wording import Words
from kraj.kinds import KINDS

LEDGER_DAYS = 31
"""Gaps are found by looking at every reading: not further back than this."""


def board(words: Words) -> Board:
    """Whether the other dashboards' figures can be believed."""
    none = words("board.none")
    steps = ((None, "red"), (0.7, "yellow"), (0.95, "green"))
    return Board(
        slug="quality",
        title=words("quality.title"),
        about=words("quality.about"),
        rows=[
            Row(
                words("board.completeness"),
                [
                    figure(
                        words.of(kind.title),
                        sql.completeness([name], sql.TOWN),
                        SHARE,
                        none=none,
                        steps=steps,
                        about=words("board.completeness_about"),
                    )
                    for name, kind in KINDS.items()
                ],
                height=4,
            ),
            Row(
                words("quality.worst"),
                [
                    _worst(words),
                    bars(
                        words("quality.refused"), _refused(), "short", none=none, about=words("quality.refused_about")
                    ),
                ],
                height=12,
                widths=(14, 10),
            ),
            Row(words("quality.ledger"), [_missing(words), _gaps(words)], height=12, widths=(6, 18)),
        ],
        variables=[source(words), console(), municipality(words), asset(words, None, ""), step()],
        tags=["quality"],
    )


def _worst(words: Words) -> Panel:
    """Devices of which least is known, those that never spoke included."""
    known = " UNION ALL ".join(
        "SELECT asset_id, sum(covered_s) AS covered_s, sum(readings) AS readings, max(bucket) AS bucket"  # noqa: S608
        f" FROM {sql.rollup(kind)} WHERE {sql.TOWN} AND {sql.TIME} GROUP BY asset_id"
        for kind in KINDS
    )
    asked = f"""
SELECT a.label AS "label", a.kind AS "kind", d.name AS "device",
    CASE WHEN {sql.SPAN_S} > 0 THEN least(1, coalesce(sum(r.covered_s), 0) / {sql.SPAN_S}) END AS "known",
    coalesce(sum(r.readings), 0) AS "readings", max(r.bucket) AS "last", a.asset_id
FROM (SELECT asset_id, label, kind FROM seen_asset WHERE retired_at IS NULL AND {sql.TOWN}) AS a
JOIN seen_device d USING (asset_id) LEFT JOIN ({known}) AS r USING (asset_id)
GROUP BY a.asset_id, a.label, a.kind, d.name
ORDER BY "known", "label" LIMIT 100
"""  # noqa: S608
    ledger = path("quality", words, asset="${__data.fields.asset_id}")
    return rows(
        words("quality.worst"),
        asked,
        none=words("board.none"),
        columns={
            "label": Column(title=words("fleet.label"), link=(words("quality.ledger"), ledger)),
            "kind": Column(
                title=words("quality.kind"), words={name: words.of(kind.title) for name, kind in KINDS.items()}
            ),
            "device": Column(title=words("quality.device"), link=(words("alerts.asset"), DEVICE)),
            "known": Column(title=words("board.completeness"), unit=SHARE),
            "readings": Column(title=words("quality.readings")),
            "last": Column(title=words("quality.last"), unit="dateTimeAsIso"),
            "asset_id": Column(hidden=True),
        },
    )


def _refused() -> str:
    return f"""
SELECT reason || coalesce(': ' || metric, '') AS "reason", sum(times) AS "times" FROM seen_quarantine
WHERE (municipality_id IS NULL OR {sql.TOWN}) AND $__timeFilter(last_at) GROUP BY 1 ORDER BY 2 DESC LIMIT 20
"""  # noqa: S608


def _numbered() -> str:
    """The numbers of what the asset's controller has sent, also for other assets that it serves.

    These are asked for once (ARRAY), so that their readings are found by the index; of a longer time the last month is
    looked at, as each reading is.
    """
    served = (
        "asset_id = ANY (ARRAY(SELECT o.asset_id FROM seen_device o"  # noqa: S608
        f" JOIN seen_device d ON d.device_id = o.device_id AND d.{sql.ASSET}))"
    )
    return " UNION ".join(
        f"SELECT seq, ts FROM {kind.reading_view}"  # noqa: S608
        f" WHERE {served} AND $__timeFilter(ts) AND ts > $__timeTo()::timestamptz - interval '{LEDGER_DAYS} days'"
        for kind in KINDS.values()
    )


def _missing(words: Words) -> Panel:
    asked = f"""
SELECT CASE WHEN count(*) > 0 THEN max(seq) - min(seq) + 1 - count(DISTINCT seq) END AS "missing"
FROM ({_numbered()}) AS numbered
"""  # noqa: S608
    return figure(
        words("quality.missing"),
        asked,
        "short",
        none=words("board.none"),
        about=words("quality.ledger_about"),
        steps=((None, "green"), (1, "red")),
    )


def _gaps(words: Words) -> Panel:
    asked = f"""
SELECT before_ts AS "from", ts AS "to", before + 1 AS "first", seq - 1 AS "last", seq - before - 1 AS "missing"
FROM (SELECT seq, ts, lag(seq) OVER (ORDER BY seq) AS before, lag(ts) OVER (ORDER BY seq) AS before_ts
      FROM ({_numbered()}) AS numbered) AS following
WHERE seq > before + 1 ORDER BY seq DESC LIMIT 200
"""  # noqa: S608
    return rows(
        words("quality.ledger"),
        asked,
        none=words("quality.whole"),
        about=words("quality.ledger_about"),
        columns={
            "from": Column(title=words("quality.from"), unit="dateTimeAsIso"),
            "to": Column(title=words("quality.to"), unit="dateTimeAsIso"),
            "first": Column(title=words("quality.first")),
            "last": Column(title=words("quality.last_number")),
            "missing": Column(title=words("quality.missing")),
        },
    )
