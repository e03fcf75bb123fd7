"""Where in a TOML text a rule's error stands: line and column of the text that a person has written."""

import re
from dataclasses import dataclass

from rules.language.errors import RuleTextError

_TOML_AT = re.compile(r"\(at line (\d+), column (\d+)\)")
_TOML_END = "(at end of document)"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a text; ``line`` and ``column`` count from 1 and are None where the whole text is meant."""

    line: int | None
    column: int | None
    found: str
    expected: str
    hint: str
    key: str
    """The key of the rule, such as ``when``; empty for the whole rule."""


def mistake(text: str, error: RuleTextError) -> Mistake:
    """The error as a place in ``text``: of a condition its very column, of a key its line."""
    *_, place = error.where.rpartition(": ")
    name, _, key = place.partition(" on ")[0].partition(".")
    line, column = _toml(text, error.found) or _of_key(text, name, key, error) or (None, None)
    return Mistake(line, column, error.found, error.expected, error.hint, key)


def _toml(text: str, found: str) -> tuple[int, int] | None:
    at = _TOML_AT.search(found)
    if at is not None:
        return int(at[1]), int(at[2])
    if _TOML_END in found:
        lines = text.rstrip("\n").split("\n")
        return len(lines), len(lines[-1]) + 1
    return None


def _of_key(text: str, name: str, key: str, error: RuleTextError) -> tuple[int, int] | None:
    table = re.search(rf"^[ \t]*\[[ \t]*{re.escape(name)}[ \t]*\]", text, re.MULTILINE) if name else None
    if table is None:
        return None
    following = re.compile(r"^[ \t]*\[", re.MULTILINE).search(text, table.end())
    end = len(text) if following is None else following.start()
    unknown = re.match(r"unknown key '([^']*)'", error.found)
    wanted = unknown[1] if unknown else key.partition(".")[0]
    if not wanted:
        return _counted(text, table.start())
    entry = re.compile(rf"^[ \t]*{re.escape(wanted)}[ \t]*=[ \t]*", re.MULTILINE).search(text, table.end(), end)
    if entry is None:
        return _counted(text, table.start())
    if unknown:
        return _counted(text, entry.start() + len(entry[0]) - len(entry[0].lstrip()))
    if error.text is None:
        return _counted(text, entry.end())
    # Within quotes the text stands as the lexer has seen it, unless something in it is escaped: then the key is enough.
    begin = text.find(error.text, entry.end(), end)
    return _counted(text, entry.end() if begin < 0 else begin + error.at)


def _counted(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
