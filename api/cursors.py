"""Opaque cursors: the key of the last row of a page, and which list it belongs to."""

import base64
from datetime import UTC, datetime, timedelta

import msgspec

from api.problems import Problem

BIGINT_MAX = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
CURSOR_CHARS_MAX = 200


def encode(scope: str, *key: int | str) -> str:
    """``scope`` names the list, so that a cursor of one is not taken for one of another."""
    return base64.urlsafe_b64encode(msgspec.json.encode([scope, *key])).decode().rstrip("=")


def decode(cursor: str, scope: str, *types: type) -> list[int | str]:
    """The key; raise ``Problem('cursor')`` when it is none of ours, or another list's."""
    try:
        if len(cursor) > CURSOR_CHARS_MAX:
            raise ValueError
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        first, *key = msgspec.json.decode(raw, type=list[int | str])
    except (ValueError, msgspec.MsgspecError) as error:
        raise Problem("cursor", 400) from error
    if first != scope or [type(part) for part in key] != list(types):
        raise Problem("cursor", 400)
    for part in key:
        if (isinstance(part, int) and abs(part) > BIGINT_MAX) or (isinstance(part, str) and "\0" in part):
            raise Problem("cursor", 400)
    return key


def number(cursor: str | None, scope: str, beginning: int) -> int:
    """The key of a list by number; ``beginning`` without a cursor."""
    return beginning if cursor is None else int(decode(cursor, scope, int)[0])


def text(cursor: str | None, scope: str) -> str:
    """The key of a list by name."""
    return "" if cursor is None else str(decode(cursor, scope, str)[0])


def of_reading(asset_id: int, ts: datetime, seq: int) -> str:
    """The cursor behind a reading."""
    return encode(f"readings/{asset_id}", (ts - EPOCH) // MICROSECOND, seq)


def reading(cursor: str | None, asset_id: int) -> tuple[datetime, int] | None:
    """The (time, seq) of the last reading."""
    if cursor is None:
        return None
    ts_us, seq = decode(cursor, f"readings/{asset_id}", int, int)
    try:
        return EPOCH + int(ts_us) * MICROSECOND, int(seq)
    except OverflowError as error:
        raise Problem("cursor", 400) from error
