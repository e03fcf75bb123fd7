"""The audit log's chain: the bytes that are digested, the check of a sequence of entries, and signed heads."""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kraj.errors import ConfigurationError

DIGEST_BYTES = 32
ORIGIN = bytes(DIGEST_BYTES)
"""What stands before the first entry."""
EPOCH = datetime.fromtimestamp(0, UTC)
MICROSECOND = timedelta(microseconds=1)
NEIGHBOURS = 64
"""An entry that was moved is looked for among so many places before and behind; found or not, it is a break."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as stored; ``detail`` is the JSON as PostgreSQL writes it, because those are the digested bytes."""

    entry_id: int
    at: datetime
    pseudonym: str | None
    action: str
    subject: str
    municipality_id: int | None
    detail: str
    previous: bytes
    digest: bytes


class Tampering(StrEnum):
    """What was done to the log."""

    ALTERED = "altered"
    DELETED = "deleted"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    FORGED = "forged"
    """A head whose signature is not of this key."""


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which the log is not what was written."""

    kind: Tampering
    entry_id: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the log as it was at a time, signed: whoever keeps it can tell later whether that end still stands."""

    entry_id: int
    digest: bytes
    at: datetime
    signature: bytes = b""

    @property
    def signed_bytes(self) -> bytes:
        """What the signature covers."""
        moment = str((self.at - EPOCH) // MICROSECOND)
        return b"kraj audit head" + b"".join(_field(text) for text in (str(self.entry_id), moment)) + self.digest

    def as_json(self) -> str:
        """One line for a file."""
        return json.dumps(
            {
                "entry_id": self.entry_id,
                "digest": self.digest.hex(),
                "at": self.at.astimezone(UTC).isoformat(),
                "signature": base64.b64encode(self.signature).decode(),
            }
        )


def head_of_json(line: str) -> Head:
    """Read what ``Head.as_json`` wrote; raise ``ConfigurationError`` for anything else."""
    try:
        found: dict[str, Any] = json.loads(line)
        head = Head(
            entry_id=int(found["entry_id"]),
            digest=bytes.fromhex(found["digest"]),
            at=datetime.fromisoformat(found["at"]),
            signature=base64.b64decode(found["signature"], validate=True),
        )
        if head.at.tzinfo is None:
            raise ValueError("at has no zone")
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"no signed head: {line[:120]!r}; take a line that `kraj audit head` wrote") from error
    return head


def sign(key: Ed25519PrivateKey, entry_id: int, digest: bytes, at: datetime) -> Head:
    """A head of the log at a time."""
    head = Head(entry_id=entry_id, digest=digest, at=at)
    return replace(head, signature=key.sign(head.signed_bytes))


def genuine(head: Head, key: Ed25519PublicKey) -> bool:
    """Whether this key has signed the head."""
    try:
        key.verify(head.signature, head.signed_bytes)
    except InvalidSignature:
        return False
    return True


def canonical(entry: Entry) -> bytes:
    """The digested bytes: every field behind its length, so that no two entries have the same; then ``previous``."""
    fields = (
        str(entry.entry_id),
        str((entry.at - EPOCH) // MICROSECOND),
        entry.pseudonym or "",
        entry.action,
        entry.subject,
        "" if entry.municipality_id is None else str(entry.municipality_id),
        entry.detail,
    )
    return b"".join(map(_field, fields)) + entry.previous


def digest(entry: Entry) -> bytes:
    """What ``entry.digest`` ought to be."""
    return hashlib.sha256(canonical(entry)).digest()


def verify(entries: Iterable[Entry], heads: Sequence[Head] = (), key: Ed25519PublicKey | None = None) -> Break | None:
    """The first break of the whole log, whose entries come by ``entry_id``; None where it is whole.

    Without heads the end may be missing and nobody could tell, and whoever owns the database could have written the
    whole log anew: keep heads elsewhere.
    """
    for head in heads:
        if key is not None and not genuine(head, key):
            return Break(Tampering.FORGED, head.entry_id, f"the head at {head.entry_id} is not signed by this key")
    wanted = {head.entry_id: head.digest for head in heads}
    last, before = 0, ORIGIN
    for entry in entries:
        found = _broken(entry, last, before) or _against(wanted.pop(entry.entry_id, None), entry)
        if found is not None:
            return found
        last, before = entry.entry_id, entry.digest
    wanted.pop(0, None)
    if wanted:
        return Break(Tampering.TRUNCATED, last + 1, f"the log ends at {last}; a signed head names entry {max(wanted)}")
    return None


def _broken(entry: Entry, last: int, before: bytes) -> Break | None:
    number = entry.entry_id
    if number <= last:
        return Break(Tampering.REORDERED, number, f"entry {number} stands behind entry {last}")
    if number != last + 1:
        return Break(Tampering.DELETED, last + 1, f"entry {last + 1} is missing; entry {number} follows {last}")
    if digest(entry) != entry.digest:
        origin = next((place for place in _near(number) if _is_from(entry, place)), None)
        if origin is not None:
            return Break(Tampering.REORDERED, number, f"entry {number} was written as entry {origin}")
        return Break(Tampering.ALTERED, number, f"entry {number} is not what was digested")
    if entry.previous != before:
        return Break(Tampering.ALTERED, number, f"entry {number} does not follow from entry {last}")
    return None


def _against(wanted: bytes | None, entry: Entry) -> Break | None:
    if wanted is None or wanted == entry.digest:
        return None
    return Break(Tampering.ALTERED, entry.entry_id, f"entry {entry.entry_id} is not the one that a signed head names")


def _near(number: int) -> Iterator[int]:
    return (place for place in range(max(1, number - NEIGHBOURS), number + NEIGHBOURS + 1) if place != number)


def _is_from(entry: Entry, place: int) -> bool:
    return digest(replace(entry, entry_id=place)) == entry.digest


def _field(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(4, "big") + raw
