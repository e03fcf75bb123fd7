"""The dashboards' texts: one catalogue in Czech and English, and the names that kinds, rules and causes bear anyway."""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from kraj.metrics import Title
from rules import catalogue
from rules.correlation import causes

Language: TypeAlias = Literal["cs", "en"]
LANGUAGES: tuple[Language, ...] = ("cs", "en")


class Words:
    """Texts in one language, by key."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._texts = texts()

    def __call__(self, key: str) -> str:
        """The text of a key such as ``overview.title``."""
        return self._texts[key][self.language]

    def of(self, title: Title) -> str:
        """A title that somebody else has declared."""
        return title.cs if self.language == "cs" else title.en

    def rules(self, kinds: Iterable[str] | None = None) -> dict[str, str]:
        """Rule or cause → what it is called; of these kinds, and of all without."""
        wanted = None if kinds is None else set(kinds)
        found = {
            rule.name: rule.title
            for rule in catalogue.load()
            if not rule.hidden and (wanted is None or wanted & set(rule.kinds))
        }
        found |= {cause.name: cause.title for cause in causes.load() if wanted is None or wanted & set(cause.kinds)}
        return {name: self.of(title) for name, title in sorted(found.items())}


@cache
def texts() -> Mapping[str, Mapping[str, str]]:
    """Key → language → text."""
    read = tomllib.loads(files("dashboards").joinpath("texts.toml").read_text("utf-8"))
    return {f"{table}.{key}": value for table, rows in read.items() for key, value in rows.items()}
