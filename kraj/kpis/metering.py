"""KPIs of metering points: the quarter-hours by which energy sharing is settled, per EAN."""

from kraj.kpis.kpi import Domain, Grain, Kpi, Measure
from kraj.metrics import Title


def _quarters(part: str) -> str:
    """Rows of quarter-hours, and one at midnight without a part for what is missing of a day between the first and the
    last that the distributor has sent."""
    return f"""
SELECT q.bucket, q.municipality_id, NULL::integer AS asset_id, NULL::integer AS group_id, q.ean,
    ({part})::double precision AS part, NULL::double precision AS whole,
    CASE WHEN ({part}) IS NULL THEN 0 ELSE 1 END::double precision AS covered, 1::double precision AS due
FROM meter_quarter q
UNION ALL
SELECT m.bucket, m.municipality_id, NULL, NULL, m.ean, NULL, NULL, 0, m.missing
FROM (SELECT p.ean, p.municipality_id, n.bucket,
        extract(epoch FROM n.until - n.bucket) / 900 - (SELECT count(*) FROM meter_quarter f
            WHERE f.ean = p.ean AND f.bucket >= n.bucket AND f.bucket < n.until) AS missing
    FROM metering_point p CROSS JOIN LATERAL (
        SELECT min(f.bucket) AS first, max(f.bucket) AS last FROM meter_quarter f WHERE f.ean = p.ean) s
    CROSS JOIN LATERAL (SELECT i::timestamp AT TIME ZONE 'Europe/Prague' AS bucket,
            (i::timestamp + interval '1 day') AT TIME ZONE 'Europe/Prague' AS until FROM generate_series(
        (s.first AT TIME ZONE 'Europe/Prague')::date, (s.last AT TIME ZONE 'Europe/Prague')::date, '1 day') AS i) n) m
WHERE m.missing > 0"""  # noqa: S608 - our own words


def _kpi(name: str, title: Title, meaning: Title, part: str, formula: str) -> Kpi:
    return Kpi(
        name=name,
        measure=Measure.KWH,
        domain=Domain.METERING,
        grain=Grain.EAN_QUARTER,
        title=title,
        meaning=meaning,
        formula=formula,
        source="OTE/EDC quarter-hours (vyhláška 408/2015)",
        rows=_quarters(part),
    )


METERING = (
    _kpi(
        "ean_import_kwh",
        Title(cs="Odběr místa", en="Import of a metering point"),
        Title(cs="Co odběrné místo vzalo ze sítě.", en="What a metering point took from the grid."),
        "q.import_wh / 1000.0",
        "Σ import",
    ),
    _kpi(
        "ean_export_kwh",
        Title(cs="Dodávka místa", en="Export of a metering point"),
        Title(cs="Co místo dodalo do sítě.", en="What a metering point gave to the grid."),
        "q.export_wh / 1000.0",
        "Σ export",
    ),
    _kpi(
        "ean_shared_kwh",
        Title(cs="Nasdílená energie", en="Energy shared"),
        Title(
            cs="Co z dodávky nebo odběru místa přiřadilo sdílení (EDC).",
            en="What of a metering point's energy was allocated by sharing (EDC).",
        ),
        "q.shared_wh / 1000.0",
        "Σ shared",
    ),
    _kpi(
        "ean_unshared_kwh",
        Title(cs="Nenasdílený přebytek", en="Surplus not shared"),
        Title(
            cs="Co místo dodalo a nikdo ve skupině nespotřeboval. Bez údaje o sdílení není.",
            en="What a metering point gave and nobody in the group used. Unknown where sharing is.",
        ),
        "CASE q.export_wh WHEN 0 THEN 0 ELSE CASE WHEN q.shared_wh IS NOT NULL THEN greatest(q.export_wh - "
        "q.shared_wh, 0) END END / 1000.0",
        "Σ max(export − shared, 0)",
    ),
)
