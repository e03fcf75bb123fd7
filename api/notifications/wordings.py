"""The words of every rule and cause, those that municipalities wrote themselves included."""

from collections.abc import Iterable, Mapping

from kraj.errors import KrajError
from kraj.metrics import Title
from kraj.service_requests import REPORT_RULE
from rules import catalogue
from rules.correlation import causes
from rules.messages import Wording
from rules.rule import Rule

_FAILED = {
    "rule_failed": Wording(
        title=Title(cs="Pravidlo selhalo a je vypnuté", en="A rule failed and is switched off"),
        symptom=Title(cs="Pravidlo {rule}: {error}", en="Rule {rule}: {error}"),
    ),
    "break_glass": Wording(
        title=Title(cs="Někdo použil nouzový účet", en="The account for emergencies was used"),
        symptom=Title(
            cs="Účet {account} se přihlásil z adresy {address}.", en="The account {account} signed in from {address}."
        ),
    ),
    REPORT_RULE: Wording(
        title=Title(cs="Hlášení občana", en="A citizen's report"),
        symptom=Title(cs="Občan hlásí: {report_cs}.", en="A citizen reports: {report_en}."),
    ),
}
"""What no rule tells: a rule that failed, the account for emergencies in use, and what a citizen has reported."""


_TEST = {
    "cs": ("[Kraj] Zkušební zpráva", "Sem budou chodit hlášení. Kdo tohle čte, má všechno nastavené správně."),
    "en": ("[Kraj] Test message", "Alerts will arrive here. Whoever reads this has set everything up."),
}
LANGUAGES = tuple(_TEST)


def test_message(language: str) -> tuple[str, str]:
    """Subject and text of a message that tries a target out."""
    return _TEST[language]


class Wordings:
    """Rule name → its words. What is unknown (a rule that was deleted since) is told by its name."""

    def __init__(self) -> None:
        self._rules: Mapping[str, Rule] = {rule.name: rule for rule in catalogue.load()}
        self._causes = _FAILED | {
            cause.name: Wording(title=cause.title, symptom=cause.symptom, bring=cause.bring) for cause in causes.load()
        }
        self._own: Mapping[str, Rule] = {}

    def take(self, texts: Iterable[str]) -> None:
        """Municipalities' own rules as they are now, as TOML."""
        own: dict[str, Rule] = {}
        for text in texts:
            try:
                own |= {rule.name: rule for rule in catalogue.parse(text, "own")}
            except KrajError:
                continue  # the rules leave it out as well, and say so
        self._own = own

    @property
    def own(self) -> Mapping[str, Rule]:
        """Municipalities' own rules by name."""
        return self._own

    def rule(self, name: str) -> Rule | None:
        """The rule; None for a cause and for what is unknown."""
        return self._rules.get(name) or self._own.get(name)

    def of(self, name: str) -> Wording:
        """The words for an alert of this rule or cause."""
        rule = self.rule(name)
        if rule is not None:
            return Wording(title=rule.title, symptom=rule.symptom, bring=rule.bring)
        return self._causes.get(name) or Wording(title=Title(cs=name, en=name), symptom=Title(cs="", en=""))
