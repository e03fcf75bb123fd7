"""KPIs of rooftop PV by IEC 61724-1: yield, expected yield, performance ratio, availability, use of one's own."""

from kraj.kpis.kpi import FACTOR, ON_DAY, Domain, Grain, Kpi, Measure, days, number
from kraj.metrics import Title

_PEAK_KW = f"nullif({number('power_peak_w')}, 0) / 1000"
_OWN = "greatest(r.energy_wh - r.export_energy_wh, 0)"


def _computed(part: str, whole: str, known: str) -> str:
    """Rows of the day step's figures: covered is the light of day for which they are known."""
    return f"""
SELECT d.bucket, d.municipality_id, d.asset_id, NULL::integer AS group_id,
    CASE WHEN {known} > 0 THEN {part} END AS part, CASE WHEN {known} > 0 THEN {whole} END AS whole,
    coalesce({known}, 0) AS covered, coalesce(k.light_s, d.due_s) AS due
FROM asset_day d JOIN asset a ON a.asset_id = d.asset_id
LEFT JOIN solar_day k ON {ON_DAY.format("k")}
WHERE d.kind = 'solar'"""  # noqa: S608 - our own words


ROOFS = (
    Kpi(
        name="pv_energy_kwh",
        measure=Measure.KWH,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Výroba střech", en="Energy of roofs"),
        meaning=Title(cs="Co střídače vyrobily podle počitadel.", en="What inverters gave by their counters."),
        formula="Σ ΔE_out / 1000",
        source="IEC 61724-1 E_out",
        rows=days("solar", "r.energy_wh / 1000"),
    ),
    Kpi(
        name="pv_specific_yield_kwh_per_kwp",
        measure=Measure.KWH_PER_KWP,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Měrný výnos za den", en="Specific yield a day"),
        meaning=Title(
            cs="Výroba na kilowatt panelů a den; roky, měsíce i různě velké střechy se dají srovnat.",
            en="Energy for each kilowatt of modules and day; years, months and roofs of any size compare.",
        ),
        formula="Σ ΔE_out / Σ (P_0 · days)",
        source="IEC 61724-1 Y_f",
        rows=days(
            "solar",
            f"CASE WHEN {_PEAK_KW} IS NOT NULL THEN r.energy_wh / 1000 END",
            whole=f"CASE WHEN r.energy_wh IS NOT NULL THEN {_PEAK_KW} END",
        ),
        ratio=True,
    ),
    Kpi(
        name="pv_expected_kwh",
        measure=Measure.KWH,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Očekávaná výroba", en="Expected energy of roofs"),
        meaning=Title(
            cs="Co měla zdravá střecha dát: podle čidla osvitu, jinak podle pěti a více sousedů do 25 km.",
            en="What a sound roof should have given: by its irradiance sensor, else by five or more peers within 25 "
            "km.",
        ),
        formula="Σ P_exp · 15 min; PVWatts on Hay–Davies, or clear sky · median of peers",
        source="IEC 61724-1 expected energy; NREL/TP-6A20-62641",
        rows=_computed("k.expected_wh / 1000", "NULL::double precision", "k.expected_s"),
    ),
    Kpi(
        name="pv_performance_index_pct",
        measure=Measure.PERCENT,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Výroba proti očekávané", en="Energy against what was expected"),
        meaning=Title(
            cs="Vyrobená energie v procentech očekávané, jen z dob, kdy je známé obojí.",
            en="The energy made in per cent of what was expected, of times alone in which both are known.",
        ),
        formula="100 · Σ E_out / Σ E_exp",
        source="IEC 61724-1 energy performance index",
        rows=_computed("k.expected_of_wh", "k.expected_wh", "k.expected_s"),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="pv_performance_ratio_pct",
        measure=Measure.PERCENT,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Poměr výkonnosti (PR)", en="Performance ratio (PR)"),
        meaning=Title(
            cs="Jakou část energie dopadlého světla střecha dala, měřeno výkonem panelů ze štítku, s opravou o "
            "teplotu, kde "
            "ji panel měří. Jen střechy s čidlem osvitu.",
            en="Which part of the light that fell on it a roof gave, by the modules' rated power, corrected for "
            "temperature "
            "where a module measures it. Roofs with an irradiance sensor only.",
        ),
        formula="100 · Σ E_out / Σ (P_0 · G_i / 1000 · (1 + γ (T_mod − 25)))",
        source="IEC 61724-1 PR, PR'_25°C",
        rows=_computed("k.reference_of_wh", "k.reference_wh", "k.reference_s"),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="pv_availability_pct",
        measure=Measure.PERCENT,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Dostupnost střech", en="Availability of roofs"),
        meaning=Title(
            cs="Jaký díl doby, kdy bylo dost světla a o střeše víme, střídač dodával.",
            en="Of the time with light enough in which the roof is known, the share in which the inverter gave power.",
        ),
        formula="100 · t(P ≥ 0.5 % of rating) / t(clear-sky power ≥ 10 % of rating)",
        source="IEC TS 63019 (time-based availability)",
        rows=_computed("k.giving_s", "k.known_s", "k.known_s"),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="pv_energy_availability_pct",
        measure=Measure.PERCENT,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Energetická dostupnost střech", en="Energy availability of roofs"),
        meaning=Title(
            cs="Jaký díl energie, kterou střecha měla dát, připadá na dobu, kdy střídač dodával. Výpadek v poledne "
            "váží víc než ráno.",
            en="Of the energy that the roof should have given, the share that falls into the time in which the "
            "inverter gave power. An outage at noon weighs more than one in the morning.",
        ),
        formula="100 · Σ E_exp(P ≥ 0.5 % of rating) / Σ E_exp, while clear-sky power ≥ 10 % of rating",
        source="IEC TS 63019 (energy-based availability)",
        rows=_computed("k.available_wh", "nullif(k.asked_wh, 0)", "k.asked_s"),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="pv_against_peers_pct",
        measure=Measure.PERCENT,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Výnos proti sousedům", en="Yield against peers"),
        meaning=Title(
            cs="Výnos na kilowatt panelů v procentech toho, co ve stejnou dobu daly podobně natočené střechy do 25 km. "
            "Méně než pět sousedů není údaj.",
            en="The yield of a kilowatt of modules in per cent of what roofs within 25 km that face alike gave in the "
            "same time. Fewer than five peers are no figure.",
        ),
        formula="100 · Σ E_out / Σ (P_0 · median of peers' E_out / P_0), by quarter-hours",
        source="IEC 61724-1 Y_f; peers as for the rules (rules/peers.py)",
        rows=_computed("k.peers_of_wh", "nullif(k.peers_wh, 0)", "k.peers_s"),
        unknown=Title(
            cs="Žádná střecha neměla ve stejnou dobu pět podobně natočených sousedů do 25 km.",
            en="No roof had five peers at a time that face alike within 25 km.",
        ),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="pv_self_consumption_pct",
        measure=Measure.PERCENT,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Vlastní spotřeba výroby", en="Self-consumption"),
        meaning=Title(
            cs="Jaký díl vyrobené energie se spotřeboval v budově, a nešel do sítě.",
            en="The share of the energy made that was used in the building and did not go to the grid.",
        ),
        formula="100 · (E_out − E_export) / E_out",
        source="IEC 61724-1; SunSpec 203",
        rows=days("solar", _OWN, whole="r.energy_wh", known="r.energy_wh + r.export_energy_wh IS NOT NULL"),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="pv_self_sufficiency_pct",
        measure=Measure.PERCENT,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Soběstačnost budovy", en="Self-sufficiency"),
        meaning=Title(
            cs="Jaký díl spotřeby budovy pokryla její střecha.",
            en="The share of what the building used that its roof gave.",
        ),
        formula="100 · (E_out − E_export) / (E_out − E_export + E_import)",
        source="IEC 61724-1; SunSpec 203",
        rows=days(
            "solar",
            _OWN,
            whole=f"{_OWN} + r.import_energy_wh",
            known="r.energy_wh + r.export_energy_wh + r.import_energy_wh IS NOT NULL",
        ),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="pv_export_kwh",
        measure=Measure.KWH,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Dodávka do sítě", en="Energy exported"),
        meaning=Title(cs="Co šlo z budovy do sítě.", en="What went from the building to the grid."),
        formula="Σ ΔE_export / 1000",
        source="SunSpec 203 TotWhExp",
        rows=days("solar", "r.export_energy_wh / 1000"),
    ),
    Kpi(
        name="pv_avoided_co2_kg",
        measure=Measure.CO2_KG,
        domain=Domain.ROOFS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Nahrazený CO₂", en="CO₂ avoided by roofs"),
        meaning=Title(
            cs="Výroba střech krát emisní faktor platný ten den.", en="The roofs' energy at the factor of that day."
        ),
        formula="Σ ΔE_out · g(day) / 10⁶",
        source="co2_factor; GHG Protocol scope 2, location-based",
        rows=days("solar", "r.energy_wh / 1e6 * f.g", more=FACTOR.format("d")),
    ),
)
