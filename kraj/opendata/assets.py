"""Data sets of what stands in the streets now: stops, lamps, known outages, roofs."""

from datetime import timedelta
from typing import Final

from kraj.kinds.stop import STOP
from kraj.metrics import Title
from kraj.opendata.dataset import MUNICIPALITY, Column, Dataset, Frequency, Type

TOLD: Final = timedelta(seconds=3 * STOP.heartbeat_idle_s)
"""What a stop told longer ago is not known any more: three heartbeats have failed to come."""
_TITLES: Final = "JOIN public_town t ON t.name = s.municipality"
_STREET: Final = Column(
    name="street",
    type=Type.TEXT,
    title=Title(cs="Ulice", en="Street"),
    meaning=Title(cs="Ulice podle evidence.", en="Street by the register."),
)
_PLACE: Final = (
    Column(
        name="latitude",
        type=Type.NUMBER,
        title=Title(cs="Zeměpisná šířka", en="Latitude"),
        meaning=Title(cs="WGS 84 (EPSG:4326).", en="WGS 84 (EPSG:4326)."),
        unit="°",
        decimals=6,
    ),
    Column(
        name="longitude",
        type=Type.NUMBER,
        title=Title(cs="Zeměpisná délka", en="Longitude"),
        meaning=Title(cs="WGS 84 (EPSG:4326).", en="WGS 84 (EPSG:4326)."),
        unit="°",
        decimals=6,
    ),
)
_REPAIR: Final = Column(
    name="repair_expected_at",
    type=Type.INSTANT,
    title=Title(cs="Očekávaná oprava", en="Expected repair"),
    meaning=Title(
        cs="Odhad: do té doby bylo za poslední rok opraveno osm z deseti výpadků v obci.",
        en="An estimate: by then eight of ten outages of the last year were repaired in the municipality.",
    ),
)


def number(title: Title) -> Column:
    """The number of an asset, the same for good and in every data set."""
    return Column(
        name="id",
        type=Type.INTEGER,
        title=title,
        meaning=Title(
            cs="Stálé číslo, stejné ve všech sadách a v SensorThings (Thing).",
            en="A number for good, the same in all data sets and in SensorThings (Thing).",
        ),
        required=True,
    )


def label(title: Title) -> Column:
    """What is written on it or what people call it."""
    return Column(
        name="label",
        type=Type.TEXT,
        title=title,
        meaning=Title(cs="Jak je v evidenci obce.", en="As in the municipality's register."),
        required=True,
    )


def _service(name: str, title: Title, meaning: Title) -> Column:
    return Column(name=name, type=Type.BOOLEAN, title=title, meaning=meaning)


_SERVICES: Final = (
    _service(
        "lit",
        Title(cs="Svítí", en="Lit"),
        Title(cs="Světlo zastávky právě svítí; ve dne nemusí.", en="Its light is on; by day it need not be."),
    ),
    _service(
        "wifi_up", Title(cs="WiFi", en="WiFi"), Title(cs="Přístupový bod je v provozu.", en="The access point is up.")
    ),
    _service(
        "display_truthful",
        Title(cs="Displej s čerstvými údaji", en="Display up to date"),
        Title(cs="Obsah není starší než dva intervaly.", en="Its content is not older than two intervals."),
    ),
    _service(
        "charging",
        Title(cs="Nabíjení", en="Charging"),
        Title(cs="Aspoň jeden port USB dává proud, kdo přijde.", en="At least one USB port gives power to who comes."),
    ),
    _service(
        "voice",
        Title(cs="Hlas pro nevidomé", en="Voice for the blind"),
        Title(
            cs="Hlasový výstup i přijímač vysílačky prošly zkouškou; prázdné, kde zastávka hlas nemá.",
            en="Voice and receiver passed their tests; empty where a stop has no voice.",
        ),
    ),
)
_FRESH: Final = f"s.heard_at > %(at)s - interval '{TOLD.total_seconds():.0f} seconds'"
_ROOF: Final = label(Title(cs="Střecha", en="Roof"))
_SITE: Final = Column(
    name="site",
    type=Type.TEXT,
    title=Title(cs="Budova", en="Building"),
    meaning=Title(cs="Budova nebo areál střechy.", en="The roof's building or site."),
)

ASSETS: Final = (
    Dataset(
        name="stops",
        title=Title(cs="Chytré zastávky a stav jejich vybavení", en="Smart stops and the state of their equipment"),
        meaning=Title(
            cs="Zastávky veřejné dopravy s polohou a s tím, co jejich vybavení naposledy hlásilo: světlo, WiFi, "
            "displej, nabíjení, hlas pro nevidomé. Co zastávka neřekla za posledních 45 minut, je prázdné.",
            en="Public transport stops with their place and what their equipment last told: light, WiFi, display, "
            "charging, voice for the blind. What a stop has not told within 45 minutes is empty.",
        ),
        keywords=(
            Title(cs="zastávka", en="public transport stop"),
            Title(cs="veřejná doprava", en="public transport"),
            Title(cs="bezbariérovost", en="accessibility"),
        ),
        themes=("TRAN", "TECH"),
        frequency=Frequency.HOURLY,
        columns=(
            number(Title(cs="Číslo zastávky", en="Number of the stop")),
            label(Title(cs="Zastávka", en="Stop")),
            *MUNICIPALITY,
            _STREET,
            Column(
                name="gtfs_stop_id",
                type=Type.TEXT,
                title=Title(cs="Zastávka v GTFS", en="Stop in GTFS"),
                meaning=Title(
                    cs="stop_id v jízdních řádech formátu GTFS.", en="stop_id in timetables of the format GTFS."
                ),
            ),
            *_PLACE,
            Column(
                name="heard_at",
                type=Type.INSTANT,
                title=Title(cs="Naposledy hlášeno", en="Last heard"),
                meaning=Title(
                    cs="Kdy se zastávka naposledy ozvala, v UTC.", en="When the stop was last heard, in UTC."
                ),
            ),
            *_SERVICES,
        ),
        key=("id",),
        placed=True,
        rows="SELECT s.asset_id, s.label, s.municipality, t.title, s.street, s.gtfs_stop_id, s.latitude, s.longitude,"  # noqa: S608 - our own words
        f" s.heard_at, {', '.join(f'CASE WHEN {_FRESH} THEN s.{one.name} END' for one in _SERVICES)}"
        f" FROM public_stop s {_TITLES} ORDER BY s.asset_id",
    ),
    Dataset(
        name="lamps",
        title=Title(cs="Svítidla veřejného osvětlení", en="Lamps of public lighting"),
        meaning=Title(
            cs="Svítidla s řídicí jednotkou: kde stojí, co mají na štítku, a zda je znám jejich výpadek.",
            en="Lamps with a controller: where they stand, what is on their plate, and whether an outage is known.",
        ),
        keywords=(Title(cs="veřejné osvětlení", en="street lighting"), Title(cs="svítidlo", en="lamp")),
        themes=("ENER", "TRAN"),
        frequency=Frequency.HOURLY,
        columns=(
            number(Title(cs="Číslo svítidla", en="Number of the lamp")),
            label(Title(cs="Svítidlo", en="Lamp")),
            *MUNICIPALITY,
            _STREET,
            Column(
                name="cabinet",
                type=Type.TEXT,
                title=Title(cs="Rozvaděč", en="Cabinet"),
                meaning=Title(cs="Ze kterého rozvaděče svítí.", en="The cabinet that feeds it."),
            ),
            *_PLACE,
            Column(
                name="dark_since",
                type=Type.INSTANT,
                title=Title(cs="Nesvítí od", en="Dark since"),
                meaning=Title(
                    cs="Začátek známého výpadku, v UTC; prázdné, kde žádný není znám.",
                    en="When the known outage began, in UTC; empty where none is known.",
                ),
            ),
            _REPAIR,
        ),
        key=("id",),
        placed=True,
        rows="SELECT s.asset_id, s.label, s.municipality, t.title, s.street, s.cabinet, s.latitude, s.longitude,"  # noqa: S608 - our own words
        f" s.dark_since, s.expected_at FROM public_lamp s {_TITLES} ORDER BY s.asset_id",
    ),
    Dataset(
        name="outages",
        title=Title(cs="Známé výpadky veřejného osvětlení", en="Known outages of public lighting"),
        meaning=Title(
            cs="Co právě nesvítí: svítidlo, vývod, rozvaděč či oblast, kolika svítidel se to týká, od kdy, jak je na "
            "tom oprava a kdy se čeká.",
            en="What is dark now: lamp, feeder, cabinet or area, how many lamps it concerns, since when, how far the "
            "repair is and when it is to be expected.",
        ),
        keywords=(Title(cs="veřejné osvětlení", en="street lighting"), Title(cs="porucha", en="fault")),
        themes=("ENER", "GOVE"),
        frequency=Frequency.HOURLY,
        columns=(
            Column(
                name="since",
                type=Type.INSTANT,
                title=Title(cs="Od", en="Since"),
                meaning=Title(cs="Začátek výpadku, v UTC.", en="When it began, in UTC."),
                required=True,
            ),
            *MUNICIPALITY,
            Column(
                name="scope",
                type=Type.TEXT,
                title=Title(cs="Čeho se týká", en="Scope"),
                meaning=Title(
                    cs="asset (svítidlo), feeder (vývod), cabinet (rozvaděč), phase (fáze), supply_area (oblast).",
                    en="asset (a lamp), feeder, cabinet, phase, supply_area.",
                ),
                required=True,
            ),
            Column(
                name="place",
                type=Type.TEXT,
                title=Title(cs="Místo", en="Place"),
                meaning=Title(
                    cs="Štítek svítidla nebo jméno vývodu, rozvaděče, oblasti.",
                    en="The lamp's label or the name of feeder, cabinet or area.",
                ),
                required=True,
            ),
            _STREET,
            *_PLACE,
            Column(
                name="lamps",
                type=Type.INTEGER,
                title=Title(cs="Počet svítidel", en="Lamps"),
                meaning=Title(
                    cs="Kolika svítidel obce se týká, je-li to známo.", en="How many of its lamps, where that is known."
                ),
            ),
            Column(
                name="of_the_grid",
                type=Type.BOOLEAN,
                title=Title(cs="Výpadek sítě", en="Of the grid"),
                meaning=Title(cs="Opravuje ho distributor, ne obec.", en="The distributor repairs it."),
                required=True,
            ),
            Column(
                name="progress",
                type=Type.TEXT,
                title=Title(cs="Stav opravy", en="Progress"),
                meaning=Title(
                    cs="known (víme o něm), taken (řeší se), repaired (opraveno, ověřuje se).",
                    en="known, taken (somebody sees to it), repaired (being verified).",
                ),
                required=True,
            ),
            _REPAIR,
        ),
        key=("since", "municipality", "scope", "place"),
        placed=True,
        rows="SELECT DISTINCT ON (s.since, s.municipality, s.scope_type, s.place) s.since, s.municipality, t.title,"  # noqa: S608 - our own words
        " s.scope_type, s.place, s.street, s.latitude, s.longitude, s.lamps, s.of_the_grid, s.progress, s.expected_at"
        f" FROM public_outage s {_TITLES} ORDER BY s.since, s.municipality, s.scope_type, s.place",
    ),
    Dataset(
        name="roofs",
        title=Title(cs="Solární střechy", en="Solar roofs"),
        meaning=Title(
            cs="Střechy veřejných budov s fotovoltaikou: poloha, výkon panelů, a co daly v posledním známém dni.",
            en="Public buildings' roofs with photovoltaics: place, power of their modules, and the newest known day.",
        ),
        keywords=(Title(cs="fotovoltaika", en="photovoltaics"), Title(cs="obnovitelná energie", en="renewable energy")),
        themes=("ENER", "ENVI"),
        frequency=Frequency.HOURLY,
        columns=(
            number(Title(cs="Číslo střechy", en="Number of the roof")),
            _ROOF,
            *MUNICIPALITY,
            _STREET,
            _SITE,
            *_PLACE,
            Column(
                name="power_peak_kw",
                type=Type.NUMBER,
                title=Title(cs="Výkon panelů", en="Peak power"),
                meaning=Title(cs="Podle štítků, za zkušebních podmínek.", en="Rated, under standard test conditions."),
                unit="kWp",
                decimals=3,
            ),
            Column(
                name="day",
                type=Type.DATE,
                title=Title(cs="Poslední den", en="Newest day"),
                meaning=Title(
                    cs="Den v Praze, ke kterému patří výroba.", en="The day in Prague to which the energy belongs."
                ),
            ),
            Column(
                name="energy_kwh",
                type=Type.NUMBER,
                title=Title(cs="Výroba toho dne", en="Energy of that day"),
                meaning=Title(cs="Dosud, jde-li o dnešek.", en="So far, if it is today."),
                unit="kWh",
                decimals=3,
            ),
        ),
        key=("id",),
        placed=True,
        rows="SELECT s.asset_id, s.label, s.municipality, t.title, s.street, s.site, s.latitude, s.longitude,"  # noqa: S608 - our own words
        f" s.power_peak_kw, s.day, s.energy_kwh FROM public_roof s {_TITLES} ORDER BY s.asset_id",
    ),
)
