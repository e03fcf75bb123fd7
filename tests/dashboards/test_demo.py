"""In a demo every panel of every dashboard shows a figure, as Grafana's own role sees it; exceptions are named."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo

from dashboards.macros import Span, expand
from dashboards.source import TYPE
from kraj.store.grafana import REGION as ROLE
from kraj.store.grafana import drop_role, ensure_role
from stack.database import OWNER
from tests.dashboards.asked import DASHBOARDS, panels
from tests.dashboards.invented import UNTIL, invent

PASSWORD: Final = "only of this test"
SPANS: Final = {"now-24h": timedelta(days=1), "now-30d": timedelta(days=30)}
KEYS: Final = frozenset({"id", "asset_id", "alert_id", "municipality_id", "time", "kind", "worst", "state"})
"""Columns that say which row it is; how much is known (c0, c1, …) is no figure either."""
HONEST: Final = {
    "cs/alerts.json: Zbytečné výjezdy A": "nobody has ended an alert yet",
    "cs/lighting.json: Zbytečné výjezdy A": "nobody has ended an alert yet",
    "cs/quality.json: Kniha ztrát A": "no number is missing",
    "cs/quality.json: Nepřijato (podle důvodu) A": "nothing was refused",
    "cs/roofs.json: Výnos proti sousedům A": "in so small a region no roof has five peers",
    "cs/roofs.json: Srovnání budov A v2": "in so small a region no roof has five peers",
}
"""Panels that are empty, and why."""


def test_every_panel_shows_a_figure_in_a_demo(database_role_url: Callable[[str], str]) -> None:
    invent(database_role_url)
    empty: set[str] = set()
    asked = 0
    with reading(database_role_url) as connection:
        for name, document in DASHBOARDS.items():
            if not name.startswith("cs/"):
                continue
            span = Span(UNTIL - SPANS.get(document["time"]["from"], timedelta(days=1)), UNTIL)
            every = [dict(chosen) for chosen in opened(connection, name, document, span)]
            for panel in panels(document):
                for target in panel.get("targets") or ():
                    if target["datasource"]["type"] == TYPE:
                        asked += 1
                        lacking = [lacks(connection, panel["type"], target["rawSql"], span, given) for given in every]
                        found = set[str].intersection(*lacking)
                        empty |= {f"{name}: {panel['title']} {target['refId']}{column}" for column in found}
    assert asked > 200
    assert empty == HONEST.keys()


@contextmanager
def reading(url: Callable[[str], str]) -> Generator[psycopg.Connection[Any]]:
    """As the region's data source, for which it is the demo's evening."""
    with psycopg.connect(url(OWNER), autocommit=True) as owner:
        owner.execute("CREATE SCHEMA evening; GRANT USAGE ON SCHEMA evening TO PUBLIC", prepare=False)
        owner.execute(
            "CREATE FUNCTION evening.now() RETURNS timestamptz LANGUAGE sql STABLE AS"
            f" $$ SELECT '{UNTIL.isoformat()}'::timestamptz $$".encode()
        )
        ensure_role(owner, None, ROLE, PASSWORD, UNTIL)
        role = make_conninfo(url(OWNER), user=ROLE, password=PASSWORD)
        with psycopg.connect(role, autocommit=True) as connection:
            connection.execute("SET search_path TO evening, pg_catalog, public")
            yield connection
        drop_role(owner, ROLE)


def opened(
    connection: psycopg.Connection[Any], name: str, document: dict[str, Any], span: Span
) -> Iterator[dict[str, Any]]:
    """The variables of somebody who has opened the dashboard and looks at one device after another."""
    chosen: dict[str, Any] = {"group": "0", "point": ["0"], "kraj_url": "", "asset": ""}
    assets: list[str] = []
    for variable in document["templating"]["list"]:
        if variable["type"] != "query":
            continue
        rows = connection.execute(expand(variable["query"], span, chosen).encode(), prepare=False).fetchall()
        assert rows, f"{name}: ${variable['name']}"
        values = [str(row[-1]) for row in rows]
        match variable["name"]:
            case "municipality":
                chosen["municipality"] = values
            case "step":
                chosen["step"] = values[0]
            case "asset":
                assets = values
            case _:
                pass
    for asset in assets or [""]:
        yield chosen | {"asset": asset}


def lacks(connection: psycopg.Connection[Any], form: str, sql: str, span: Span, given: dict[str, Any]) -> set[str]:
    """The columns of KPIs (v0, v1, …) that show nothing, or an empty name where nothing at all is shown."""
    cursor = connection.execute(expand(sql, span, given).encode(), prepare=False)
    names = [column.name for column in cursor.description or ()]
    rows = cursor.fetchall()
    known = {name for n, name in enumerate(names) if any(row[n] is not None for row in rows)}
    if form == "stat":
        return {""} - ({""} if names[0] in known else set())
    every = {name for name in names if name[0] == "v" and name[1:].isdigit()}
    if every:
        return {f" {name}" for name in every - known}
    shares = {name for name in names if name[0] == "c" and name[1:].isdigit()}
    return set() if known - KEYS - shares - {names[0]} else {""}
