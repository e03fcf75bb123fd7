"""Pieces of SQL that many panels share: whose rows, which step of rollups, lines that break where nothing is known."""

from collections.abc import Mapping, Sequence

STEP_QUERY = """
SELECT CASE WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '49 hours' THEN '15m'
            WHEN $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= interval '62 days' THEN '1h' ELSE '1d' END
"""
"""The value of the hidden variable ``step``: a day reads quarters of an hour, a month hours, a year days."""
STEP = "interval '${step}'"
SPAN_S = "extract(epoch FROM least($__timeTo()::timestamptz, now()) - $__timeFrom()::timestamptz)"
"""Seconds of the dashboard's time range that have passed."""
TIME = "$__timeFilter(bucket)"
TOWN = "municipality_id IN (${municipality})"
ASSET = "asset_id = nullif('${asset}', '')::integer"
IN_GROUP = (
    "(0 IN (${group}) OR asset_id IN (SELECT m.asset_id FROM seen_group_member m WHERE m.group_id IN (${group})))"
)
"""The variable's value for all is 0, so that assets in no group count as well."""
OPEN = "state <> 'closed' AND notify"
"""Alerts of which somebody was told and that are not done; what hangs under a cause is not counted beside it."""
RANK = "array_position(ARRAY['info', 'plan', 'minor', 'major', 'critical'], severity)"


def rollup(kind: str) -> str:
    """The view of a kind's rollups, by the step that suits the time range."""
    return f"seen_rollup_{kind}_${{step}}"


def group_rollup(kind: str) -> str:
    """The same, summed up by groups."""
    return f"seen_rollup_group_{kind}_${{step}}"


def quoted(name: str) -> str:
    """A column's name for people."""
    return '"' + name.replace('"', '""') + '"'


def lines(view: str, where: str, values: Mapping[str, str]) -> str:
    """One line a value (title → expression over a bucket's rows), ending where a bucket is missing.

    Without the empty rows Grafana would draw a line through a month without data.
    """
    inner = ", ".join(f"{expression} AS v{i}" for i, expression in enumerate(values.values()))
    outer = ", ".join(f"v{i} AS {quoted(title)}" for i, title in enumerate(values))
    empty = ", ".join("NULL" for _ in values)
    return f"""
WITH known AS (SELECT bucket, {inner} FROM {view} WHERE {where} AND {TIME} GROUP BY bucket)
SELECT bucket AS "time", {outer} FROM known
UNION ALL
SELECT bucket + {STEP}, {empty}
FROM (SELECT bucket, lead(bucket) OVER (ORDER BY bucket) AS following FROM known) AS found
WHERE following > bucket + 1.6 * {STEP}
ORDER BY 1
"""  # noqa: S608


def lines_by(view: str, where: str, name: str, value: str, join: str = "") -> str:
    """One line a name, such as a group's or a site's, breaking in the same way."""
    return f"""
WITH known AS (SELECT bucket, {name} AS metric, {value} AS value FROM {view} {join} WHERE {where} AND {TIME}
               GROUP BY bucket, {name})
SELECT bucket AS "time", metric, value FROM known
UNION ALL
SELECT bucket + {STEP}, metric, NULL FROM (
    SELECT bucket, metric, lead(bucket) OVER (PARTITION BY metric ORDER BY bucket) AS following FROM known) AS found
WHERE following > bucket + 1.6 * {STEP}
ORDER BY 1, 2
"""  # noqa: S608


def completeness(kinds: Sequence[str], where: str) -> str:
    """The share of the passed time for which values of the assets are known, 0 to 1; NULL without assets."""
    covered = " UNION ALL ".join(
        f"SELECT asset_id, covered_s FROM {rollup(kind)} WHERE {where} AND {TIME}"  # noqa: S608
        for kind in kinds
    )
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return f"""
SELECT CASE WHEN assets > 0 AND passed > 0 THEN least(1, covered / (assets * passed)) END
FROM (SELECT {SPAN_S} AS passed, (SELECT coalesce(sum(covered_s), 0) FROM ({covered}) AS known) AS covered,
    (SELECT count(*) FROM seen_asset WHERE kind IN ({names}) AND retired_at IS NULL AND {where}
        AND asset_id IN (SELECT asset_id FROM seen_device)) AS assets) AS counted
"""  # noqa: S608


def named(words: Mapping[str, str], table: str) -> str:
    """A table of words for codes, to be joined: columns ``code`` and ``word``."""
    values = ", ".join("('{}', '{}')".format(*(part.replace("'", "''") for part in pair)) for pair in words.items())
    return f"(VALUES {values}) AS {table} (code, word)"
