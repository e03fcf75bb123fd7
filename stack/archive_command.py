"""``kraj archive``: old readings into Parquet, back again, and what there is."""

import dataclasses
import json
import signal
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from kraj.errors import KrajError

if TYPE_CHECKING:
    from kraj.settings import Settings

HELP = """Move readings past their term into Parquet files, and delete rollups past theirs (docs/operations.md).

A week of readings is written by municipality, read back and compared, and only then dropped. Cut off, run it again.

Example: kraj archive

Example: kraj archive restore --municipality olsinka --from 2025-01-01 --to 2025-02-01

Read it in DuckDB: FROM read_parquet('FOLDER/lamp/*/*.parquet', hive_partitioning = true, union_by_name = true)
"""
commands = typer.Typer(help=HELP, invoke_without_command=True, rich_markup_mode=None)


@commands.callback(help=HELP)
def archive(
    context: typer.Context,
    *,
    every: Annotated[float | None, typer.Option(min=0.01, help="Stay, and do it again after so many hours.")] = None,
) -> None:
    """Once, or again and again; ``HELP`` is what people read."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings()
    if every is None:
        _run(settings)
        return
    stop = threading.Event()

    def told(_number: int, _frame: object) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    while not stop.is_set():
        try:
            _run(settings)
        except KrajError as error:  # a disk that is full today is told today and tried tomorrow
            _say(f"error: {error}")
        stop.wait(every * 3600)


@commands.command("restore")
def restore(
    *,
    municipality: Annotated[str | None, typer.Option(help="Its name, such as olsinka; else all.")] = None,
    kind: Annotated[str | None, typer.Option(help="lamp, cabinet, stop or solar; else all.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day, in UTC.")] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="The day after the last, in UTC.")
    ] = None,
) -> None:
    """Bring archived weeks back into the database for thirty days; the files stay. Safe to do again.

    Example: kraj archive restore --municipality olsinka --from 2025-01-01 --to 2025-02-01
    """
    from kraj.clock import shifted
    from stack import archive as job
    from stack.services import running_database

    settings = _settings()
    chosen = job.Chosen(municipality, kind, since and since.date(), until and until.date())
    with running_database(settings) as url:
        new = job.restore(url, settings.archive_folder, chosen, shifted(settings.clock_offset_s)(), _say)
    typer.echo(f"{new:,} readings are back")


@commands.command("list")
def listed(
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Read every file and compare its checksum.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """List what is archived and whether it is on the disk. Exit code 1 when a file is missing or damaged.

    Example: kraj archive list --verify
    """
    from stack import archive as job
    from stack.archive_files import Manifest

    folder = _settings().archive_folder
    manifest = Manifest.load(folder)
    found = [(e, job.state(manifest, e, verify=verify)) for _, e in sorted(manifest.entries.items())]
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "folder": str(folder),
                    "files": [{"path": e.path, "state": s, **dataclasses.asdict(e)} for e, s in found],
                }
            )
        )
    else:
        for entry, state in found:
            back = f"  in the database since {entry.restored[:10]}" if entry.restored else ""
            typer.echo(f"{state:<8} {entry.rows:>12,} {entry.bytes / 1024**2:>9.1f} MiB  {entry.path}{back}")
        rows, size = sum(e.rows for e, _ in found), sum(e.bytes for e, _ in found)
        typer.echo(f"{folder}: {len(found)} files, {rows:,} readings, {size / 1024**2:,.1f} MiB")
    if any(state != "ok" for _, state in found):
        raise typer.Exit(1)


@commands.command("forget")
def forget(
    municipality: Annotated[str, typer.Argument(help="Name of a municipality that has left (`kraj leave`).")],
    *,
    sure: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
) -> None:
    """Delete the archived readings of a municipality that has left and was erased. There is no way back.

    Example: kraj archive forget olsinka
    """
    from stack import archive as job
    from stack.services import running_database

    settings = _settings()
    if not sure:
        typer.confirm(f"Delete all archived readings of {municipality} for good", abort=True)
    with running_database(settings) as url:
        gone = job.forget(url, settings.archive_folder, municipality, _say)
    typer.echo(f"{gone} files of {municipality} are deleted")


def _run(settings: "Settings") -> None:
    from kraj.clock import shifted
    from stack import archive as job
    from stack.services import running_database

    with running_database(settings) as url:
        done = job.run(url, settings.archive_folder, shifted(settings.clock_offset_s)(), _say)
    per = f", {done.bytes / done.readings:.1f} bytes each" if done.readings else ""
    typer.echo(
        f"{done.weeks} weeks with {done.readings:,} readings archived{per}; {done.left} stay for now; "
        f"{done.rollups:,} rollups deleted"
    )


def _settings() -> "Settings":
    from kraj.settings import load

    return load()


def _say(line: str) -> None:
    typer.echo(line, err=True)
