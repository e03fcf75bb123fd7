"""Citizens' reports as REST answers and takes them, and what of it contradicts itself."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api import parameters, written
from api.problems import Problem
from api.schemas import Instant, Paged
from kraj.service_requests import NOTES_CHARS_MAX, SERVICES
from kraj.store import request_desk as store

EXPECTED_MAX = timedelta(days=366)
How = Literal["repaired", "no_fault", "not_ours", "unclear"]
Notes = Annotated[str, StringConstraints(min_length=1, max_length=NOTES_CHARS_MAX, pattern=written.PROSE)]


class RequestParameters(parameters.Page):
    """Which reports."""

    municipality: parameters.Text | None = Field(None, description="Name of the municipality.", examples=["olsinka"])
    status: Literal["open", "closed", "all"] = "open"
    placed: bool | None = Field(None, description="Whether it is known which thing is meant.")
    source: Literal["page", "open311", "phone"] | None = Field(None, description="How it came.")
    q: Annotated[parameters.Text, Field(max_length=parameters.TEXT_CHARS_MAX)] | None = Field(
        None, description="Text in its words, place or label; accents and capitals do not matter."
    )

    def which(self, *, first_only: bool = False) -> store.Which:
        """As the store has it."""
        return store.Which(
            status=None if self.status == "all" else self.status,
            placed=self.placed,
            municipality=self.municipality or None,
            text=self.q or None,
            source=self.source,
            first_only=first_only,
        )


class ServiceRequest(BaseModel):
    """A citizen's report (Open311: a service request) in the reporter's words."""

    request_number: int
    service_request_id: str = Field(description="Its public name: it is followed at /report/{service_request_id}.")
    service_code: str = Field(json_schema_extra={"enum": list(SERVICES)})
    status: Literal["open", "closed"]
    closed_how: Literal["verified", "repaired", "no_fault", "not_ours", "unclear"] | None = Field(
        description="How it ended; `verified` by measurements, else as people say."
    )
    municipality: str | None = Field(description="Name; null where the words do not tell.")
    asset_id: int | None = Field(description="What it means; null until somebody says so.")
    place: str | None = Field(description="The asset's label.")
    candidate_id: int | None = Field(description="What it may mean.")
    candidate: str | None = Field(description="That one's label.")
    alert_id: int | None = Field(description="The alert that it belongs to.")
    merged_into: int | None = Field(description="The number of the first report of the same.")
    latitude: float | None
    longitude: float | None
    address: str | None
    description: str
    source: Literal["page", "open311", "phone"]
    who: str | None = Field(description="The clerk who took it by telephone.")
    status_notes: str | None = Field(description="What anybody reads beside its status.")
    expected_at: Instant | None = Field(description="When the repair is to be expected.")
    requested_at: Instant
    updated_at: Instant
    version: int


class ServiceRequestPage(Paged):
    """Reports, the newest first."""

    items: list[ServiceRequest]


class ServiceRequestChange(BaseModel):
    """What somebody of the town says of a report; those that are merged with it follow."""

    model_config = ConfigDict(extra="forbid")

    asset_id: int | None = Field(None, ge=1, le=2**31 - 1, description="The lamp, stop or cabinet that it means.")
    status: Literal["open", "closed"] | None = None
    closed_how: How | None = Field(None, description="Needed to close.")
    status_notes: Notes | None = Field(None, description="For anybody to read; null takes it back.")
    expected_at: AwareDatetime | None = Field(None, description="Within a year from now; null takes it back.")

    def told(self, row: store.Report, now: datetime) -> dict[str, Any]:
        """What the store is to be told; raises ``Problem('contradiction')``."""
        status = self.status or row.status
        if status == "closed" and self.closed_how is None and row.status == "open":
            raise contradiction("status = closed, closed_how = null")
        if status == "open" and self.closed_how is not None:
            raise contradiction(f"status = open, closed_how = {self.closed_how}")
        if status == "closed" and self.asset_id is not None:
            raise contradiction("status = closed, asset_id")
        if self.expected_at is not None and not now <= self.expected_at <= now + EXPECTED_MAX:
            raise contradiction(f"expected_at: {self.expected_at.isoformat()}")
        found = {name: value for name in ("status", "closed_how") if (value := getattr(self, name)) is not None}
        if "status_notes" in self.model_fields_set:
            found["status_notes"] = self.status_notes
        if "expected_at" in self.model_fields_set:
            found["expected_at"] = None if self.expected_at is None else self.expected_at.isoformat()
        return found


def contradiction(what: str) -> Problem:
    """What cannot be true at once."""
    return Problem("contradiction", 422, what=what)


EXAMPLE: dict[str, Any] = {
    "request_number": 7,
    "service_request_id": "q0b8Jc2hV1hX3n5WmZr4kA2d",
    "service_code": "dark_lamp",
    "status": "open",
    "closed_how": None,
    "municipality": "olsinka-nad-mlynkou",
    "asset_id": 17,
    "place": "VO-112",
    "candidate_id": None,
    "candidate": None,
    "alert_id": 40,
    "merged_into": None,
    "latitude": 49.5,
    "longitude": 15.6,
    "address": None,
    "description": "Tma před školou",
    "source": "page",
    "who": None,
    "status_notes": "Čekáme na díl.",
    "expected_at": "2026-11-27T22:59:00.000Z",
    "requested_at": "2026-11-21T06:15:00.000Z",
    "updated_at": "2026-11-21T07:00:00.000Z",
    "version": 2,
}
EXAMPLES: dict[str, Any] = {"items": [EXAMPLE], "next_cursor": None}
