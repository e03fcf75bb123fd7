"""Data sets of what was: energy of lighting and roofs by day, air by hour, faults by month."""

from typing import Final

from kraj.kinds.stop import AIR, STOP
from kraj.kpis import KPIS
from kraj.metrics import Metric, Title
from kraj.opendata.assets import label, number
from kraj.opendata.dataset import COMPLETENESS, MUNICIPALITY, Column, Dataset, Frequency, Type

DAYS: Final = 800
"""So far back days go: two years and what one compares them with."""
HOURS_DAYS: Final = 31
"""Of air by hour; older hours are told by SensorThings."""
FAULTS: Final = {
    "light_out": (
        *("lamp_out", "feeder_outage", "cabinet_outage", "phase_lost", "grid_outage", "circuit_unlit", "lamps_dark"),
        *("cabinet_dark", "phase_dark", "lamp_dark"),
    ),
    "light_by_day": ("day_burner", "circuit_day_burning"),
    "stop_display": ("display_stale",),
    "stop_wifi": ("wifi_down", "uplink_down"),
    "stop_charging": ("usb_overcurrent",),
    "stop_voice": ("voice_failed",),
    "stop_energy": ("autonomy_low", "autonomy_critical", "pv_dead"),
    "roof_output": (
        *("inverter_fault", "zero_output", "zero_output_unconfirmed", "zero_output_lasting", "no_start", "string_open"),
        *("partial_loss", "peer_underperformance"),
    ),
}
"""Kinds of faults that may be counted in public, and their rules. No SOS, doors, thefts or batteries, no silence."""

_HERE: Final = "AT TIME ZONE 'Europe/Prague'"
_PUBLISHED: Final = "JOIN municipality m ON m.municipality_id = {0}.municipality_id AND m.published"
_OWNED: Final = (
    "JOIN asset a ON a.asset_id = {0}.asset_id AND a.municipality_id = {0}.municipality_id AND a.retired_at IS NULL"
)
"""Only what is there still, and still belongs to whom it belonged then."""
_DAY: Final = Column(
    name="day",
    type=Type.DATE,
    title=Title(cs="Den", en="Day"),
    meaning=Title(cs="Den v Praze, od půlnoci do půlnoci.", en="A day in Prague, from midnight to midnight."),
    required=True,
)
_OVER: Final = f"s.day < (%(at)s {_HERE})::date AND s.day >= (%(at)s {_HERE})::date - {DAYS}"
_AIR: Final = tuple(metric for metric in AIR if metric.public)
_RULES: Final = ", ".join(f"('{kind}', '{rule}')" for kind, rules in FAULTS.items() for rule in rules)
_FACTOR: Final = f"""
LEFT JOIN LATERAL (
    SELECT c.g_per_kwh::float8 AS g FROM co2_factor c
    WHERE (c.municipality_id = d.municipality_id OR c.municipality_id IS NULL)
        AND c.valid_from <= (d.bucket {_HERE})::date
    ORDER BY c.municipality_id IS NULL, c.valid_from DESC, c.co2_factor_id DESC LIMIT 1
) f ON true"""  # noqa: S608 - our own words


def _measured(metric: Metric) -> Column:
    return Column(
        name=metric.name,
        type=Type.NUMBER,
        title=metric.title,
        meaning=Title(
            cs="Průměr za hodinu; čidlo zastávky, ne měřicí stanice ČHMÚ.",
            en="Mean of the hour; a stop's sensor, not a station of the weather institute.",
        ),
        unit=metric.unit.symbol,
        decimals=max(metric.decimals, 1),
    )


def _count(name: str, title: Title, meaning: Title) -> Column:
    return Column(name=name, type=Type.INTEGER, title=title, meaning=meaning, required=True)


def _energy(title: Title, meaning: Title) -> Column:
    return Column(name="energy_kwh", type=Type.NUMBER, title=title, meaning=meaning, unit="kWh", decimals=3)


SERIES: Final = (
    Dataset(
        name="lighting-energy",
        title=Title(cs="Spotřeba veřejného osvětlení po dnech", en="Energy of public lighting by day"),
        meaning=Title(
            cs="Kolik odebrala svítidla obce podle vlastních elektroměrů, po dnech, s úplností. Svítidla bez řídicí "
            "jednotky v tom nejsou.",
            en="What a municipality's lamps took by their own meters, by day, with completeness. Lamps without a "
            "controller are not in it.",
        ),
        keywords=(
            Title(cs="veřejné osvětlení", en="street lighting"),
            Title(cs="spotřeba elektřiny", en="electricity consumption"),
        ),
        themes=("ENER",),
        frequency=Frequency.DAILY,
        resolution="P1D",
        columns=(
            _DAY,
            *MUNICIPALITY,
            _energy(
                Title(cs="Spotřeba svítidel", en="Energy of lamps"),
                Title(cs="Součet za svítidla, která ten den známe.", en="Sum over the lamps that are known that day."),
            ),
            _count(
                "lamps",
                Title(cs="Svítidel", en="Lamps"),
                Title(cs="Kolik se jich ten den mělo hlásit.", en="How many were to be heard that day."),
            ),
            _count(
                "lamps_known",
                Title(cs="Svítidel s údajem", en="Lamps known"),
                Title(cs="Kolik jich v součtu je.", en="How many are in the sum."),
            ),
            COMPLETENESS,
        ),
        key=("day", "municipality"),
        rows="SELECT day, municipality, title, energy_kwh, lamps, lamps_known, completeness_pct"  # noqa: S608 - our own words
        f" FROM open_lighting_energy s WHERE {_OVER} ORDER BY day, municipality",
        view=f"""
SELECT (k.bucket {_HERE})::date AS day, m.name AS municipality, m.title, sum(k.part) AS energy_kwh,
    count(*)::integer AS lamps, count(k.part)::integer AS lamps_known,
    100 * sum(k.covered) / nullif(sum(k.due), 0) AS completeness_pct
FROM ({KPIS["lighting_energy_kwh"].rows}) k {_PUBLISHED.format("k")}
GROUP BY 1, 2, 3""",  # noqa: S608 - our own words
    ),
    Dataset(
        name="roof-energy",
        title=Title(cs="Výroba solárních střech po dnech", en="Energy of solar roofs by day"),
        meaning=Title(
            cs="Co která střecha vyrobila a kolik CO₂ tím nahradila, po dnech, s úplností. CO₂ jen ve dnech, pro něž "
            "je zapsán emisní faktor.",
            en="What each roof made and how much CO₂ that avoided, by day, with completeness. CO₂ only of days for "
            "which an emission factor was declared.",
        ),
        keywords=(Title(cs="fotovoltaika", en="photovoltaics"), Title(cs="CO₂", en="CO₂")),
        themes=("ENER", "ENVI"),
        frequency=Frequency.DAILY,
        resolution="P1D",
        columns=(
            _DAY,
            number(Title(cs="Číslo střechy", en="Number of the roof")),
            label(Title(cs="Střecha", en="Roof")),
            *MUNICIPALITY,
            _energy(
                Title(cs="Výroba", en="Energy"), Title(cs="Podle počitadla střídače.", en="By the inverter's counter.")
            ),
            Column(
                name="avoided_co2_kg",
                type=Type.NUMBER,
                title=Title(cs="Nahrazený CO₂", en="CO₂ avoided"),
                meaning=Title(
                    cs="Výroba krát emisní faktor toho dne (GHG Protocol, podle místa).",
                    en="Energy at that day's emission factor (GHG Protocol, location-based).",
                ),
                unit="kg",
                decimals=3,
            ),
            COMPLETENESS,
        ),
        key=("day", "id"),
        rows="SELECT day, id, label, municipality, title, energy_kwh, avoided_co2_kg, completeness_pct"  # noqa: S608 - our own words
        f" FROM open_roof_energy s WHERE {_OVER} ORDER BY day, id",
        view=f"""
SELECT (d.bucket {_HERE})::date AS day, d.asset_id AS id, a.label, m.name AS municipality, m.title,
    r.energy_wh / 1000 AS energy_kwh, r.energy_wh / 1e6 * f.g AS avoided_co2_kg,
    100 * CASE WHEN r.energy_wh IS NULL THEN 0 ELSE least(r.covered_s, d.due_s) END / nullif(d.due_s, 0)
        AS completeness_pct
FROM asset_day d {_OWNED.format("d")} {_PUBLISHED.format("d")}
LEFT JOIN rollup_solar_1d r ON r.asset_id = d.asset_id AND r.bucket = d.bucket
    AND r.municipality_id = d.municipality_id AND r.covered_s > 0{_FACTOR}
WHERE d.kind = 'solar'""",  # noqa: S608 - our own words
    ),
    Dataset(
        name="air-quality",
        title=Title(cs="Ovzduší na zastávkách po hodinách", en="Air at stops by hour"),
        meaning=Title(
            cs="Prach, teplota a vlhkost vzduchu z čidel zastávek, hodinové průměry za posledních 31 dnů.",
            en="Particulate matter, temperature and humidity by stops' sensors, hourly means of the last 31 days.",
        ),
        keywords=(
            Title(cs="kvalita ovzduší", en="air quality"),
            Title(cs="PM2,5", en="PM2.5"),
            Title(cs="teplota", en="temperature"),
        ),
        themes=("ENVI",),
        frequency=Frequency.HOURLY,
        resolution="PT1H",
        columns=(
            Column(
                name="hour",
                type=Type.INSTANT,
                title=Title(cs="Hodina", en="Hour"),
                meaning=Title(cs="Začátek hodiny, v UTC.", en="When the hour began, in UTC."),
                required=True,
            ),
            number(Title(cs="Číslo zastávky", en="Number of the stop")),
            label(Title(cs="Zastávka", en="Stop")),
            *MUNICIPALITY,
            *(_measured(metric) for metric in _AIR),
            COMPLETENESS,
        ),
        key=("hour", "id"),
        rows="SELECT hour, id, label, municipality, title, "  # noqa: S608 - our own words
        + ", ".join(metric.name for metric in _AIR)
        + ", completeness_pct FROM open_air_quality s"
        + f" WHERE hour < date_trunc('hour', %(at)s::timestamptz) AND hour >= %(at)s - interval '{HOURS_DAYS} days'"
        + " ORDER BY hour, id",
        view=f"""
SELECT r.bucket AS hour, r.asset_id AS id, a.label, m.name AS municipality, m.title,
    {", ".join(f"r.{metric.name}" for metric in _AIR)}, r.covered_s / 36 AS completeness_pct
FROM {STOP.rollup_table("1h")} r {_OWNED.format("r")} {_PUBLISHED.format("r")}
WHERE coalesce({", ".join(f"r.{metric.name}" for metric in _AIR)}) IS NOT NULL""",  # noqa: S608 - our own words
    ),
    Dataset(
        name="faults",
        title=Title(cs="Poruchy a opravy po měsících", en="Faults and repairs by month"),
        meaning=Title(
            cs="Kolik poruch se v měsíci zjistilo, kolik z nich už je opravených a jak dlouho to průměrně trvalo, po "
            "obcích a druzích. Plané poplachy a důsledky jedné příčiny se nepočítají.",
            en="How many faults were found in a month, how many of them are repaired by now and how long that took on "
            "average, by municipality and kind. False alarms and consequences of one cause are not counted.",
        ),
        keywords=(Title(cs="porucha", en="fault"), Title(cs="údržba", en="maintenance")),
        themes=("GOVE", "TRAN"),
        frequency=Frequency.DAILY,
        resolution="P1M",
        columns=(
            Column(
                name="month",
                type=Type.DATE,
                title=Title(cs="Měsíc", en="Month"),
                meaning=Title(cs="První den měsíce.", en="The first day of the month."),
                required=True,
            ),
            *MUNICIPALITY,
            Column(
                name="fault",
                type=Type.TEXT,
                title=Title(cs="Druh poruchy", en="Kind of fault"),
                meaning=Title(
                    cs="light_out (nesvítí), light_by_day (svítí ve dne), stop_display, stop_wifi, stop_charging, "
                    "stop_voice, stop_energy (zastávka), roof_output (střecha nevyrábí, co má).",
                    en=f"{', '.join(FAULTS)}.",
                ),
                required=True,
            ),
            _count(
                "found",
                Title(cs="Zjištěno", en="Found"),
                Title(cs="Poruchy ohlášené v tom měsíci.", en="Faults that were opened in that month."),
            ),
            _count(
                "repaired",
                Title(cs="Opraveno", en="Repaired"),
                Title(
                    cs="Kolik z nich už měření potvrdilo za opravené.", en="How many of them telemetry shows repaired."
                ),
            ),
            Column(
                name="repair_mean_h",
                type=Type.NUMBER,
                title=Title(cs="Průměrná doba opravy", en="Mean time to repair"),
                meaning=Title(
                    cs="Od hlášení po potvrzení, u opravených.", en="From the alert to its proof, of those repaired."
                ),
                unit="h",
            ),
        ),
        key=("month", "municipality", "fault"),
        rows="SELECT month, municipality, title, fault, found, repaired, repair_mean_h FROM open_faults"
        " ORDER BY month, municipality, fault",
        view=f"""
SELECT date_trunc('month', l.opened_at {_HERE})::date AS month, m.name AS municipality, m.title, o.fault,
    count(*)::integer AS found, count(l.cleared_at)::integer AS repaired,
    (avg(greatest(extract(epoch FROM l.cleared_at - l.opened_at), 0)) FILTER (WHERE l.cleared_at IS NOT NULL)
        / 3600)::float8 AS repair_mean_h
FROM alert l {_PUBLISHED.format("l")} JOIN (VALUES {_RULES}) AS o (fault, rule) ON o.rule = l.rule
WHERE l.parent_id IS NULL AND l.severity NOT IN ('info', 'plan')
    AND NOT EXISTS (SELECT FROM alert_event e WHERE e.alert_id = l.alert_id AND e.step = 'false_alarm')
GROUP BY 1, 2, 3, 4""",  # noqa: S608 - our own words
    ),
)
