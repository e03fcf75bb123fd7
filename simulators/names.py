"""Invented names of towns, streets, stops and roofs, and the makes of luminaires that hang there."""

import unicodedata
from dataclasses import dataclass

TOWNS = (
    "Olšinka nad Mlýnkou",
    "Horní Vrbatka",
    "Kamenný Jílovec",
    "Březůvky pod Strážnou",
    "Dolní Topolanka",
    "Javořinka",
    "Červený Dvůrek",
    "Sněženec",
    "Třešňovka nad Zlatnou",
    "Lískovany",
    "Nová Habřinka",
    "Žďárná Lhotka",
    *(
        f"{which} {town}"
        for town in ("Rokytka", "Smrčinka", "Bukovinka", "Lipnička", "Jedlinka", "Hlohovka")
        for which in ("Horní", "Dolní", "Velká", "Malá", "Stará", "Suchá")
    ),
)
STREETS = (
    "Nádražní",
    "Školní",
    "Lipová",
    "Zahradní",
    "Polní",
    "Na Výsluní",
    "U Rybníka",
    "Krátká",
    "Luční",
    "K Lesu",
    "Na Kopci",
    "Pod Tratí",
    "Příčná",
    "Květná",
    "Sadová",
    "U Hřiště",
)
STOPS = ("Náměstí", "U Školy", "Nádraží", "Pod Lipami", "U Rybníka", "Hřbitov", "Sídliště", "Rozcestí", "U Mlýna")
ROOFS = (
    "Základní škola",
    "Obecní úřad",
    "Kulturní dům",
    "Mateřská škola",
    "Hasičská zbrojnice",
    "Sokolovna",
    "Čistírna odpadních vod",
    "Zdravotní středisko",
    "Domov seniorů",
)


@dataclass(frozen=True, slots=True)
class Luminaire:
    """A make of lamp: powers in W, ``gear_temp_max_degc`` of its driver, ``l80_h`` its rated life."""

    model: str
    driver: str
    rated_w: float
    min_w: float
    standby_w: float
    gear_temp_max_degc: float
    l80_h: float


LUMINAIRES = (
    Luminaire("Park 24", "DR-40 D4i", 24.0, 4.2, 0.4, 85.0, 100_000.0),
    Luminaire("Ulice 36", "DR-40 D4i", 36.0, 5.6, 0.4, 85.0, 100_000.0),
    Luminaire("Ulice 42", "DR-75 D4i", 42.0, 6.9, 0.5, 85.0, 100_000.0),
    Luminaire("Silnice 58", "DR-75 D4i", 58.0, 8.7, 0.5, 90.0, 100_000.0),
    Luminaire("Silnice 84", "DR-100 DALI-2", 84.0, 12.6, 0.6, 90.0, 80_000.0),
)
"""Least power is some 15 % of the rated one at 10 % of light; standby keeps IEC 62386-101's few tenths of a watt."""


def slug(title: str) -> str:
    """A Czech title as a name for topics: ``Žďárná Lhotka`` → ``zdarna-lhotka``."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return "-".join(plain.lower().split())
