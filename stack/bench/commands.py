"""``kraj bench``: measurements of this machine as commands; each imports what it needs when it is called."""

import json
from collections.abc import Callable
from typing import Annotated

import typer

bench = typer.Typer(help="Measure this machine; one JSON object as the last line.", no_args_is_help=True)


@bench.command("ingest")
def bench_ingest(
    seconds: Annotated[float, typer.Option(min=1, help="Length of each of the five phases.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Measure how many readings a second go from the broker into committed rows here.

    Example: kraj bench ingest --seconds 20
    """
    from stack.bench.ingest import run

    typer.echo(json.dumps(run(seconds, unless(as_json))))


@bench.command("rules")
def bench_rules(
    devices: Annotated[int, typer.Option(min=100, help="How many assets the main figures are about.")] = 100_000,
    curve: Annotated[
        str, typer.Option(help="Sizes to measure besides, joined by commas; 1,000,000 take some minutes and 8 GB.")
    ] = "1000,10000,100000,1000000",
    batch: Annotated[int, typer.Option(min=1, help="How many readings come at once.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Measure what judging a reading costs with the whole catalogue on.

    Example: kraj bench rules --devices 10000 --curve 1000,10000
    """
    from stack.bench.rules import run

    sizes = [int(size) for size in curve.split(",") if size]
    typer.echo(json.dumps(run(devices, sizes, batch, unless(as_json))))


@bench.command("api")
def bench_api(
    devices: Annotated[int, typer.Option(min=1000, help="How many devices, in 200 municipalities.")] = 100_000,
    rate: Annotated[float, typer.Option(min=1, help="Requests a second.")] = 200.0,
    seconds: Annotated[float, typer.Option(min=1, help="How long to ask.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Measure the API on a large region, and try its wall between municipalities.

    Example: kraj bench api --devices 10000 --seconds 10
    """
    from stack.bench.api import run

    typer.echo(json.dumps(run(devices, rate, seconds, unless(as_json))))


@bench.command("chaos")
def bench_chaos(
    seconds: Annotated[float, typer.Option(min=1, help="How long to kill.")] = 60.0,
    kills: Annotated[int, typer.Option(min=1, help="How many kills -9 of broker, ingest and database.")] = 25,
    seed: Annotated[int, typer.Option(help="The same seed kills in the same order.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Kill broker, ingest and database again and again, and count what an oracle finds lost or doubled.

    Readings, alerts, commands to lamps and what lamps keep: exit code 1 when anything is.

    Example: kraj bench chaos --kills 50 --seconds 120
    """
    from stack.bench.chaos import MUST_BE_NONE, run

    result = run(seconds, kills, seed, unless(as_json))
    typer.echo(json.dumps(result))
    if any(result[name] for name in MUST_BE_NONE):
        raise typer.Exit(1)


@bench.command("survive")
def bench_survive(
    only: Annotated[
        str,
        typer.Option(help="Some parts, joined by commas: disk, partition, poison, clock, drain, inputs, storm, ack."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Full disk, partition, poison, wrong clocks, a backlog, bad inputs, a storm of reconnects: what is lost by each.

    Each part is under two minutes. Exit code 1 when a reading is lost, falsely acknowledged or held up, or ingest dies.

    Example: kraj bench survive --only disk,partition
    """
    from stack.bench.survive import chosen, failed, run

    result = run(chosen(only), unless(as_json))
    typer.echo(json.dumps(result))
    if failed(result):
        raise typer.Exit(1)


@bench.command("dimming")
def bench_dimming(
    lamps: Annotated[int, typer.Option(min=100, help="How many lamps, fifty a segment or more.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Measure how fast programs of many lamps are worked out, and all lamps are told something new.

    Example: kraj bench dimming --lamps 10000
    """
    from stack.bench.dimming import run

    typer.echo(json.dumps(run(lamps, unless(as_json))))


@bench.command("firmware")
def bench_firmware(
    faults: Annotated[int, typer.Option(min=1, help="How many losses of power and kills of the broker.")] = 50,
    updates: Annotated[int, typer.Option(min=1, help="How many mutated updates a device is offered.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Measure the devices' own firmware under the real MicroPython, over mutual TLS: memory, speed, losses, updates.

    Exit code 1 when a reading is lost, a bad update is accepted or a device is bricked. Needs `make setup`.

    Example: kraj bench firmware --faults 10 --updates 1000
    """
    from stack.bench.firmware import MUST_BE_NONE, run

    result = run(faults, updates, unless(as_json))
    typer.echo(json.dumps(result))
    if any(result[name] for name in MUST_BE_NONE):
        raise typer.Exit(1)


@bench.command("seeds")
def bench_seeds(
    seeds: Annotated[int, typer.Option(min=1, help="How many.")] = 2000,
    first: Annotated[int, typer.Option(min=0, help="The first of them.")] = 0,
    seed: Annotated[int | None, typer.Option(min=0, help="This one alone.")] = None,
    trace: Annotated[bool, typer.Option(help="With --seed: all that happens, not only how it fails.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Run the deterministic simulation: real devices, ingest and rules, faults by the seed, time that only jumps.

    Exit code 1 when anything that must hold does not; the seed's number is printed, and gives the same again.

    Example: kraj bench seeds --seeds 100
    """
    from stack.bench.seeds import run, show

    if seed is not None:
        text, held = show(seed, whole=trace)
        typer.echo(text)
        raise typer.Exit(0 if held else 1)
    result = run(seeds, first, unless(as_json))
    typer.echo(json.dumps(result))
    if result["violations"] or result["mutants_caught"] < result["mutants"]:
        raise typer.Exit(1)


@bench.command("queries")
def bench_queries(
    readings: Annotated[int, typer.Option(min=1000, help="How many, about; 100,000,000 take 70 GB.")] = 20_000_000,
    devices: Annotated[int, typer.Option(min=100, help="Devices whose one new hour is rolled up.")] = 10_000,
    times: Annotated[int, typer.Option(min=1, help="How often each panel is asked, after a first time.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Measure how long every panel of every dashboard waits on a year of a town, and what a reading takes on disk.

    Example: kraj bench queries --readings 1000000
    """
    from stack.bench.queries import run

    typer.echo(json.dumps(run(readings, devices, times, unless(as_json)), ensure_ascii=False))


@bench.command("rollups")
def bench_rollups(
    devices: Annotated[int, typer.Option(min=100, help="Devices whose one new hour is rolled up.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Measure how long readings of one new hour take to be rolled up: into quarter-hours, hours, days and groups.

    Example: kraj bench rollups --devices 1000
    """
    from stack.bench.rollups import run

    typer.echo(json.dumps(run(devices, unless(as_json))))


@bench.command("pages")
def bench_pages(
    devices: Annotated[int, typer.Option(min=100, help="How many lamps the town on the map has.")] = 5000,
    seconds: Annotated[float, typer.Option(min=1, help="How long to ask for public pages.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON object alone.")] = False,
) -> None:
    """Measure pages in a real browser: bytes, time on a slow telephone, drawing of maps; and public pages a second.

    Example: kraj bench pages --seconds 5
    """
    from stack.bench.pages import run

    typer.echo(json.dumps(run(devices, seconds, unless(as_json))))


def unless(quiet: bool) -> Callable[[str], None]:
    """Where progress goes: to the error stream, or nowhere."""
    return (lambda _: None) if quiet else (lambda line: typer.echo(line, err=True))
