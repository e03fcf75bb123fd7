"""One door to all adapters: a message of a system to readings, a command to what that system takes."""

import hashlib
import json
from typing import Any

from kraj.errors import PayloadError
from kraj.foreign import chirpstack, esphome, filled, mapped, mapping, shelly, tasmota
from kraj.foreign.mapping import Document
from kraj.foreign.records import Adapter, Command, Context, Outgoing, Reading, Told

PARTS_NEEDED = frozenset({Adapter.JSON, Adapter.CHIRPSTACK})
"""Systems that say nothing without a mapping; the others take one for what is unusual."""
SEQ_BYTES = 6
"""48 bits fit every number of the wire format, and two readings of one asset and millisecond never meet in them."""
ROOT = "foreign"


def check(adapter: Adapter, given: Any) -> Document:
    """The document of an adapter, checked; raises ``MappingError``."""
    return mapping.read(given, parts_needed=adapter in PARTS_NEEDED)


def read(adapter: Adapter, tail: str, payload: bytes, document: Document, context: Context) -> Told:
    """What a message tells; ``tail`` is its topic behind ``foreign/{municipality}/{device}/``. Raises
    ``PayloadError`` with a reason that a person understands."""
    match adapter:
        case Adapter.TASMOTA:
            return tasmota.read(tail, payload, document, context)
        case Adapter.SHELLY:
            return shelly.read(tail, payload, document, context)
        case Adapter.ESPHOME:
            return esphome.read(tail, payload, document, context)
        case Adapter.CHIRPSTACK:
            return chirpstack.read(tail, payload, document, context)
        case Adapter.JSON:
            return mapped.read(tail, payload, document, context)


def command(
    adapter: Adapter, wanted: Command, document: Document, *, prefix: str, address: str | None = None
) -> list[Outgoing]:
    """Messages that carry out a command; ``prefix`` is ``foreign/{municipality}/{device}``. Raises ``PayloadError``."""
    match adapter:
        case Adapter.TASMOTA:
            return tasmota.command(wanted, document)
        case Adapter.SHELLY:
            return shelly.command(wanted, document, prefix)
        case Adapter.ESPHOME:
            return esphome.command(wanted, document)
        case Adapter.CHIRPSTACK:
            return chirpstack.command(wanted, document, address)
        case Adapter.JSON:
            template = filled.template(wanted, document)
            if template.topic is None:
                raise PayloadError("foreign_mapping", "the command has no topic")
            return [Outgoing(template.topic, filled.payload(wanted, template))]


def flat(reading: Reading, now_ms: int) -> dict[str, Any]:
    """A reading as the wire format has it. Its number is made of what it says: the same said again is a duplicate,
    something else said of the same moment is not."""
    told = json.dumps([reading.channel, reading.ts_ms, reading.values], sort_keys=True, default=str).encode()
    number = int.from_bytes(hashlib.blake2b(told, digest_size=SEQ_BYTES).digest()) + 1
    out: dict[str, Any] = {"ts": now_ms if reading.ts_ms is None else reading.ts_ms, "seq": number}
    if reading.channel is not None:
        out["channel"] = reading.channel
    return out | reading.values
