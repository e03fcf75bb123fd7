"""What is published: names of files, their media types, and the manifest of a generation of files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

from kraj.opendata.dataset import Dataset

MANIFEST: Final = "manifest.json"
CATALOGUE: Final = "catalog.jsonld"
CURRENT: Final = "current"
"""The name in the folder that leads to the generation that is valid; it is replaced in one step."""
FORMAT: Final = 1
MEDIA: Final = {
    "csv": "text/csv",
    "csv-metadata.json": "application/csvm+json",
    "geojson": "application/geo+json",
    "parquet": "application/vnd.apache.parquet",
    "jsonld": "application/ld+json",
}
"""By the ending of a file's name."""
LICENCE: Final = "https://creativecommons.org/licenses/by/4.0/"
PREVIEW_ROWS: Final = 5

Cell = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class File:
    """A file of a data set."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Made:
    """A data set as it was made: when, of which declaration, its files by ending, its first rows as written in CSV."""

    at: str
    digest: str
    rows: int
    first: str | None
    last: str | None
    files: Mapping[str, File]
    preview: list[list[str]]

    @property
    def moment(self) -> datetime:
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A generation of files: whose data they hold, of how many days that are over and worked out, what they say of
    themselves (``about``), and each data set."""

    towns: tuple[str, ...]
    days: int
    about: str
    sets: Mapping[str, Made]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read it; ``ValueError`` for what is no manifest of this version."""
        found: dict[str, Any] = json.loads(text)
        try:
            if found["format"] != FORMAT:
                raise ValueError(f"format {found['format']}")
            sets = {
                name: _made(one | {"files": {ending: File(**file) for ending, file in one["files"].items()}})
                for name, one in found["sets"].items()
            }
            return cls(tuple(found["towns"]), found["days"], found["about"], sets)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no manifest: {error!r}") from error

    @property
    def text(self) -> str:
        sets = {name: asdict(made) for name, made in self.sets.items()}
        document = {"format": FORMAT, "towns": self.towns, "days": self.days, "about": self.about, "sets": sets}
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _made(values: dict[str, Any]) -> Made:
    return Made(**values)


def file_name(of: Dataset, ending: str) -> str:
    """Of a data set's file: ``stops.csv``, ``stops.csv-metadata.json``, ``stops.geojson``, ``stops.parquet``."""
    return f"{of.name}.{ending}"


def ending_of(name: str) -> str | None:
    """The ending of a file's name that says what it is; None: no such file is ever published."""
    ending = name.partition(".")[2]
    return ending if ending in MEDIA else None
