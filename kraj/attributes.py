"""What is known of an asset besides its readings: the keys of its metadata, declared once for each kind.

Rules, KPIs, forms and the bulk import are derived from these. Topology is told by names: assets of one municipality
with the same ``feeder`` hang on the same feeder; ``supply_area`` and ``gateway`` are the same in the whole region.
"""

from dataclasses import dataclass

from kraj.kinds.solar import STRINGS
from kraj.metrics import Title
from kraj.units import Unit


@dataclass(frozen=True, slots=True)
class Attribute:
    """One key of an asset's metadata. ``words`` is True for text; else it is a number (a flag is 0 or 1) in ``unit``.

    ``default`` is what rules assume where it is not given; None leaves it unknown.
    """

    name: str
    title: Title
    unit: Unit = Unit.NONE
    words: bool = False
    flag: bool = False
    default: float | None = None


def _text(name: str, cs: str, en: str) -> Attribute:
    return Attribute(name, Title(cs=cs, en=en), words=True)


def _flag(name: str, cs: str, en: str) -> Attribute:
    return Attribute(name, Title(cs=cs, en=en), flag=True, default=0.0)


def _number(name: str, unit: Unit, cs: str, en: str, default: float | None = None) -> Attribute:
    return Attribute(name, Title(cs=cs, en=en), unit, default=default)


TOPOLOGY = (
    _text("street", "Ulice", "Street"),
    _text("cabinet", "Rozvaděč (označení)", "Cabinet (its label)"),
    _text("feeder", "Vývod", "Feeder"),
    _text("supply_area", "Napájecí oblast distributora", "Grid supply area"),
    _text("gateway", "Brána", "Gateway"),
    _text("site", "Budova nebo areál", "Building or site"),
)
MORE_PLANES = (2, 3, 4)
"""Of a roof, besides the first, which ``tilt_deg`` and ``azimuth_deg`` tell of. Where nothing is told, 2 is the
opposite slope, 3 and 4 are the sides of a hipped roof."""
ORDERS = (
    _text("warranty_until", "V záruce do (RRRR-MM-DD)", "Under warranty until (YYYY-MM-DD)"),
    _text("road_class", "Komunikace a provoz", "Road and traffic"),
    _text("access", "Jak se k tomu dostat", "How to get at it"),
    _text("spare_part", "Náhradní díl", "Spare part"),
)
"""What a work order tells besides."""
RATED = _number("power_rated_w", Unit.WATT, "Jmenovitý výkon", "Rated power")

ATTRIBUTES: dict[str, tuple[Attribute, ...]] = {
    "lamp": (
        *TOPOLOGY,
        RATED,
        _number("phase", Unit.COUNT, "Fáze (1 až 3)", "Phase (1 to 3)"),
        _number("power_min_w", Unit.WATT, "Příkon při nejnižší úrovni", "Power at the lowest level"),
        _number("power_standby_w", Unit.WATT, "Pohotovostní příkon", "Standby power", 0.5),
        _number("level_min_pct", Unit.PERCENT, "Nejnižší úroveň", "Lowest level", 10.0),
        _number("gear_temp_max_degc", Unit.CELSIUS, "Nejvyšší teplota předřadníku", "Highest gear temperature", 85.0),
        _number("lifetime_l80_s", Unit.SECOND, "Životnost L80", "Lifetime L80", 100_000 * 3600.0),
        _number("report_interval_s", Unit.SECOND, "Vlastní interval hlášení", "Reporting interval of its own"),
        _flag("crossing", "U přechodu", "At a crossing"),
        _flag("feeder_switched", "Vývod se přes den vypíná", "Feeder is switched off by day"),
        _flag("part_night", "Svítí jen část noci", "Lit for part of the night"),
        _text("driver_model", "Předřadník", "Driver"),
        _flag(
            "dimming_linear",
            "Předřadník stmívá lineárně (jinak logaritmicky)",
            "Driver dims linearly (else logarithmically)",
        ),
        _text("lamp_model", "Typ svítidla", "Luminaire"),
        *ORDERS,
    ),
    "cabinet": (
        *TOPOLOGY,
        RATED,
        _number("phases", Unit.COUNT, "Počet fází", "Number of phases", 3.0),
        _number("lamps", Unit.COUNT, "Počet svítidel", "Number of lamps"),
        _number("lamps_unmetered", Unit.COUNT, "Svítidla bez řídicí jednotky", "Lamps without a controller", 0.0),
        _flag("feeder_switched", "Vývod se přes den vypíná", "Feeder is switched off by day"),
        _number("leakage_max_ma", Unit.MILLIAMPERE, "Nejvyšší unikající proud", "Highest leakage current", 300.0),
        *ORDERS,
    ),
    "stop": (
        *TOPOLOGY,
        RATED,
        _number("battery_capacity_wh", Unit.WATT_HOUR, "Kapacita baterie", "Battery capacity", 1200.0),
        _number("battery_soc_min_pct", Unit.PERCENT, "Nejnižší nabití", "Lowest state of charge", 15.0),
        _number("display_interval_s", Unit.SECOND, "Interval displeje", "Display interval", 300.0),
        _number("tilt_deg", Unit.DEGREE, "Sklon panelu", "Tilt of the panel", 60.0),
        _number("azimuth_deg", Unit.DEGREE, "Azimut panelu", "Azimuth of the panel", 180.0),
        _flag("voice", "Hlasový výstup pro nevidomé", "Voice output for the blind"),
        _flag("sos", "Tlačítko SOS", "SOS button"),
        _text("gtfs_stop_id", "Zastávka v GTFS", "GTFS stop id"),
        *ORDERS,
    ),
    "solar": (
        *TOPOLOGY,
        RATED,
        _number("power_peak_w", Unit.WATT, "Výkon panelů", "Peak power of the modules"),
        _number("tilt_deg", Unit.DEGREE, "Sklon", "Tilt", 30.0),
        _number("azimuth_deg", Unit.DEGREE, "Azimut", "Azimuth", 180.0),
        _number("altitude_m", Unit.NONE, "Nadmořská výška (m)", "Altitude (m)", 400.0),
        _number("power_temp_pct_per_k", Unit.NONE, "Teplotní součinitel (%/K)", "Power coefficient (%/K)", -0.38),
        _number("export_limit_w", Unit.WATT, "Omezení přetoku", "Export limit"),
        _number("voltage_nominal_v", Unit.VOLT, "Jmenovité napětí", "Nominal voltage", 230.0),
        _number("strings", Unit.COUNT, "Počet stringů", "Number of strings", 1.0),
        *(_number(f"string{n}_modules", Unit.COUNT, f"Panely stringu {n}", f"Modules of string {n}") for n in STRINGS),
        *(_number(f"string{n}_plane", Unit.COUNT, f"Rovina stringu {n}", f"Plane of string {n}", 1.0) for n in STRINGS),
        *(_number(f"plane{n}_tilt_deg", Unit.DEGREE, f"Sklon roviny {n}", f"Tilt of plane {n}") for n in MORE_PLANES),
        *(
            _number(f"plane{n}_azimuth_deg", Unit.DEGREE, f"Azimut roviny {n}", f"Azimuth of plane {n}")
            for n in MORE_PLANES
        ),
        _flag("roof_open_rack", "Volná montáž", "Open rack"),
        *ORDERS,
    ),
}
"""By kind, in the order in which forms show them."""
