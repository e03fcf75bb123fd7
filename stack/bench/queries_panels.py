"""Every statement of the committed dashboards' panels, and how long a data source's own role waits for each."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from dashboards.macros import Span, expand
from dashboards.source import TYPE
from dashboards.stored import dashboards
from kraj.errors import UnavailableError
from kraj.kinds import KINDS

SPANS: Final = {"24h": timedelta(days=1), "30d": timedelta(days=30), "1y": timedelta(days=365)}
SLOWEST: Final = 10


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement: of which dashboard and panel, and under which name the panel knows it."""

    board: str
    title: str
    ref: str
    sql: str

    @property
    def name(self) -> str:
        return f"{self.board}/{self.ref}"


@dataclass(frozen=True, slots=True)
class Took:
    """Milliseconds of the first time and the median of the others; ``rows`` came."""

    asked: Asked
    span: str
    first_ms: float
    ms: float
    rows: int


def statements() -> list[Asked]:
    """Of all panels, in the order in which they stand; the languages' ones differ in titles alone."""
    found: list[Asked] = []
    for slug, document in dashboards("cs", kraj_url="", region=True).items():
        for panel in _panels(document):
            found += [
                Asked(slug, panel["title"], f"{panel['id']}{target['refId']}", target["rawSql"])
                for target in panel.get("targets") or ()
                if target["datasource"]["type"] == TYPE
            ]
    return found


def _panels(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in document["panels"]:
        yield panel
        yield from panel.get("panels", ())


def measure(
    connection: psycopg.Connection[Any],
    asked: Sequence[Asked],
    assets: Mapping[str, int],
    until: datetime,
    *,
    times: int,
) -> list[Took]:
    """Ask each for each span, as somebody who has just opened the dashboard: the whole town, or a kind's first device;
    once, and then as often as told.

    Raises ``UnavailableError`` when the database refuses a statement.
    """
    steps = {
        name: _step(connection, Span(until - length, until), dashboards("cs", kraj_url="", region=True))
        for name, length in SPANS.items()
    }
    taken: list[Took] = []
    for one in asked:
        asset = assets[one.board if one.board in KINDS else "lamp"]
        for name, length in SPANS.items():
            chosen = {"municipality": ["1"], "group": "0", "point": ["0"], "asset": str(asset)}
            chosen |= {"step": steps[name], "kraj_url": ""}
            statement = expand(one.sql, Span(until - length, until), chosen).encode()
            spent: list[float] = []
            rows = 0
            for _ in range(times + 1):
                before = time.perf_counter()
                try:
                    rows = len(connection.execute(statement, prepare=False).fetchall())
                except psycopg.Error as error:
                    raise UnavailableError(f"{one.board}: {one.title} over {name}: {error}") from error
                spent.append(1000 * (time.perf_counter() - before))
            first, *others = spent
            taken.append(Took(one, name, first, sorted(others)[len(others) // 2], rows))
    return taken


def _step(connection: psycopg.Connection[Any], span: Span, documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Which rollups the hidden variable chooses for the span."""
    (asked,) = {
        variable["query"]
        for document in documents.values()
        for variable in document["templating"]["list"]
        if variable["name"] == "step"
    }
    row = connection.execute(expand(asked, span, {}).encode(), prepare=False).fetchone()
    return str(row[0]) if row else ""


def summed(taken: Sequence[Took]) -> dict[str, Any]:
    """What ``kraj bench queries --json`` says of the panels."""
    slowest = sorted(taken, key=lambda one: -one.ms)[:SLOWEST]
    return {
        "panels": len({one.asked for one in taken}),
        **_shares(taken),
        "first_p95_ms": _share([one.first_ms for one in taken], 0.95),
        "spans": {span: _shares([one for one in taken if one.span == span]) for span in SPANS},
        "empty": len({one.asked for one in taken} - {one.asked for one in taken if one.rows}),
        "slowest": [
            {"title": one.asked.title, "span": one.span, "ms": round(one.ms, 1), "sql": one.asked.name}
            for one in slowest
        ],
    }


def _shares(taken: Sequence[Took]) -> dict[str, float]:
    spent = [one.ms for one in taken]
    return {"p50_ms": _share(spent, 0.5), "p95_ms": _share(spent, 0.95), "max_ms": _share(spent, 1)}


def _share(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
