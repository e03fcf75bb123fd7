"""Short words for tests of adapters: a device's assets, a message, what it tells."""

import json
from datetime import UTC, datetime
from typing import Any

from kraj.foreign import adapters
from kraj.foreign.mapping import Document
from kraj.foreign.records import Adapter, Context, Told
from kraj.kinds import KINDS

NOW = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def context(*kinds: str, now: str = "2026-11-21T06:15:00+00:00") -> Context:
    """The assets of a device by channel, from 0 on."""
    return Context({channel: KINDS[kind] for channel, kind in enumerate(kinds)}, ms(now))


def document(adapter: Adapter, given: Any = None) -> Document:
    return adapters.check(adapter, {} if given is None else given)


def told(
    adapter: Adapter, tail: str, message: Any, *kinds: str, given: Any = None, now: str = "2026-11-21T06:15:00+00:00"
) -> Told:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return adapters.read(adapter, tail, payload, document(adapter, given), context(*(kinds or ("lamp",)), now=now))
