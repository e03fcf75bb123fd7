"""Street lighting: what segments take and save by dimming, cabinets, and the lamps one by one."""

from dashboards import sql
from dashboards.board import Board, Row, console, group, municipality, source, step
from dashboards.boards import alerts, figures, fleet
from dashboards.panels import Column, Panel, figure, series
from dashboards.units import SHARE
from dashboards.wording import Words

NAMED = "JOIN (SELECT group_id AS number, name FROM seen_group) AS g ON g.number = group_id"
SEGMENTS = f"{sql.TOWN} AND (0 IN (${{group}}) OR group_id IN (${{group}}))"
LAMPS = fleet.of_kind("lamp")
OF_LIGHTING = "asset_id IN (SELECT asset_id FROM seen_asset WHERE kind IN ('lamp', 'cabinet'))"
LIGHTING_KPIS = (
    "lighting_availability_pct",
    "lighting_lit_2200_pct",
    "lighting_energy_kwh",
    "lighting_cost_czk",
    "lighting_saved_led_kwh",
    "lighting_saved_dimming_kwh",
    "lighting_outage_kwh",
    "lighting_saved_co2_kg",
)
SAVED_KPIS = ("lighting_saved_led_kwh", "lighting_saved_dimming_kwh", "lighting_outage_kwh")
LIT_KPIS = ("lighting_availability_pct", "lighting_lit_2200_pct")


def board(words: Words) -> Board:
    """From the segment over the cabinet to the lamp."""
    none = words("board.none")
    cabinets = sql.rollup("cabinet")
    labels = (
        "JOIN (SELECT asset_id AS number, label FROM seen_asset WHERE kind = 'cabinet') AS a ON a.number = asset_id"
    )
    energy = f"SELECT sum(energy_wh) FROM {sql.rollup('lamp')} WHERE {fleet.WHERE} AND {sql.TIME}"  # noqa: S608
    return Board(
        slug="lighting",
        title=words("lighting.title"),
        about=words("lighting.about"),
        rows=[
            Row(
                words("overview.now"),
                [
                    alerts.counted(words, LAMPS),
                    figure(words("overview.lighting"), energy, "watth", none=none),
                    figure(words("lighting.lit"), _lit(), SHARE, none=none, about=words("lighting.lit_about")),
                    figure(
                        words("board.completeness"),
                        sql.completeness(["lamp"], fleet.WHERE),
                        SHARE,
                        none=none,
                        about=words("board.completeness_about"),
                    ),
                ],
                height=4,
                widths=(12, 4, 4, 4),
            ),
            *figures.figures(words, words("kpi.row"), LIGHTING_KPIS, fleet.WHERE),
            *figures.figures(words, words("alerts.times"), alerts.FAULT_KPIS, f"{fleet.WHERE} AND {OF_LIGHTING}"),
            Row(
                words("lighting.by_day"),
                [
                    figures.days(words, words("lighting.saved"), SAVED_KPIS, fleet.WHERE, draw="stacked"),
                    figures.days(words, words("lighting.availability"), LIT_KPIS, fleet.WHERE),
                ],
            ),
            Row(
                words("lighting.segments"),
                [
                    series(words("lighting.segment_power"), _by_segment("sum(power_w)"), "watt", low=0),
                    series(
                        words("lighting.segment_level"),
                        _by_segment("avg(level_commanded_pct)"),
                        "percent",
                        low=0,
                        high=100,
                    ),
                    series(
                        words("lighting.segment_energy"),
                        _by_segment("sum(energy_wh)"),
                        "watth",
                        draw="stacked",
                        about=words("lighting.segment_energy_about"),
                    ),
                ],
            ),
            Row(
                words("lighting.cabinets"),
                [
                    series(
                        words("lighting.cabinet_power"),
                        sql.lines_by(cabinets, fleet.WHERE, "label", "sum(power_w)", labels),
                        "watt",
                        low=0,
                    ),
                    series(
                        words("lighting.contactor"),
                        sql.lines_by(cabinets, fleet.WHERE, "label", "max(contactor_closed)", labels),
                        SHARE,
                        low=0,
                        high=1,
                        about=words("lighting.contactor_about"),
                    ),
                ],
            ),
            Row("", [_cabinets(words)]),
            Row(
                words("lighting.lamps"),
                [fleet.located(words, "lamp", words("lighting.map")), _lamps(words)],
                height=16,
                widths=(10, 14),
            ),
        ],
        variables=[source(words), console(), municipality(words), group(words), step()],
        alerts="(a.scope_type <> 'asset' OR a.asset_id IN (SELECT asset_id FROM seen_asset"
        " WHERE kind IN ('lamp', 'cabinet'))) AND a.severity IN ('critical', 'major')",
        tags=["lighting"],
    )


def _by_segment(value: str) -> str:
    return sql.lines_by(sql.group_rollup("lamp"), SEGMENTS, "name", value, NAMED)


def _lit() -> str:
    """Of the lamps that were told to burn at their last reading, those that do."""
    return f"""
SELECT avg((power_w > 3)::integer) FROM seen_latest_lamp
WHERE {fleet.WHERE} AND level_commanded_pct > 0 AND ts > now() - interval '90 minutes'
"""  # noqa: S608


def _cabinets(words: Words) -> Panel:
    return fleet.table(
        words,
        "cabinet",
        words("lighting.cabinets"),
        {
            "energy": ("sum(r.energy_wh)", Column(title=words("fleet.energy"), unit="watth")),
            "power": ("avg(r.power_w)", Column(title=words("fleet.power"), unit="watt")),
            "leakage": ("max(r.leakage_ma)", Column(title=words("lighting.leakage"), unit="mamp")),
            "door": ("max(r.door_open)", Column(title=words("lighting.door"), unit=SHARE)),
        },
    )


def _lamps(words: Words) -> Panel:
    return fleet.table(
        words,
        "lamp",
        words("lighting.lamps"),
        {
            "energy": ("sum(r.energy_wh)", Column(title=words("fleet.energy"), unit="watth")),
            "burned": ("sum(r.lamp_on_time_s)", Column(title=words("lighting.burned"), unit="s")),
            "starts": ("sum(r.lamp_starts)", Column(title=words("lighting.starts"))),
            "voltage": ("avg(r.voltage_v)", Column(title=words("lighting.voltage"), unit="volt")),
        },
    )
