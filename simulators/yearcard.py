"""The command ``kraj year``: a year of simulated lamps, whether a street was ever too dark, and what was saved."""

import json
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Annotated, Any

import numpy as np
import typer

from simulators.adversity import DAYS, Adversity
from simulators.scorecard import chosen_seeds
from simulators.year import Truth, live
from simulators.yearledger import Books, Errors

LAMPS_MAX = 20_000
"""Of these a day takes 500 MB."""
MUST_BE_NONE = ("minutes_below_class", "lamp_minutes_dark")
LEDGER_ERROR_PCT_MAX = 0.5
"""Of the baseline, in each month and each part."""
_PARTS = ("baseline", "measured", "undimmed", "led", "dimming", "outage", "outside")


def command(  # noqa: PLR0917 - options of the command line, never positional
    seed: Annotated[int, typer.Option(help="Which lamps, programs, orders and failures.")] = 1,
    seeds: Annotated[
        str | None, typer.Option(help="Several, like 1-10 or 3,7,21: each, their mean and the worst.")
    ] = None,
    lamps: Annotated[int, typer.Option(min=1, max=LAMPS_MAX, help="How many lamps.")] = 1000,
    days: Annotated[int, typer.Option(min=1, max=DAYS, help="The first so many days of the year.")] = DAYS,
    jobs: Annotated[int, typer.Option(min=1, help="Seeds at a time, a process each.")] = 1,
    ledger: Annotated[
        bool, typer.Option(help="Make readings of it, too, and hold the ledger of savings against the truth.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")] = False,
) -> None:
    """Live through a year of lamps that dim by themselves, minute by minute, while everything else fails at random.

    Broker and platform go away, clocks are lost, lamps restart, programs come late, orders end while nobody hears of
    it. No street may get less light than its permitted class, and no lamp be dark, but by its own fault or a person's
    order; else the command ends with 1. With --ledger each part of the ledger must be within 0.5 % of the true baseline
    in every month, by readings of which some are lost, doubled or misdated.

    Example: kraj year --seed 1 --lamps 1000 --json
    """
    wanted = [seed] if seeds is None else chosen_seeds(seeds)
    measure = partial(figures, lamps=lamps, days=days, ledger=ledger)
    if jobs > 1 and len(wanted) > 1:
        with ProcessPoolExecutor(min(jobs, len(wanted)), multiprocessing.get_context("spawn")) as pool:
            found = list(pool.map(measure, wanted))
    else:
        found = [measure(one) for one in wanted]
    result = found[0] if seeds is None else summary(found)
    typer.echo(json.dumps(result) if as_json else "\n".join(lines(result)))
    if any(one[name] for one in found for name in MUST_BE_NONE) or (
        ledger and not all(one["ledger_error_pct_max"] <= LEDGER_ERROR_PCT_MAX for one in found)
    ):
        raise typer.Exit(1)


def figures(seed: int, lamps: int, days: int = DAYS, *, ledger: bool = False) -> dict[str, Any]:
    """The figures of a seed: lamp-minutes, kWh, and what it took to compute them."""
    began = time.perf_counter()
    adversity = Adversity.of(seed, lamps)
    books = Books(adversity, seed) if ledger else None
    year = live(adversity, days=days, look=books.look if books else None)
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
        **(_ledger(books, year.truth, adversity) if books else {}),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "seconds": round(time.perf_counter() - began, 1),
    }


def _ledger(books: Books, truth: Truth, adversity: Adversity) -> dict[str, Any]:
    """What the ledger says, and how far it is off in per cent of the true baseline: in the year, and in the worst month
    (numbered from 1)."""
    books.close()
    errors = Errors.of(books, truth, adversity)
    parts = list(errors.month)
    by_month = np.stack([np.nan_to_num(np.abs(errors.month[name])) for name in parts])
    part, month = np.unravel_index(int(by_month.argmax()), by_month.shape)
    return {
        **{f"ledger_{name}_kwh": round(float(kwh.sum()), 1) for name, kwh in books.kwh.items()},
        "ledger_completeness": round(float(books.covered_h.sum() / books.due_h.sum()), 5),
        **{f"ledger_{name}_error_pct": round(error, 4) for name, error in errors.year.items()},
        **{f"ledger_{name}_error_pct_max": round(float(by_month[n].max()), 4) for n, name in enumerate(parts)},
        "ledger_error_pct_max": round(float(by_month.max()), 4),
        "ledger_worst_month": int(month) + 1,
        "ledger_worst_part": parts[int(part)],
        "ledger_segment_error_pct_max": round(max(errors.segment.values()), 4),
    }


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several seeds: mean and worst (the least saved, the most of everything else), and each."""
    names = (*MUST_BE_NONE, "measured_kwh", "undimmed_kwh", "dimming_kwh", "saved_share", "memory_mb", "seconds")
    names += tuple(name for name in found[0] if name.endswith("error_pct_max"))
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
        return [f"{name:30} {value:>14{'' if isinstance(value, str) else ','}}" for name, value in result.items()]
    over = result["over_seeds"].items()
    return [f"{'':24}{'mean':>14}{'worst':>14}", *(f"{n:24}{one['mean']:>14,}{one['worst']:>14,}" for n, one in over)]
