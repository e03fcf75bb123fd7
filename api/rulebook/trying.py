"""Trying a proposal on stored readings, as a process of its own: a slow trial holds nobody's request up.

``python -m api.rulebook.trying`` takes one job as JSON on its standard input (the address of the database is a secret)
and writes a line of JSON for each bit of progress, then the verdict. It reads as ``kraj_api`` in the name of who asks.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from kraj.assets import Judged, Override
from kraj.errors import ConfigurationError, KrajError
from kraj.kinds import KINDS
from kraj.store import judged, rulebook
from kraj.store.connection import Connection
from rules import catalogue
from rules.estate import Estate
from rules.rule import Rule
from rules.trial import STEP, Trial

NICE = 5
"""Requests and ingest go first."""
STATEMENT_S_MAX = 60
SAY_S = 1.0
DAYS_MIN = 1.0
"""Of what was judged in the time given; less is no verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to try: ``text`` is a rule of one's own, else ``rule`` with ``thresholds`` (of a group, or everywhere)."""

    url: str
    person_id: int
    scopes: str
    municipality_id: int
    since: str
    until: str
    seconds_max: float
    text: str | None = None
    rule: str | None = None
    group_id: int | None = None
    thresholds: dict[str, float] | None = None


async def judge(
    connection: Connection,
    trial: Trial,
    since: datetime,
    until: datetime,
    tell: Callable[[datetime, datetime], object],
    *,
    municipality_id: int | None = None,
    seen: bool = True,
    ends_at: float | None = None,
) -> None:
    """Feed the trial with what is stored from ``since`` until ``until``, while ``time.monotonic()`` < ``ends_at``.

    ``seen``: of a municipality, what the principal of the connection sees; an owner of the database has none.
    """
    at = since
    if municipality_id is not None:  # what was before the first reading is nobody's silence
        at = await judged.first(connection, municipality_id, since, until, seen=seen) or until - STEP
    while at < until and (ends_at is None or time.monotonic() < ends_at):
        end = min(at + STEP, until)
        found = [
            await judged.stretch(connection, kind, at, end, municipality_id=municipality_id, seen=seen)
            for kind in KINDS.values()
        ]
        trial.step([readings for readings in found if readings is not None], end)
        tell(at, end)
        at = end


async def tried(job: Job, say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The verdict of a job; raises ``ConfigurationError`` where there is none."""
    began = time.monotonic()
    since, until = datetime.fromisoformat(job.since), datetime.fromisoformat(job.until)
    options = f"-c statement_timeout={STATEMENT_S_MAX}s -c default_transaction_read_only=on -c timezone=UTC"
    url = make_conninfo(job.url, options=options, application_name="kraj-trial")
    connection: Connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    async with connection:
        await connection.execute(
            "SELECT set_config('kraj.principal', %s, false), set_config('kraj.scopes', %s, false)",
            [str(job.person_id), job.scopes],
        )
        trial = await _arranged(connection, job, since)
        said = began

        def tell(_: datetime, end: datetime) -> None:
            nonlocal said
            if time.monotonic() - said >= SAY_S:
                said = time.monotonic()
                say({"progress": round((end - since) / (until - since), 4)})

        ends_at = began + job.seconds_max
        await judge(connection, trial, since, until, tell, municipality_id=job.municipality_id, ends_at=ends_at)
    (result,) = trial.results.values()
    if trial.failure is not None:
        raise ConfigurationError(trial.failure)
    if result.days < min(DAYS_MIN, (until - since).total_seconds() / 86_400):
        raise ConfigurationError(f"only {result.days:.1f} days could be judged in {job.seconds_max:.0f} s")
    return result.plain()


async def _arranged(connection: Connection, job: Job, since: datetime) -> Trial:
    found = await judged.read(connection, since)
    assets = [asset for asset in found.assets if asset.municipality_id == job.municipality_id]
    rule, overrides, among = await _proposed(connection, job, found)
    estate = Estate.of(found.version, assets, found.windows, overrides)
    return Trial(estate, [replace(rule, municipality_id=job.municipality_id)], since, among)


async def _proposed(
    connection: Connection, job: Job, found: Judged
) -> tuple[Rule, list[Override], frozenset[int] | None]:
    """The rule, what is said of it elsewhere, and the assets that count."""
    if job.text is not None:
        (rule,) = catalogue.parse(job.text, "rule")
        return rule, [], None
    custom = [rule for own in found.custom_rules for rule in parsed(own.text)]
    rule = next((known for known in (*catalogue.load(), *custom) if known.name == job.rule), None)
    if rule is None:
        raise ConfigurationError(f"there is no rule {job.rule!r}")
    among = None if job.group_id is None else await rulebook.members(connection, job.group_id)
    proposed = Override(
        rule=rule.name,
        municipality_id=job.municipality_id,
        asset_ids=among,
        enabled=True,
        thresholds=job.thresholds or {},
    )
    others = [o for o in found.overrides if o.rule != rule.name or o.asset_ids != among]
    return rule, [*others, proposed], among


@lru_cache(maxsize=1000)
def parsed(text: str) -> tuple[Rule, ...]:
    """The rules of a text that a municipality keeps; none where it cannot be read, as ingest leaves it out as well."""
    try:
        return catalogue.parse(text, "own")
    except KrajError:
        return ()


def main() -> None:
    """One job from standard input; its verdict, or what was wrong, is the last line."""

    def say(line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()

    os.nice(NICE)
    job = Job(**json.load(sys.stdin))
    try:
        say({"verdict": asyncio.run(tried(job, say))})
    except (KrajError, psycopg.Error) as error:
        say({"error": str(error).replace(job.url, "…")[:500]})


if __name__ == "__main__":
    main()
