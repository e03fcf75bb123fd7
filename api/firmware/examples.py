"""Answers about firmware as the documentation shows them; a test holds them to the models."""

from typing import Any

DIGEST = "3fa2b10c9d8e7f60"
KEYS: dict[str, Any] = {"items": [{"key": "56475aa75463474c", "place": 1}]}
RELEASE: dict[str, Any] = {
    "release": DIGEST,
    "product": "kraj-node",
    "version": 14,
    "name": "1.4.0",
    "runtime": "mpy 6",
    "expires_at": "2027-11-21T00:00:00Z",
    "key": "56475aa75463474c",
    "files": 31,
    "size_bytes": 98_112,
    "uploaded_at": "2026-11-21T06:15:00Z",
    "who": "Jana Nováková",
    "published_at": "2026-11-21T06:15:01Z",
    "withdrawn_at": None,
    "campaigns": 1,
    "running": 21,
}
RELEASES: dict[str, Any] = {"items": [RELEASE], "next_cursor": None}
CAMPAIGN: dict[str, Any] = {
    "campaign_id": 3,
    "release": DIGEST,
    "release_name": "1.4.0",
    "release_version": 14,
    "municipality": "olsinka",
    "municipality_title": "Olšinka",
    "group_id": None,
    "group": None,
    "kind": "lamp",
    "share_pct": 5,
    "failures_max_pct": 5,
    "soak_min": 60,
    "state": "running",
    "stage": 1,
    "started_at": "2026-11-21T06:20:00Z",
    "changed_at": "2026-11-21T06:20:00Z",
    "who": "Jana Nováková",
    "reason": "Oprava měření napětí",
    "error": None,
    "devices": 412,
    "waiting": 391,
    "offered": 2,
    "accepted": 1,
    "running": 18,
    "failed": 0,
    "rolled_back": 0,
    "silent": 0,
    "failures_before": 0,
    "cancelled": 0,
}
CAMPAIGNS: dict[str, Any] = {"items": [CAMPAIGN], "next_cursor": None}
UPDATES: dict[str, Any] = {
    "items": [
        {
            "device": "lamp-3fa2b1",
            "municipality": "olsinka",
            "state": "accepted",
            "attempts": 1,
            "sent_at": "2026-11-21T06:20:01Z",
            "accepted_at": "2026-11-21T06:20:02Z",
            "changed_at": "2026-11-21T06:20:02Z",
            "firmware_before": "1.3.2",
            "firmware": "1.3.2",
            "error": None,
        }
    ],
    "next_cursor": None,
}
