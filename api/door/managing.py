"""What who manages people does, by API or page: invite, give and end roles, make links, shut out with a successor."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import psycopg
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from api import rights, written
from api.acting import Name
from api.database import Connection
from api.door import door as doors
from api.door.door import Door
from api.problems import Problem
from kraj.people import REGIONAL, SECOND_FACTOR
from kraj.store import audit, people, sign_in
from kraj.store.people import HandedOver

Role = Literal["region_admin", "municipality_admin", "energy_manager", "crew", "viewer"]
ROLE_PLACE: dict[str, Any] = {
    "anyOf": [
        {"properties": {"municipality": {"type": "null"}, "role": {"enum": [*REGIONAL]}}},
        {
            "required": ["municipality"],
            "properties": {"municipality": {"type": "string"}, "role": {"not": {"const": "region_admin"}}},
        },
    ]
}
"""What ``check_role`` says."""


def _email(text: str) -> str:
    if "\0" in text or any(c.isspace() for c in text):
        raise ValueError("no e-mail address")
    return text.lower()


EMAIL = rf"^[^@{written.UNSEEN} ]+@[^@{written.UNSEEN} ]+$"
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=254, pattern=EMAIL),
    AfterValidator(_email),
]


class InvitationBody(BaseModel):
    """Somebody who is to come in."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=ROLE_PLACE)

    name: Email = Field(description="E-mail, by which they sign in.", examples=["petr.novak@olsinka.cz"])
    title: Name = Field(description="First and last name.", examples=["Petr Novák"])
    role: Role
    municipality: str | None = Field(None, max_length=100, description="Its name; without it: a role in the region.")
    language: Literal["cs", "en"] = "cs"
    valid_to: AwareDatetime | None = Field(None, description="When the role ends, if that is known.")


class MembershipBody(BaseModel):
    """A role for somebody who is known."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=ROLE_PLACE)

    person_id: int = Field(ge=1, le=2**31 - 1)
    role: Role
    municipality: str | None = Field(None, max_length=100, description="Its name; without it: a role in the region.")
    valid_to: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Invited:
    """Who was invited; ``link`` for who has no way to sign in yet, ``mailed`` when it went out by e-mail."""

    person: people.PersonRow
    membership_id: int
    link: str | None
    mailed: bool


async def place(connection: Connection, name: str | None) -> int | None:
    """The municipality of this name, or None for the region; raise where who asks does not manage its people."""
    rights.require("people")
    if name is None:
        if not await people.manages_region(connection):
            raise Problem("forbidden", 403, right="people")
        return None
    found = [town for town in await people.towns(connection) if town.name == name]
    if not found:
        raise Problem("municipality", 404, name=name)
    return found[0].municipality_id


def check_role(role: str, municipality: str | None) -> None:
    """Some roles are held in the region only, one in a municipality only."""
    if (municipality is None and role not in REGIONAL) or (municipality is not None and role == "region_admin"):
        raise Problem("role_place", 400, role=role)


async def invite(door: Door, connection: Connection, body: InvitationBody) -> tuple[Invited, str | None]:
    """Make the person if need be, give the role; the second is the code of a link for who cannot sign in yet."""
    check_role(body.role, body.municipality)
    municipality_id = await place(connection, body.municipality)
    at = door.wall()
    person_id, pending = await people.invite(connection, body.name, body.title, body.language, at)
    membership_id = await _give(connection, person_id, municipality_id, body.role, body.valid_to)
    code = None
    # A link opens the whole account, so whoever makes it must manage all that the account may do.
    if pending and await people.manages(connection, person_id):
        code = await sign_in.make_code(connection, "invitation", person_id, at, doors.INVITATION_LASTS)
    await audit.note(
        connection, "person.invite", f"person {person_id}", {"role": body.role}, municipality_id=municipality_id
    )
    person = await people.person(connection, person_id)
    if person is None:
        raise Problem("person", 404, name=person_id)
    return Invited(person, membership_id, code and door.link(code), mailed=False), code


async def give(connection: Connection, body: MembershipBody) -> int:
    """A role more for somebody."""
    check_role(body.role, body.municipality)
    municipality_id = await place(connection, body.municipality)
    if await people.person(connection, body.person_id) is None:
        raise Problem("person", 404, name=body.person_id)
    return await _give(connection, body.person_id, municipality_id, body.role, body.valid_to)


async def _give(
    connection: Connection, person_id: int, municipality_id: int | None, role: str, valid_to: datetime | None
) -> int:
    try:
        async with connection.transaction():
            return await people.add_membership(connection, person_id, municipality_id, role, valid_to)
    except psycopg.errors.UniqueViolation as error:
        raise Problem("role_held", 409, role=role) from error
    except psycopg.errors.CheckViolation as error:
        raise Problem("contradiction", 422, what=f"valid_to = {valid_to} < valid_from") from error


async def end_role(connection: Connection, membership_id: int, version: int) -> None:
    """End a role now; nobody ends their own right to manage, so that somebody is left who can."""
    who = rights.require("people")
    found = await people.membership(connection, membership_id)
    if found is None:
        raise Problem("membership", 404, name=membership_id)
    if found.person_id == who.person_id and found.role in SECOND_FACTOR:
        raise Problem("own_role", 409)
    if not await people.end_membership(connection, membership_id, version):
        raise Problem("changed", 412)


async def known(connection: Connection, person_id: int) -> people.PersonRow:
    """A person whom who asks manages wholly; raise 404 or 403."""
    who = rights.require("people")
    found = await people.person(connection, person_id) if 0 < person_id < 2**31 else None
    if found is None or found.person_id == who.person_id:
        raise Problem("person", 404, name=person_id)
    if not await people.manages(connection, person_id):
        raise Problem("elsewhere", 403)
    return found


async def make_link(door: Door, connection: Connection, person_id: int) -> tuple[people.PersonRow, str, str]:
    """A link by which a person sets a password: its purpose (invitation or reset) and address."""
    found = await known(connection, person_id)
    if found.disabled_at is not None or found.break_glass:
        raise Problem("person", 404, name=person_id)
    row = await sign_in.named(connection, found.name)
    purpose = "reset" if row is not None and row.password is not None else "invitation"
    lasts = doors.RESET_LASTS if purpose == "reset" else doors.INVITATION_LASTS
    code = await sign_in.make_code(connection, purpose, person_id, door.wall(), lasts)
    await audit.note(connection, f"person.{purpose}_link", f"person {person_id}")
    return found, purpose, door.link(code)


async def shut_out(
    door: Door, connection: Connection, person_id: int, version: int, successor: int | None
) -> HandedOver:
    """Shut somebody out everywhere; what they had in hand goes to a successor."""
    found = await known(connection, person_id)
    if successor is not None:
        heir = await people.person(connection, successor) if 0 < successor < 2**31 else None
        if heir is None or heir.disabled_at is not None or successor == person_id:
            raise Problem("successor", 400, name=successor)
    handed = await people.hand_over(connection, person_id, successor, door.service.clock())
    if not await people.disable(connection, person_id, version, door.wall()):
        raise Problem("changed", 412)
    await audit.note(connection, "person.disable", f"person {found.person_id}", {"successor": successor})
    return handed
