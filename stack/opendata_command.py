"""``kraj opendata``: files of open data, once or on schedule."""

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from kraj.errors import KrajError

if TYPE_CHECKING:
    from kraj.settings import Settings
    from stack.opendata import Done

HELP = """Make the files of open data: CSV with CSVW, GeoJSON, Parquet and the DCAT-AP-CZ catalogue (docs/opendata.md).

`kraj up` makes what is due by itself; a municipality that withdraws is out of them within a minute, or at once by:

Example: kraj opendata build
"""
commands = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)


@commands.command("build")
def build() -> None:
    """Make everything anew now.

    Example: kraj opendata build
    """
    from stack.services import running_database

    settings = _settings()
    with running_database(settings) as url:
        done = _build(settings, url, everything=True)
    typer.echo(f"{len(done.made)} data sets with {done.rows:,} rows in {settings.opendata_folder}")


@commands.command("serve")
def serve(
    *,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at what is due.")] = 60.0,
) -> None:
    """Stay, and make what is due: by the hour, by the day, and all when a municipality comes or goes.

    Example: kraj opendata serve
    """
    from stack.services import database_url

    settings = _settings()
    stop = threading.Event()

    def told(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    while not stop.is_set():
        try:
            done = _build(settings, database_url(settings, "kraj_api"), everything=False)
            if done.made:
                typer.echo(f"{', '.join(done.made)}: {done.rows:,} rows")
        except KrajError as error:  # what was published stays, and is made when it can be again
            typer.echo(f"error: {error}", err=True)
        stop.wait(every)


def _build(settings: "Settings", url: str, *, everything: bool) -> "Done":
    from kraj.clock import shifted
    from stack import opendata as job

    at = shifted(settings.clock_offset_s)()
    return job.build(url, settings.opendata_folder, job.publisher(settings), at, everything=everything)


def _settings() -> "Settings":
    from kraj.settings import load

    return load()
