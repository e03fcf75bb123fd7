"""What a column means: the registry's own fields, and the attributes of every kind, by what people call them."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kraj.attributes import ATTRIBUTES, Attribute
from kraj.importing.table import folded
from kraj.kinds import KINDS
from kraj.metrics import Title
from kraj.units import Unit

SIMILAR = 0.75


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a column can hold: of the registry itself (no attributes), or an attribute of the named kinds."""

    name: str
    title: Title
    synonyms: tuple[str, ...] = ()
    attributes: Mapping[str, Attribute] | None = None


CORE = (
    Field("label", Title(cs="Označení", en="Label"), (
        "číslo", "název", "číslo stožáru", "číslo sloupu", "číslo svítidla", "číslo světelného místa", "světelné místo",
        "číslo SM", "evidenční číslo", "inventární číslo", "štítek", "stožár", "sloup", "popis", "prvek", "name",
        "pole", "pole number", "asset", "title", "id prvku")),
    Field("kind", Title(cs="Druh", en="Kind"), ("druh prvku", "typ prvku", "typ", "type", "asset type")),
    Field("municipality", Title(cs="Obec", en="Municipality"), (
        "město", "městys", "obec název", "název obce", "vlastník", "town", "city", "owner", "municipality name")),
    Field("device", Title(cs="Zařízení", en="Device"), (
        "jméno zařízení", "název zařízení", "id zařízení", "řídicí jednotka", "jednotka", "kontrolér", "ovladač",
        "uzel", "controller", "device name", "device id", "node")),
    Field("channel", Title(cs="Kanál", en="Channel"), ("kanál zařízení", "číslo kanálu", "port", "device channel")),
    Field("latitude", Title(cs="Zeměpisná šířka", en="Latitude"), (
        "šířka", "lat", "gps šířka", "gps n", "gps lat", "zem šířka", "souřadnice n", "wgs84 lat", "wgs lat", "n")),
    Field("longitude", Title(cs="Zeměpisná délka", en="Longitude"), (
        "délka", "lon", "lng", "long", "gps délka", "gps e", "gps lon", "gps lng", "zem délka", "souřadnice e",
        "wgs84 lon", "wgs lon", "e")),
    Field("x", Title(cs="X", en="X"), (
        "souřadnice x", "x sjtsk", "sjtsk x", "s jtsk x", "x s jtsk", "jtsk x", "x jtsk", "x 5514", "easting", "east",
        "coord x", "x coord", "x coordinate", "point x")),
    Field("y", Title(cs="Y", en="Y"), (
        "souřadnice y", "y sjtsk", "sjtsk y", "s jtsk y", "y s jtsk", "jtsk y", "y jtsk", "y 5514", "northing", "north",
        "coord y", "y coord", "y coordinate", "point y")),
    Field("place", Title(cs="Souřadnice", en="Coordinates"), (
        "gps", "gps souřadnice", "poloha", "poloha gps", "souřadnice gps", "location", "position", "lat lon", "wgs84")),
)  # fmt: skip
"""In the order of the template; ``place`` holds both coordinates in one cell."""

ATTRIBUTE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "street": ("ulice a číslo", "adresa", "ulice název", "address", "road"),
    "cabinet": ("rozvaděč", "rvo", "zapínací bod", "zapínací místo", "rozvaděč vo", "switchboard"),
    "feeder": ("větev", "okruh", "vývod rvo", "circuit", "branch"),
    "supply_area": ("trafostanice", "trafo", "napájecí oblast"),
    "gateway": ("gateway id", "koncentrátor"),
    "site": ("budova", "areál", "objekt", "building"),
    "power_rated_w": ("výkon", "příkon", "jmenovitý příkon", "příkon svítidla", "power", "rated power", "wattage"),
    "lamp_model": ("svítidlo", "typ lampy", "model svítidla", "luminaire type", "lamp type"),
    "driver_model": ("typ předřadníku", "driver type"),
    "power_peak_w": ("špičkový výkon", "instalovaný výkon", "výkon fve", "peak power"),
    "crossing": ("přechod", "přechod pro chodce", "pedestrian crossing"),
    "lamps": ("svítidel", "svítidla"),
    "battery_capacity_wh": ("baterie", "battery"),
    "tilt_deg": ("sklon střechy", "sklon panelů"),
    "azimuth_deg": ("azimut panelů", "orientace"),
    "gtfs_stop_id": ("gtfs", "stop id", "id zastávky"),
    "sos": ("sos tlačítko",),
}

KIND_SYNONYMS: dict[str, tuple[str, ...]] = {
    "lamp": ("lampa", "svítidlo VO", "VO", "veřejné osvětlení", "světelný bod", "světelné místo", "luminaire", "light",
             "street light"),
    "cabinet": ("RVO", "rozvaděč", "rozvaděč VO", "zapínací bod", "switchboard"),
    "stop": ("zastávka", "chytrá zastávka", "bus stop", "smart stop", "označník"),
    "solar": ("FVE", "fotovoltaika", "fotovoltaická elektrárna", "střecha", "solár", "PV", "rooftop pv",
              "photovoltaics"),
}  # fmt: skip

SCALES: dict[str, tuple[Unit, float]] = {
    "kw": (Unit.WATT, 1000.0),
    "kwp": (Unit.WATT, 1000.0),
    "wp": (Unit.WATT, 1.0),
    "kwh": (Unit.WATT_HOUR, 1000.0),
    "h": (Unit.SECOND, 3600.0),
    "hod": (Unit.SECOND, 3600.0),
    "min": (Unit.SECOND, 60.0),
    "a": (Unit.MILLIAMPERE, 1000.0),
    "kv": (Unit.VOLT, 1000.0),
    "ks": (Unit.COUNT, 1.0),
    "pcs": (Unit.COUNT, 1.0),
    "stupně": (Unit.DEGREE, 1.0),
    "st.": (Unit.DEGREE, 1.0),
    "deg": (Unit.DEGREE, 1.0),
}
"""What people write into the brackets instead of the unit itself."""

BRACKETS = re.compile(r"^(.*?)\s*[\(\[]\s*([^\)\]]{1,12}?)\s*[\)\]]\s*$", re.DOTALL)


def fields() -> dict[str, Field]:
    """Every field by name, the registry's own first."""
    found = {one.name: one for one in CORE}
    for kind, attributes in ATTRIBUTES.items():
        for attribute in attributes:
            known = found.get(attribute.name)
            by_kind = {**(known.attributes or {} if known else {}), kind: attribute}
            synonyms = ATTRIBUTE_SYNONYMS.get(attribute.name, ())
            found[attribute.name] = Field(attribute.name, known.title if known else attribute.title, synonyms, by_kind)
    return found


FIELDS = fields()


def _keys() -> dict[str, str]:
    keys: dict[str, str] = {}
    for one in FIELDS.values():  # a field's own names are stronger than anybody's synonyms
        titles = [one.title, *(attribute.title for attribute in (one.attributes or {}).values())]
        for text in (one.name, *(text for title in titles for text in (title.cs, title.en))):
            match = BRACKETS.match(text)
            for name in (text, match[1]) if match else (text,):
                keys.setdefault(folded(name), one.name)
    for one in FIELDS.values():
        for text in one.synonyms:
            keys.setdefault(folded(text), one.name)
    return keys


KEYS = _keys()
"""What people call a field, folded → its name."""

KIND_KEYS = {
    folded(text): name
    for name, kind in KINDS.items()
    for text in (name, kind.title.cs, kind.title.en, *KIND_SYNONYMS.get(name, ()))
}


@dataclass(frozen=True, slots=True)
class Column:
    """A recognised column: where it stands, its heading as written, what it holds, and what its numbers are times."""

    position: int
    heading: str
    field: Field
    scale: float = 1.0
    unit_unknown: str | None = None


def recognise(position: int, heading: str) -> Column | None:
    """The column of a heading; None where nobody calls anything so."""
    text = " ".join(heading.replace("\0", " ").strip("\ufeff* ").split())
    name = KEYS.get(folded(text))
    if name is not None:
        return Column(position, text, FIELDS[name])
    match = BRACKETS.match(text)
    bare, unit = (match[1], match[2]) if match else _unit_behind(text)
    name = KEYS.get(folded(bare)) if folded(bare) else None
    if name is None:
        return None
    scale = _scale(FIELDS[name], unit)
    return Column(position, text, FIELDS[name], scale or 1.0, unit if scale is None else None)


def _unit_behind(text: str) -> tuple[str, str]:
    """``Výkon W`` without brackets."""
    bare, _, unit = text.rpartition(" ")
    known = {one.symbol.lower() for one in Unit} | SCALES.keys()
    return (bare, unit) if unit.lower() in known else ("", "")


def _scale(of: Field, unit: str) -> float | None:
    """What a number in ``unit`` is to be multiplied by; None where that cannot be known."""
    if of.attributes is None:
        return 1.0  # "X (S-JTSK)", "Označení (číslo)": numbers of the registry itself have no unit
    wanted = next(iter(of.attributes.values()))
    if wanted.words or wanted.flag or unit.lower() == wanted.unit.symbol.lower() or not unit:
        return 1.0
    found = SCALES.get(unit.lower())
    if found is not None and found[0] is wanted.unit:
        return found[1]
    named = any(unit.lower() == one.symbol.lower() for one in Unit if one.symbol)
    # A unit that is none ("1 až 3", "m" where the name says it) is a remark; another one is a mistake.
    return None if found is not None or (named and wanted.unit not in (Unit.NONE, Unit.COUNT)) else 1.0


def like(heading: str) -> Field | None:
    """The field that a heading nobody knows may mean."""
    found = difflib.get_close_matches(folded(heading), KEYS, n=1, cutoff=SIMILAR)
    return FIELDS[KEYS[found[0]]] if found else None


def headings(kind: str, language: str) -> Sequence[str]:
    """The template's columns for a kind: what everybody needs, then its attributes with their units."""
    wanted = ("label", "device", "municipality", "latitude", "longitude")
    core = [str(getattr(FIELDS[name].title, language)) for name in wanted]
    return [*core, *(_with_unit(attribute, language) for attribute in ATTRIBUTES.get(kind, ()))]


def _with_unit(attribute: Attribute, language: str) -> str:
    title = str(getattr(attribute.title, language))
    symbol = attribute.unit.symbol
    return f"{title} ({symbol})" if symbol and attribute.unit is not Unit.COUNT and "(" not in title else title
