"""What Grafana calls the units of metrics and of KPIs."""

from kraj.kpis import Measure
from kraj.units import Unit

UNITS: dict[Unit, str] = {
    Unit.NONE: "none",
    Unit.RATIO: "none",
    Unit.COUNT: "short",
    Unit.PERCENT: "percent",
    Unit.WATT: "watt",
    Unit.WATT_HOUR: "watth",
    Unit.VOLT: "volt",
    Unit.AMPERE: "amp",
    Unit.MILLIAMPERE: "mamp",
    Unit.HERTZ: "hertz",
    Unit.OHM: "ohm",
    Unit.CELSIUS: "celsius",
    Unit.SECOND: "s",
    Unit.MILLISECOND: "ms",
    Unit.LUX: "lux",
    Unit.DEGREE: "degree",
    Unit.STANDARD_GRAVITY: "accG",
    Unit.DECIBEL_MILLIWATT: "dBm",
    Unit.WATT_PER_SQUARE_METRE: "Wm2",
    Unit.MICROGRAM_PER_CUBIC_METRE: "conμgm3",
}
MEASURES: dict[Measure, str] = {
    Measure.KWH: "kwatth",
    Measure.KWH_PER_KWP: "suffix: kWh/kWp",
    Measure.CZK: "currencyCZK",
    Measure.CO2_KG: "suffix: kg CO₂",
    Measure.PERCENT: "percent",
    Measure.HOUR: "h",
    Measure.DAY: "d",
}
SHARE = "percentunit"
