"""KPIs of smart stops: how long the battery lasts, whether the display tells the truth, what works."""

from kraj.kpis.kpi import ON_DAY, Domain, Grain, Kpi, Measure, days, number
from kraj.metrics import Title

EFFICIENCY = 0.95
"""As in rules/waiting/energy.py."""
_LEAST = f"coalesce({number('battery_soc_min_pct')}, 15)"
_CAPACITY = f"coalesce({number('battery_capacity_wh')}, 1200)"
_STORED = (
    f"CASE WHEN r.battery_soc_pct IS NOT NULL THEN greatest(r.battery_soc_pct - {_LEAST}, 0) END / 100 * {_CAPACITY}"
    f" * coalesce(r.battery_soh_pct, 100) / 100 * {EFFICIENCY}"
)
_FINE = f"\nLEFT JOIN stop_day k ON {ON_DAY.format('k')}"

STOPS = (
    Kpi(
        name="stop_autonomy_d",
        measure=Measure.DAY,
        domain=Domain.STOPS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Výdrž zastávky bez slunce", en="Autonomy without sun"),
        meaning=Title(
            cs="Kolik dní by zastávka se svým denním odběrem vydržela z baterie, kdyby slunce vůbec nesvítilo.",
            en="For how many days a stop, taking what it took that day, would last on its battery without any sun.",
        ),
        formula="Σ (SoC − SoC_min) · C · SoH · 0.95 / Σ (P_load · 24 h)",
        source="stops: days of autonomy, without forecast PV",
        rows=days(
            "stop", _STORED, whole="r.load_power_w * 24", known="r.battery_soc_pct IS NOT NULL AND r.load_power_w > 0"
        ),
        ratio=True,
    ),
    Kpi(
        name="stop_display_truth_pct",
        measure=Measure.PERCENT,
        domain=Domain.STOPS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Pravdivost displeje", en="Display truth"),
        meaning=Title(
            cs="Jaký díl známé doby ukazoval displej obsah ne starší dvou intervalů a vykreslení se dařilo.",
            en="Of the known time, the share in which the display's content was no older than two intervals and was "
            "drawn.",
        ),
        formula="100 · t(age ≤ 2 · interval and refresh ok) / t(known), by quarter-hours",
        source="TALQ TextDisplayActuator",
        rows=days("stop", "k.display_true_s", whole="k.display_known_s", known="k.display_known_s > 0", more=_FINE),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="stop_uptime_pct",
        measure=Measure.PERCENT,
        domain=Domain.STOPS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Provoz zastávek", en="Uptime of stops"),
        meaning=Title(
            cs="Jaký díl dne bylo o zastávce slyšet. Mlčení je tu výpadek, proto je úplnost vždy celá.",
            en="The share of the day in which the stop was heard. Silence is downtime here: completeness is always "
            "whole.",
        ),
        formula="100 · t(heard) / t(installed)",
        source="EN 50126 (operational availability)",
        rows=f"""
SELECT d.bucket, d.municipality_id, d.asset_id, NULL::integer AS group_id,
    least(coalesce(r.covered_s, 0), d.due_s)::double precision AS part, d.due_s::double precision AS whole,
    d.due_s AS covered, d.due_s AS due
FROM asset_day d LEFT JOIN rollup_stop_1d r ON {ON_DAY.format("r")} WHERE d.kind = 'stop'""",  # noqa: S608 - our own words
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="stop_charging_uptime_pct",
        measure=Measure.PERCENT,
        domain=Domain.STOPS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Provoz nabíjení", en="Uptime of charging ports"),
        meaning=Title(
            cs="Jaký díl známé doby byly porty USB k dispozici; vypnuté, přetížené a zablokované nejsou.",
            en="Of the known time of USB ports, the share in which they could be used; off, overloaded and latched "
            "ones not.",
        ),
        formula="100 · t(idle or charging) / t(known), by ports and quarter-hours",
        source="USB-IF Battery Charging 1.2",
        rows=days("stop", "k.usb_up_s", whole="k.usb_known_s", known="k.usb_known_s > 0", more=_FINE),
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="stop_lit_when_dark_pct",
        measure=Measure.PERCENT,
        domain=Domain.STOPS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Svítí za tmy", en="Lit when dark"),
        meaning=Title(
            cs="Jaký díl známé doby za tmy na zastávce svítilo světlo, i kdyby ztlumené. Zastávky bez světla v tom "
            "nejsou.",
            en="Of the known time of darkness, the share in which the stop's light burned, if only dimmed. Stops "
            "without a light are not in it.",
        ),
        formula="100 · t(level > 0) / t(known), while the sun is 6° and more below the horizon, by quarter-hours",
        source="TALQ LampActuator actualLightState",
        rows=f"""
SELECT d.bucket, d.municipality_id, d.asset_id, NULL::integer AS group_id,
    CASE WHEN k.light_known_s > 0 THEN k.light_lit_s END::double precision AS part,
    CASE WHEN k.light_known_s > 0 THEN k.light_known_s END::double precision AS whole,
    coalesce(k.light_known_s, 0) AS covered, coalesce(k.dark_s, 0) AS due
FROM asset_day d{_FINE} WHERE d.kind = 'stop'""",  # noqa: S608 - our own words
        ratio=True,
        scale=100,
    ),
    Kpi(
        name="stop_sos_availability_pct",
        measure=Measure.PERCENT,
        domain=Domain.STOPS,
        grain=Grain.ASSET_DAY,
        title=Title(cs="Dostupnost SOS", en="Availability of SOS"),
        meaning=Title(
            cs="Jaký díl známé doby měla poslední zkouška tlačítka SOS dobrý výsledek a nebyla starší osmi dní.",
            en="Of the known time, the share in which the last self-test of SOS had passed and was no older than "
            "eight days.",
        ),
        formula="100 · t(self-test ok, age ≤ 8 d) / t(known)",
        source="stops: weekly self-test",
        rows=days(
            "stop",
            "CASE WHEN r.sos_selftest_age_s <= 8 * 86400 THEN r.sos_selftest_ok ELSE 0 END * r.covered_s",
            whole="r.covered_s",
            known="r.sos_selftest_ok IS NOT NULL AND r.sos_selftest_age_s IS NOT NULL",
        ),
        ratio=True,
        scale=100,
    ),
)
