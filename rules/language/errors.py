"""The error of the rule language: where it is, what was found there, what was expected, and a near name."""

from collections.abc import Iterable
from difflib import get_close_matches

from kraj.errors import KrajError

QUOTED_MAX = 40
"""How much of what was found is repeated: an error is read on a phone, and its text may come from anyone."""
SNIPPET_MAX = 100


class RuleTextError(KrajError):
    """Theirs: a rule does not say what a rule can say. The message's first line is complete; a picture may follow.

    ``line`` and ``column`` count from 1 within the text of one key; both are None where a whole key or file is meant.
    ``where`` names file, rule and key as far as known.
    """

    def __init__(
        self,
        found: str,
        expected: str,
        *,
        hint: str = "",
        text: str | None = None,
        at: int = 0,
        where: str = "",
    ) -> None:
        self.found = found
        self.expected = expected
        self.hint = hint
        self.where = where
        self.text = text
        self.at = at
        self.line = None if text is None else text.count("\n", 0, at) + 1
        self.column = None if text is None else at - text.rfind("\n", 0, at)
        super().__init__(self._message())

    def within(self, where: str) -> "RuleTextError":
        """The same error, told from outside: file, rule and key go in front."""
        return self.placed(f"{where}: {self.where}" if self.where else where)

    def placed(self, where: str) -> "RuleTextError":
        """The same error, found there."""
        return RuleTextError(self.found, self.expected, hint=self.hint, text=self.text, at=self.at, where=where)

    def _message(self) -> str:
        place = [self.where] if self.where else []
        if self.line is not None:
            place.append(f"line {self.line}, column {self.column}")
        first = ": ".join([*place, f"found {self.found}, expected {self.expected}"])
        if self.hint:
            first += f"; {self.hint}"
        return first + self._picture()

    def _picture(self) -> str:
        if self.text is None or self.column is None:
            return ""
        begin = self.at - self.column + 1
        line = self.text[begin:].split("\n", maxsplit=1)[0]
        skipped = max(0, self.column - SNIPPET_MAX // 2)
        shown = "".join(char if char.isprintable() else " " for char in line[skipped : skipped + SNIPPET_MAX])
        return f"\n    {shown}\n    {' ' * (self.column - 1 - skipped)}^"


def near(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest of what is known, or nothing."""
    found = get_close_matches(name[:QUOTED_MAX].lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean {found[0]!r}?" if found else ""


def quoted(text: str) -> str:
    """What was found, in quotes, cut to a readable length."""
    short = text if len(text) <= QUOTED_MAX else text[:QUOTED_MAX] + "…"
    return repr(short)
