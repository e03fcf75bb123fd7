"""What the REST answers say of people, roles, teams, grants and tokens, with true examples."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api import written
from api.acting import Name, Note
from kraj.people import GRANTABLE

Grantable = Literal["read", "act", "register", "control", "rules", "export"]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Me(BaseModel):
    """Who asks."""

    person_id: int
    name: str = Field(description="E-mail, by which one signs in.")
    title: str
    language: str
    rights: list[str] = Field(description="What one may do anywhere at all; the database judges where.")
    scopes: list[str] = Field(description="What a token narrows the rights to; `*` in a browser.")
    second_factor: bool


class Person(BaseModel):
    """A person, without anything secret."""

    person_id: int
    name: str
    title: str
    language: str
    second_factor: bool = Field(description="Whether one is set up.")
    created_at: datetime
    disabled_at: datetime | None
    version: int


class Membership(BaseModel):
    """A role; without a municipality it is the region's."""

    membership_id: int
    person_id: int
    municipality: str | None
    role: str
    valid_from: datetime
    valid_to: datetime | None
    version: int


class Team(BaseModel):
    """A team; without a municipality it is the region's, such as a contractor's crew."""

    team_id: int
    municipality: str | None
    name: str
    members: list[int]
    ended_at: datetime | None
    version: int


class TeamBody(BaseModel):
    """A team to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    municipality: str | None = Field(None, max_length=100)
    members: Annotated[list[Number], Field(max_length=200)] = Field(default_factory=list[int])


class Grant(BaseModel):
    """Whom a municipality lets at its assets."""

    grant_id: int
    municipality: str
    person_id: int | None
    team_id: int | None
    to_region: bool
    group_id: int | None
    rights: list[str]
    valid_from: datetime
    valid_to: datetime | None
    who: str
    reason: str
    version: int


GRANT_WHOM: dict[str, Any] = {
    "anyOf": [
        written.one_of("person_id", "team_id") | {"properties": {"to_region": {"const": False}}},
        {
            "required": ["to_region"],
            "properties": {"to_region": {"const": True}, "person_id": written.NULL, "team_id": written.NULL},
        },
    ]
}


class GrantBody(BaseModel):
    """A grant to be made: to a person, a team or the region."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=GRANT_WHOM)

    municipality: str = Field(max_length=100)
    person_id: Number | None = None
    team_id: Number | None = None
    to_region: bool = False
    group_id: Number | None = Field(None, description="Only the assets of this group; without it: all.")
    rights: Annotated[list[Grantable], Field(min_length=1, max_length=len(GRANTABLE))]
    valid_from: AwareDatetime | None = None
    valid_to: AwareDatetime | None = None
    reason: Note


class Token(BaseModel):
    """A token of one's own."""

    token_id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    seen_at: datetime | None
    revoked_at: datetime | None


class NewToken(Token):
    """A token that was just made."""

    token: str | None = Field(
        description="What the program sends as `Authorization: Bearer …`; shown this once, null when asked again."
    )


class Invited(BaseModel):
    """Who was invited."""

    person: Person
    membership_id: int
    link: str | None = Field(description="For who has no way to sign in yet; valid once, within seven days.")
    mailed: bool


class Disabling(BaseModel):
    """Who takes over."""

    model_config = ConfigDict(extra="forbid")

    successor: Number | None = None


class HandedOver(BaseModel):
    """What went to the successor; `uncovered` turns on call have nobody who would be called."""

    alerts: int
    turns: int
    uncovered: int
    targets: int


class Listed(BaseModel):
    """A page of any of these."""

    next_cursor: str | None = None


class PersonPage(Listed):
    """People by id."""

    items: list[Person]


class MembershipPage(Listed):
    """Roles by id, ended ones included."""

    items: list[Membership]


class TeamPage(Listed):
    """Teams by id."""

    items: list[Team]


class GrantPage(Listed):
    """Grants by id, ended ones included."""

    items: list[Grant]


class TokenPage(Listed):
    """One's tokens by id, ended ones included."""

    items: list[Token]


_AT = "2026-11-21T06:15:00Z"
ME: dict[str, Any] = {
    "person_id": 3,
    "name": "petr.novak@olsinka.cz",
    "title": "Petr Novák",
    "language": "cs",
    "rights": ["act", "read"],
    "scopes": ["*"],
    "second_factor": False,
}
PERSON: dict[str, Any] = {
    "person_id": 3,
    "name": "petr.novak@olsinka.cz",
    "title": "Petr Novák",
    "language": "cs",
    "second_factor": False,
    "created_at": _AT,
    "disabled_at": None,
    "version": 1,
}
MEMBERSHIP: dict[str, Any] = {
    "membership_id": 5,
    "person_id": 3,
    "municipality": "olsinka",
    "role": "crew",
    "valid_from": _AT,
    "valid_to": None,
    "version": 1,
}
TEAM: dict[str, Any] = {
    "team_id": 2,
    "municipality": "olsinka",
    "name": "Elektro Vysočina",
    "members": [3],
    "ended_at": None,
    "version": 1,
}
GRANT: dict[str, Any] = {
    "grant_id": 1,
    "municipality": "olsinka",
    "person_id": None,
    "team_id": 2,
    "to_region": False,
    "group_id": None,
    "rights": ["act", "read"],
    "valid_from": _AT,
    "valid_to": "2027-12-31T23:00:00Z",
    "who": "Jana Dvořáková",
    "reason": "smlouva o údržbě 2027",
    "version": 1,
}
TOKEN: dict[str, Any] = {
    "token_id": 7,
    "name": "GIS",
    "scopes": ["read"],
    "created_at": _AT,
    "expires_at": "2027-02-19T06:15:00Z",
    "seen_at": None,
    "revoked_at": None,
}
HANDED_OVER: dict[str, Any] = {"alerts": 4, "turns": 1, "uncovered": 0, "targets": 1}
INVITED: dict[str, Any] = {
    "person": PERSON,
    "membership_id": 5,
    "link": "https://kraj.example.cz/links/1kQx…",
    "mailed": False,
}


def page(item: dict[str, Any]) -> dict[str, Any]:
    """The example of a list."""
    return {"items": [item], "next_cursor": None}
