"""Commands that a document describes: its template with the wanted numbers filled in."""

import base64
import json
import re
from typing import Any, cast

from kraj.errors import PayloadError
from kraj.foreign.mapping import Document, Template
from kraj.foreign.records import Command, SetInterval, SetLevel


def template(wanted: Command, document: Document) -> Template:
    """The document's template for a command; raises ``PayloadError`` where it has none."""
    name = (
        "set_level" if isinstance(wanted, SetLevel) else "set_interval" if isinstance(wanted, SetInterval) else "report"
    )
    found = document.commands.get(name)
    if found is None:
        raise PayloadError("foreign_mapping", f"the mapping says nothing of the command {name}; add it under commands")
    return found


def payload(wanted: Command, given: Template) -> bytes:
    """What to publish: a text as it is, everything else as JSON."""
    filled = fill(given.payload, numbers(wanted))
    return filled.encode() if isinstance(filled, str) else json.dumps(filled, ensure_ascii=False).encode()


def base64_payload(wanted: Command, digits: str) -> str:
    """The bytes of a hexadecimal template; each number is one byte, or two where it does not fit into one."""
    known = numbers(wanted)

    def place(found: "re.Match[str]") -> str:
        value = int(known.get(found.group(1), 0))
        return f"{value:02x}" if value < 256 else f"{min(value, 65_535):04x}"

    return base64.b64encode(bytes.fromhex(re.sub(r"\$(level_pct|seconds)", place, digits))).decode()


def numbers(wanted: Command) -> dict[str, Any]:
    """The words that a template may hold behind ``$``, and what they stand for."""
    match wanted:
        case SetLevel():
            return {
                "level_pct": wanted.level_pct,
                "channel": wanted.channel,
                "on": wanted.level_pct > 0,
                "on_off": "ON" if wanted.level_pct else "OFF",
            }
        case SetInterval():
            return {"seconds": wanted.seconds}
        case _:
            return {}


def fill(given: Any, known: dict[str, Any]) -> Any:
    """A value with ``$name`` replaced: alone by the value itself, within a text by its digits."""
    if isinstance(given, dict):
        return {name: fill(value, known) for name, value in cast("dict[str, Any]", given).items()}
    if isinstance(given, list):
        return [fill(value, known) for value in cast("list[Any]", given)]
    if not isinstance(given, str):
        return given
    if given.startswith("$") and given[1:] in known:
        return known[given[1:]]
    return re.sub(r"\$([a-z_]+)", lambda found: str(known.get(found.group(1), found.group())), given)
