"""Entities as the standard's JSON: control information, links, what was selected and expanded, the next page."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from kraj.sensorthings.model import ENTITIES, FEATURE, Entity, Link, scope
from kraj.sensorthings.options import EXPANDED_TOP_DEFAULT, FIELDS, NEXT, TOP_DEFAULT, TOP_MAX, Asked
from kraj.store.sensorthings.reading import Connection, Found, Row, read

Json = dict[str, Any]
EXPANDED_MAX: Final = 5000
"""Entities that one $expand brings at most, below all entities of the page together."""
NOWHERE: Final[Json] = {"type": "Feature", "geometry": None, "properties": {}}
"""What an asset without a place observes."""


@dataclass(frozen=True, slots=True)
class Shaper:
    """Reads what is asked and shapes it; ``base`` is the address of the service's root, ``at`` now."""

    connection: Connection
    base: str
    at: datetime

    def own(self, entity: Entity, number: int) -> str:
        """An entity's address."""
        return f"{self.base}/{entity.plural}({number})"

    async def page(self, entity: Entity, scope_: dict[Any, Any], asked: Asked, address: str) -> Json:
        """Entities of a set, as a page."""
        limit = min(TOP_DEFAULT if asked.top is None else asked.top, TOP_MAX)
        found = (await read(self.connection, entity, [scope_], asked, limit=limit, at=self.at))[0]
        body: Json = {} if found.count is None else {"@iot.count": found.count}
        body["value"] = await self.shaped(entity, found.rows, asked)
        following = _following(asked, found, limit)
        if following is not None:
            body["@iot.nextLink"] = f"{address}?{following}"
        return body

    async def references(self, entity: Entity, scope_: dict[Any, Any], asked: Asked, address: str) -> Json:
        """The same as addresses alone."""
        page = await self.page(entity, scope_, replace(asked, select=("id",), expand={}), address)
        page["value"] = [{"@iot.selfLink": self.own(entity, one["@iot.id"])} for one in page["value"]]
        return page

    async def shaped(self, entity: Entity, rows: Sequence[Row], asked: Asked) -> list[Json]:
        """The JSON of entities."""
        bodies = [self._body(entity, row, asked) for row in rows]
        for name, below in asked.expand.items():
            link = entity.link(name)
            if link is not None and rows:
                await self._expand(entity, link, rows, bodies, below)
        return bodies

    def _body(self, entity: Entity, row: Row, asked: Asked) -> Json:
        own = self.own(entity, row.number)
        chosen = set(asked.select)
        body: Json = {}
        if not chosen or chosen & {"id", "@iot.id"}:
            body["@iot.id"] = row.number
        if not chosen:
            body["@iot.selfLink"] = own
        for name in FIELDS[entity.name]:
            if not chosen or name in chosen:
                value = row.values.get(name)
                if value is None and entity is FEATURE:
                    value = NOWHERE
                if value is not None:
                    body[name] = value
        for link in entity.links:
            if link.name not in asked.expand and (not chosen or link.name in chosen):
                body[f"{link.name}@iot.navigationLink"] = f"{own}/{link.name}"
        return body

    async def _expand(
        self, entity: Entity, link: Link, rows: Sequence[Row], bodies: Sequence[Json], asked: Asked
    ) -> None:
        target = ENTITIES[link.target]
        scopes = [scope(target, row.parts) for row in rows]
        limit = 1
        if link.many:
            wished = EXPANDED_TOP_DEFAULT if asked.top is None else asked.top
            limit = min(wished, TOP_MAX, max(1, EXPANDED_MAX // len(rows)))
        answers = await read(self.connection, target, scopes, asked, limit=limit, at=self.at)
        flat = await self.shaped(target, [row for found in answers for row in found.rows], asked)
        place = 0
        for row, body, found in zip(rows, bodies, answers, strict=True):
            below = flat[place : place + len(found.rows)]
            place += len(found.rows)
            body[link.name] = below if link.many else next(iter(below), None)
            if found.count is not None:
                body[f"{link.name}@iot.count"] = found.count
            following = _following(replace(asked, top=limit), found, limit) if link.many else None
            if following is not None:
                body[f"{link.name}@iot.nextLink"] = f"{self.own(entity, row.number)}/{link.name}?{following}"


def _following(asked: Asked, found: Found, limit: int) -> str | None:
    """Options of the next page; None at the end, and where nothing was wanted."""
    if not found.more or not limit:
        return None
    kept = [(name, value) for name, value in asked.given if name not in ("$top", "$skip", NEXT)]
    if asked.top is not None:
        kept.append(("$top", str(asked.top)))
    if found.by_number:
        kept.append((NEXT, str(found.rows[-1].number)))
    else:
        kept.append(("$skip", str(asked.skip + limit)))
    return urlencode(kept, quote_via=quote, safe="$(),/;=':")
