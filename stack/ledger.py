"""``kraj ledger``: a municipality's savings of a month as CSV, a page to print and a signature; and the check of it."""

import asyncio
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kraj.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from kraj.settings import Settings
    from rules.lighting.accounts import Account


def ledger(
    *,
    municipality: Annotated[str | None, typer.Option(help="Name of the municipality, such as olsinka.")] = None,
    month: Annotated[str | None, typer.Option(help="The month, such as 2026-10.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Write the ledger into this new folder.")] = None,
    verify: Annotated[
        Path | None, typer.Option(help="Check a folder's signature, and make every figure again from its files alone.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="With --verify: root of who signed (PEM); else this authority's.")
    ] = None,
    segment: Annotated[
        int | None, typer.Option(help="Declare what an old lamp of this segment (its number) took, with the next four.")
    ] = None,
    baseline_w: Annotated[float | None, typer.Option(help="Watts of one old lamp, its ballast included.")] = None,
    since: Annotated[str | None, typer.Option(help="From which day on, such as 2026-01-01.")] = None,
    source: Annotated[str | None, typer.Option(help="By which record, such as an inventory of 2025.")] = None,
    who: Annotated[str | None, typer.Option(help="Who declares it.")] = None,
) -> None:
    """Write what street lighting took and saved in a month, or check what was written (docs/lighting.md).

    Example: kraj ledger --municipality olsinka --month 2026-10 --to olsinka-2026-10

    Example: kraj ledger --verify olsinka-2026-10

    Example: kraj ledger --segment 4 --baseline-w 115 --since 2026-01-01 --source "inventory 2025" --who Jana
    """
    from kraj.clock import real
    from kraj.settings import load

    if verify is not None:
        typer.echo(verified(load(), verify, root))
        return
    if segment is not None:
        if baseline_w is None or since is None or not source or not who:
            raise ConfigurationError("--segment needs --baseline-w, --since, --source and --who: all of it is kept")
        given = Declared(segment, baseline_w, day_of(since), source, who)
        typer.echo(f"segment {segment}: baseline version {declare(load(), given, real())}")
        return
    if municipality is None or month is None or to is None:
        raise ConfigurationError("say `kraj ledger --municipality NAME --month 2026-10 --to FOLDER` or --verify FOLDER")
    manifest = export(load(), municipality, month_of(month), to, real())
    typer.echo(f"{to}: {len(manifest['segments'])} segments, {len(manifest['files'])} files")


@dataclass(frozen=True, slots=True)
class Declared:
    """What one old lamp of a segment took, in watts, from a day on."""

    segment: int
    power_w: float
    since: date
    source: str
    who: str


def declare(settings: "Settings", given: Declared, at: datetime) -> int:
    """Declare a baseline; its version. Raises ``ConfigurationError`` for what the database refuses."""
    from stack.services import running_database

    with running_database(settings) as url:
        return asyncio.run(_declared(url, given, at))


async def _declared(url: str, given: Declared, at: datetime) -> int:
    import psycopg

    from kraj.store import ledger as store

    try:
        async with await psycopg.AsyncConnection[Any].connect(url) as connection:
            return await store.declare(
                connection,
                given.segment,
                valid_from=given.since,
                power_w=given.power_w,
                source=given.source,
                who=given.who,
                at=at,
            )
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
    except psycopg.errors.CheckViolation as error:
        raise ConfigurationError("--baseline-w: expected 1 to 2000 W, and a --source of at most 500 letters") from error
    except psycopg.DataError as error:
        raise ConfigurationError(f"--segment: {error}; see the page Light for its number") from error


def day_of(text: str) -> date:
    """A day of the calendar; raises ``ConfigurationError``."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"--since: found {text!r}, expected a day as 2026-01-01") from error


def month_of(text: str) -> date:
    """The first day of ``2026-10``; raises ``ConfigurationError``."""
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month of the calendar
    except ValueError as error:
        raise ConfigurationError(f"--month: found {text!r}, expected a month as 2026-10") from error


def export(settings: "Settings", municipality: str, month: date, to: Path, at: datetime) -> dict[str, Any]:
    """Write a municipality's month into a new folder; the manifest.

    Raises ``ConfigurationError`` for a folder that is not empty, a month to come, or a municipality without segments.
    """
    from stack import authority, ledger_export
    from stack.leaving_export import check_folder
    from stack.services import running_database

    check_folder(to)
    with running_database(settings) as url:
        found = asyncio.run(gathered(url, municipality, month, at))
    by = authority.ensure(settings.authority_folder, at).authority
    return ledger_export.write(to, found, by, at)


async def gathered(url: str, municipality: str, month: date, at: datetime) -> "list[Account]":
    """The accounts of all segments of a municipality, read in one state of the database."""
    import psycopg

    try:
        async with await psycopg.AsyncConnection[Any].connect(url) as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return await _accounts(connection, municipality, month, at)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error


async def _accounts(connection: Any, municipality: str, month: date, at: datetime) -> "list[Account]":
    from kraj.store import ledger as store
    from rules.lighting import accounts

    try:
        bounds_s = accounts.bounds(month, at)
    except ValueError as error:
        raise ConfigurationError(f"--month: {error}; name one that has") from error
    first, last = (datetime.fromtimestamp(int(bounds_s[n]), accounts.ZONE) for n in (0, -1))
    found: list[Account] = []
    for number in await store.segments(connection, municipality):
        segment = await store.segment(connection, number, last)
        if segment is None:
            continue
        numbers = [lamp.asset_id for lamp in segment.lamps]
        parts = [
            accounts.observe(segment, batch, table, bounds_s)
            async for batch, table in store.readings(
                connection, numbers, first - accounts.MARGIN, last + accounts.MARGIN
            )
        ]
        found.append(accounts.account(segment, parts, month, bounds_s))
    if not found:
        raise ConfigurationError(f"{municipality!r} has no segments; make one on the page Groups, or see the name")
    return found


def verified(settings: "Settings", folder: Path, root: Path | None) -> str:
    """What a folder says, once its signature and every figure are found good; raises ``ConfigurationError``."""
    from api.issuing import issuer
    from kraj import moving
    from kraj.errors import PayloadError
    from stack import ledger_export

    try:
        roots = moving.authorities(root.read_text("utf-8")) if root else issuer(settings.authority_folder).roots
        manifest, digest, compared = ledger_export.verify(folder, roots)
    except (PayloadError, OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{folder} is NOT a good ledger: {error}") from error
    lines = [
        f"good: {manifest['municipality']['title']} {manifest['month']}, signed at {manifest['at']};"
        f" {compared} figures made again",
        f"manifest  {digest}",
    ]
    for one in manifest["segments"]:
        sums = one["totals"]
        lines.append(
            f"  {one['name']}: LED {sums['led_kwh']:.1f} kWh, dimming {sums['dimming_kwh']:.1f} kWh,"
            f" outage {sums['outage_kwh']:.1f} kWh (no saving), {sums['completeness_pct']:.1f} % of due time covered"
        )
    return "\n".join(lines)
