"""Answers about prices and meters as the documentation shows them; a test holds them to the models."""

from typing import Any

AT = "2026-11-21T06:15:00.000Z"
EAN = "859182400123456789"
TARIFF: dict[str, Any] = {
    "tariff_id": 3,
    "municipality": "olsinka-nad-mlynkou",
    "municipality_title": "Olšinka nad Mlýnkou",
    "name": "Silová elektřina a distribuce 2026",
    "direction": "import",
    "czk_per_kwh": 4.85,
    "valid_from": "2026-01-01",
    "valid_until": None,
    "asset_id": None,
    "asset": None,
    "group_id": None,
    "group": None,
    "source": "Smlouva 2025/117",
    "who": "Jana",
    "at": AT,
    "withdrawn_at": None,
    "withdrawn_why": None,
}
PRICE: dict[str, Any] = {
    "day": "2026-11-20",
    "import_czk_per_kwh": 4.85,
    "export_czk_per_kwh": None,
    "co2_g_per_kwh": None,
}
FACTOR: dict[str, Any] = {
    "co2_factor_id": 1,
    "municipality": None,
    "municipality_title": None,
    "g_per_kwh": 400,
    "valid_from": "2026-01-01",
    "source": "Kdo a kde jej zveřejnil",
    "who": "Jana",
    "at": AT,
}
POINT: dict[str, Any] = {
    "ean": EAN,
    "municipality": "olsinka-nad-mlynkou",
    "municipality_title": "Olšinka nad Mlýnkou",
    "title": "Základní škola",
    "voltage": "nn",
    "distributor": "ČEZ Distribuce",
    "difference_pct_max": 2,
    "version": 1,
    "links": 1,
    "quarters_from": "2025-12-31T23:00:00.000Z",
    "quarters_until": "2026-10-31T23:00:00.000Z",
}
LINK: dict[str, Any] = {
    "link_id": 1,
    "ean": EAN,
    "asset_id": 17,
    "group_id": None,
    "label": "Střídač 1",
    "valid_from": "2026-01-01",
    "valid_until": None,
}
INVOICE: dict[str, Any] = {
    "invoice_id": 9,
    "municipality": "olsinka-nad-mlynkou",
    "ean": EAN,
    "number": "2026100417",
    "direction": "import",
    "period_from": "2026-10-01",
    "period_until": "2026-10-31",
    "kwh": 1523.4,
    "czk": 7388.49,
    "meter_import_id": None,
    "who": "Jana",
    "at": AT,
    "withdrawn_at": None,
    "withdrawn_why": None,
}
ALLOCATION: dict[str, Any] = {
    "allocation_key_id": 4,
    "municipality": "olsinka-nad-mlynkou",
    "ean": EAN,
    "ean_to": "859182400501380873",
    "share_pct": 60,
    "valid_from": "2026-01-01",
    "source": "Registrace skupiny sdílení u EDC",
    "who": "Jana",
    "at": AT,
}
COMPARISON: dict[str, Any] = {
    "first": "2026-10-01",
    "last": "2026-10-31",
    "ours": {"kwh": 1519.8, "completeness": 0.998},
    "theirs": {"kwh": 1523.4, "completeness": 1},
    "billed": {"kwh": 1523.4, "completeness": 1},
    "billed_czk": 7388.49,
    "difference_pct": -0.24,
    "billed_difference_pct": 0,
    "verdict": "agrees",
}
RECONCILIATION: dict[str, Any] = {
    "ean": EAN,
    "year": 2026,
    "direction": "import",
    "difference_pct_max": 2,
    "months": [COMPARISON],
    "invoices": [COMPARISON],
}
QUARTERS: dict[str, Any] = {
    "items": [
        {
            "bucket": "2026-10-31T22:45:00.000Z",
            "import_wh": 312,
            "export_wh": None,
            "shared_wh": 40,
            "status": "measured",
        }
    ]
}
IMPORT: dict[str, Any] = {
    "meter_import_id": 5,
    "content": "quarters",
    "state": "preview",
    "file_name": "EDC 10-2026.csv",
    "format": "csv",
    "encoding": "utf-8",
    "municipality": "Olšinka nad Mlýnkou",
    "rows": 2980,
    "rows_wrong": 0,
    "applicable": True,
    "findings": [],
    "points": [
        {
            "ean": EAN,
            "title": "Základní škola",
            "first": "2026-09-30T22:00:00.000Z",
            "until": "2026-10-31T23:00:00.000Z",
            "quarters": 2980,
            "missing": 0,
            "doubled": 0,
            "substitute": 4,
            "import_kwh": 1523.4,
            "export_kwh": None,
            "shared_kwh": 310.2,
            "new": 2980,
            "changed": 0,
        }
    ],
    "invoices": [],
    "uploaded_at": AT,
    "applied_at": None,
    "undone_at": None,
}


def page(item: dict[str, Any]) -> dict[str, Any]:
    """A list of one."""
    return {"items": [item], "next_cursor": None}
