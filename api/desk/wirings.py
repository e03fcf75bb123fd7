"""How many lamps' wiring is to be looked at: worked out behind the desk's answer, as it takes a second a town."""

from datetime import UTC, datetime, timedelta
from typing import Final

from api.problems import Problem
from api.registry import mapping
from api.service import Service
from kraj.errors import KrajError
from kraj.store import mapping as store

LOOKED_EVERY: Final = timedelta(minutes=10)
TOWNS_MAX: Final = 5
"""Who manages more looks at the page itself."""
PEOPLE_MAX: Final = 1000


class Wirings:
    """What each person's desk was told last."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._found: dict[int, tuple[datetime, int]] = {}

    def known(self, person_id: int) -> int:
        """Lamps of this person's towns, as of the last look; 0 before the first."""
        return self._found.get(person_id, (None, 0))[1]

    async def look(self, person_id: int) -> None:
        """Work it out anew if that was long ago; it sees what the asking person sees."""
        at = datetime.now(UTC)
        if person_id in self._found and at - self._found[person_id][0] < LOOKED_EVERY:
            return
        if len(self._found) >= PEOPLE_MAX:
            self._found.clear()
        self._found[person_id] = (at, self.known(person_id))
        try:
            async with self._service.database.connection() as connection:
                towns = [name for name, _ in await store.towns(connection)]
            looked = [await mapping.looked(self._service, town) for town in towns[:TOWNS_MAX]]
        except (KrajError, Problem):
            return  # the page of wirings itself says what is wrong
        self._found[person_id] = (at, sum(len(found.items) for found, _ in looked))
