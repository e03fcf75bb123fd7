"""Two municipalities with a past for the tests of open data, and the catalogue as a graph."""

import json
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import psycopg
from rdflib import Graph

from kraj.opendata.catalogue import CATALOGUE_CONTEXT, DATASET_CONTEXT, Publisher
from kraj.store.registry import NewAsset, NewDevice, register

AT: Final = datetime(2026, 11, 21, 18, 20, tzinfo=UTC)
ZONE: Final = ZoneInfo("Europe/Prague")
DAYS: Final = 3
REGION: Final = Publisher(
    base="https://data.kraj.example",
    name="Kraj Vysočina",
    iri="https://rpp-opendata.egon.gov.cz/odrpp/zdroj/orgán-veřejné-moci/70890749",
    email="data@kraj.example",
    ruian="vusc/108",
)
_DCAT, _DCT, _PU = (
    "http://www.w3.org/ns/dcat#",
    "http://purl.org/dc/terms/",
    "https://data.gov.cz/slovník/podmínky-užití/",
)
_VCARD = "http://www.w3.org/2006/vcard/ns#"


def _link(iri: str) -> dict[str, str]:
    return {"@id": iri, "@type": "@id"}


def _words(iri: str) -> dict[str, str]:
    return {"@id": iri, "@container": "@language"}


CONTEXT: Final = {
    "iri": "@id",
    "typ": "@type",
    "Katalog": f"{_DCAT}Catalog",
    "Datová sada": f"{_DCAT}Dataset",
    "Distribuce": f"{_DCAT}Distribution",
    "Organizace": f"{_VCARD}Organization",
    "Časový interval": f"{_DCT}PeriodOfTime",
    "Specifikace podmínek užití": f"{_PU}Specifikace",
    "název": _words(f"{_DCT}title"),
    "popis": _words(f"{_DCT}description"),
    "klíčové_slovo": _words(f"{_DCAT}keyword"),
    "jméno": _words(f"{_VCARD}fn"),
    "autor_databáze": _words(f"{_PU}autor-databáze"),
    "e-mail": _link(f"{_VCARD}hasEmail"),
    "poskytovatel": _link(f"{_DCT}publisher"),
    "datová_sada": _link(f"{_DCAT}dataset"),
    "domovská_stránka": _link("http://xmlns.com/foaf/0.1/homepage"),
    "vstupní_stránka": _link(f"{_DCAT}landingPage"),
    "kontaktní_bod": _link(f"{_DCAT}contactPoint"),
    "téma": _link(f"{_DCAT}theme"),
    "periodicita_aktualizace": _link(f"{_DCT}accrualPeriodicity"),
    "prvek_rúian": _link(f"{_DCT}spatial"),
    "časové_pokrytí": _link(f"{_DCT}temporal"),
    "začátek": {"@id": f"{_DCAT}startDate", "@type": "http://www.w3.org/2001/XMLSchema#date"},
    "konec": {"@id": f"{_DCAT}endDate", "@type": "http://www.w3.org/2001/XMLSchema#date"},
    "časové_rozlišení": {"@id": f"{_DCAT}temporalResolution", "@type": "http://www.w3.org/2001/XMLSchema#duration"},
    "právní_předpis": _link("http://data.europa.eu/r5r/applicableLegislation"),
    "distribuce": _link(f"{_DCAT}distribution"),
    "podmínky_užití": _link(f"{_PU}specifikace"),
    "autorské_dílo": _link(f"{_PU}autorské-dílo"),
    "databáze_jako_autorské_dílo": _link(f"{_PU}databáze-jako-autorské-dílo"),
    "databáze_chráněná_zvláštními_právy": _link(f"{_PU}databáze-chráněná-zvláštními-právy"),
    "osobní_údaje": _link(f"{_PU}osobní-údaje"),
    "přístupové_url": _link(f"{_DCAT}accessURL"),
    "soubor_ke_stažení": _link(f"{_DCAT}downloadURL"),
    "formát": _link(f"{_DCT}format"),
    "typ_média": _link(f"{_DCAT}mediaType"),
    "schéma": _link(f"{_DCT}conformsTo"),
}
"""What the keys of the edition mean; its own contexts, which lie on the web, say the same."""


def graph(folder: Path) -> Graph:
    """The catalogue and the documents of its data sets, read together."""
    found = Graph()
    for file in folder.glob("*.jsonld"):
        keys: set[str] = set()
        document: dict[str, Any] = json.loads(file.read_text("utf-8"), object_hook=lambda one: keys.update(one) or one)  # noqa: B023
        named = document.pop("@context")
        assert named == (CATALOGUE_CONTEXT if document["typ"] == "Katalog" else DATASET_CONTEXT)
        assert keys <= {"@context", "cs", "en", *CONTEXT}, (
            "a key that the edition does not know would be dropped in silence"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of rdflib, about itself
            found.parse(data=json.dumps({"@context": CONTEXT} | document), format="json-ld")
    return found


def midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), ZONE)


def settle(owner: psycopg.Connection[Any]) -> None:
    """Towns brno and zlin with two lamps, a stop and a roof each; some days and hours; faults, some of them nobody's
    business."""
    devices = [
        NewDevice(
            name=f"{town}-{n}",
            municipality=town,
            assets={
                0: NewAsset(
                    kind=kind,
                    label=f'{kind} {n} "{town}", č. 1',
                    latitude=None if (town, n) == ("brno", 1) else 49.1234567 + n,
                    longitude=None if (town, n) == ("brno", 1) else 16.5,
                    metadata={"street": "Nádražní", "voice": 1, "site": "Škola", "driver_model": "secret"},
                )
            },
        )
        for town in ("brno", "zlin")
        for n, kind in enumerate(("lamp", "lamp", "stop", "solar"))
    ]
    register(owner, {"brno": "Brno", "zlin": "Zlín"}, devices, AT - timedelta(days=30))
    owner.execute(
        "INSERT INTO latest_stop (asset_id, municipality_id, ts, seq, batch_id, implausible, light_level_pct, wifi_up,"
        " display_refresh_ok, display_content_age_s, usb1_state, presence_bucket, sos_pressed, door_open)"
        " SELECT asset_id, municipality_id, %s, 1, 1, 0, 30, true, true, 90, 1, 3, true, true FROM asset"
        " WHERE kind = 'stop'",
        [AT - timedelta(minutes=5)],
    )
    today = AT.astimezone(ZONE).date()
    for kind in ("lamp", "solar"):
        owner.execute("SELECT ensure_rollup_partition(%s, '1d', %s)", [kind, today - timedelta(days=DAYS)])
    for back in range(DAYS + 1):
        begins = midnight(today - timedelta(days=back))
        owner.execute(
            "INSERT INTO asset_day (bucket, asset_id, municipality_id, kind, due_s)"
            " SELECT %s, asset_id, municipality_id, kind, 86400 FROM asset",
            [begins],
        )
        for kind in ("lamp", "solar"):
            owner.execute(
                f"INSERT INTO rollup_{kind}_1d (bucket, asset_id, municipality_id, readings, covered_s, energy_wh)"
                " SELECT %s, asset_id, municipality_id, 9, 40000, 1000.4321 * asset_id + %s FROM asset"
                " WHERE kind = %s AND (asset_id + %s) %% 3 > 0".encode(),
                [begins, back * 17.7, kind, back],
            )
    owner.execute("SELECT ensure_rollup_partition('stop', '1h', %s)", [today])
    for back in range(4):
        owner.execute(
            "INSERT INTO rollup_stop_1h (bucket, asset_id, municipality_id, readings, covered_s, pm2_5_ug_per_m3,"
            " air_temp_degc) SELECT %s, asset_id, municipality_id, 9, 1800, %s, %s FROM asset WHERE kind = 'stop'",
            [AT.replace(minute=0) - timedelta(hours=back), None if back == 2 else 7.77 + back, 3.14159],
        )
    owner.execute(
        "INSERT INTO co2_factor (municipality_id, g_per_kwh, valid_from, source, who, at) VALUES"
        " (NULL, 500, %s, 's', 'w', now()), (1, 400, %s, 's', 'w', now())",
        [today - timedelta(days=2), today - timedelta(days=1)],
    )
    rules = ("lamp_out", "lamp_out", "display_stale", "door_open", "sos_unanswered", "theft")
    for n, rule in enumerate(rules):
        owner.execute(
            "INSERT INTO alert (key, rule, scope_type, scope_name, municipality_id, asset_id, severity, active, notify,"
            " since, opened_at, changed_at, cleared_at, assignee) SELECT %(k)s || asset_id, %(rule)s, 'asset', %(k)s ||"
            " asset_id, municipality_id, asset_id, 'major', %(open)s, true, %(at)s, %(at)s, %(at)s, %(cleared)s,"
            " 'Karel Novák' FROM asset WHERE label LIKE %(label)s",
            {
                "k": f"{n}-",
                "rule": rule,
                "open": n % 2 == 0,
                "at": AT - timedelta(days=n, hours=n),
                "cleared": AT - timedelta(days=n) if n % 2 else None,
                "label": "stop%" if n > 1 else "lamp 0%",
            },
        )
