"""``kraj people``: the first administrator, links, the account for emergencies; and the demo's way in."""

import asyncio
import re
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kraj.clock import real
from kraj.errors import ConfigurationError
from kraj.people import REGIONAL, ROLES

if TYPE_CHECKING:
    import psycopg

    from kraj.settings import Settings

commands = typer.Typer(help="Who may sign in: the first administrator, links, emergencies.", no_args_is_help=True)

INVITATION_LASTS = timedelta(days=7)
RESET_LASTS = timedelta(hours=2)
DEMO_LASTS = timedelta(hours=12)
BREAK_GLASS = "break-glass@kraj.local"
DEMO = "demo@kraj.local"
SECRET_BYTES = 30
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


@commands.command("add")
def add(
    *,
    name: Annotated[str, typer.Option(help="E-mail, by which they sign in.")],
    title: Annotated[str, typer.Option(help="First and last name.")],
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "region_admin",
    municipality: Annotated[str | None, typer.Option(help="Its name; without it: a role in the region.")] = None,
) -> None:
    """Add somebody, and print the link by which they set their password. Everybody else is invited on the pages.

    Example: kraj people add --name jana@kraj.cz --title "Jana Dvořáková"
    """
    typer.echo(f"{invited(_load(), name, title, role, municipality)}\n(valid once, within seven days)")


@commands.command("list")
def people_list() -> None:
    """Show who may sign in.

    Example: kraj people list
    """
    typer.echo("\n".join(lines(_load())) or "nobody yet; add the first administrator with `kraj people add`")


@commands.command("link")
def link(name: Annotated[str, typer.Argument(help="E-mail of who has forgotten the password.")]) -> None:
    """Print a link by which somebody sets a new password.

    Example: kraj people link jana@kraj.cz
    """
    typer.echo(f"{reset(_load(), name)}\n(valid once, within two hours)")


@commands.command("disable")
def people_disable(name: Annotated[str, typer.Argument(help="E-mail of who leaves.")]) -> None:
    """Shut somebody out at once. The page People hands their work over as well.

    Example: kraj people disable jana@kraj.cz
    """
    disable(_load(), name)
    typer.echo(f"{name} is shut out")


@commands.command("erase")
def people_erase(
    *,
    name: Annotated[str, typer.Option(help="E-mail of whose data go.")],
    sure: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
) -> None:
    """Erase a person for good: account, roles, sessions, tokens; where history names them it says anonym.

    Example: kraj people erase --name jana@kraj.cz
    """
    if not sure:
        typer.confirm(f"Erase {name} for good? There is no way back", abort=True)
    typer.echo(f"{name} is erased; {erase(_load(), name)} texts that named them say anonym")


@commands.command("break-glass")
def people_break_glass() -> None:
    """Make the account for emergencies, or give it a new password; it is printed this once.

    Each use of it is told to the operator's notification targets and written down.

    Example: kraj people break-glass
    """
    password = break_glass(_load())
    typer.echo(
        f"e-mail    {BREAK_GLASS}\npassword  {password}\n\n"
        "It is shown this once. Print it, seal it, and put it where two people must agree to open it.\n"
        "Whoever signs in with it administers the region without a second factor, and everybody on call is told."
    )


def invited(settings: "Settings", name: str, title: str, role: str, municipality: str | None) -> str:
    """Add somebody; the address of the link by which they set their password."""
    from kraj.store import founding

    name, at = name.strip().lower(), real()
    if not _EMAIL.fullmatch(name):
        raise ConfigurationError(f"--name: {name!r} is no e-mail address")
    if not title.strip():
        raise ConfigurationError("--title is empty; write the first and last name")
    if role not in ROLES:
        raise ConfigurationError(f"--role: {role!r}; one of {', '.join(ROLES)}")
    if (municipality is None and role not in REGIONAL) or (municipality is not None and role == "region_admin"):
        raise ConfigurationError(f"--role: {role} is held {'in a' if municipality is None else 'in no'} municipality")
    with _connection(settings) as connection:
        person_id = founding.add(connection, name, title.strip(), at, role=role, municipality=municipality)
        if person_id is None:
            raise ConfigurationError(f"--municipality: there is none of the name {municipality!r}")
        code = founding.make_code(connection, "invitation", person_id, at, INVITATION_LASTS)
    return _link(settings, code)


def reset(settings: "Settings", name: str) -> str:
    """The address of a link by which somebody sets a new password."""
    from kraj.store import founding

    with _connection(settings) as connection:
        found = _known(connection, name)
        purpose, lasts = ("reset", RESET_LASTS) if found[1] else ("invitation", INVITATION_LASTS)
        return _link(settings, founding.make_code(connection, purpose, found[0], real(), lasts))


def disable(settings: "Settings", name: str) -> None:
    """Shut somebody out at once."""
    from kraj.store import founding

    with _connection(settings) as connection:
        founding.disable(connection, _known(connection, name)[0], real())


def erase(settings: "Settings", name: str) -> int:
    """Erase a person for good; how many texts named them. Refuses the last administrator of a place."""
    from kraj.store import privacy

    with _connection(settings) as connection:
        found = privacy.standing(connection, name.strip().lower())
        if found is None:
            raise ConfigurationError(f"there is nobody {name!r}; see `kraj people list`")
        person_id, break_glass, last = found
        if break_glass:
            raise ConfigurationError(f"{name} is the account for emergencies, and nobody's; it holds no personal data")
        if last is not None:
            raise ConfigurationError(
                f"{name} is the last administrator of {last or 'the region'}; make another one first, such as by"
                ' `kraj people add --name E-MAIL --title "NAME"` with --role municipality_admin --municipality TOWN'
            )
        return privacy.erase_as_owner(connection, person_id)


def lines(settings: "Settings") -> list[str]:
    """Everybody, one a line."""
    from kraj.store import founding

    with _connection(settings) as connection:
        rows = founding.listed(connection)
    found: list[str] = []
    for row in rows:
        state = "shut out" if row.disabled_at else "emergencies" if row.break_glass else ""
        factor = "second factor" if row.second_factor else ""
        found.append("  ".join(part for part in (row.name, row.title, ", ".join(row.roles), factor, state) if part))
    return found


def break_glass(settings: "Settings") -> str:
    """Make or renew the account for emergencies; its password."""
    from api.door.passwords import Passwords
    from kraj.store import founding

    password = secrets.token_urlsafe(SECRET_BYTES)
    hashed = asyncio.run(Passwords().hash(password))
    with _connection(settings) as connection:
        person_id = founding.add(connection, BREAK_GLASS, "Nouzový účet", real(), break_glass=True)
        if person_id is not None:
            founding.set_password(connection, person_id, hashed)
    return password


def demo_hint(url: str, page: str) -> str:
    """What a demo says of signing in: an address that lets an administrator in, once, on this machine only."""
    import psycopg

    from kraj.store import founding

    at = real()
    with psycopg.connect(url) as connection:
        person_id = founding.add(connection, DEMO, "Ukázka", at)
        if person_id is None:
            raise ConfigurationError("the demo has no region")
        code = founding.make_code(connection, "sign_in", person_id, at, DEMO_LASTS, demo=True)
    return (
        f"\nSign in (once, from this machine only; an administrator of the invented region, without a password):\n\n"
        f"  {page.rstrip('/')}/links/{code}\n"
    )


@contextmanager
def _connection(settings: "Settings") -> Generator["psycopg.Connection[Any]"]:
    import psycopg

    from stack.services import running_database

    with running_database(settings) as url, psycopg.connect(url) as connection:
        yield connection


def _known(connection: "psycopg.Connection[Any]", name: str) -> tuple[int, bool]:
    from kraj.store import founding

    found = founding.by_name(connection, name.strip().lower())
    if found is None:
        raise ConfigurationError(f"there is nobody {name!r} who may sign in; see `kraj people list`")
    return found


def _load() -> "Settings":
    from kraj.settings import load

    return load()


def _link(settings: "Settings", code: str) -> str:
    from api.door.opening import page_url

    return f"{page_url(settings)}/links/{code}"
