"""The rules that come with the project, one TOML file a theme; the same reader serves rules that people write.

``parse`` reads rules, ``check`` compiles their texts against what their kinds have, ``with_overrides`` puts other
thresholds in. Whatever is wrong is a ``RuleTextError`` that names file, rule and key, and in a condition the column.
"""

from importlib.resources import files

from rules.catalogue.checking import check, names_of
from rules.catalogue.overriding import with_overrides
from rules.catalogue.reading import parse
from rules.language.errors import RuleTextError
from rules.rule import Rule

__all__ = ["RuleTextError", "check", "load", "names_of", "parse", "with_overrides"]


def load() -> tuple[Rule, ...]:
    """The whole catalogue, files by name, rules in their order; a rule's name is unique in all of it."""
    rules: dict[str, Rule] = {}
    for file in sorted(files(__name__).iterdir(), key=lambda found: found.name):
        if file.name.endswith(".toml"):
            for rule in parse(file.read_text("utf-8"), file.name):
                if rule.name in rules:
                    where = f"{file.name}: {rule.name}"
                    raise RuleTextError("a rule of this name in another file too", "unique names", where=where)
                rules[rule.name] = rule
    return tuple(rules.values())
