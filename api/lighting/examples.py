"""True answers about light for the documentation; a test holds them to their models."""

from typing import Any

Example = dict[str, Any]
TOWN: Example = {"municipality": "olsinka-nad-mlynkou", "municipality_title": "Olšinka nad Mlýnkou"}
WHEN = "2026-11-21T06:15:00.000Z"
DOCUMENT: Example = {
    "plans": [
        {
            "steps": [
                {"at": "22:00", "level_pct": 70, "ramp_s": 60},
                {"at": "23:30", "level_pct": 50, "ramp_s": 60},
                {"at": "5:00", "level_pct": 100, "ramp_s": 60},
            ]
        }
    ]
}
PROGRAM: Example = {
    "program_id": 3,
    **TOWN,
    "name": "Obytné ulice",
    "document": DOCUMENT,
    "version": 2,
    "changed_at": WHEN,
    "who": "Jana",
    "segments": 4,
}
PROGRAMS: Example = {"items": [PROGRAM], "next_cursor": None}
SEGMENT: Example = {
    "group_id": 4,
    **TOWN,
    "name": "Nádražní",
    "designed_class": "P3",
    "permitted_class": "P5",
    "floor_pct": 40,
    "program_id": 3,
    "program": "Obytné ulice",
    "version": 2,
    "changed_at": WHEN,
    "who": "Jana",
    "reason": "Po půlnoci tu nikdo nechodí",
    "lamps": 42,
    "controlled": 42,
    "told": 42,
    "applied": 41,
    "failed": 0,
    "lit": 42,
    "power_w": 1180.5,
    "rollout_id": None,
}
SEGMENTS: Example = {"items": [SEGMENT], "next_cursor": None}
PREVIEW: Example = {
    "evening": "2026-11-21",
    "floor_pct": 40,
    "begins_at": "2026-11-21T15:06:00.000Z",
    "ends_at": "2026-11-22T06:24:00.000Z",
    "starts_at": "2026-11-21T11:00:00.000Z",
    "levels_pct": [0, 0, 0],
    "lamps": 42,
    "unrated": 0,
    "measured": 40,
    "kwh": 14.211,
    "kwh_undimmed": 26.989,
}
ORDER: Example = {
    "order_id": 7,
    **TOWN,
    "kind": "light_now",
    "group_id": 4,
    "group": "Nádražní",
    "asset_id": None,
    "label": None,
    "level_pct": 100,
    "valid_from": WHEN,
    "valid_until": "2026-11-21T06:45:00.000Z",
    "reason": "Hledáme vadné svítidlo",
    "who": "Petr",
    "created_at": WHEN,
    "ended_at": None,
    "counts": {"confirmed": 41, "sent": 1},
}
ORDERS: Example = {"items": [ORDER], "next_cursor": None}
COMMAND: Example = {
    "command_id": "5b0c5b0e-7a52-4e3c-9b53-7a4f2f0d9c11",
    "municipality": "olsinka-nad-mlynkou",
    "device": "lamp-3fa2b1",
    "channel": 0,
    "asset_id": 17,
    "label": "VO-0211",
    "order_id": 7,
    "do": "set_level",
    "level_pct": 100,
    "reason": "manual",
    "until": "2026-11-21T06:45:00.000Z",
    "state": "confirmed",
    "requested_at": WHEN,
    "sent_at": "2026-11-21T06:15:00.200Z",
    "accepted_at": "2026-11-21T06:15:01.000Z",
    "settled_at": "2026-11-21T06:16:30.000Z",
    "attempts": 1,
    "error": None,
    "who": "Petr",
    "why": "",
}
COMMANDS: Example = {"items": [COMMAND], "next_cursor": None}
DESIRED: Example = {
    "device": "lamp-3fa2b1",
    "municipality": "olsinka-nad-mlynkou",
    "version": 7,
    "programs": {"0": 12},
    "interval_s": None,
    "changed_at": WHEN,
    "who": "Jana",
    "reason": "",
    "sent_version": 7,
    "sent_at": WHEN,
    "reported_version": 6,
    "reported_at": "2026-11-20T15:00:00.000Z",
    "reported_error": None,
    "spread": "behind",
}
DESIRED_PAGE: Example = {"items": [DESIRED], "next_cursor": None}
LOCK: Example = {
    "lock_id": 2,
    **TOWN,
    "attribute": "feeder",
    "value": "RVO-01/2",
    "holder_title": "Petr",
    "reason": "Výměna stožáru",
    "since": WHEN,
    "released_at": None,
    "assets": 14,
    "mine": True,
}
LOCKS: Example = {"items": [LOCK], "next_cursor": None}
ROLLOUT: Example = {
    "rollout_id": 5,
    "municipality": "olsinka-nad-mlynkou",
    "group_id": 4,
    "group": "Nádražní",
    "share_pct": 5,
    "failures_max_pct": 5,
    "state": "running",
    "stage": 1,
    "started_at": WHEN,
    "changed_at": WHEN,
    "who": "Jana",
    "error": None,
    "devices": 42,
    "given": 3,
    "applied": 2,
    "failed": 0,
}
ROLLOUTS: Example = {"items": [ROLLOUT], "next_cursor": None}
