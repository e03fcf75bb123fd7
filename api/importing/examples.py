"""Answers of imports and jobs as the documentation shows them; a test holds them to the models."""

from typing import Any

FOUND: dict[str, Any] = {
    "code": "swapped",
    "level": "error",
    "column": "Zeměpisná šířka",
    "sentence": "Latitude and longitude are swapped.",
    "remedy": "Swap them: latitude 49.1951, longitude 16.6068. For a whole file swap the columns' names.",
}
IMPORT: dict[str, Any] = {
    "import_id": 17,
    "state": "preview",
    "file_name": "Pasport VO.csv",
    "format": "csv",
    "encoding": "cp1250",
    "columns": [{"heading": "Číslo stožáru", "field": "label"}, {"heading": "Poznámka", "field": None}],
    "findings": [],
    "rows": 412,
    "rows_new": 400,
    "rows_known": 11,
    "rows_wrong": 1,
    "rows_absent": 3,
    "applicable": False,
    "uploaded_at": "2026-11-21T06:15:00Z",
    "applied_at": None,
    "undone_at": None,
}
ROW: dict[str, Any] = {
    "row": 8,
    "action": "none",
    "municipality": "Olšinka",
    "kind": "lamp",
    "label": "VO-7",
    "device": "lamp-3fa2b1",
    "channel": 0,
    "latitude": None,
    "longitude": None,
    "metadata": {"street": "Nádražní", "power_rated_w": 70},
    "asset_id": None,
    "undone": False,
    "findings": [FOUND],
}
PAGE: dict[str, Any] = {**IMPORT, "items": [ROW], "next_cursor": None}
JOB: dict[str, Any] = {
    "job_id": 5,
    "kind": "import",
    "state": "done",
    "progress_pct": 100,
    "result": "/v1/imports/17",
    "problem": None,
    "started_at": "2026-11-21T06:15:00Z",
}
APPLIED: dict[str, Any] = {"import_id": 17, "rows_created": 400}
UNDONE: dict[str, Any] = {"import_id": 17, "rows_removed": 400}
AUDIT: dict[str, Any] = {
    "items": [
        {
            "entry_id": 4711,
            "at": "2026-11-21T06:15:02Z",
            "pseudonym": "8f14e45f-ceea-467f-a0e6-8e1b0f1d1a11",
            "person": "Jana Nováková",
            "action": "changed",
            "subject": "asset",
            "municipality": "olsinka",
            "detail": {"keys": [17], "columns": ["label"]},
            "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        }
    ],
    "next_cursor": None,
}
