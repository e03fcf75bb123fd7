"""The commands of ``kraj authority``: thin; each imports what it needs when it is called."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from api.database import Connection

T = TypeVar("T")

authority = typer.Typer(
    no_args_is_help=True,
    help="""The certificates by which devices and broker know each other; docs/identity.md tells the whole.

The authority is made by itself at the first start. Devices get codes and enrol by them; revoking takes effect within
seconds where `kraj up` runs the broker.

Example: kraj authority code lamp-3fa2b1
""",
)

RootKeys = Annotated[
    Path | None,
    typer.Option(help="Folder with the keys of the roots, where they were moved away from this machine."),
]


@authority.command("show")
def authority_show() -> None:
    """Show roots, issuing authorities and the broker's certificate with their ends; make the authority if need be.

    Example: kraj authority show
    """
    from kraj.clock import real
    from kraj.settings import load
    from stack import authority as files
    from stack.services import prepare_folder

    settings = load()
    folder = settings.authority_folder
    prepare_folder(settings.state_dir)
    files.ensure(folder, real())
    typer.echo(f"{folder}")
    for what, certificate in files.overview(folder):
        print_ = certificate.fingerprint(certificate.signature_hash_algorithm or files.SHA256).hex()
        typer.echo(f"  {what:<22} until {certificate.not_valid_after_utc:%F}   sha256 {print_[:32]}…")
    here = [str(file) for file in sorted((folder / files.OFFLINE).glob("*.key"))]
    if here:
        typer.echo("\nThe keys of the roots are on this machine. They are needed at a rotation only; move them away:")
        typer.echo("\n".join(f"  {file}" for file in here))


@authority.command("code")
def authority_code(
    device: Annotated[str, typer.Argument(help="Name of a registered device.")],
    days: Annotated[float, typer.Option(min=0.01, max=90, help="How long the code is good.")] = 7.0,
) -> None:
    """Give out the one-time code by which a device enrols; an earlier one that was not used counts no more.

    The code is shown once and kept as a digest only. Who enrols with it gets the device's name, and what the device
    had before is revoked.

    Example: kraj authority code lamp-3fa2b1 --days 2
    """
    from kraj import enrolment
    from kraj.clock import real
    from kraj.store import identity

    code, end = enrolment.new_code(), real() + timedelta(days=days)

    async def give(connection: "Connection", number: int) -> None:
        await identity.give_code(connection, number, enrolment.digest(code), end)

    _with_device(device, give)
    typer.echo(code)
    typer.echo(f"good for {device} until {end:%F %H:%M} UTC, once", err=True)


@authority.command("bundle")
def authority_bundle(
    device: Annotated[str, typer.Argument(help="Name of a registered device.")],
    file: Annotated[Path, typer.Argument(help="ZIP file to write, readable for you alone.")],
) -> None:
    """Make key and certificate of a device that cannot make a key of its own; a code and a request are better.

    Whoever has the file is the device: bring it there, then delete it. What the device had before is revoked.

    Example: kraj authority bundle gateway-7 gateway-7.zip
    """
    from api import issuing
    from kraj import enrolment
    from kraj.clock import real
    from kraj.settings import load
    from kraj.store import identity
    from stack import authority as files
    from stack.secrets import write_private_bytes

    by = files.ensure(load().authority_folder, real())
    now: datetime = real()

    async def make(connection: "Connection", number: int) -> bytes:
        code = enrolment.new_code()
        await identity.give_code(connection, number, enrolment.digest(code), now + timedelta(minutes=5))
        return await issuing.bundle(connection, by, code, now)

    write_private_bytes(file, _with_device(device, make))
    typer.echo(f"{file}: key, certificate, roots and topic of {device}")


@authority.command("revoke")
def authority_revoke(
    device: Annotated[str, typer.Argument(help="Name of the device.")],
    reason: Annotated[str, typer.Option(help="For the record, such as stolen.")] = "revoked",
) -> None:
    """Revoke every certificate and code of a device: its readings go to quarantine at once, its session is ended.

    It is heard again once it has enrolled with a new code.

    Example: kraj authority revoke lamp-3fa2b1 --reason stolen
    """
    from kraj.clock import real
    from kraj.store import identity

    async def revoke(connection: "Connection", number: int) -> int:
        return await identity.revoke(connection, number, real(), reason)

    count = _with_device(device, revoke)
    typer.echo(f"{device}: {count} certificates revoked")


@authority.command("issue-server")
def authority_issue_server(
    names: Annotated[list[str], typer.Argument(help="Host names and addresses by which devices reach the broker.")],
    out: Annotated[Path, typer.Option(help="Folder for server.key, server.pem, trusted.pem and revoked.pem.")],
) -> None:
    """Issue what a broker of your own needs for mutual TLS; the broker that `kraj up` runs gets its own by itself.

    revoked.pem is of this moment: run it again after each revocation (with cron), and reload the broker.

    Example: kraj authority issue-server broker.example.cz 10.0.0.5 --out /etc/mosquitto/kraj
    """
    import psycopg

    from kraj.clock import real
    from kraj.settings import load
    from kraj.store import identity
    from stack import authority as files
    from stack.services import running_database

    settings, now = load(), real()
    files.ensure(settings.authority_folder, now)
    with running_database(settings) as url, _migrated(), psycopg.connect(url, autocommit=True) as connection:
        rows = identity.revoked(connection, now)
    files.export_server(settings.authority_folder, names, rows, out, now)
    typer.echo(f"{out}: server.key, server.pem, trusted.pem, revoked.pem ({len(rows)} revoked)")


@authority.command("rotate")
def authority_rotate(root_keys: RootKeys = None) -> None:
    """Let the root that stands by take over, and make the next one; then restart `kraj up`.

    Nobody is cut off: devices carry the new root already, and their certificates stay good until the old generation
    is dropped. They get new ones as they renew.

    Example: kraj authority rotate --root-keys /media/stick
    """
    from kraj.clock import real
    from kraj.settings import load
    from stack import authority as files

    folder = load().authority_folder
    files.ensure(folder, real())
    by = files.rotate(folder, root_keys or folder / files.OFFLINE, real())
    typer.echo(
        f"generation {by.authority.generation} issues from now on; restart `kraj up`, so that the broker trusts it. "
        f"`kraj authority drop {by.authority.generation - 1}` ends the old one when its devices have renewed."
    )


@authority.command("drop")
def authority_drop(
    generation: Annotated[int, typer.Argument(min=1, help="Which one, as `kraj authority show` numbers them.")],
    yes: Annotated[bool, typer.Option("--yes", help="Also while devices depend on it; they must enrol anew.")] = False,
) -> None:
    """Trust an old generation no more; then restart `kraj up`.

    Example: kraj authority drop 1
    """
    import psycopg

    from kraj.clock import real
    from kraj.errors import ConfigurationError
    from kraj.settings import load
    from kraj.store import identity
    from stack import authority as files
    from stack.services import running_database

    settings = load()
    with running_database(settings) as url, _migrated(), psycopg.connect(url, autocommit=True) as connection:
        depend = identity.valid_by_generation(connection, real()).get(generation, 0)
    if depend and not yes:
        raise ConfigurationError(
            f"{depend} devices have no certificate of a later generation and would be cut off; wait until they have "
            "renewed, or cut them off by --yes"
        )
    files.drop(settings.authority_folder, generation)
    typer.echo(f"generation {generation} is dropped; restart `kraj up`")


def _with_device(name: str, act: "Callable[[Connection, int], Awaitable[T]]") -> T:
    """Do something about a registered device in one transaction."""
    import psycopg

    from kraj.errors import ConfigurationError
    from kraj.settings import load
    from kraj.store import identity
    from stack.services import running_database

    async def within(url: str) -> T:
        async with await psycopg.AsyncConnection[Any].connect(url) as connection:
            number = await identity.device_id(connection, name)
            if number is None:
                raise ConfigurationError(f"there is no device {name!r}; register it first")
            return await act(connection, number)

    with running_database(load()) as url, _migrated():
        return asyncio.run(within(url))


@contextmanager
def _migrated() -> Generator[None]:
    """Say what to do about a database in which there is nothing yet."""
    import psycopg

    from kraj.errors import ConfigurationError

    try:
        yield
    except psycopg.errors.UndefinedTable as error:
        raise ConfigurationError(
            "there are no tables in the database yet; run `kraj migrate`, or `kraj demo` for a simulated region"
        ) from error
