"""Metadata of a CSV file as W3C CSV on the Web has it (Metadata Vocabulary for Tabular Data, 2015-12-17)."""

from typing import Any

from kraj.metrics import Title
from kraj.opendata.dataset import Column, Dataset
from kraj.opendata.published import LICENCE, Made, file_name


def metadata(of: Dataset, made: Made) -> dict[str, Any]:
    """The document beside ``<name>.csv``; titles are what stands in the header, names for people are Dublin Core."""
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "cs"}],
        "url": file_name(of, "csv"),
        "dc:title": _both(of.title),
        "dc:description": _both(of.meaning),
        "dc:license": {"@id": LICENCE},
        "dc:modified": {"@value": made.at, "@type": "xsd:dateTime"},
        "dialect": {"encoding": "utf-8", "delimiter": ",", "quoteChar": '"', "header": True},
        "tableSchema": {"columns": [_column(column) for column in of.columns], "primaryKey": list(of.key)},
    }


def _column(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": column.name,
        "titles": column.name,
        "datatype": column.type.csvw,
        "required": column.required,
        "dc:title": _both(column.title),
        "dc:description": _both(column.meaning),
    }
    return found | ({"schema:unitText": column.unit} if column.unit else {})


def _both(title: Title) -> list[dict[str, str]]:
    return [{"@value": title.cs, "@language": "cs"}, {"@value": title.en, "@language": "en"}]
