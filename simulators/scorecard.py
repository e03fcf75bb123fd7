"""The command ``kraj score``: its options, and the figures as a table for people or as JSON."""

import json
import re
from datetime import datetime
from typing import Annotated, Any

import typer

from kraj.errors import ConfigurationError
from simulators.radio import RADIOS
from simulators.score import Task, explain, score

SEEDS_MAX = 1000


def command(  # noqa: PLR0917 - options of the command line, never positional
    seed: Annotated[int, typer.Option(help="Which region, weather and faults.")] = 1,
    seeds: Annotated[
        str | None, typer.Option(help="Several, like 1-10 or 3,7,21: pooled, each, their mean and the worst.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, help="Days with faults, after the warm-up.")] = 30,
    devices: Annotated[int, typer.Option(min=1, help="How many devices the region has.")] = 300,
    faults: Annotated[
        str, typer.Option(help="scenario, none (every alert is false then), CAUSE or CAUSE@LABEL; several by commas.")
    ] = "scenario",
    rate: Annotated[float, typer.Option(min=0, help="Of a scenario: so many times as many faults as usual.")] = 1.0,
    radio: Annotated[str, typer.Option(help=f"How messages travel: {', '.join(RADIOS)}.")] = "ordinary",
    start: Annotated[
        datetime | None, typer.Option(help="First day of the warm-up (UTC); else each seed has a season of its own.")
    ] = None,
    warm_up: Annotated[int, typer.Option(min=0, help="Days without faults first: rules learn what is ordinary.")] = 30,
    batch_s: Annotated[int, typer.Option(min=10, max=3600, help="Readings come to the rules so often.")] = 120,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds at a time, a process each.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Also each label missed and each wrong alert, on stderr.")] = False,
) -> None:
    """Measure what the rules find: simulated months with labelled faults, straight through the rules, then compared.

    An alert is right for a label of its cause, on its scope, from the fault's beginning until shortly after its end.
    What explains others has them as children, which do not count. A second alert about the same fault counts as wrong.
    Labels whose effect could not be seen (too short, by day, in the dark) are excluded and counted with the reason.

    Example: kraj score --seed 7 --days 30 --json
    """
    if radio not in RADIOS:
        raise ConfigurationError(f"--radio {radio}: there are {', '.join(RADIOS)}")
    tasks = [
        Task(
            seed=one,
            days=days,
            devices=devices,
            faults=faults,
            rate=rate,
            radio=RADIOS[radio],
            start=start,
            warm_up=warm_up,
            batch_s=batch_s,
        )
        for one in ([seed] if seeds is None else chosen_seeds(seeds))
    ]
    result, runs = score(tasks, lambda line: typer.echo(line, err=True), jobs)
    if why:
        typer.echo("\n".join(explain(runs)), err=True)
    typer.echo(json.dumps(result) if as_json else "\n".join(table(result)))


def chosen_seeds(text: str) -> list[int]:
    """``1-10``, ``3,7`` or both; raises ``ConfigurationError``."""
    found: list[int] = []
    for part in text.split(","):
        span = re.fullmatch(r"\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*", part)
        if span is None:
            raise ConfigurationError(f"--seeds {text}: write it like 1-10 or 3,7,21")
        first, last = int(span[1]), int(span[2] or span[1])
        if not first <= last < first + SEEDS_MAX:
            raise ConfigurationError(f"--seeds {text}: a span goes upwards, at most {SEEDS_MAX} seeds")
        found += range(first, last + 1)
    return found


_COLUMNS = (("precision", 9), ("recall", 7), ("f1", 7), ("latency_s_p50", 13), ("latency_s_p95", 13))
_COUNTS = (("labels", 6), ("found", 5), ("excluded", 8), ("alerts", 6), ("wrong", 5))


def table(result: dict[str, Any]) -> list[str]:
    """The figures as lines of text."""
    names = (*_COLUMNS, *_COUNTS)
    lines = [f"{'':24}" + "  ".join(f"{name:>{width}}" for name, width in names)]
    totals = result["totals"]
    rows = [*result["rules"].items(), ("streaming", totals["streaming"]), ("daily", totals["daily"]), ("all", totals)]
    for rule, one in rows:
        lines.append(f"{rule:24}" + "  ".join(f"{_text(one[name]):>{width}}" for name, width in names))
    lines += [f"{name:28} {_text(result[name])}" for name in _RATES]
    lines += [f"excluded: {count} {reason}" for reason, count in totals["excluded_why"].items()]
    for part, one in result.get("over_seeds", {}).get("totals", {}).items():
        spread = "  ".join(f"{name} {_text(one[name]['mean'])} / {_text(one[name]['worst'])}" for name, _ in _COLUMNS)
        lines.append(f"{part}, mean / worst seed: {spread}")
    return lines


_RATES = ("alerts_per_cause", "false_per_1000_lamp_nights", "false_per_site_year", "lamp_nights", "site_years")


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
