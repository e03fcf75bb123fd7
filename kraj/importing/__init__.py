"""Bulk import, the pure part: bytes of a table → rows of devices and assets, with a finding for all that is wrong."""

from kraj.importing.against import Judged, KnownAsset, Registry, Town, judge
from kraj.importing.checking import Defaults, Parsed, Row, parse
from kraj.importing.findings import FINDINGS, Finding, Level, told
from kraj.importing.table import Format, Unreadable

__all__ = [
    "FINDINGS",
    "Defaults",
    "Finding",
    "Format",
    "Judged",
    "KnownAsset",
    "Level",
    "Parsed",
    "Registry",
    "Row",
    "Town",
    "Unreadable",
    "judge",
    "parse",
    "told",
]
