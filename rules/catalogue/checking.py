"""Whether a rule's texts can be judged on its kinds: every name there, every unit right, nothing named for nothing."""

from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager

from kraj.attributes import ATTRIBUTES
from kraj.kinds import KINDS
from kraj.metrics import Title
from kraj.units import Unit
from rules.compiled import table_of
from rules.inputs import Seam, of_kind
from rules.language import RuleTextError, Symbol, compile_condition, compile_number
from rules.language.errors import near, quoted
from rules.layer import Form
from rules.rule import Per, Rule
from rules.wording import placeholders

ALWAYS = frozenset({"label"})
"""What a text may name besides: every asset has it."""


def check(
    rule: Rule,
    seam_of: Callable[[str], Seam] = of_kind,
    *,
    causes: Collection[str] | None = None,
    where: str = "",
) -> None:
    """Compile all texts of a rule on each of its kinds; ``RuleTextError`` names rule, key and place.

    ``causes`` are the names (of causes, and of rules) that ``explained_by`` may hold; None leaves it unchecked.
    """
    place = f"{where}: {rule.name}" if where else rule.name
    for kind in rule.kinds:
        table = names_of(rule, kind, seam_of)
        try:
            _check_thresholds(rule, names_of(rule, kind, seam_of, thresholds=False))
            told = _check_conditions(rule, kind, table)
            _check_guards(rule, table)
            _check_texts(rule, kind, table, told)
            _check_causes(rule, causes)
        except RuleTextError as error:
            on = f" on {kind}" if len(rule.kinds) > 1 else ""
            raise error.placed(f"{place}.{error.where}{on}") from None


def names_of(
    rule: Rule, kind: str, seam_of: Callable[[str], Seam] = of_kind, *, thresholds: bool = True
) -> dict[str, Symbol]:
    """Everything that the rule may speak of on this kind."""
    return table_of(seam_of(kind), rule.per, rule.thresholds if thresholds else ())


def _check_conditions(rule: Rule, kind: str, table: Mapping[str, Symbol]) -> frozenset[str]:
    """The names of ``when``."""
    hints = _hints(rule, kind)
    with _within("when"):
        told = compile_condition(rule.when, table, hints=hints).names
    used = set(told)
    for key in ("clear_when", "critical_when", "proof_when", "proof_fails_when"):
        text: str | None = getattr(rule, key)
        if text is not None:
            with _within(key):
                used |= compile_condition(text, table, hints=hints).names
    if rule.loses is not None:
        with _within("loses"):
            used |= compile_number(rule.loses, table, Unit.WATT, hints=hints).names
    for name in rule.thresholds:
        if name not in used:
            expected = "a condition that uses it"
            raise RuleTextError(f"the threshold {name}", expected, hint=near(name, used), where="thresholds")
    return told


def _hints(rule: Rule, kind: str) -> dict[str, str]:
    """What to say of names that exist, but not here."""
    hints = {name: f"{other.name} has it, {kind} has not" for other in KINDS.values() for name in other.by_name}
    if rule.per is not Per.READING:
        has = "derived values" if rule.per is Per.TIME else f"aggregates of the {rule.per}"
        hint = f"metrics come with readings; a rule per {rule.per} has {has} (see the catalogue)"
        hints |= dict.fromkeys(KINDS[kind].by_name, hint)
    words = (attribute.name for attribute in ATTRIBUTES.get(kind, ()) if attribute.words)
    return hints | dict.fromkeys(words, "it is a text; conditions are about numbers, flags and states")


@contextmanager
def _within(where: str) -> Generator[None]:
    try:
        yield
    except RuleTextError as error:
        raise error.within(where) from None


def _check_thresholds(rule: Rule, table: Mapping[str, Symbol]) -> None:
    """A threshold of another thing's name would hide that thing, or be hidden by it."""
    for name in rule.thresholds:
        if name in table:
            expected = "a name that means nothing else on this kind"
            raise RuleTextError(f"the threshold {name}", expected, hint=f"try {name}_limit", where="thresholds")


def _check_guards(rule: Rule, table: Mapping[str, Symbol]) -> None:
    flags = [name for name, symbol in table.items() if symbol.form is Form.FLAG]
    for name in rule.guards:
        if name not in flags:
            raise RuleTextError(quoted(name), "flags of this kind", hint=near(name, flags), where="guards")


def _check_texts(rule: Rule, kind: str, table: Mapping[str, Symbol], told: Collection[str]) -> None:
    """Texts are filled from the evidence (what ``when`` speaks of, and thresholds) and from the registry."""
    known = {*told, *rule.thresholds, *ALWAYS, *(attribute.name for attribute in ATTRIBUTES.get(kind, ()))}
    texts: dict[str, Title | None] = {"title": rule.title, "symptom": rule.symptom, "bring": rule.bring}
    for key, title in texts.items():
        for language, text in (("cs", title.cs), ("en", title.en)) if title else ():
            with _within(f"{key}.{language}"):
                for name in placeholders(text):
                    if name not in known:
                        hint = "only what when speaks of is evidence" if name in table else near(name, known)
                        expected = "a name in when, a threshold or an attribute"
                        raise RuleTextError(quoted("{" + name + "}"), expected, hint=hint)


def _check_causes(rule: Rule, causes: Collection[str] | None) -> None:
    if causes is None:
        return
    for name in rule.explained_by:
        if name not in causes:
            expected = "a cause or a rule of the catalogue"
            raise RuleTextError(quoted(name), expected, hint=near(name, causes), where="explained_by")
