"""What a trial's verdict says to people, in one sentence."""

from typing import Any

from api import formats
from api.texts import Catalogue


def doubts(verdict: dict[str, Any]) -> list[str]:
    """Why a proposal should not be switched on unless somebody insists, as names of texts and problems."""
    return verdict.get("doubts", ["too_many"] if verdict["too_many"] else [])


def sentence(verdict: dict[str, Any], say: Catalogue) -> str:
    """How often it would have told, on how many assets; or that there is nothing to judge."""

    def number(name: str) -> str:
        return formats.number(verdict[name], say.language)

    if not verdict["assets"]:
        return say("rulebook.verdict_nobody")
    if not verdict["readings"]:
        return say("rulebook.verdict_nothing", assets=number("assets"), days=number("days"))
    key = "rulebook.verdict" if verdict["raised"] else "rulebook.verdict_silent"
    names = ("raised", "assets_raised", "assets", "days", "readings")
    return say(key, **{name: number(name) for name in names})
