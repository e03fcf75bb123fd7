"""What devices say besides readings is kept as they said it, or refused whole."""

import json

import pytest

from ingest.flood import FloodGuard, FloodGuards
from kraj import wire
from kraj.quarantine import PAYLOAD_BYTES_MAX
from tests.ingest.twin import NOW_MS, TELEMETRY, lamp, rows, said, whole


@pytest.mark.parametrize(
    ("channel", "payload", "reason"),
    [
        ("reported", b"5", "shape"),
        ("reported", b'{"a":"\\u0000"}', "shape"),
        ("reported", b'{"\\u0000":1}', "shape"),
        ("reported", b"[" * 40 + b"]" * 40, "too_deep"),
        ("result", b"{", "not_json"),
        ("result", b'{"a":NaN}', "not_json"),
        ("result", b'{"a":1e999}', "not_json"),
        ("result", b'{"a":"\\ud800"}', "not_json"),
        ("result", b'{"a":"\xff"}', "not_utf8"),
        ("result", b'{"a":"' + b"x" * PAYLOAD_BYTES_MAX + b'"}', "too_large"),
        ("status", b"{}", "shape"),
        ("status", b'{"online":"yes"}', "shape"),
        ("status", b'{"online":true,"firmware":"' + b"x" * 65 + b'"}', "shape"),
        ("status", b'{"online":true,"boot":-1}', "shape"),
        ("status", b'{"online":true,"firmware":"1\\u0000"}', "shape"),
        ("reported", b'{"a":%s}' % (b"9" * 5000), "not_json"),
        ("status", b'{"online":true,"x":"' + b"x" * PAYLOAD_BYTES_MAX + b'"}', "too_large"),
        ("status", b"", "not_json"),
    ],
)
def test_a_device_message_that_cannot_be_kept_is_refused(channel: str, payload: bytes, reason: str) -> None:
    found = whole([(f"kraj/lhota/lamp-1/{channel}", payload), (TELEMETRY.format("lamp-1"), lamp())], {})
    assert said(found) == [(0, reason, None, None, None)]
    assert (found.device_messages, rows(found).total()) == ([], 1)


def test_a_status_is_taken_with_what_we_do_not_know() -> None:
    payload = '{"online":true,"boot":7,"firmware":"1.4-žluťoučký🚦","colour":"red"}'.encode()
    (message,) = whole([("kraj/lhota/lamp-1/status", payload)], {}).device_messages
    assert message.status == wire.Status(True, 7, "1.4-žluťoučký🚦")
    assert json.loads(message.body) == {"online": True, "boot": 7, "firmware": "1.4-žluťoučký🚦"}


def test_a_document_is_kept_as_it_was_sent() -> None:
    document = {"version": 3, "why": "žluťoučký \\u0000 🚦 \u202e", "deep": [[{"a": None}]], "big": 2**70}
    (message,) = whole([("kraj/lhota/lamp-1/reported", json.dumps(document).encode())], {}).device_messages
    assert json.loads(message.body) == document


@pytest.mark.parametrize("event", ["sos_pressed", "tlačítko 🚦", 'a"b'])
def test_an_event_is_a_reading_and_a_line_in_the_history(event: str) -> None:
    found = whole([("kraj/lhota/lamp-1/event", lamp(event=event))], {})
    assert (rows(found).total(), found.rejections) == (1, [])
    (message,) = found.device_messages
    assert json.loads(message.body) == {"event": event, "boot": 7, "seq": 5, "ts": NOW_MS}


def test_a_flood_of_device_messages_is_refused_beyond_the_allowance_and_the_newest_state_still_counts() -> None:
    messages = [("kraj/lhota/lamp-1/status", b'{"online":%s}' % (b"false" if n % 2 else b"true")) for n in range(4)]
    messages.insert(2, ("kraj/lhota/lamp-1/event", lamp(event="sos_pressed")))
    messages.insert(4, ("kraj/lhota/lamp-2/status", b'{"online":true}'))
    messages += [("kraj/lhota/lamp-1/reported", b"{}"), ("kraj/lhota/lamp-1/result", b"{}")]
    found = whole(messages, {}, FloodGuards(messages=FloodGuard(1, 2)))
    assert [(m.message, str(m.channel)) for m in found.device_messages] == [
        (0, "status"),
        (1, "status"),
        (2, "event"),
        (4, "status"),
    ]
    assert said(found) == [(n, "flood", None, None, None) for n in (3, 5, 6, 7)]
    assert [m.message for m in found.statuses_only] == [3, 5]
    assert (rows(found).total(), found.received) == (1, 5), "an event's reading has the allowance of readings"


def test_a_bad_evening_of_connections_is_no_flood() -> None:
    status = ("kraj/lhota/lamp-1/status", b'{"online":true}')
    found = whole([status] * 200, {}, FloodGuards())
    assert (len(found.device_messages), found.rejections) == (200, [])
