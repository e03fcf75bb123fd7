"""The views ``public_*``: what anybody may know of the municipalities that are published, declared and made."""

import hashlib
from typing import Any

import psycopg

from kraj.kinds.stop import STOP, USB_PORTS

DARK_RULES = (
    *("lamp_out", "feeder_outage", "cabinet_outage", "phase_lost"),
    *("grid_outage", "circuit_unlit", "lamps_dark"),
)
"""Alerts that say that somewhere no light is."""
REPAIRS_MIN = 5
"""So many repairs of a year tell how long one takes in a municipality; of fewer nothing is foretold."""
REPAIRED_SHARE = 0.8
"""By the expected moment so many of them were done."""
_PLACE = "a.asset_id, a.municipality_id, m.name AS municipality, a.label, nullif(a.metadata->>'street', '') AS street"
_KNOWN = "FROM asset a JOIN municipality m ON m.municipality_id = a.municipality_id AND m.published"
_USB = [f"l.usb{port}_state" for port in USB_PORTS]
_RULES = ", ".join(f"'{rule}'" for rule in DARK_RULES)


def _usable() -> str:
    """The codes in which a charging port gives power to who comes."""
    states = STOP.by_name[f"usb{USB_PORTS[0]}_state"].states
    return ", ".join(str(states.index(state)) for state in ("idle", "charging"))


def _number(attribute: str, otherwise: str = "NULL") -> str:
    return (
        f"CASE jsonb_typeof(a.metadata->'{attribute}') WHEN 'number' THEN (a.metadata->>'{attribute}')::float8"
        f" ELSE {otherwise} END"
    )


VIEWS: dict[str, str] = {
    # A stop: what it last said of what passengers use; heard_at tells how old that is. No presence, no door, no SOS.
    "public_stop": f"""
SELECT {_PLACE}, a.latitude, a.longitude, nullif(a.metadata->>'gtfs_stop_id', '') AS gtfs_stop_id, l.ts AS heard_at,
    l.light_level_pct > 0 AS lit, l.wifi_up,
    l.display_refresh_ok AND l.display_content_age_s <= 2 * {_number("display_interval_s", "300")} AS display_truthful,
    CASE WHEN coalesce({", ".join(_USB)}) IS NOT NULL
        THEN {" OR ".join(f"coalesce({port} IN ({_usable()}), false)" for port in _USB)} END AS charging,
    CASE WHEN {_number("voice", "0")} = 1 THEN l.voice_selftest_ok AND l.voice_receiver_ok END AS voice
{_KNOWN}
LEFT JOIN latest_stop l ON l.asset_id = a.asset_id AND l.municipality_id = a.municipality_id
WHERE a.kind = 'stop' AND a.retired_at IS NULL""",
    # A known outage: where, of how many lamps, since when, how far its repair is, and when it is to be expected.
    "public_outage": f"""
WITH pace AS (
    SELECT municipality_id, make_interval(secs => percentile_cont({REPAIRED_SHARE}) WITHIN GROUP
        (ORDER BY extract(epoch FROM fixed_at - opened_at)::float8)) AS span
    FROM alert
    WHERE rule IN ({_RULES}) AND state = 'closed' AND fixed_at > greatest(opened_at, now() - interval '1 year')
    GROUP BY municipality_id HAVING count(*) >= {REPAIRS_MIN}
), open_one AS (
    SELECT alert_id, rule, scope_type, scope_name, municipality_id, asset_id, since, opened_at, state FROM alert
    WHERE rule IN ({_RULES}) AND state <> 'closed' AND active AND notify AND parent_id IS NULL
), hit AS (
    SELECT o.alert_id, a.municipality_id, a.asset_id FROM open_one o
    JOIN asset a ON a.asset_id = o.asset_id AND o.scope_type = 'asset' AND a.kind = 'lamp' AND a.retired_at IS NULL
    UNION ALL
    SELECT o.alert_id, a.municipality_id, a.asset_id FROM open_one o
    JOIN asset a ON a.kind = 'lamp' AND a.retired_at IS NULL AND a.metadata->>o.scope_type = o.scope_name
        AND (a.municipality_id = o.municipality_id OR o.municipality_id IS NULL)
    WHERE o.scope_type IN ('feeder', 'cabinet', 'supply_area')
), place AS (
    SELECT alert_id, municipality_id, count(*)::integer AS lamps, array_agg(asset_id ORDER BY asset_id) AS asset_ids
    FROM hit GROUP BY alert_id, municipality_id
)
SELECT p.asset_ids, m.municipality_id, m.name AS municipality, o.scope_type, o.rule = 'grid_outage' AS of_the_grid,
    CASE WHEN o.scope_type = 'asset' THEN a.label ELSE o.scope_name END AS place,
    nullif(a.metadata->>'street', '') AS street, a.latitude, a.longitude, p.lamps, o.since,
    CASE o.state WHEN 'open' THEN 'known' WHEN 'fixed' THEN 'repaired' ELSE 'taken' END AS progress,
    CASE WHEN o.rule <> 'grid_outage' THEN o.opened_at + s.span END AS expected_at
FROM open_one o
LEFT JOIN place p USING (alert_id)
JOIN municipality m ON m.municipality_id = coalesce(p.municipality_id, o.municipality_id) AND m.published
LEFT JOIN asset a ON a.asset_id = o.asset_id AND a.municipality_id = m.municipality_id
LEFT JOIN pace s ON s.municipality_id = m.municipality_id""",  # noqa: S608 - our own words
    # A lamp: where it stands and what is on its plate, whether an outage of it is known, and when it was last heard.
    # Nothing that it measured.
    "public_lamp": f"""
SELECT {_PLACE}, nullif(a.metadata->>'cabinet', '') AS cabinet, a.latitude, a.longitude, l.ts AS heard_at,
    o.since AS dark_since, o.expected_at
{_KNOWN}
LEFT JOIN latest_lamp l ON l.asset_id = a.asset_id AND l.municipality_id = a.municipality_id
LEFT JOIN (
    SELECT found.asset_id, min(p.since) AS since, max(p.expected_at) AS expected_at
    FROM public_outage p CROSS JOIN unnest(p.asset_ids) AS found(asset_id) GROUP BY found.asset_id
) o ON o.asset_id = a.asset_id
WHERE a.kind = 'lamp' AND a.retired_at IS NULL""",  # noqa: S608 - our own words
    # Lighting by street, or by cabinet where no street is known.
    "public_lighting": """
SELECT municipality_id, municipality, street, CASE WHEN street IS NULL THEN cabinet END AS cabinet,
    count(*)::integer AS lamps, count(dark_since)::integer AS lamps_dark, avg(latitude) AS latitude,
    avg(longitude) AS longitude, min(dark_since) AS dark_since, max(expected_at) AS expected_at
FROM public_lamp GROUP BY municipality_id, municipality, street, CASE WHEN street IS NULL THEN cabinet END""",
    # A roof and its newest day, which begins in Prague, with that day's emission factor and how much of it is known.
    "public_roof": f"""
SELECT {_PLACE}, nullif(a.metadata->>'site', '') AS site, a.latitude, a.longitude,
    {_number("power_peak_w")} / 1000 AS power_peak_kw, (r.bucket AT TIME ZONE 'Europe/Prague')::date AS day,
    r.energy_wh / 1000 AS energy_kwh, r.energy_wh / 1e6 * f.g AS avoided_co2_kg, r.covered_s
{_KNOWN}
LEFT JOIN LATERAL (
    SELECT bucket, energy_wh, covered_s FROM rollup_solar_1d
    WHERE asset_id = a.asset_id AND municipality_id = a.municipality_id ORDER BY bucket DESC LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT c.g_per_kwh::float8 AS g FROM co2_factor c
    WHERE (c.municipality_id = a.municipality_id OR c.municipality_id IS NULL)
        AND c.valid_from <= (r.bucket AT TIME ZONE 'Europe/Prague')::date
    ORDER BY c.municipality_id IS NULL, c.valid_from DESC, c.co2_factor_id DESC LIMIT 1
) f ON true
WHERE a.kind = 'solar' AND a.retired_at IS NULL""",  # noqa: S608 - our own words
    # A municipality: what it has.
    "public_town": """
SELECT m.municipality_id, m.name, m.title, coalesce(c.lamps, 0) AS lamps, coalesce(c.stops, 0) AS stops,
    coalesce(c.roofs, 0) AS roofs, c.latitude, c.longitude
FROM municipality m
LEFT JOIN (
    SELECT municipality_id, count(*) FILTER (WHERE kind = 'lamp')::integer AS lamps,
        count(*) FILTER (WHERE kind = 'stop')::integer AS stops,
        count(*) FILTER (WHERE kind = 'solar')::integer AS roofs,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY latitude) AS latitude,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY longitude) AS longitude
    FROM asset WHERE retired_at IS NULL GROUP BY municipality_id
) c USING (municipality_id)
WHERE m.published""",
}
"""SELECTs by the name of the view, in an order in which each finds what it builds on."""


def make(connection: psycopg.Connection[Any]) -> list[str]:
    """Make the views anew when one is not as declared; their names. After the tables of readings, as their owner.

    They read with the owner's rights, past the wall: what they hold is for everybody.
    """
    digest = hashlib.sha256("".join(VIEWS.values()).encode()).hexdigest()
    found = connection.execute("SELECT obj_description(to_regclass('public.public_town'), 'pg_class')").fetchone()
    if found is not None and found[0] == digest:
        return []
    for name in reversed(VIEWS):
        connection.execute(f"DROP VIEW IF EXISTS {name}".encode())
    for name, text in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} WITH (security_barrier) AS {text}".encode())
        connection.execute(f"GRANT SELECT ON {name} TO kraj_api".encode())
    connection.execute(f"COMMENT ON VIEW public_town IS '{digest}'".encode())
    return list(VIEWS)
