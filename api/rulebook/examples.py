"""True answers of the rulebook for the documentation; a test holds them to their models."""

from typing import Any

WINDOW: dict[str, Any] = {
    "maintenance_window_id": 3,
    "municipality": "olsinka-nad-mlynkou",
    "scope_type": "feeder",
    "scope_name": "RVO-01/2",
    "label": None,
    "valid_from": "2026-11-23T07:00:00.000Z",
    "valid_to": "2026-11-23T14:00:00.000Z",
    "reason": "Výměna stožárů v Nádražní",
    "who": "Jana",
}
WINDOWS: dict[str, Any] = {"items": [WINDOW], "next_cursor": None}
OVERRIDE: dict[str, Any] = {
    "rule_override_id": 3,
    "municipality": "olsinka-nad-mlynkou",
    "group_id": None,
    "group": None,
    "rule": "power_deviation",
    "enabled": True,
    "thresholds": {"deviation_share": 0.2},
    "reason": "Nová svítidla ještě nejsou v evidenci",
    "who": "Jana",
    "at": "2026-11-21T06:15:00.000Z",
}
OVERRIDES: dict[str, Any] = {"items": [OVERRIDE], "next_cursor": None}
TEXT = """\
[cabinet_hot]
kind = "cabinet"
when = "cabinet_temp_degc > 50 °C"
for = "30 min"
severity = "minor"
title = { cs = "Rozvaděč se přehřívá", en = "Cabinet is hot" }
"""
CUSTOM_RULE: dict[str, Any] = {
    "custom_rule_id": 3,
    "municipality": "olsinka-nad-mlynkou",
    "name": "cabinet_hot",
    "text": TEXT,
    "enabled": True,
    "who": "Jana",
    "at": "2026-11-21T06:15:00.000Z",
}
CUSTOM_RULES: dict[str, Any] = {"items": [CUSTOM_RULE], "next_cursor": None}
FAILURE: dict[str, Any] = {
    "rule": "cabinet_hot",
    "municipality": "olsinka-nad-mlynkou",
    "at": "2026-11-21T06:15:00.000Z",
    "error": "ZeroDivisionError: division by zero",
}
FAILURES: dict[str, Any] = {"items": [FAILURE]}
CHECKED: dict[str, Any] = {
    "rule": None,
    "mistake": {
        "line": 3,
        "column": 9,
        "key": "when",
        "found": "unknown name 'cabinet_tmp_degc'",
        "expected": "a name of this kind or a threshold",
        "hint": "did you mean 'cabinet_temp_degc'?",
    },
}
TRIAL: dict[str, Any] = {
    "trial_id": 3,
    "municipality": "olsinka-nad-mlynkou",
    "proposal": {"text": TEXT, "thresholds": {}, "reason": ""},
    "state": "done",
    "progress": 1,
    "verdict": {
        "assets": 12,
        "days": 30,
        "heard_days": 30,
        "needed_days": 0,
        "readings": 103680,
        "raised": 2,
        "assets_raised": 1,
        "per_asset_week": 0.0389,
        "too_many": False,
        "doubts": [],
        "most": [
            {
                "asset_id": 17,
                "label": "RVO-01",
                "times": 2,
                "first_at": "2026-11-04T13:20:00.000Z",
                "evidence": {"cabinet_temp_degc": 52.5},
            }
        ],
    },
    "sentence": "Za posledních 30 dní by ohlásilo 2× na 1 z 12 prvků.",
    "error": None,
    "who": "Jana",
    "asked_at": "2026-11-21T06:15:00.000Z",
    "adopted_at": None,
}
TRIAL_BEGUN: dict[str, Any] = TRIAL | {
    "state": "waiting",
    "progress": 0,
    "verdict": None,
    "sentence": None,
}
