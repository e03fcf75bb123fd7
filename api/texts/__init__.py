"""What the pages and the errors say, in Czech and English: one TOML file a language, the same keys in each."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from api.language import LANGUAGES


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The texts of one language: ``say("ago", span="5 min")``."""

    language: str
    texts: Mapping[str, str]
    words: Mapping[str, str]

    def word(self, word: str) -> str:
        """A state or flag as a device sends it, for people."""
        return self.words.get(word) or word.replace("_", " ")

    def __call__(self, key: str, /, **values: object) -> str:
        return self.texts[key].format(**values)


def catalogues() -> dict[str, Catalogue]:
    """Every language."""
    words = {"cs": read("words")}
    return {language: Catalogue(language, read(language), words.get(language, {})) for language in LANGUAGES}


def read(name: str) -> dict[str, str]:
    """The texts of a file by dotted key."""
    return dict(_read(name))


@cache
def _read(name: str) -> Mapping[str, str]:
    return dict(_flat("", tomllib.loads(files("api.texts").joinpath(f"{name}.toml").read_text("utf-8"))))


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix and key != "_" else prefix or key
        found += _flat(name, value) if isinstance(value, dict) else [(name, value)]  # pyright: ignore[reportUnknownArgumentType]
    return found
