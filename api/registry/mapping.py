"""Lamps whose wiring is to be looked at: what shared outages tell, and what people say of it."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api import parameters
from api.database import Connection
from api.problems import responses
from api.registry import bodies, exchange, finding
from api.schemas import Instant, Number
from api.service import Service
from kraj.store import mapping as store
from kraj.store.mapping import Kept
from rules.lighting import mapping as rules

REASON_MAX: Final = 500


class WiringEvidence(BaseModel):
    """An outage that says something of the lamp."""

    alert_id: int
    feeder: str | None = Field(description="What was without supply; null: the whole cabinet.")
    cabinet: str | None
    begins: Instant
    ends: Instant
    says: Literal["shared", "kept", "with_registered"] = Field(
        description="It lost its supply too; it kept it while its registered feeder lost it; or it lost it with that "
        "one, which speaks against the proposal."
    )


class WiringProposal(BaseModel):
    """A lamp that does not seem to hang where it is registered."""

    asset_id: int
    label: str
    version: int = Field(description="Of the asset, for If-Match.")
    registered_feeder: str | None
    registered_cabinet: str | None
    feeder: str | None = Field(description="Where it seems to hang; null: only the cabinet is known.")
    cabinet: str | None
    chance: Number = Field(description="How likely so many outages are shared by chance, at most.")
    evidence: list[WiringEvidence] = Field(description="The newest first.")


class WiringProposals(BaseModel):
    """All lamps of a municipality whose wiring is to be looked at."""

    municipality: str
    outages: int = Field(description="That were looked at, of the last 400 days.")
    items: list[WiringProposal]


EXAMPLE: Final[dict[str, Any]] = {
    "municipality": "dolni-lhota",
    "outages": 5,
    "items": [
        {
            "asset_id": 17,
            "label": "VO-117",
            "version": 3,
            "registered_feeder": "RVO-01/2",
            "registered_cabinet": "RVO-01",
            "feeder": "RVO-01/1",
            "cabinet": "RVO-01",
            "chance": 0.000081,
            "evidence": [
                {
                    "alert_id": 4711,
                    "feeder": "RVO-01/1",
                    "cabinet": "RVO-01",
                    "begins": "2026-11-20T17:01:30.000Z",
                    "ends": "2026-11-20T18:24:00.000Z",
                    "says": "shared",
                }
            ],
        }
    ],
}


class Asked(parameters.Parameters):
    """Of which municipality."""

    municipality: parameters.Text = Field(description="Its name.", examples=["dolni-lhota"])


class KeptBody(bodies.Strict):
    """Somebody has looked, and the lamp is registered rightly."""

    reason: bodies.Reason = Field(min_length=1, max_length=REASON_MAX)
    outages: list[bodies.Id] = Field(min_length=1, max_length=100)


def routes(service: Service) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["registry"])

    @router.get("/wiring", responses=responses(400, 404) | parameters.example(EXAMPLE))
    async def wiring(asked: Annotated[Asked, Query()]) -> WiringProposals:  # pyright: ignore[reportUnusedFunction]
        """Lamps that share the outages of another feeder than their registered one. PATCH the asset to correct it."""
        return (await looked(service, asked.municipality))[0]

    return router


async def looked(service: Service, municipality: str) -> tuple[WiringProposals, list[Kept]]:
    """The proposals for a municipality, and what people have said of earlier ones."""
    async with service.database.connection(snapshot=True) as connection:
        await finding.any_municipality(connection, municipality)
        outages = await store.outages(connection, municipality, service.clock())
        lamps = await store.lamps(connection, municipality)
        around = await store.around(connection, outages, lamps, rules.asked(outages, lamps))
        kept = await store.kept(connection, municipality)
        settled: dict[int, frozenset[int]] = {}
        for one in kept:
            settled[one.asset_id] = settled.get(one.asset_id, frozenset()).union(one.outages)
        # A moment of numpy must not hold up everybody else.
        fates = await asyncio.to_thread(rules.fates, outages, lamps, around)
        found = await asyncio.to_thread(rules.proposals, outages, lamps, fates, settled)
        named = await store.named(connection, [one.asset_id for one in found])
    items = [_shown(one, *named[one.asset_id]) for one in found if one.asset_id in named]
    return WiringProposals(municipality=municipality, outages=len(outages), items=items), kept


async def keep(connection: Connection, asset_id: int, body: KeptBody, at: datetime) -> None:
    """The lamp stays as it is registered, and these outages speak no more."""
    await finding.asset(connection, asset_id)
    who = exchange.who().title
    await store.keep(connection, asset_id, outages=body.outages, reason=body.reason, who=who, at=at)


def _shown(one: rules.Proposal, label: str, version: int) -> WiringProposal:
    return WiringProposal(
        asset_id=one.asset_id,
        label=label,
        version=version,
        registered_feeder=one.registered_feeder,
        registered_cabinet=one.registered_cabinet,
        feeder=one.feeder,
        cabinet=one.cabinet,
        chance=one.chance,
        evidence=[
            WiringEvidence(
                alert_id=told.outage.key,
                feeder=told.outage.feeder,
                cabinet=told.outage.cabinet,
                begins=datetime.fromtimestamp(told.outage.from_ms / 1000, UTC),
                ends=datetime.fromtimestamp(told.outage.to_ms / 1000, UTC),
                says=told.says,
            )
            for told in one.evidence
        ],
    )
