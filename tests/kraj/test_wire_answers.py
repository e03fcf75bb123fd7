"""What goes back and forth beside readings: marks of what was sent, acknowledgements, statuses."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj import wire
from kraj.errors import PayloadError
from kraj.metrics import COUNTER_MAX
from kraj.quarantine import PAYLOAD_BYTES_MAX
from kraj.wire import Mark, Status, decode_status, encode_ack, marks


def test_marks_are_read_without_knowing_the_kind() -> None:
    assert marks(b'{"boot": 7, "seq": 1234, "whatever": {"a": []}}') == [Mark(7, 1234)]
    assert marks(b'[{"seq": 1}, {"seq": 2, "channel": 4}, {}]') == [Mark(None, 1), Mark(None, 2, 4), Mark()]
    assert len(marks(json.dumps([{"seq": n} for n in range(100)]).encode())) == 64


@pytest.mark.parametrize(
    "payload",
    [b"", b"nonsense", b"5", b"[5]", b'{"seq": "1"}', b'{"seq": -1}', b'{"seq": 99999999999999999999999}',
     b'{"seq": 9007199254740993}', b'{"boot": 2147483648}', b'{"boot": true}', b"[" * 50_000, b'{"a": "\xff"', b"\xff"],
)  # fmt: skip
def test_marks_that_no_ack_could_carry_are_no_marks(payload: bytes) -> None:
    assert marks(payload) == []


@given(st.integers(-1, wire.BOOT_MAX), st.lists(st.integers(0, 60) | st.integers(0, COUNTER_MAX)))
def test_an_ack_names_exactly_the_numbers_that_it_was_given(boot: int, seqs: list[int]) -> None:
    document: Any = json.loads(encode_ack(boot, seqs))
    assert document.get("boot", -1) == boot
    ranges: list[list[int]] = document["seq"]
    assert all(low <= high for low, high in ranges)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(ranges)), "not joined"
    assert sum(high - low + 1 for low, high in ranges) == len(set(seqs))
    assert all(any(low <= seq <= high for low, high in ranges) for seq in seqs)


def test_an_ack_is_written_as_the_contract_says() -> None:
    assert encode_ack(7, list(range(1230, 1241))) == b'{"boot":7,"seq":[[1230,1240]]}'


def test_a_status_is_read_and_written_without_what_is_unknown() -> None:
    status = decode_status(b'{"online": true, "boot": 7, "firmware": "1.4.0", "reset": "power_on", "ip": "::1"}')
    assert status == Status(True, 7, "1.4.0", "power_on")
    assert msgspec.json.encode(decode_status(b'{"online": false}')) == b'{"online":false}'


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"offline", "not_json"),
        (b"", "not_json"),
        (b"{}", "shape"),
        (b'[{"online": true}]', "shape"),
        (b'{"online": 1}', "shape"),
        (b'{"online": true, "boot": -1}', "shape"),
        (b'{"online": true, "boot": 2147483648}', "shape"),
        (rb'{"online": true, "firmware": "1\u0000"}', "shape"),
        (rb'{"online": true, "reset": "\ud800"}', "shape"),
        (b'{"online": true, "firmware": "' + b"1" * 65 + b'"}', "shape"),
        (b'{"online": true, "x": "' + b"1" * PAYLOAD_BYTES_MAX + b'"}', "too_large"),
        (b'{"online": true, "x": ' + b"[" * 30_000, "too_deep"),
        (b'{"online": "\xff"}', "not_utf8"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(bytes(value[:40])),
)
def test_a_wrong_status_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        decode_status(payload)
    assert caught.value.reason == reason
