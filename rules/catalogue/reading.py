"""TOML to rules: each key is read by one function, which says what it expected instead."""

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, cast

from kraj.alerts import Severity
from kraj.kinds import KINDS
from kraj.metrics import NAME
from rules.catalogue import values
from rules.language import lexer
from rules.language.errors import RuleTextError, near, quoted
from rules.rule import Per, Rule

FILE_MAX = 256 * 1024
"""Characters; ten times the longest file of the catalogue."""
RULES_MAX = 200
TITLE_MAX = 120
"""It stands in one line on a phone and as the subject of a mail."""
TEXT_MAX = 600

GUARDS: Mapping[str, tuple[str, ...]] = {"lamp": ("clock_ok", "settled")}
"""What rules per reading are guarded by where they do not say it themselves."""
GUARDS_ELSE = ("clock_ok",)

Readers = Mapping[str, tuple[str, Callable[[Any], Any]]]
"""By key in TOML: the field of ``Rule`` and what reads it."""

_CONDITION = values.text(lexer.TEXT_MAX)
KEYS: Readers = {
    "kind": ("kinds", values.one_or_more(values.one_of(tuple(KINDS)))),
    "per": ("per", values.one_of(tuple(Per))),
    "when": ("when", _CONDITION),
    "for": ("for_s", values.duration),
    "clear_when": ("clear_when", _CONDITION),
    "clear_for": ("clear_for_s", values.duration),
    "of": ("of", values.days),
    "severity": ("severity", values.one_of(tuple(Severity))),
    "critical_when": ("critical_when", _CONDITION),
    "proof_when": ("proof_when", _CONDITION),
    "proof_fails_when": ("proof_fails_when", _CONDITION),
    "guards": ("guards", values.names),
    "thresholds": ("thresholds", values.thresholds),
    "loses": ("loses", _CONDITION),
    "hidden": ("hidden", values.yes_or_no),
    "quick": ("quick", values.yes_or_no),
    "explained_by": ("explained_by", values.names),
    "title": ("title", values.title(TITLE_MAX)),
    "symptom": ("symptom", values.title(TEXT_MAX)),
    "bring": ("bring", values.title(TEXT_MAX)),
    "source": ("source", values.text(TEXT_MAX)),
}
_NEEDED = ("kind", "when", "severity", "title")


def parse(text: str, where: str) -> tuple[Rule, ...]:
    """Read the rules of one TOML text; ``where`` is what its errors call it. Their conditions are not compiled yet."""
    if len(text) > FILE_MAX:
        raise RuleTextError(f"{len(text)} characters", f"at most {FILE_MAX}", where=where)
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise RuleTextError("lists within lists within lists", "rules: [name] and keys below", where=where) from None
    except ValueError as error:  # TOMLDecodeError, and what the standard library says of endless numbers
        raise RuleTextError(f"no TOML ({error})", "rules: [name] and keys below", where=where) from None
    if not tables:
        raise RuleTextError("no rule", "at least one: [name] and keys below", where=where)
    if len(tables) > RULES_MAX:
        raise RuleTextError(f"{len(tables)} rules", f"at most {RULES_MAX} in a file", where=where)
    return tuple(_rule(name, table, where) for name, table in tables.items())


def _rule(name: str, table: object, where: str) -> Rule:
    place = f"{where}: {name if len(name) <= 64 else name[:64] + '…'}"
    if not isinstance(table, dict):
        hint = f"a rule begins with its name: [name_of_rule], then {name} = …" if name in KEYS else ""
        raise RuleTextError(values.told(table), "a rule: [name] and keys below", hint=hint, where=place)
    if not NAME.fullmatch(name):
        expected = "a name of 2 to 48 small letters, digits and _"
        raise RuleTextError(quoted(name), expected, where=where)
    fields = _fields(cast("dict[str, Any]", table), place)
    fields.setdefault("symptom", fields["title"])
    per = fields.setdefault("per", Per.READING)
    if per is Per.READING:
        fields.setdefault("guards", _guards(fields["kinds"]))
    _check_together(fields, place)
    return Rule(name=name, **fields)


def _fields(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    for key in table:
        if key not in KEYS:
            expected = "one of the keys of a rule (" + ", ".join(KEYS) + ")"
            raise RuleTextError(f"unknown key {quoted(key)}", expected, hint=near(key, KEYS), where=place)
    for key in _NEEDED:
        if key not in table:
            raise RuleTextError(f"no key {key!r}", "it in every rule", where=place)
    fields: dict[str, Any] = {}
    for key, value in table.items():
        field, read = KEYS[key]
        try:
            fields[field] = read(value)
        except RuleTextError as error:
            raise error.within(f"{place}.{key}") from None
    return fields


def _guards(kinds: tuple[str, ...]) -> tuple[str, ...]:
    """What all of the kinds are guarded by."""
    guards = [GUARDS.get(kind, GUARDS_ELSE) for kind in kinds]
    return tuple(name for name in guards[0] if all(name in of_kind for of_kind in guards))


def _check_together(fields: Mapping[str, Any], place: str) -> None:
    """Keys that do not go together."""
    by_day = fields["per"] in (Per.NIGHT, Per.DAY)
    for key in ("for", "clear_for"):
        if by_day and KEYS[key][0] in fields:
            hint = 'how many nights or days: of = "2 of 3"'
            raise RuleTextError(
                f"a duration in a rule per {fields['per']}", "no duration", hint=hint, where=f"{place}.{key}"
            )
    if "of" in fields and not by_day:
        hint = 'how long: for = "10 min"'
        raise RuleTextError(
            f"days in a rule per {fields['per']}", 'per = "night" or "day"', hint=hint, where=f"{place}.of"
        )
    for key in ("proof_when", "proof_fails_when"):
        if key in fields and fields["per"] is not Per.READING:
            expected = 'a proof only with per = "reading"'
            raise RuleTextError(f"a proof in a rule per {fields['per']}", expected, where=f"{place}.{key}")
    if "proof_fails_when" in fields and "proof_when" not in fields:
        expected = "proof_when beside it"
        raise RuleTextError("proof_fails_when alone", expected, where=f"{place}.proof_fails_when")
    if fields.get("quick") and fields["per"] is not Per.TIME:
        expected = 'quick only with per = "time"'
        raise RuleTextError(f"quick in a rule per {fields['per']}", expected, where=f"{place}.quick")
