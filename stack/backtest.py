"""``kraj backtest``: a rule on stored readings, by the engine that runs live; what it would have told, how often."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import psycopg

from api.rulebook.trying import judge
from kraj.errors import ConfigurationError
from kraj.store import judged
from kraj.store.connection import Connection
from rules import catalogue, correlation
from rules.estate import Estate
from rules.rule import Rule
from rules.trial import SHOWN, TOO_MANY_A_WEEK, TOO_MANY_ASSETS, Result, Trial


def run(
    url: str,
    file: Path,
    since: datetime,
    until: datetime,
    say: Callable[[str], None],
    *,
    municipality: str | None = None,
) -> list[Result]:
    """Judge everything stored from ``since`` to ``until``, of the region or of one municipality.

    Raises ``ConfigurationError`` for an empty stretch or an unreadable file, ``RuleTextError`` for a wrong rule.
    """
    since, until = (moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in (since, until))
    if not since < until:
        raise ConfigurationError(f"--from {since:%F} must lie before --to {until:%F}")
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"--rule {file}: {error.strerror}") from error
    rules = catalogue.parse(text, file.name)
    causes = [cause.name for cause in correlation.load()]
    for rule in rules:
        catalogue.check(rule, causes=causes, where=file.name)
    return asyncio.run(_run(url, rules, since, until, say, municipality=municipality))


async def _run(
    url: str,
    rules: Sequence[Rule],
    since: datetime,
    until: datetime,
    say: Callable[[str], None],
    *,
    municipality: str | None,
) -> list[Result]:
    connection: Connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection:
        registry = await judged.read(connection, since)
        town = None if municipality is None else await _number(connection, municipality)
        assets = [asset for asset in registry.assets if town in {None, asset.municipality_id}]
        trial = Trial(Estate.of(registry.version, assets, registry.windows), rules, since)

        def tell(at: datetime, end: datetime) -> None:
            if at.date() != end.date():
                say(f"{at:%F}  {trial.raised} so far")

        await judge(connection, trial, since, until, tell, municipality_id=town, seen=False)
    if trial.failure is not None:
        raise ConfigurationError(trial.failure)
    return list(trial.results.values())


async def _number(connection: Connection, municipality: str) -> int:
    known = dict(await (await connection.execute("SELECT name, municipality_id FROM municipality")).fetchall())
    if municipality not in known:
        near = get_close_matches(municipality, known, n=3) or sorted(known)[:10]
        raise ConfigurationError(f"--municipality {municipality}: there is none of this name; known: {', '.join(near)}")
    return known[municipality]


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """For machines."""
    return {result.rule.name: result.plain() for result in results}


def as_text(results: Sequence[Result]) -> str:
    """For people: the sums, the assets most told of, and a verdict."""
    lines: list[str] = []
    for result in results:
        lines.append(
            f"{result.rule.name} ({result.rule.title.cs}): {result.raised.total()} times on {len(result.raised)} of"
            f" {result.assets} assets, in {result.readings:,} readings of {result.days:g} days"
        )
        for asset_id, times in result.raised.most_common(SHOWN):
            moment, evidence = result.first[asset_id]
            seen = ", ".join(f"{name} {value}" for name, value in evidence.items())
            lines.append(f"  {result.labels.get(asset_id, asset_id)}: {times}×, first {moment:%F %H:%M} UTC ({seen})")
        if len(result.raised) > SHOWN:
            lines.append(f"  and {len(result.raised) - SHOWN} more assets")
        said = {
            "too_many": f"too many: {result.per_asset_week:.2f} a week and asset, above {TOO_MANY_A_WEEK};"
            " narrow the condition or make it hold for longer, or --confirm",
            "too_many_assets": f"too many assets: more than {TOO_MANY_ASSETS:.0%} of all;"
            " narrow the condition or make it hold for longer, or --confirm",
            "no_readings": "no reading of these kinds is stored from that time",
            "too_short": f"too short: it needs {result.needed_days:g} days, of which {result.heard_days:.1f} were"
            " measured; try it over a longer time, or --confirm",
        }
        lines += [f"  {said[doubt]}" for doubt in result.doubts]
    return "\n".join(lines)
