"""``kraj report``: a municipality's month, or a building's, as a page, as PDF and as a table, into a folder."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kraj.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from api.reports.document import Document
    from kraj.store.reports import Progress


def report(
    *,
    municipality: Annotated[str, typer.Option(help="Name of the municipality, such as olsinka.")],
    month: Annotated[str, typer.Option(help="The month, such as 2026-10; one that runs is told up to now.")],
    building: Annotated[
        str | None, typer.Option(help="Only of this building: name or number of a group of kind site or list.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into; files of the same name are replaced.")] = Path(),
    language: Annotated[str, typer.Option(help="cs or en; decides decimal commas and semicolons as well.")] = "cs",
) -> None:
    """Write a monthly report: HTML to read, PDF to print, CSV for a spreadsheet (docs/reports.md).

    Figures are those of the last rollup (`kraj rollup`, `kraj up`); each says how complete it is. PDF needs Pango
    (Debian: libpangoft2-1.0-0); without it HTML and CSV are written all the same.

    Example: kraj report --municipality olsinka --month 2026-10 --out reports

    Example: kraj report --municipality olsinka --month 2026-10 --building "Základní škola" --language en
    """
    from api.reports.printing import PAGE, PRINT, TABLE, NoPangoError, Printer, file_name
    from kraj import clock
    from kraj.settings import load
    from stack.services import running_database

    if language not in {"cs", "en"}:
        raise ConfigurationError(f"--language: found {language!r}, expected cs or en")
    settings = load()
    now = clock.shifted(settings.clock_offset_s)()
    with running_database(settings) as url, typer.progressbar(length=100, label="figures") as bar:

        def progress(share: float) -> None:
            bar.update(round(share * 100) - bar.pos)

        made = asyncio.run(document(url, municipality, month, building, now, language=language, progress=progress))
    out.mkdir(parents=True, exist_ok=True)
    printer = Printer()
    written = [
        _written(out / file_name(made, PAGE), printer.html(made, language).encode()),
        _written(out / file_name(made, TABLE), printer.csv(made, language)),
    ]
    try:
        written.append(_written(out / file_name(made, PRINT), printer.pdf(made, language)))
    except NoPangoError as error:
        raise ConfigurationError(f"{', '.join(written)} are written; {error}") from error
    finally:
        for path in written:
            typer.echo(path)


def _written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


async def document(
    url: str,
    municipality: str,
    month: str,
    building: str | None,
    now: datetime,
    *,
    language: str,
    progress: "Progress | None" = None,
) -> "Document":
    """A month's document, read as the municipality sees itself; ``url`` is the owner's.

    Raises ``ConfigurationError`` for what is not there, ``UnavailableError`` without a database.
    """
    import psycopg

    from api.reports import making
    from kraj import reports
    from kraj.store import reports as store

    first = making.month_of(month, now.astimezone(reports.ZONE).date())
    try:
        async with await psycopg.AsyncConnection[Any].connect(url) as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            of = await store.town(connection, municipality)
            if of is None:
                raise ConfigurationError(f"--municipality: there is no {municipality!r}; the page Reports has names")
            await store.announce(connection, of.municipality_id)
            known = await store.buildings(connection, of.municipality_id)
            one = next((row for row in known if building in {row.name, str(row.group_id)}), None)
            if building is not None and one is None:
                names = ", ".join(f"{row.name} ({row.group_id})" for row in known[:20]) or "none"
                raise ConfigurationError(f"--building: there is no {building!r} in {of.title}; there are: {names}")
            return await making.made(connection, of, first, now, language=language, building=one, progress=progress)
    except psycopg.OperationalError as error:
        raise UnavailableError(f"database: {error}") from error
