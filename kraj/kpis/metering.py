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
SELECT m.bucket, m.municipality_id, NULL, NULL, m.ean, NULL, NULL, 0, m.due - m.quarters
FROM meter_day m WHERE m.quarters < m.due"""  # noqa: S608 - our own words


def _days(value: str) -> str:
    """Rows of days, each with all of its quarter-hours due."""
    return f"""
SELECT m.bucket, m.municipality_id, NULL::integer AS asset_id, NULL::integer AS group_id, m.ean,
    (m.{value}_wh / 1000.0)::double precision AS part, NULL::double precision AS whole,
    m.{value}_known::double precision AS covered, m.due::double precision AS due
FROM meter_day m"""  # noqa: S608 - our own words


def _kpi(value: str, title: Title, meaning: Title, part: str, formula: str) -> Kpi:
    return Kpi(
        name=f"ean_{value}_kwh",
        measure=Measure.KWH,
        domain=Domain.METERING,
        grain=Grain.EAN_QUARTER,
        title=title,
        meaning=meaning,
        formula=formula,
        source="OTE/EDC quarter-hours (vyhláška 408/2015)",
        rows=_quarters(part),
        by_day=_days(value),
    )


METERING = (
    _kpi(
        "import",
        Title(cs="Odběr místa", en="Import of a metering point"),
        Title(cs="Co odběrné místo vzalo ze sítě.", en="What a metering point took from the grid."),
        "q.import_wh / 1000.0",
        "Σ import",
    ),
    _kpi(
        "export",
        Title(cs="Dodávka místa", en="Export of a metering point"),
        Title(cs="Co místo dodalo do sítě.", en="What a metering point gave to the grid."),
        "q.export_wh / 1000.0",
        "Σ export",
    ),
    _kpi(
        "shared",
        Title(cs="Nasdílená energie", en="Energy shared"),
        Title(
            cs="Co z dodávky nebo odběru místa přiřadilo sdílení (EDC).",
            en="What of a metering point's energy was allocated by sharing (EDC).",
        ),
        "q.shared_wh / 1000.0",
        "Σ shared",
    ),
    _kpi(
        "unshared",
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
