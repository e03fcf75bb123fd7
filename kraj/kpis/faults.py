"""KPIs of faults: how soon they are found and repaired, what they cost, how often somebody went for nothing."""

from kraj.kpis.kpi import Domain, Grain, Kpi, Measure
from kraj.metrics import Title


def _alerts(part: str, whole: str, covered: str = "1", *, where: str) -> str:
    """Rows of alerts that called somebody, children of a cause left out: it is repaired once."""
    return f"""
SELECT date_trunc('day', l.opened_at, 'Europe/Prague') AS bucket, l.municipality_id, l.asset_id,
    NULL::integer AS group_id, l.alert_id, l.rule, ({part})::double precision AS part,
    ({whole})::double precision AS whole, ({covered})::double precision AS covered, 1::double precision AS due
FROM alert l WHERE l.parent_id IS NULL AND l.severity NOT IN ('info', 'plan')
    AND {where}"""  # noqa: S608 - our own words


def _lost(part: str, covered: str, more: str = "") -> str:
    """Rows of roofs' faults that are over and lost energy, by the day on which they ended."""
    return f"""
SELECT date_trunc('day', l.cleared_at, 'Europe/Prague') AS bucket, l.municipality_id, l.asset_id,
    NULL::integer AS group_id, l.alert_id, l.rule, ({part})::double precision AS part, NULL::double precision AS whole,
    ({covered})::double precision AS covered, 1::double precision AS due
FROM alert l JOIN asset a ON a.asset_id = l.asset_id AND a.kind = 'solar'{more}
WHERE l.cleared_at IS NOT NULL AND l.lost_wh IS NOT NULL"""  # noqa: S608 - our own words


_PRICE = """
CROSS JOIN LATERAL (SELECT CASE WHEN count(d.price) = count(*) THEN avg(d.price) END AS czk FROM (
    SELECT price_czk_per_kwh(l.municipality_id, l.asset_id, n::date, 'export') AS price FROM generate_series(
        (l.since AT TIME ZONE 'Europe/Prague')::date, (l.cleared_at AT TIME ZONE 'Europe/Prague')::date, '1 day') n) d
    ) p"""
"""Joins the mean price ``p.czk`` of a fault's days; NULL where one of them has none."""
_NOT_FALSE = "NOT EXISTS (SELECT FROM alert_event e WHERE e.alert_id = l.alert_id AND e.step = 'false_alarm')"
_ENDED = "EXISTS (SELECT FROM alert_event e WHERE e.alert_id = l.alert_id AND e.step IN ('fixed', 'false_alarm'))"
_HOURS = "extract(epoch FROM {to} - {since}) / 3600"

FAULTS = (
    Kpi(
        name="fault_time_to_detect_h",
        measure=Measure.HOUR,
        domain=Domain.FAULTS,
        grain=Grain.ALERT,
        title=Title(cs="Doba do zjištění poruchy", en="Time to detect"),
        meaning=Title(
            cs="Průměrná doba od začátku příznaku do hlášení. Poruchy, které se ukázaly jako plané, v ní nejsou.",
            en="Mean time from the beginning of the symptom to the alert. False alarms are left out.",
        ),
        formula="Σ (opened − since) / faults",
        source="EN 15341; ISO/TR 12489 (mean fault detection time)",
        rows=_alerts(_HOURS.format(to="l.opened_at", since="l.since"), "1", where=_NOT_FALSE),
        ratio=True,
    ),
    Kpi(
        name="fault_time_to_repair_h",
        measure=Measure.HOUR,
        domain=Domain.FAULTS,
        grain=Grain.ALERT,
        title=Title(cs="Doba do opravy", en="Time to repair"),
        meaning=Title(
            cs="Průměrná doba od hlášení, než měření potvrdilo, že je porucha pryč, u poruch nahlášených v tu dobu. "
            "Úplnost "
            "říká, kolik jich už opravených je.",
            en="Mean time from the alert until telemetry showed that the fault was gone, of the faults opened then. "
            "Completeness tells how many of them are repaired.",
        ),
        formula="Σ (cleared − opened) / repaired faults",
        source="EN 15341; ISO/TR 12489 (mean time to restore)",
        rows=_alerts(
            f"greatest({_HOURS.format(to='l.cleared_at', since='l.opened_at')}, 0)",
            "CASE WHEN l.cleared_at IS NOT NULL THEN 1 END",
            "(l.cleared_at IS NOT NULL)::integer",
            where=_NOT_FALSE,
        ),
        ratio=True,
    ),
    Kpi(
        name="fault_repaired_7d_pct",
        measure=Measure.PERCENT,
        domain=Domain.FAULTS,
        grain=Grain.ALERT,
        title=Title(cs="Opraveno do 7 dnů", en="Repaired within 7 days"),
        meaning=Title(
            cs="Z opravených poruch nahlášených v tu dobu díl, který byl pryč do sedmi dnů. Úplnost říká, kolik "
            "jich už "
            "opravených je.",
            en="Of the faults opened then and repaired, the share that was gone within seven days. Completeness "
            "tells how "
            "many are repaired.",
        ),
        formula="100 · repaired within 7 d / repaired",
        source="published by operators: 92.5 %",
        rows=_alerts(
            "CASE WHEN l.cleared_at IS NOT NULL THEN (l.cleared_at <= l.opened_at + interval '7 days')::integer END",
            "CASE WHEN l.cleared_at IS NOT NULL THEN 1 END",
            "(l.cleared_at IS NOT NULL)::integer",
            where=_NOT_FALSE,
        ),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="fault_false_dispatch_pct",
        measure=Measure.PERCENT,
        domain=Domain.FAULTS,
        grain=Grain.ALERT,
        title=Title(cs="Zbytečné výjezdy", en="False dispatches"),
        meaning=Title(
            cs="Z poruch, které posádka uzavřela jako opravené nebo plané, díl planých.",
            en="Of the alerts that a crew has ended as fixed or as false alarms, the share of false alarms.",
        ),
        formula="100 · false alarms / (fixed + false alarms)",
        source="EN 15341",
        rows=_alerts(
            f"(NOT {_NOT_FALSE})::integer",
            "1",
            where=_ENDED,
        ),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="pv_lost_kwh",
        measure=Measure.KWH,
        domain=Domain.ROOFS,
        grain=Grain.ALERT,
        title=Title(cs="Ztráta poruchami střech", en="Energy lost to faults of roofs"),
        meaning=Title(
            cs="Co střechy nevyrobily kvůli poruchám, které skončily; jedna řádka na poruchu.",
            en="What roofs did not make because of faults that have ended; a row a fault.",
        ),
        formula="Σ (P_exp − P) · t, as the rule books it",
        source="docs/catalogue.md, Loss",
        rows=_lost("l.lost_wh / 1000", "1"),
    ),
    Kpi(
        name="pv_lost_czk",
        measure=Measure.CZK,
        domain=Domain.ROOFS,
        grain=Grain.ALERT,
        title=Title(cs="Ztráta poruchami střech v korunách", en="Money lost to faults of roofs"),
        meaning=Title(
            cs="Ztracená výroba krát výkupní cena, průměr za dny poruchy. Kde některý den cena chybí, není údaj.",
            en="The lost energy at the price for export, the mean of the fault's days. No figure where a day has no "
            "price.",
        ),
        formula="Σ lost · mean(price(day, export))",
        source="tariff",
        rows=_lost("l.lost_wh / 1000 * p.czk", "(p.czk IS NOT NULL)::integer", _PRICE),
    ),
)
