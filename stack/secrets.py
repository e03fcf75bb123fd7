"""Passwords that this machine makes for its own services: random, kept in one file that only we can read."""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from kraj.errors import ConfigurationError

PASSWORD_BYTES = 24


def load_or_create(file: Path, names: Iterable[str]) -> dict[str, str]:
    """Return name → password from the file; names that are missing in it get a random password and are added."""
    known: dict[str, str] = {}
    if file.exists():
        try:
            known = json.loads(file.read_text())
        except (ValueError, OSError) as error:
            raise ConfigurationError(f"{file} cannot be read ({error}); restore it from a backup") from error
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(PASSWORD_BYTES) for name in missing}
        try:
            write_private(file, json.dumps(known, indent=1) + "\n")
        except OSError as error:
            raise ConfigurationError(f"cannot write {file}: {error.strerror}; set KRAJ_STATE_DIR elsewhere") from error
    return known


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step; it is never readable for others, and whole or not there after a power cut."""
    write_private_bytes(file, text.encode())


def write_private_bytes(file: Path, content: bytes) -> None:
    """``write_private`` for what is no text."""
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())
    new.replace(file)
