"""What the rule language says of a mistake, in the reader's language as far as we have it; the rest is English."""

import re
from dataclasses import dataclass

from api.texts import Catalogue
from rules.catalogue.pointing import Mistake

PATTERNS = tuple(
    (re.compile(pattern, re.DOTALL), key)
    for pattern, key in (
        (r"no TOML \((?P<what>.*)\)", "no_toml"),
        (r"no rule", "no_rule"),
        (r"no key '(?P<what>\w+)'", "no_key"),
        (r"unknown key (?P<what>'.*')", "unknown_key"),
        (r"unknown name (?P<what>'.*')", "unknown_name"),
        (r"unknown function (?P<what>'.*')", "unknown_function"),
        (r"a quote that is not closed", "open_quote"),
        (r"the end", "end"),
        (r"(?:a rule|rules|at least one): \[name\] and keys below", "table"),
        (r"it in every rule", "every_rule"),
        (r"a unit or a sign behind the number", "behind_number"),
        (r"a name, a number or a sign", "any_sign"),
        (r"a name or a number", "name_or_number"),
        (r"a name or a calculation", "calculation"),
        (r"a number or a name to compare", "to_compare"),
        (r'a sign, "and", "or" or the end', "behind"),
        (r"a name of this kind or a threshold", "known_name"),
        (r"a name of 2 to 48 small letters, digits and _", "rule_name"),
        (r"a condition", "condition"),
        (r"a number in (?P<what>.*)", "number_in"),
        (r"a number", "number"),
        (r"a text in quotes", "quoted"),
        (r"flags of this kind", "flags"),
        (r"one of the functions (?P<what>.*)", "one_of"),
        (r"one of (?P<what>.*)", "one_of"),
        (r"at most (?P<what>\d+)", "at_most"),
        (r"(?P<what>\S+) as (?P<other>\w+)", "unit_as"),
        (r"did you mean (?P<what>'.*')\?", "near"),
        (r"a decimal number is written with a point, and \* is never left out", "point_and_times"),
        (r"a decimal number is written with a point: 0\.5", "point"),
        (r"this parenthesis was never opened", "parenthesis"),
        (r"equality is written ==", "equality"),
        (r"write (?P<what>and|or|<=|>=|!=)", "write"),
    )
)
"""The whole of what is found, expected or hinted → the text that says it."""


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence and its language."""

    text: str
    language: str


def said(text: str, say: Catalogue) -> Said:
    """In the reader's language where we have it; names and signs are the same in all."""
    for pattern, key in PATTERNS:
        if match := pattern.fullmatch(text):
            return Said(say(f"rulebook.mistakes.{key}", **match.groupdict()), say.language)
    return Said(text, say.language if re.fullmatch(r"\W*\S+\W*", text) else "en")


def parts(mistake: Mistake, say: Catalogue) -> list[tuple[str, Said]]:
    """What a mistake says: what stands there, what is expected, and a hint where there is one, each by its heading."""
    told = [("rulebook.found", mistake.found), ("rulebook.expected", mistake.expected), ("rulebook.hint", mistake.hint)]
    return [(heading, said(text, say)) for heading, text in told if text]
