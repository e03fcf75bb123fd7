"""Keeping machines from a form without a riddle for people: a field that nobody sees, and a stamp of time."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping

from api.problems import Problem

TRAP = "website"
"""A field that is out of sight and out of the reach of keys; programs fill it in."""
STAMP = "stamp"
SOONEST_S = 1.0
"""Nobody reads a form and sends it in less."""
LATEST_S = 6 * 3600.0
"""A form that was left open over dinner is still good."""


class Guard:
    """Stamps forms and looks at what comes back; the key lives as long as the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock

    def stamp(self) -> str:
        """For a hidden field of a form."""
        moment = f"{self._clock():.2f}"
        return f"{moment}.{self._signature(moment)}"

    def check(self, given: Mapping[str, str]) -> None:
        """Raise ``Problem('report_form')`` for a form that no person has sent; nothing that was written is lost."""
        moment, _, signature = given.get(STAMP, "").rpartition(".")
        genuine = hmac.compare_digest(signature.encode(), self._signature(moment).encode())
        if given.get(TRAP) or not genuine or not SOONEST_S <= self._clock() - float(moment) <= LATEST_S:
            raise Problem("report_form", 400)

    def _signature(self, moment: str) -> str:
        return hmac.new(self._key, moment.encode(), hashlib.sha256).hexdigest()[:32]
