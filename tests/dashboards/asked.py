"""Every statement that the committed dashboards send: of panels, variables and marks of alerts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashboards.source import TYPE
from dashboards.stored import FOLDER

DASHBOARDS: dict[str, dict[str, Any]] = {
    str(file.relative_to(FOLDER)): json.loads(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*/*.json"))
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement, where it stands and what it is for."""

    where: str
    sql: str
    form: str
    kind: str


def panels(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Panels, also those in rows that are closed."""
    for panel in document["panels"]:
        yield panel
        yield from panel.get("panels", ())


def asked(name: str) -> Iterator[Asked]:
    """Of one dashboard."""
    document = DASHBOARDS[name]
    for panel in panels(document):
        for target in panel.get("targets") or ():
            if target["datasource"]["type"] == TYPE:
                yield Asked(f"{name}: {panel['title']}", target["rawSql"], target["format"], panel["type"])
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            yield Asked(f"{name}: ${variable['name']}", variable["query"], "table", "variable")
    for mark in document["annotations"].get("list", ()):
        if "rawSql" in mark.get("target", {}):
            yield Asked(f"{name}: {mark['name']}", mark["target"]["rawSql"], "table", "annotation")
