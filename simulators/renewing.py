"""What a simulated device has to show: key and certificate, and the next one on trial beside it, as firmware has it.

Both lie in files, so that a start finds what power left: ``NAME.pem`` holds, ``NAME.next.pem`` is tried until the
broker has taken it or has refused it. The old one decides which: a broker that is gone takes neither.
"""

import os
import ssl
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from kraj import certificates, moving, renewing
from kraj.errors import PayloadError
from kraj.renewing import Own
from simulators.identity import ROOTS, context

ROUNDS = 3
REST_S = 600.0
"""By the old one, before the new one is tried again."""
KEY_END = "-----END PRIVATE KEY-----\n"


class Credential:
    """A device's, in the folder of its fleet. ``trying``: how often the next one is still tried, 0 where there is none;
    below 0 it was tried last, and the old one is next."""

    def __init__(self, folder: Path, device: str) -> None:
        self._device = device
        self._file, self._next = folder / f"{device}.pem", folder / f"{device}.next.pem"
        self._all_roots = folder / ROOTS
        self._roots, self._next_roots = folder / f"{device}.roots.pem", folder / f"{device}.next.roots.pem"
        self._order = ""
        self.trying = ROUNDS if self._next.exists() else 0
        self.rest_until_s = 0.0

    def own(self) -> Own:
        """What it has."""
        chain = moving.authorities(self._file.read_text().partition(KEY_END)[2])
        return Own(self._device, chain, moving.authorities(self._roots_now().read_text()))

    def shown(self) -> bytes:
        """Its certificate as DER."""
        return self.own().chain[0].public_bytes(certificates.serialization.Encoding.DER)

    def obey(self, order: Mapping[str, Any], now: datetime) -> str | None:
        """Take the order's certificate on trial; why not, in a word, or None."""
        own = self.own()
        try:
            found = renewing.obey(dict(order), own, now)
        except PayloadError as error:
            return error.reason
        if found is not own:
            key = self._file.read_text().partition(KEY_END)
            _write(self._next_roots, certificates.pem(*found.roots))
            _write(self._next, "".join(key[:2]) + certificates.pem(*found.chain))
            self._order, self.trying, self.rest_until_s = str(order["id"]), ROUNDS, 0.0
        return None

    def next_context(self) -> tuple[ssl.SSLContext | None, int]:
        """By what to connect now, None for what it has; and what ``taken`` is to be told of it."""
        tried, self.trying = self.trying, -self.trying
        if tried <= 0:
            return None, tried
        roots = self._next_roots if self._next_roots.exists() else self._roots_now()
        return context(roots.read_text(), self._next), tried

    def taken(self, tried: int, now_s: float) -> str | None:
        """The broker has taken it in so; the id of the order that has failed by now."""
        if tried > 0:
            self.trying = 0
            if self._next_roots.exists():
                self._next_roots.replace(self._roots)
            self._next.replace(self._file)
        elif tried < -1:
            self.trying, self.rest_until_s = -tried - 1, now_s + REST_S
        elif tried:
            self.trying = 0
            self._next.unlink()
            self._next_roots.unlink(missing_ok=True)
            return self._order
        return None

    def _roots_now(self) -> Path:
        return self._roots if self._roots.exists() else self._all_roots


def _write(file: Path, text: str) -> None:
    """Whole or not at all, for its owner alone."""
    made = file.with_suffix(".new")
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
    made.replace(file)
