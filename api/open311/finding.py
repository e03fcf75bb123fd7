"""What of ours somebody's words may mean: lamps, stops and streets to offer; nothing is chosen for anybody."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from psycopg.rows import class_row

from api.database import Connection
from kraj.service_requests import THINGS
from kraj.store.queries import folded

OFFERED_MAX = 6
WORDS_MAX = 30
NUMBERED = frozenset({"cislo", "c", "lampa", "lampy", "lampu", "lamp", "no", "number", "pole", "sloup", "sloupu"}) | {
    *("stozar", "stozaru", "svetlo", "svitidlo", "svitidla", "zastavka", "stop", "light"),
}
"""After these a number is the number of a thing, not of a house."""


@dataclass(frozen=True, slots=True)
class Found:
    """A thing of ours (or, without ``asset_id``, a street) in a municipality, whose title is ``municipality``."""

    asset_id: int | None
    kind: str
    label: str
    street: str | None
    municipality_id: int
    municipality: str

    @property
    def title(self) -> str:
        """As people read it."""
        street = self.street if self.street and self.street not in self.label else None
        return ", ".join(filter(None, (self.label, street, self.municipality)))


@dataclass(frozen=True, slots=True)
class Meant:
    """What words may mean: the municipality where it is certain, and the best few things and streets."""

    town: int | None
    offered: tuple[Found, ...] = ()

    @property
    def only(self) -> int | None:
        """The one thing that they can mean."""
        things = [one.asset_id for one in self.offered if one.asset_id is not None]
        return things[0] if len(things) == 1 else None


def split(text: str) -> list[str]:
    """Words without accents and capitals."""
    return re.sub(r"[^0-9a-z]+", " ", folded(text)).split()


async def find(connection: Connection, text: str, kinds: Sequence[str] = ()) -> Meant:
    """What a description of a place may mean, among things of these kinds (none: of all that can be reported)."""
    words = split(text)[:WORDS_MAX]
    town = await _town(connection, words)
    asked = [words, None if town is None else town[0], list(kinds or THINGS)]
    async with connection.cursor(row_factory=class_row(Found)) as cursor:
        await cursor.execute("SELECT * FROM request_find(%s, %s, %s)", asked)
        rows = await cursor.fetchall()
    besides = set(words) - set(town[1] if town else ())
    ranked = sorted(
        ((_rank(row, words, besides), row) for row in rows), key=lambda one: (one[0], one[1].label, one[1].municipality)
    )
    likely = [row for rank, row in ranked if rank < 0]
    offered = tuple(likely[:OFFERED_MAX])
    towns = {row.municipality_id for row in likely}
    return Meant(town[0] if town else towns.pop() if len(towns) == 1 else None, offered)


def _rank(row: Found, words: Sequence[str], besides: set[str]) -> int:
    """Lower is better; from 0 on it is none: the number of a house is not the number of a lamp."""
    label = split(row.label)
    shared = set(label) & set(words)
    if row.kind not in ("lamp", "cabinet"):
        return -2 * len(shared) + (row.kind == "street")
    numbers = {word for word in label if any(map(str.isdigit, word))}
    if not numbers <= shared:
        return 0
    street = set(split(row.street or "")) & besides
    named = any(word in numbers and before in NUMBERED for before, word in pairwise(words))
    beside = len((shared | street) - numbers)
    return -2 * len(shared | street) if beside or named or besides <= numbers | NUMBERED else 0


async def _town(connection: Connection, words: Sequence[str]) -> tuple[int, list[str]] | None:
    """The municipality whose title stands in the words, the longest one: Nová Ves is not Ves."""
    hay = f" {' '.join(words)} "
    rows = await (await connection.execute("SELECT municipality_id, title FROM municipality")).fetchall()
    named = [(split(title), number) for number, title in rows]
    named = [(title, number) for title, number in named if title and f" {' '.join(title)} " in hay]
    most = max((len(" ".join(title)) for title, _ in named), default=0)
    longest = [(number, title) for title, number in named if len(" ".join(title)) == most]
    return longest[0] if len(longest) == 1 else None
