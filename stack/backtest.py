"""``kraj backtest``: a rule on stored readings, by the engine that runs live; what it would have told, how often."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from kraj.errors import ConfigurationError
from kraj.kinds import KINDS
from kraj.store import judged
from kraj.store.connection import Connection
from rules import catalogue, correlation
from rules.estate import Estate
from rules.observer import Observer
from rules.rule import Rule

STEP = timedelta(minutes=30)
"""So much is judged at once; silence within is found by the readings' own times."""
TOO_MANY_A_WEEK = 0.1
"""Of the assets: whoever gets more calls than that stops reading them."""
SHOWN = 20

Seen = tuple[datetime, dict[str, Any]]
"""When, and the values that fired."""


@dataclass(slots=True)
class Result:
    """What one rule would have told: by asset how often, with the first time and what it saw then."""

    rule: Rule
    assets: int
    days: float
    readings: int = 0
    raised: Counter[int] = field(default_factory=Counter[int])
    first: dict[int, tuple[datetime, dict[str, Any]]] = field(
        default_factory=dict[int, tuple[datetime, dict[str, Any]]]
    )
    labels: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def per_asset_week(self) -> float:
        """How often an asset would be told of in a week, on average."""
        return self.raised.total() / max(1, self.assets) / max(self.days / 7, 1e-9)

    @property
    def too_many(self) -> bool:
        return self.per_asset_week > TOO_MANY_A_WEEK


def run(url: str, file: Path, since: datetime, until: datetime, say: Callable[[str], None]) -> list[Result]:
    """Judge everything stored from ``since`` to ``until``.

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
    return asyncio.run(_run(url, rules, since, until, say))


async def _run(
    url: str, rules: Sequence[Rule], since: datetime, until: datetime, say: Callable[[str], None]
) -> list[Result]:
    connection: Connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection:
        registry = await judged.read(connection, since)
        estate = Estate.of(registry.version, registry.assets)
        days = (until - since) / timedelta(days=1)
        labels = {asset.asset_id: asset.label for asset in registry.assets}
        results = {
            rule.name: Result(rule, sum(len(estate.members[kind]) for kind in rule.kinds), days, labels=labels)
            for rule in rules
        }
        observer = Observer(estate, rules)
        at = since
        while at < until:
            end = min(at + STEP, until)
            readings = [
                r for kind in KINDS.values() if (r := await judged.stretch(connection, kind, at, end)) is not None
            ]
            for change in observer.step(readings, [], round(end.timestamp() * 1000)):
                result = results.get(change.rule)
                if result is not None and change.raised:
                    moment = datetime.fromtimestamp(change.ts_ms / 1000, UTC)
                    result.raised[change.asset_id] += 1
                    result.first.setdefault(change.asset_id, (moment, dict(change.evidence)))
            observer.commit()
            for result in results.values():
                result.readings += sum(len(r) for r in readings if r.kind.name in result.rule.kinds)
            if at.date() != end.date():
                say(f"{at:%F}  {sum(result.raised.total() for result in results.values())} so far")
            at = end
        if observer.failures:
            name, error = next(iter(observer.failures.items()))
            raise ConfigurationError(f"rule {name} fails: {error}")
    return list(results.values())


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """For machines."""
    return {
        result.rule.name: {
            "assets": result.assets,
            "days": result.days,
            "readings": result.readings,
            "raised": result.raised.total(),
            "assets_raised": len(result.raised),
            "per_asset_week": round(result.per_asset_week, 4),
            "too_many": result.too_many,
        }
        for result in results
    }


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
        if not result.readings:
            lines.append("  no reading of these kinds is stored from that time")
        if result.too_many:
            lines.append(
                f"  too many: {result.per_asset_week:.2f} a week and asset, above {TOO_MANY_A_WEEK};"
                " narrow the condition or make it hold for longer, or --confirm"
            )
    return "\n".join(lines)
