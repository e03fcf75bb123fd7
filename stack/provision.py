"""Identities of simulated devices: made here as devices would make them, and recorded as if each had enrolled."""

import os
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import psycopg

from api.issuing import Issuer
from kraj import certificates
from kraj.certificates import Certificate
from kraj.errors import ConfigurationError
from kraj.store import identity
from simulators.identity import ROOTS
from stack import authority


def provision(url: str, names: Iterable[str], authorities: Path, folder: Path, clock: Callable[[], datetime]) -> int:
    """Give each device that has none a key and a certificate in ``folder``; returns how many that were.

    A key takes a tenth of a millisecond. Files are not synced one by one: what a power cut leaves damaged is made anew.
    """
    now = clock()
    by = authority.ensure(authorities, now)
    folder.mkdir(mode=0o700, exist_ok=True)
    _write(folder / ROOTS, certificates.pem(*by.roots))
    issued: list[tuple[str, Certificate]] = []
    for name in names:
        file = folder / f"{name}.pem"
        if _good(file, by, now):
            continue
        key = certificates.new_key()
        made = certificates.issue_device(by.authority, key.public_key(), name, now)
        _write(file, certificates.key_pem(key) + certificates.pem(made, by.authority.certificate))
        issued.append((name, made))
    with psycopg.connect(url, autocommit=True) as connection:
        identity.record(connection, issued, by.authority.generation, now)
    return len(issued)


def _good(file: Path, by: Issuer, now: datetime) -> bool:
    if not file.exists():
        return False
    try:
        certificates.read_key(file.read_bytes())
        found = authority.read(file)
    except (ValueError, ConfigurationError):
        return False
    return not certificates.due(found, now) and found.issuer == by.authority.certificate.subject


def _write(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
