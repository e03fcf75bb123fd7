"""The committed dashboards, as push and files take them: read, and given this installation's own addresses."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from dashboards.wording import Language

FOLDER = Path(str(files("dashboards").joinpath("json")))
REGION_ONLY = {"platform"}
"""Of the platform as a whole: a municipality's organisation does not get it."""


def dashboards(language: Language, *, kraj_url: str, region: bool) -> dict[str, dict[str, Any]]:
    """Slug → dashboard, with the address of the console put in."""
    found: dict[str, dict[str, Any]] = {}
    for file in sorted((FOLDER / language).glob("*.json")):
        if file.stem in REGION_ONLY and not region:
            continue
        document = json.loads(file.read_text("utf-8"))
        for variable in document["templating"]["list"]:
            if variable["name"] == "kraj_url":
                variable["query"] = kraj_url.rstrip("/")
        found[file.stem] = document
    return found
