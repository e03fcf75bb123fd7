"""What a trial's verdict says to people, in one sentence."""

from typing import Any

from api import formats
from api.texts import Catalogue


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
