"""Examples of answers, for the documentation; a test asks that each fits its model."""

from typing import Any

Example = dict[str, Any]

ASSET: Example = {
    "asset_id": 17,
    "kind": "lamp",
    "label": "VO-0211",
    "municipality": "olsinka-nad-mlynkou",
    "municipality_title": "Olšinka nad Mlýnkou",
    "latitude": 49.51234,
    "longitude": 15.61234,
    "metadata": {"street": "Nádražní", "power_rated_w": 42.0},
    "device": "lamp-3fa2b1",
    "channel": 0,
    "online": True,
}
ASSETS: Example = {"items": [ASSET], "next_cursor": "WyJhc3NldHMiLCAxN10"}

DEVICE: Example = {
    "name": "lamp-3fa2b1",
    "municipality": "olsinka-nad-mlynkou",
    "municipality_title": "Olšinka nad Mlýnkou",
    "state": "provisioned",
    "online": True,
    "boot": 7,
    "firmware": "1.4.0",
    "reset": "power_on",
    "changed_at": "2026-11-21T06:15:00.000Z",
    "assets": [{"asset_id": 17, "channel": 0, "kind": "lamp", "label": "VO-0211"}],
    "unknown_keys": [],
}
DEVICES: Example = {"items": [DEVICE], "next_cursor": None}

GLANCES: Example = {
    "at": "2026-11-21T06:15:04.120Z",
    "items": [
        {
            "asset_id": 17,
            "kind": "lamp",
            "label": "VO-0211",
            "municipality": "olsinka-nad-mlynkou",
            "device": "lamp-3fa2b1",
            "online": True,
            "condition": "reporting",
            "ts": "2026-11-21T06:15:00.000Z",
            "headline": {"metric": "power_w", "value": 41.2, "unit": "W", "plausible": True},
        }
    ],
    "next_cursor": None,
}

READING: Example = {
    "ts": "2026-11-21T06:15:00.000Z",
    "seq": 1234,
    "boot": 7,
    "values": {"level_commanded_pct": 60, "level_reason": "program", "power_w": 41.2, "failure_flags": []},
    "implausible": [],
}
LATEST: Example = {
    "asset_id": 17,
    "kind": "lamp",
    "condition": "reporting",
    "at": "2026-11-21T06:15:04.120Z",
    "reading": READING,
}
READINGS: Example = {
    "asset_id": 17,
    "kind": "lamp",
    "items": [READING],
    "next_cursor": "WyJyZWFkaW5ncy8xNyIsIDE3OTUyNDE3MDAwMDAwMDAsIDEyMzRd",
}
READINGS_CSV = "ts,seq,boot,power_w,level_reason,implausible\n2026-11-21T06:15:00.000Z,1234,7,41.2,program,\n"

QUARANTINE: Example = {
    "items": [
        {
            "quarantine_id": 3,
            "first_at": "2026-11-21T06:10:00.000Z",
            "last_at": "2026-11-21T06:14:00.000Z",
            "times": 5,
            "municipality": "olsinka-nad-mlynkou",
            "source": "lamp-3fa2b1",
            "topic": "kraj/olsinka-nad-mlynkou/lamp-3fa2b1/telemetry",
            "reason": "value_impossible",
            "sentence": "The value is outside what is possible; the other values were stored.",
            "detail": "power_w: 99999 is outside 0 to 2000",
            "metric": "power_w",
            "payload": '{"ts": 1795241400000, "seq": 9, "power_w": 99999}',
            "payload_bytes": 49,
        }
    ],
    "next_cursor": None,
    "beyond_quota": 0,
}

_SLOT: Example = {
    "received": 12345,
    "committed": 12300,
    "duplicate": 30,
    "quarantined": 10,
    "in_flight": 5,
    "values_quarantined": 2,
}
TOTALS: Example = {**_SLOT, "slots": [{"slot": "slot_0", "heartbeat_at": "2026-11-21T06:15:04.000Z", **_SLOT}]}
