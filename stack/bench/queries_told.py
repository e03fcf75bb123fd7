"""What people have declared of a measured town, and what went wrong in it: all that KPIs ask besides readings."""

from datetime import datetime
from typing import Any, Final

import psycopg

from stack.bench.queries_town import Town

ALERTS_PER_DEVICE: Final = 2
QUARTER_WH: Final = 900


def declared(owner: psycopg.Connection[Any], town: Town, at: datetime) -> None:
    """What lamps took before, prices, the factor of emissions, and a distributor's meters with their quarter-hours."""
    meters = [_ean(number) for number in range(town.counts["cabinet"] + town.counts["solar"])]
    given = {"days": town.days, "at": at, "meters": meters, "wh": QUARTER_WH}
    for statement in _DECLARED:
        owner.execute(statement.encode(), given)


def _ean(number: int) -> str:
    """With its check digit."""
    digits = f"8591824{number:010}"
    weighed = sum((3 if place % 2 == 0 else 1) * int(digit) for place, digit in enumerate(digits))
    return f"{digits}{-weighed % 10}"


_DECLARED: Final = (
    "INSERT INTO lighting_baseline (municipality_id, group_id, version, valid_from, power_w, source, who, at)"
    " SELECT municipality_id, group_id, 1, (%(at)s - interval '2 years')::date, 120, 'bench', 'bench', %(at)s"
    " FROM asset_group WHERE kind = 'segment'",
    "INSERT INTO tariff (municipality_id, name, direction, czk_per_kwh, valid_from, valid_until, source, who, at)"
    " SELECT 1, direction, direction, 3 + n, y, CASE n WHEN 0 THEN y + 182 END, 'bench', 'bench', %(at)s"
    " FROM unnest(ARRAY['import', 'export']) AS direction, generate_series(0, 1) AS n"
    " CROSS JOIN LATERAL (SELECT (%(at)s - interval '1 year')::date + 183 * n AS y) AS l",
    "INSERT INTO co2_factor (municipality_id, g_per_kwh, valid_from, source, who, at)"
    " SELECT NULL, 400 - 20 * n, (%(at)s - (2 - n) * interval '1 year')::date, 'bench', 'bench', %(at)s"
    " FROM generate_series(0, 1) AS n",
    "INSERT INTO metering_point (ean, municipality_id, title, at)"
    " SELECT ean, 1, ean, %(at)s FROM unnest(%(meters)s::text[]) AS ean",
    "INSERT INTO meter_quarter (bucket, import_id, municipality_id, import_wh, export_wh, shared_wh, status, ean)"
    " SELECT bucket, 1, 1, %(wh)s, %(wh)s / 3, %(wh)s / 9, 'measured', ean FROM unnest(%(meters)s::text[]) AS ean,"
    " generate_series(date_bin('15 minutes', %(at)s - %(days)s * interval '1 day', '2000-01-01Z'), %(at)s,"
    " '15 minutes') AS bucket",
)


def faults(owner: psycopg.Connection[Any], town: Town, at: datetime) -> None:
    """Alerts of the time, all but the last ones repaired, and what was refused."""
    owner.execute(
        "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, state, active,"
        " notify, since, opened_at, changed_at, cleared_at, fixed_at, closed_at, lost_wh)"
        " SELECT 'k' || n, rule, 'asset', asset_id::text, 1, asset_id, severity, CASE WHEN open THEN 'open' ELSE"
        " 'closed' END, open, n %% 4 > 0, opened - interval '20 minutes', opened, opened, fixed, fixed, fixed,"
        " CASE kind WHEN 'solar' THEN 500 + n %% 900 END FROM ("
        "   SELECT n, a.asset_id, a.kind, n > %(total)s - a.total / 10 AS open,"
        "     (ARRAY['lamp_out', 'comms_lost', 'power_low', 'voltage_high'])[1 + n %% 4] AS rule,"
        "     (ARRAY['minor', 'major', 'plan', 'critical'])[1 + n %% 4] AS severity, o.opened,"
        "     CASE WHEN n <= %(total)s - a.total / 10 THEN least(o.opened + n %% 200 * interval '1 hour', %(at)s) END"
        "       AS fixed"
        "   FROM generate_series(1, %(total)s) n"
        "   JOIN (SELECT *, row_number() OVER (ORDER BY asset_id) - 1 AS place, count(*) OVER () AS total FROM asset) a"
        "     ON a.place = n %% a.total"
        "   CROSS JOIN LATERAL"
        "     (SELECT %(at)s - (1.0 - n / (%(total)s + 1.0)) * %(days)s * interval '1 day' AS opened) o"
        " ) AS f",
        {"total": ALERTS_PER_DEVICE * town.devices, "at": at, "days": town.days},
    )
    owner.execute(
        "INSERT INTO quarantine (digest, first_at, last_at, municipality_id, topic, source, reason, detail, metric,"
        " payload, payload_bytes, batch_id) SELECT sha256(n::text::bytea), at, at, 1, 't', 's',"
        " (ARRAY['no_time', 'impossible', 'unknown_kind'])[1 + n %% 3], '', CASE n %% 3 WHEN 1 THEN 'power_w' END, '',"
        " 0, 1 FROM generate_series(1, %(total)s) n"
        " CROSS JOIN LATERAL (SELECT %(at)s - n * %(days)s / %(total)s::float8 * interval '1 day' AS at) AS l",
        {"total": town.devices, "at": at, "days": town.days},
    )
