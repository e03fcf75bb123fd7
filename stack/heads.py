"""Signed heads of the audit log, kept outside the database; the check of the whole log against them; its export."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from kraj.audit import Break, Entry, Head, head_of_json, sign, verify
from kraj.errors import ConfigurationError, UnavailableError
from kraj.settings import Settings
from kraj.store import audit as log
from stack.secrets import write_private

KEY_FILE, PUBLIC_FILE, HEADS_FILE = "audit.key", "audit.pub", "audit-heads.jsonl"


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check has found: entries and heads that were looked at, and the first break."""

    entries: int
    heads: int
    broken: Break | None


def take_head(url: str, settings: Settings) -> Head:
    """Sign the end of the log, which is verified before, and keep it in the state folder."""
    found = check(url, settings, None, None)
    if found.broken is not None:
        raise ConfigurationError(
            f"the log is not whole, so its end is not signed: {found.broken.message}; "
            "keep the database as it is and compare it with a backup (docs/audit.md)"
        )
    with _connected(url) as connection:
        number, digest = log.end(connection)
    head = sign(signing_key(settings), number, digest, datetime.now(UTC))
    append(settings.state_dir / HEADS_FILE, head)
    return head


def check(url: str, settings: Settings, heads: list[Path] | None, public_key: Path | None) -> Verified:
    """Verify the whole log; without ``heads`` against those that this machine has kept."""
    kept = settings.state_dir / HEADS_FILE
    files = heads or ([kept] if kept.exists() else [])
    known = [head for file in files for head in read_heads(file)]
    key = _public_key(public_key or settings.state_dir / PUBLIC_FILE) if known else None
    count = 0

    def counted(entries: Iterator[Entry]) -> Iterator[Entry]:
        nonlocal count
        for entry in entries:
            count += 1
            yield entry

    with _connected(url) as connection:
        broken = verify(counted(log.chain(connection)), known, key)
    return Verified(count, len(known), broken)


def export(url: str, file: Path) -> int:
    """Write every entry as one line of JSON; how many there were."""
    count = 0
    try:
        with _connected(url) as connection, file.open("w", encoding="utf-8") as output:
            for entry in log.chain(connection):
                line = {
                    "entry_id": entry.entry_id,
                    "at": entry.at.astimezone(UTC).isoformat(),
                    "pseudonym": entry.pseudonym,
                    "action": entry.action,
                    "subject": entry.subject,
                    "municipality_id": entry.municipality_id,
                    "detail": entry.detail,
                    "previous": entry.previous.hex(),
                    "digest": entry.digest.hex(),
                }
                output.write(json.dumps(line, ensure_ascii=False) + "\n")
                count += 1
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror}") from error
    return count


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The key in the state folder, which only we can read; made at its first use, with the public one beside it."""
    file = settings.state_dir / KEY_FILE
    if not file.exists():
        made = Ed25519PrivateKey.generate()
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        write_private(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
        public = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (settings.state_dir / PUBLIC_FILE).write_bytes(public)
    try:
        found = load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError, OSError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"{file} cannot be read ({error}); restore it from a backup") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise ConfigurationError(f"{file} is no Ed25519 key; restore it from a backup")
    return found


def _public_key(file: Path) -> Ed25519PublicKey:
    try:
        found = load_pem_public_key(file.read_bytes())
    except (ValueError, TypeError, OSError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            f"{file} cannot be read ({error}); give the public key that `kraj audit head` printed with --public-key"
        ) from error
    if not isinstance(found, Ed25519PublicKey):
        raise ConfigurationError(f"{file} is no Ed25519 public key")
    return found


def public_text(key: Ed25519PublicKey) -> str:
    """A public key short enough for paper."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def append(file: Path, head: Head) -> None:
    """Add a head to a file of them."""
    try:
        with file.open("a", encoding="utf-8") as output:
            output.write(head.as_json() + "\n")
    except OSError as error:
        raise ConfigurationError(f"cannot write {file}: {error.strerror}") from error


def read_heads(file: Path) -> list[Head]:
    """Every head of a file."""
    try:
        return [head_of_json(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error


def printed(head: Head, public: str) -> str:
    """The line for a file, and the same for paper: in groups that can be compared by eye."""
    digest = head.digest.hex()
    groups = " ".join(digest[at : at + 8] for at in range(0, len(digest), 8))
    return (
        f"{head.as_json()}\n\nentry       {head.entry_id}\nsigned      {head.at.isoformat(timespec='seconds')}\n"
        f"digest      {groups}\npublic key  {public}"
    )


def _connected(url: str) -> psycopg.Connection:
    try:
        return psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
