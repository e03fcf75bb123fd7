"""What every route needs: the database, the clock, the texts and the counters of requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from api.database import Database
from api.texts import Catalogue
from api.watch import Requests

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Service:
    """Made once, at the entry point, and passed down."""

    database: Database
    clock: Clock
    texts: Mapping[str, Catalogue]
    requests: Requests = field(default_factory=Requests)
    mails: bool = False
    """The installation has a mail server, so that a person's plain address is enough to write to."""
