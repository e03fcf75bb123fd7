"""The catalogue as DCAT-AP-CZ has it, edition of 2026-09-23: a document of the catalogue, and one of each data set.

Keys are those of the official JSON-LD contexts. An IRI of a data set is where its document lies, so that the national
catalogue finds it. What nobody has set (publisher, contact) is left out; `kraj doctor` says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from kraj.metrics import Title
from kraj.opendata.dataset import ZONE, Dataset, Type
from kraj.opendata.published import CATALOGUE, LICENCE, MEDIA, Made, file_name

CATALOGUE_CONTEXT: Final = "https://ofn.gov.cz/dcat-ap-cz-rozhraní-katalogů-dat/2026-09-23/katalog/kontext.jsonld"
DATASET_CONTEXT: Final = "https://ofn.gov.cz/dcat-ap-cz-otevřená-data/2026-09-23/datová-sada/kontext.jsonld"
LAW: Final = "https://www.e-sbirka.cz/eli/cz/sb/1999/106/2025-08-19"
"""Zákon 106/1999 Sb., by which data are open; the edition wants exactly this version named."""
AUTHORITY: Final = "http://publications.europa.eu/resource/authority"
RUIAN: Final = "https://linked.cuzk.cz/resource/ruian"
TERMS: Final = "https://data.gov.cz/podmínky-užití"
FORMATS: Final = {
    "csv": ("CSV", Title(cs="CSV s popisem CSVW", en="CSV with CSVW metadata")),
    "geojson": ("GEOJSON", Title(cs="GeoJSON", en="GeoJSON")),
    "parquet": ("PARQUET", Title(cs="Apache Parquet", en="Apache Parquet")),
}
TITLE: Final = Title(cs="Otevřená data chytrého kraje", en="Open data of the smart region")
MEANING: Final = Title(
    cs="Veřejné osvětlení, chytré zastávky a solární střechy obcí: stav, výpadky, energie a ovzduší.",
    en="Municipalities' street lighting, smart stops and solar roofs: state, outages, energy and air.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Who publishes: name, IRI of the public authority in the register of rights and duties, e-mail; where (``base``,
    without a slash at its end), and of which element of RÚIAN (``vusc/108``, ``stat/1``)."""

    base: str
    name: str | None = None
    iri: str | None = None
    email: str | None = None
    ruian: str = "stat/1"

    @property
    def missing(self) -> list[str]:
        """What the edition wants and nobody has set, as names of settings."""
        wanted = {"publisher": self.name, "publisher_iri": self.iri, "contact": self.email}
        found = [f"KRAJ_OPENDATA_{name.upper()}" for name, value in wanted.items() if not value]
        return found if self.base.startswith("https://") else [*found, "KRAJ_PUBLIC_URL"]

    def url(self, name: str) -> str:
        """Of a file."""
        return f"{self.base}/opendata/{name}"


def catalogue(of: Publisher, sets: Iterable[Dataset]) -> dict[str, Any]:
    """The document of the catalogue; it names the documents of its data sets."""
    title = Title(cs=f"{TITLE.cs} – {of.name}", en=f"{TITLE.en} – {of.name}") if of.name else TITLE
    return {
        "@context": CATALOGUE_CONTEXT,
        "iri": of.url(CATALOGUE),
        "typ": "Katalog",
        "název": _both(title),
        "popis": _both(MEANING),
        **_contact(of),
        **_publisher(of),
        "domovská_stránka": f"{of.base}/opendata",
        "datová_sada": [iri(of, one) for one in sets],
    }


def dataset(of: Publisher, one: Dataset, made: Made) -> dict[str, Any]:
    """The document of a data set with its distributions."""
    found: dict[str, Any] = {
        "@context": DATASET_CONTEXT,
        "iri": iri(of, one),
        "typ": "Datová sada",
        "název": _both(one.title),
        "popis": _both(one.meaning),
        **_publisher(of),
        "téma": [f"{AUTHORITY}/data-theme/{theme}" for theme in one.themes],
        "periodicita_aktualizace": f"{AUTHORITY}/frequency/{one.frequency.authority}",
        "klíčové_slovo": {"cs": [word.cs for word in one.keywords], "en": [word.en for word in one.keywords]},
        "prvek_rúian": [f"{RUIAN}/{of.ruian}"],
        "právní_předpis": [LAW],
        **_contact(of),
        "vstupní_stránka": f"{of.base}/opendata#{one.name}",
    }
    if one.resolution is not None:
        found["časové_rozlišení"] = one.resolution
        if made.first and made.last:
            begins, ends = (_day(one, text) for text in (made.first, made.last))
            found["časové_pokrytí"] = {"typ": "Časový interval", "začátek": begins, "konec": ends}
    return found | {"distribuce": [_distribution(of, one, ending) for ending in one.forms]}


def iri(of: Publisher, one: Dataset) -> str:
    """Of a data set: where its document lies."""
    return of.url(file_name(one, "jsonld"))


def _distribution(of: Publisher, one: Dataset, ending: str) -> dict[str, Any]:
    authority, title = FORMATS[ending]
    file = of.url(file_name(one, ending))
    found: dict[str, Any] = {
        "iri": f"{iri(of, one)}#{ending}",
        "typ": "Distribuce",
        "název": _both(title),
        "podmínky_užití": _terms(of),
        "právní_předpis": [LAW],
        "soubor_ke_stažení": file,
        "přístupové_url": file,
        "formát": f"{AUTHORITY}/file-type/{authority}",
        "typ_média": f"http://www.iana.org/assignments/media-types/{MEDIA[ending]}",
    }
    return found | ({"schéma": of.url(file_name(one, "csv-metadata.json"))} if ending == "csv" else {})


def _terms(of: Publisher) -> dict[str, Any]:
    """Plain data are nobody's work; the database is under CC BY 4.0, with its maker's name."""
    found: dict[str, Any] = {
        "typ": "Specifikace podmínek užití",
        "autorské_dílo": f"{TERMS}/neobsahuje-autorská-díla/",
        "databáze_jako_autorské_dílo": LICENCE,
        "databáze_chráněná_zvláštními_právy": LICENCE,
        "osobní_údaje": f"{TERMS}/neobsahuje-osobní-údaje/",
    }
    return found | ({"autor_databáze": {"cs": of.name}} if of.name else {})


def _publisher(of: Publisher) -> dict[str, Any]:
    return {"poskytovatel": of.iri} if of.iri else {}


def _contact(of: Publisher) -> dict[str, Any]:
    if not of.email:
        return {}
    name = {"jméno": {"cs": of.name}} if of.name else {}
    return {"kontaktní_bod": {"typ": "Organizace", **name, "e-mail": f"mailto:{of.email}"}}


def _day(one: Dataset, text: str) -> str:
    """Of the first column's text."""
    if one.columns[0].type is Type.INSTANT:
        return str(datetime.fromisoformat(text).astimezone(ZONE).date())
    return text


def _both(title: Title) -> dict[str, str]:
    return {"cs": title.cs, "en": title.en}
