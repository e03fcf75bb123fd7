"""The commands of ``kraj audit``: thin; each imports what it needs when it is called."""

import json
from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer(help="The audit log: sign its head, verify it, export it.", no_args_is_help=True)


@commands.command("head")
def head_command(
    to: Annotated[
        Path | None, typer.Option(help="Append it here too: a file that the database's owner cannot reach.")
    ] = None,
) -> None:
    """Sign the end of the log and print it; keep it elsewhere (a file on another machine, a print-out in the safe).

    Example: kraj audit head --to /mnt/archive/audit-heads.jsonl
    """
    from kraj.settings import load
    from stack import heads
    from stack.services import running_database

    settings = load()
    with running_database(settings) as url:
        head = heads.take_head(url, settings)
    if to is not None:
        heads.append(to, head)
    typer.echo(heads.printed(head, heads.public_text(heads.signing_key(settings).public_key())))


@commands.command("verify")
def verify_command(
    head_files: Annotated[
        list[Path] | None,
        typer.Option("--heads", help="File with signed heads; without it those kept in KRAJ_STATE_DIR."),
    ] = None,
    public_key: Annotated[Path | None, typer.Option(help="Public key; without it the one in KRAJ_STATE_DIR.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Verify the whole log against itself and against signed heads. Exit code 1 where it was tampered with.

    Example: kraj audit verify --heads /mnt/archive/audit-heads.jsonl
    """
    from kraj.settings import load
    from stack import heads
    from stack.services import running_database

    settings = load()
    with running_database(settings) as url:
        found = heads.check(url, settings, head_files, public_key)
    if as_json:
        broken = found.broken and {"kind": found.broken.kind, "entry_id": found.broken.entry_id}
        typer.echo(json.dumps({"ok": broken is None, "entries": found.entries, "heads": found.heads, "break": broken}))
    elif found.broken is None:
        note = "" if found.heads else "; no signed head to compare with: run `kraj audit head` and keep it elsewhere"
        typer.echo(f"whole: {found.entries} entries, {found.heads} signed heads{note}")
    else:
        typer.echo(f"NOT WHOLE: {found.broken.kind} at entry {found.broken.entry_id}: {found.broken.message}")
    raise typer.Exit(0 if found.broken is None else 1)


@commands.command("export")
def export_command(
    file: Annotated[Path, typer.Argument(help="Where to write it; an older file of this name is replaced.")],
) -> None:
    """Write the whole log as JSON lines, with digests, so that anybody can verify it without the database.

    Example: kraj audit export audit-2026.jsonl
    """
    from kraj.settings import load
    from stack import heads
    from stack.services import running_database

    with running_database(load()) as url:
        typer.echo(f"{file}: {heads.export(url, file)} entries")
