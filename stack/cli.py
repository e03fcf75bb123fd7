"""The ``kraj`` command: thin; each command imports what it needs when it is called."""

# Lazy imports are this module's purpose: `kraj --help` answers at once, and a part that is broken breaks only its own
# command. Everything that a command does lives elsewhere.
import dataclasses
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kraj.errors import KrajError
from stack import archive_command, audit, dashboards, foreign, leaving, ledger, opendata_command, people
from stack.authority_commands import authority
from stack.bench.commands import bench, unless
from stack.firmware.commands import firmware
from stack.notify import notify
from stack.report import report
from stack.rollup_command import rollup

if TYPE_CHECKING:
    from stack.doctor import Check

HELP = """Telemetry platform for smart regions: street lights, cabinets, smart stops, rooftop PV.

Start here:

    kraj demo        a whole simulated region on this machine; open the address that it prints

    kraj doctor      is everything right? each finding with its remedy

On a machine of your own, with your broker and your PostgreSQL:

    export KRAJ_DATABASE_URL=postgresql://owner:password@host/kraj

    kraj migrate && kraj up

Every setting is a variable KRAJ_… or a line in the TOML file that KRAJ_CONFIG names.
"""
PASS_ON: dict[str, Any] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""For commands whose options are declared by the room that they belong to."""

app = typer.Typer(
    help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
app.add_typer(bench, name="bench")
app.add_typer(notify, name="notify")
app.add_typer(people.commands, name="people")
app.add_typer(authority, name="authority")
app.add_typer(audit.commands, name="audit")
app.add_typer(dashboards.commands, name="dashboards")
app.add_typer(archive_command.commands, name="archive")
app.add_typer(opendata_command.commands, name="opendata")
app.add_typer(firmware, name="firmware")
app.command()(foreign.inbox)
app.command()(foreign.pull)
app.command()(leaving.leave)
app.command()(ledger.ledger)
app.command()(report)
app.command()(rollup)


def main() -> None:
    """Run a command; what Kraj raises on purpose becomes one line and exit code 2."""
    try:
        app()
    except KrajError as error:
        first, _, rest = str(error).partition("\n")
        typer.secho(f"error: {first}", fg="red", err=True)
        if rest:
            typer.echo(rest, err=True)
        sys.exit(2)


@app.command()
def demo(  # noqa: PLR0917 - options of the command line, never positional
    devices: Annotated[int, typer.Option(min=1, help="How many devices to simulate.")] = 120,
    seed: Annotated[int, typer.Option(help="Another number invents another region.")] = 1,
    interval: Annotated[
        float | None,
        typer.Option(min=0.1, help="Every device reports so often, in seconds: a load, no story. Else by its habits."),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away the data of earlier demos.")] = False,
    start: Annotated[
        str,
        typer.Option(help="Local time at which a new demo begins: shortly before dusk there is most to see; or now."),
    ] = "16:30",
    history: Annotated[int, typer.Option(min=0, max=90, help="Days before, simulated at once in a new demo.")] = 30,
    firmware: Annotated[
        int, typer.Option(min=0, help="So many devices, of each kind in turn, run on the real firmware.")
    ] = 4,
) -> None:
    """Run a whole region here: database, broker, ingest, rules, API and simulated devices with faults.

    Example: kraj demo --devices 500 --interval 5
    """
    from kraj.settings import load
    from stack.demo import run

    run(
        load(),
        devices=devices,
        seed=seed,
        interval_s=interval,
        fresh=fresh,
        start=start,
        history_days=history,
        firmware=firmware,
    )


@app.command()
def up() -> None:
    """Run ingest and API on the configured broker and database, and keep them running.

    Without KRAJ_DATABASE_URL an embedded database is made in KRAJ_STATE_DIR and runs beside them; without
    KRAJ_MQTT_HOST a broker does, which hears devices by mutual TLS (KRAJ_BROKER_HOST, KRAJ_BROKER_NAMES).

    Example: KRAJ_MQTT_HOST=broker.example.cz KRAJ_DATABASE_URL=postgresql://… kraj up
    """
    from kraj.settings import load
    from stack import services

    services.up(load())


@app.command()
def ingest() -> None:
    """Run ingest alone: broker to database.

    Example: KRAJ_INGEST_SLOT=slot_0 kraj ingest
    """
    from ingest.service import run
    from kraj.settings import load
    from stack.services import database_url

    run(load(database_url=database_url(load(), "kraj_ingest")))


@app.command()
def api() -> None:
    """Run the API and the pages alone.

    Example: KRAJ_API_PORT=8081 kraj api
    """
    from api.app import run
    from kraj.settings import load
    from stack.services import database_url

    run(load(database_url=database_url(load(), "kraj_api")))


@app.command()
def migrate() -> None:
    """Bring the database to this version; safe to run again.

    Example: KRAJ_DATABASE_URL=postgresql://owner:password@host/kraj kraj migrate
    """
    from kraj.settings import load
    from kraj.store.migrate import migrate as bring
    from stack.services import running_database

    with running_database(load()) as url:
        done = bring(url)
    typer.echo("\n".join(done) or "nothing to do")


@app.command(context_settings=PASS_ON)
def simulate(context: typer.Context) -> None:
    """Simulate a fleet of devices against any MQTT 5 broker (--help shows its options).

    Example: kraj simulate --devices 120 --faults scenario --host 127.0.0.1 --port 1883
    """
    import simulators.__main__

    _pass_on(simulators.__main__.simulate, "kraj simulate", context.args)


@app.command(context_settings=PASS_ON)
def score(context: typer.Context) -> None:
    """Measure what the rules find in simulated months with labelled faults (--help shows its options).

    Example: kraj score --seed 7 --days 30 --json
    """
    import simulators.scorecard

    _pass_on(simulators.scorecard.command, "kraj score", context.args)


@app.command(context_settings=PASS_ON)
def year(context: typer.Context) -> None:
    """Live through a year of simulated lamps: was a street ever too dark, what was saved (--help shows its options).

    Example: kraj year --seed 1 --lamps 1000 --json
    """
    import simulators.yearcard

    _pass_on(simulators.yearcard.command, "kraj year", context.args)


@app.command()
def backtest(
    *,
    rule: Annotated[Path, typer.Option(help="TOML file with one rule or several, as docs/rules.md says.")],
    since: Annotated[datetime, typer.Option("--from", help="First day, in UTC.")],
    until: Annotated[datetime, typer.Option("--to", help="The day after the last, in UTC.")],
    municipality: Annotated[str | None, typer.Option(help="Of this one alone, by name.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Accept the rule in spite of a doubt.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Judge stored readings by a rule: what it would have told, and how often. Switches nothing on, calls nobody.

    Exit code 1 where it would tell of more than a tenth of the assets a week or in all, or where there were too few
    readings to see it: then think again, or --confirm.

    Example: kraj backtest --rule mine.toml --from 2026-11-01 --to 2026-11-21
    """
    from kraj.settings import load
    from stack import backtest as tests
    from stack.services import running_database

    with running_database(load()) as url:
        found = tests.run(url, rule, since, until, unless(as_json), municipality=municipality)
    typer.echo(json.dumps(tests.as_json(found)) if as_json else tests.as_text(found))
    if any(result.doubts for result in found) and not confirm:
        raise typer.Exit(1)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Check everything that commonly goes wrong; each finding has its remedy. Exit code 1 when something failed.

    Example: kraj doctor --json
    """
    from kraj.settings import load
    from stack.doctor import Verdict, examine

    checks = examine(load())
    failed = any(check.verdict is Verdict.FAILED for check in checks)
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "checks": [dataclasses.asdict(check) for check in checks]}))
    else:
        _table(checks)
    raise typer.Exit(1 if failed else 0)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; an older file of this name is replaced.")],
) -> None:
    """Write the whole database into one file, also while everything runs.

    Example: kraj backup /backups/kraj-$(date +%F).dump
    """
    from kraj.settings import load
    from stack import backup as backups
    from stack.services import running_database

    with running_database(load()) as url:
        size = backups.backup(url, file)
    typer.echo(f"{file}: {size / 1024**2:.1f} MiB")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `kraj backup` wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Throw away what the database holds now.")] = False,
) -> None:
    """Restore a backup: all of it or nothing. Stop the services before.

    Example: kraj restore /backups/kraj-2026-11-21.dump
    """
    from kraj.settings import load
    from kraj.store.migrate import migrate as bring
    from stack import backup as backups
    from stack.services import running_database

    with running_database(load()) as url:
        backups.restore(url, file, replace=replace)
        bring(url)
    typer.echo(f"restored {file}")


@app.command()
def reference() -> None:
    """Write docs/metrics.md, docs/kpis.md, docs/catalogue.md and more from the code (run it in a checkout)."""
    import api.lighting.reference
    import kraj.kpis.reference
    import kraj.opendata.reference
    import kraj.reference
    import rules.reference

    for page in (kraj.reference, kraj.kpis.reference, kraj.opendata.reference, rules.reference, api.lighting.reference):
        page.main()
        typer.echo(page.PATH)


def _pass_on(function: Any, name: str, arguments: list[str]) -> None:
    """Run a function that declares its own options by typer."""
    inner = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    inner.command()(function)
    inner(arguments, prog_name=name)


def _table(checks: "list[Check]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    colour = {"ok": "green", "note": "yellow", "failed": "red"}
    for check in checks:
        remedy = f"\n→ {check.remedy}" if check.remedy else ""
        table.add_row(f"[{colour[check.verdict]}]{check.verdict}", check.name, escape(f"{check.found}{remedy}"))
    Console().print(table)


if __name__ == "__main__":
    main()
