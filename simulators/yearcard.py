"""The command ``kraj year``: a year of simulated lamps, whether a street was ever too dark, and what was saved."""

import json
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Annotated, Any

import typer

from simulators.adversity import DAYS
from simulators.scorecard import chosen_seeds
from simulators.year import run

LAMPS_MAX = 20_000
"""Of these a day takes 500 MB."""
MUST_BE_NONE = ("minutes_below_class", "lamp_minutes_dark")
_PARTS = ("baseline", "measured", "undimmed", "led", "dimming", "outage", "outside")


def command(  # noqa: PLR0917 - options of the command line, never positional
    seed: Annotated[int, typer.Option(help="Which lamps, programs, orders and failures.")] = 1,
    seeds: Annotated[
        str | None, typer.Option(help="Several, like 1-10 or 3,7,21: each, their mean and the worst.")
    ] = None,
    lamps: Annotated[int, typer.Option(min=1, max=LAMPS_MAX, help="How many lamps.")] = 1000,
    days: Annotated[int, typer.Option(min=1, max=DAYS, help="The first so many days of the year.")] = DAYS,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds at a time, a process each.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Live through a year of lamps that dim by themselves, minute by minute, while everything else fails at random.

    Broker and platform go away, clocks are lost, lamps restart, programs come late, orders end while nobody hears of
    it. No street may get less light than its permitted class, and no lamp be dark, but by its own fault or a person's
    order; else the command ends with 1.

    Example: kraj year --seed 1 --lamps 1000 --json
    """
    wanted = [seed] if seeds is None else chosen_seeds(seeds)
    live = partial(figures, lamps=lamps, days=days)
    if jobs > 1 and len(wanted) > 1:
        with ProcessPoolExecutor(min(jobs, len(wanted)), multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(live, wanted))
    else:
        found = [live(one) for one in wanted]
    result = found[0] if seeds is None else summary(found)
    typer.echo(json.dumps(result) if as_json else "\n".join(lines(result)))
    if any(one[name] for one in found for name in MUST_BE_NONE):
        raise typer.Exit(1)


def figures(seed: int, lamps: int, days: int = DAYS) -> dict[str, Any]:
    """The figures of a seed: lamp-minutes, kWh, and what it took to compute them."""
    began = time.perf_counter()
    year = run(seed, lamps, days=days)
    kwh = {name: float(getattr(year.truth, f"{name}_kwh").sum()) for name in _PARTS}
    lit_kwh = kwh["measured"] - kwh["outside"]
    checks = year.checks
    return {
        "seed": seed,
        "lamps": lamps,
        "days": days,
        "lamp_minutes": lamps * days * 1440,
        "minutes_below_class": checks.below,
        "lamp_minutes_dark": checks.dark,
        "lamp_minutes_below_by_order": checks.ordered_below,
        "lamp_minutes_dead": checks.dead,
        "lamp_minutes_fallback": checks.fallback,
        "lamp_minutes_by_order": checks.by_order,
        "programs": len(year.adversity.documents),
        **{f"{name}_kwh": round(amount, 1) for name, amount in kwh.items()},
        "saved_share": round(kwh["dimming"] / (lit_kwh + kwh["dimming"]), 4),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "seconds": round(time.perf_counter() - began, 1),
    }


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several seeds: mean and worst (the least saved, the most of everything else), and each."""
    names = (*MUST_BE_NONE, "measured_kwh", "undimmed_kwh", "dimming_kwh", "saved_share", "memory_mb", "seconds")
    over = {
        name: {
            "mean": round(sum(one[name] for one in found) / len(found), 4),
            "worst": (min if name == "saved_share" else max)(one[name] for one in found),
        }
        for name in names
    }
    return {"over_seeds": over, "seeds": {str(one["seed"]): one for one in found}}


def lines(result: dict[str, Any]) -> list[str]:
    """The figures for people."""
    if "over_seeds" not in result:
        return [f"{name:30} {value:>14,}" for name, value in result.items()]
    over = result["over_seeds"].items()
    return [f"{'':24}{'mean':>14}{'worst':>14}", *(f"{n:24}{one['mean']:>14,}{one['worst']:>14,}" for n, one in over)]
