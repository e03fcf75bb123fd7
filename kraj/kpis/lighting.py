"""KPIs of street lighting, in TALQ's words: what was saved and by what, what was lit and for how long."""

from kraj.kpis.kpi import DAY, FACTOR, PRICE, Domain, Grain, Kpi, Measure, days
from kraj.metrics import Title

_BEFORE = "coalesce(b.power_w, l.full_w) / 1000"
_LEDGER = "rules/lighting/ledger.py; IPMVP option B"


_HEARD = "l.lit_h + l.outage_h > 0"


def _ledger(
    part: str,
    *,
    whole: str = "NULL",
    covered: str = "l.lit_h + l.outage_h",
    due: str = "l.due_h",
    known: str = _HEARD,
    more: str = "",
) -> str:
    """Rows of the ledger's days; ``b`` is the baseline that held on the day, by what is declared today."""
    return f"""
SELECT l.bucket, l.municipality_id, l.asset_id, l.group_id, v.part, v.whole,
    CASE WHEN v.part IS NULL THEN 0 ELSE {covered} END AS covered, {due} AS due
FROM lamp_day l LEFT JOIN LATERAL (
    SELECT n.power_w FROM lighting_baseline n
    WHERE n.group_id = l.group_id AND n.valid_from <= {DAY.format("l")}
    ORDER BY n.version DESC LIMIT 1) b ON true{more}
CROSS JOIN LATERAL (SELECT CASE WHEN {known} THEN ({part})::double precision END AS part,
    CASE WHEN {known} THEN ({whole})::double precision END AS whole) v"""  # noqa: S608 - our own words


_LED = f"CASE WHEN b.power_w IS NOT NULL THEN ({_BEFORE} - l.full_w / 1000) * l.lit_h END"
_DIMMING = "l.full_w / 1000 * l.lit_h - l.lit_kwh"

LIGHTING = (
    Kpi(
        name="lighting_energy_kwh",
        measure=Measure.KWH,
        domain=Domain.LIGHTING,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Spotřeba svítidel", en="Energy of lamps"),
        meaning=Title(
            cs="Kolik svítidla odebrala podle vlastních elektroměrů. Svítidla bez řídicí jednotky v tom nejsou.",
            en="What lamps took by their own meters. Lamps without a controller are not in it.",
        ),
        formula="Σ ΔE / 1000",
        source="DiiA part 252 activeEnergy",
        rows=days("lamp", "r.energy_wh / 1000"),
    ),
    Kpi(
        name="lighting_cost_czk",
        measure=Measure.CZK,
        domain=Domain.LIGHTING,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Cena odebrané energie", en="Cost of the energy of lamps"),
        meaning=Title(
            cs="Spotřeba svítidel krát cena platná ten den. Den bez ceny se nepočítá a sníží úplnost.",
            en="The energy of lamps at the price of that day. A day without a price is left out and lowers "
            "completeness.",
        ),
        formula="Σ ΔE / 1000 · price(day, import)",
        source="tariff",
        rows=days("lamp", "r.energy_wh / 1000 * p.czk", more=PRICE.format("import")),
    ),
    Kpi(
        name="lighting_saved_led_kwh",
        measure=Measure.KWH,
        domain=Domain.LIGHTING,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Úspora výměnou za LED", en="Saved by LEDs"),
        meaning=Title(
            cs="O kolik víc by za dobu svícení odebraly původní lampy než dnešní na plný výkon. Bez doloženého "
            "původního "
            "příkonu úseku není údaj.",
            en="How much more the old lamps would have taken, while these were lit, than these at full light. No "
            "figure for "
            "a segment whose old power nobody has declared.",
        ),
        formula="Σ (P_baseline − P_full) · t_lit",
        source=_LEDGER,
        rows=_ledger(_LED),
    ),
    Kpi(
        name="lighting_saved_dimming_kwh",
        measure=Measure.KWH,
        domain=Domain.LIGHTING,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Úspora stmíváním", en="Saved by dimming"),
        meaning=Title(
            cs="O kolik méně svítidla za dobu svícení odebrala, než kdyby svítila naplno.",
            en="How much less lamps took, while they were lit, than at full light.",
        ),
        formula="Σ P_full · t_lit − E_lit",
        source=_LEDGER,
        rows=_ledger(_DIMMING),
    ),
    Kpi(
        name="lighting_outage_kwh",
        measure=Measure.KWH,
        domain=Domain.LIGHTING,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Neodebráno kvůli výpadkům (není úspora)", en="Not taken because of outages (no saving)"),
        meaning=Title(
            cs="Co by odebraly lampy, které měly svítit a nesvítily. Tma není úspora, proto stojí zvlášť.",
            en="What lamps would have taken that were to be lit and were dark. Darkness is no saving: it stands apart.",
        ),
        formula="Σ P_baseline (else P_full) · t_outage − E_dark",
        source=_LEDGER,
        rows=_ledger(f"{_BEFORE} * l.outage_h - l.dark_kwh"),
    ),
    Kpi(
        name="lighting_saved_co2_kg",
        measure=Measure.CO2_KG,
        domain=Domain.LIGHTING,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Ušetřený CO₂", en="CO₂ saved by lighting"),
        meaning=Title(
            cs="Úspora LED a stmíváním krát emisní faktor platný ten den.",
            en="What LEDs and dimming saved at the emission factor of that day.",
        ),
        formula="Σ (LED + dimming) · g(day) / 1000",
        source="co2_factor; GHG Protocol scope 2, location-based",
        rows=_ledger(f"({_LED} + {_DIMMING}) / 1000 * f.g", more=FACTOR.format("l")),
    ),
    Kpi(
        name="lighting_lit_2200_pct",
        measure=Measure.PERCENT,
        domain=Domain.LIGHTING,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Svítí ve 22:00", en="Lit at 22:00"),
        meaning=Title(
            cs="Z lamp, které měly ve 22:00 podle programu svítit a o kterých se to ví, kolik svítilo.",
            en="Of the lamps that were to be lit at 22:00 by their program, and of which it is known, how many were.",
        ),
        formula="100 · lit / due, at 22:00 in Prague",
        source="TALQ; shared practice of operators",
        rows=_ledger(
            "l.lit_2200::integer",
            whole="1",
            known="l.lit_2200 IS NOT NULL",
            covered="1",
            due="l.due_2200::integer",
        ),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="lighting_availability_pct",
        measure=Measure.PERCENT,
        domain=Domain.LIGHTING,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Dostupnost osvětlení", en="Availability of lighting"),
        meaning=Title(
            cs="Jaký díl doby, kdy lampy měly svítit a víme o nich, opravdu svítily.",
            en="Of the time in which lamps were to be lit, and are known, the share in which they were.",
        ),
        formula="100 · (1 − t_dark / t_due)",
        source="EN 50126 (steady-state availability)",
        rows=_ledger("l.lit_h", whole="l.lit_h + l.outage_h"),
        ratio=True,
        scale=100,
    ),
)
