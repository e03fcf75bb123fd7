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
    "retired_at": None,
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
    "safe_mode": False,
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

ALERT: Example = {
    "alert_id": 4,
    "rule": "feeder_outage",
    "title": "Feeder is out",
    "symptom": "Lamps of feeder RVO-01/2 are dark or silent: 30 of 31.",
    "bring": "Breaker or fuses of the feeder, insulation tester; the cabinet first, a lift only after measuring",
    "severity": "critical",
    "state": "open",
    "active": True,
    "scope_type": "feeder",
    "scope_name": "RVO-01/2",
    "place": "Feeder RVO-01/2",
    "municipality": "olsinka-nad-mlynkou",
    "municipality_title": "Olšinka nad Mlýnkou",
    "asset_id": 12,
    "kind": "cabinet",
    "label": "RVO-01",
    "latitude": 49.51234,
    "longitude": 15.61234,
    "since": "2026-11-21T06:12:00.000Z",
    "opened_at": "2026-11-21T06:15:00.000Z",
    "changed_at": "2026-11-21T06:15:00.000Z",
    "cleared_at": None,
    "fixed_at": None,
    "closed_at": None,
    "assignee": None,
    "cause": None,
    "lost_wh": None,
    "times_raised": 1,
    "parent_id": None,
    "children": 30,
    "children_active": 30,
    "evidence": {"name": "RVO-01/2", "lost": 30, "members": 31},
    "version": 1,
}
ALERTS: Example = {"items": [ALERT], "next_cursor": "WyJhbGVydHMiLCAxN10"}
ALERT_DETAIL: Example = {
    **ALERT,
    "attributes": {"phases": 3, "lamps": 62},
    "allowed": ["acknowledged", "assigned", "fixed", "false_alarm", "commented"],
    "children_alerts": [],
    "events": [{"at": "2026-11-21T06:15:00.000Z", "step": "opened", "who": "telemetry", "note": None, "detail": {}}],
}
RULES: Example = {
    "items": [
        {
            "rule": "day_burner",
            "of": "asset",
            "kinds": ["lamp"],
            "per": "reading",
            "group": None,
            "severity": "minor",
            "title": "Lamp burns by day",
            "symptom": "It should be off but takes {power_w} W. The sun stands {sun_elevation_deg}° high.",
            "bring": "Lamp controller, driver {driver_model}; lift",
            "when": "sun_elevation_deg > day_sun_deg and level_commanded_pct == 0",
            "thresholds": {"day_sun_deg": 3, "day_power_share": 0.3},
            "hidden": False,
            "explained_by": ["contactor_stuck"],
            "source": "lighting.md day_burner",
        }
    ]
}
UNMUTED: Example = {"asset_id": 17, "rule": "lamp_out", "at": "2026-11-21T06:15:00.000Z", "who": "Jana"}
ASSET_RULES: Example = {
    "asset_id": 17,
    "kind": "lamp",
    "items": [
        {
            "rule": "pole_tilt",
            "title": "Pole leans",
            "standing": "lacks",
            "lacks": ["tilt_deg"],
            "muted_until": None,
            "muted_by": None,
            "hidden": False,
        }
    ],
}
