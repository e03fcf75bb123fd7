"""Dictionaries of immutable values that can take back what was written since the last ``commit``."""

from collections.abc import Iterator, MutableMapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Journal:
    """Remembers what was where before it was written; shared by several dictionaries."""

    def __init__(self) -> None:
        self._before: list[tuple[dict[Any, Any], Any, Any]] = []

    def note(self, of: dict[Any, Any], key: Any) -> None:
        """Call before writing ``of[key]``."""
        self._before.append((of, key, of.get(key, _ABSENT)))

    def commit(self) -> None:
        self._before.clear()

    def rollback(self) -> None:
        while self._before:
            of, key, value = self._before.pop()
            if value is _ABSENT:
                of.pop(key, None)
            else:
                of[key] = value


_ABSENT = object()


class Journaled(MutableMapping[K, V]):
    """A dictionary under a journal. Values must be immutable: they are replaced, never changed."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._items: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._journal.note(self._items, key)
        self._items[key] = value

    def __delitem__(self, key: K) -> None:
        self._journal.note(self._items, key)
        del self._items[key]

    def get(self, key: K, default: Any = None) -> Any:
        """As of a plain dictionary; the one that is inherited raises and catches for each miss."""
        return self._items.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)
