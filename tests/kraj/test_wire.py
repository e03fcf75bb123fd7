"""The wire codec: both paths agree on good input, and each kind of bad input gets its own reason."""

import contextlib
import json
import random
from collections.abc import Callable
from typing import Any, cast

import msgspec
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kraj import wire
from kraj.errors import PayloadError
from kraj.kinds import CABINET, KINDS, LAMP, SOLAR
from kraj.metrics import COUNTER_MAX, Kind, Metric, Type
from kraj.quarantine import PAYLOAD_BYTES_MAX, REASONS, Rejection, printable
from kraj.wire import (
    Examined,
    Record,
    decode_status,
    decoder,
    examine,
    marks,
    matrix,
    matrix_of_records,
    parse,
)

EVENTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=wire.EVENT_CHARS_MAX)


def value_of(metric: Metric) -> st.SearchStrategy[object]:
    match metric.type:
        case Type.STATE:
            return st.sampled_from(metric.states)
        case Type.BOOLEAN:
            return st.booleans()
        case Type.REAL:
            return st.floats(allow_nan=False, allow_infinity=False) | st.integers(-COUNTER_MAX, COUNTER_MAX)
        case _:
            return st.integers(-COUNTER_MAX, COUNTER_MAX)


def reading_of(kind: Kind) -> st.SearchStrategy[dict[str, object]]:
    core = {name: st.none() | st.integers(low, high) for name, (low, high) in wire.CORE.items()}
    metrics = {metric.name: st.none() | value_of(metric) for metric in kind.metrics}
    return st.fixed_dictionaries({}, optional={**core, "event": st.none() | EVENTS, **metrics})


READINGS = st.sampled_from(list(KINDS.values())).flatmap(
    lambda kind: st.tuples(st.just(kind), st.lists(reading_of(kind), min_size=1, max_size=3))
)
SPELLINGS: tuple[Callable[[object], bytes], ...] = (
    msgspec.json.encode,
    lambda document: json.dumps(document, indent=1).encode(),
    lambda document: json.dumps(document, ensure_ascii=False).encode(),
)


def fast(kind: Kind, payload: bytes) -> list[Any]:
    found = decoder(kind).decode(payload)
    return cast("list[Any]", found) if isinstance(found, list) else [found]


def same(kind: Kind, found: Examined, quick: list[Any]) -> bool:
    """Whether both paths came to the same columns."""
    columns = matrix_of_records(kind, [record for _, record in found.records])
    return np.array_equal(columns, matrix(kind, quick), equal_nan=True)


def patient(payload: bytes | str, kind: Kind = LAMP) -> Examined:
    return examine(payload.encode() if isinstance(payload, str) else payload, lambda _: kind)


def known(record: Record) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(record).items() if value is not None}


def only(payload: bytes | str, kind: Kind = LAMP) -> tuple[dict[str, Any], list[tuple[str, str | None]]]:
    """The one record that was kept, and what was refused: (reason, metric)."""
    found = patient(payload, kind)
    (record,) = found.records
    return known(record[1]), [(refusal.reason, refusal.metric) for refusal in found.refusals]


def refused_whole(payload: bytes | str) -> str:
    """The reason why nothing of the message could be taken."""
    with pytest.raises(PayloadError) as caught:
        patient(payload)
    with pytest.raises(wire.FAST_PATH_REFUSALS):
        decoder(LAMP).decode(payload)
    assert caught.value.reason in REASONS
    assert Rejection(0, caught.value.reason, str(caught.value)).detail.isprintable()
    return caught.value.reason


@given(READINGS, st.sampled_from(SPELLINGS), st.booleans())
def test_both_paths_make_the_same_of_valid_input(
    readings: tuple[Kind, list[dict[str, object]]], spelling: Callable[[object], bytes], alone: bool
) -> None:
    kind, sent = readings
    sent = sent[:1] if alone else sent
    payload = spelling(sent[0] if alone else sent)
    found = patient(payload, kind)
    assert (found.refusals, found.unknown_keys) == ([], set())
    if any(value is None or name == "event" for one in sent for name, value in one.items()):
        with pytest.raises(wire.FAST_PATH_REFUSALS):
            fast(kind, payload)
    else:
        assert same(kind, found, fast(kind, payload))
    meant = [{name: value for name, value in one.items() if value is not None} for one in sent]
    assert [known(record) for _, record in found.records] == meant


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_columns_are_the_core_then_the_metrics_and_states_are_their_codes(kind: Kind) -> None:
    core = {"ts": COUNTER_MAX, "boot": 1, "seq": 2, "uptime_ms": 3, "channel": 4}
    metrics: dict[str, object] = {m.name: m.states[-1] if m.states else 1 for m in kind.metrics}
    metrics |= {m.name: True for m in kind.metrics if m.type is Type.BOOLEAN}
    columns = matrix(kind, fast(kind, json.dumps([{**metrics, **core}, {}]).encode()))
    assert columns[0].tolist() == [*core.values(), *(len(m.states) - 1 if m.states else 1 for m in kind.metrics)]
    assert np.isnan(columns[1]).all()


def test_a_list_of_64_readings_is_taken_and_one_of_65_refused() -> None:
    longest = json.dumps([{"seq": n} for n in range(64)])
    assert len(patient(longest).records) == len(fast(LAMP, longest.encode())) == 64
    assert refused_whole(json.dumps([{"seq": n} for n in range(65)])) == "shape"


def test_64_full_readings_of_a_lamp_fit_into_a_message() -> None:
    full: dict[str, object] = {"ts": 1_795_212_345_000, "boot": 70_000, "seq": 123_456, "channel": 100}
    for metric in LAMP.metrics:
        full[metric.name] = max(metric.states, key=len) if metric.states else round(metric.possible[0] * 0.987, 2)
        if metric.type in (Type.COUNTER, Type.FLAGS):
            full[metric.name] = 2_147_483_647
    payload = json.dumps([full] * 64).encode()
    assert len(payload) <= PAYLOAD_BYTES_MAX
    assert len(patient(payload).records) == 64


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b"on", "not_json"),
        (b'{"ts": 1', "not_json"),
        (b'{"ts": 1}}', "not_json"),
        (b'{"ts": 1,}', "not_json"),
        (b'{"power_w": 01}', "not_json"),
        (b'{"event": "a\x01"}', "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        (b"\x00", "not_json"),
        (b"null", "shape"),
        (b"true", "shape"),
        (b"21.5", "shape"),
        (b"NaN", "shape"),
        (b'"21.5"', "shape"),
        (b"[]", "shape"),
        (b'{"event": "\xff"}', "not_utf8"),
        (b'{"event": "\xed\xa0\x80"}', "not_utf8"),  # a surrogate, which UTF-8 has not
        (b"[" * 50_000, "too_deep"),
        (b'{"a":' * 10_000, "too_deep"),
        (b"[" * 100_000, "too_large"),
        (b'{"event": "' + b"x" * PAYLOAD_BYTES_MAX + b'"}', "too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(bytes(value[:20])),
)
def test_an_unusable_message_is_refused_with_its_own_reason(payload: bytes, reason: str) -> None:
    assert refused_whole(payload) == reason


def test_a_message_of_64_kib_is_read_and_one_byte_more_is_not() -> None:
    payload = b'{"seq": 1}'.ljust(PAYLOAD_BYTES_MAX)
    assert only(payload) == ({"seq": 1}, [])
    with pytest.raises(PayloadError, match="65537 bytes; at most 65536"):
        parse(payload + b" ")


def test_what_is_no_object_in_a_list_costs_only_itself() -> None:
    found = patient('[{"seq": 1}, 5, null, [1], "x", {"seq": 2}]')
    assert [known(record) for _, record in found.records] == [{"seq": 1}, {"seq": 2}]
    assert [(r.reason, r.detail) for r in found.refusals] == [
        ("shape", "found the number 5 in place of a reading"),
        ("shape", "found null in place of a reading"),
        ("shape", "found a list in place of a reading"),
        ("shape", "found the text 'x' in place of a reading"),
    ]
    assert found.readings == 6


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 400, "9" * 5000])
def test_a_number_beyond_all_bounds_costs_its_metric_and_a_reading_only_in_the_core(number: str) -> None:
    assert only(f'{{"seq": 1, "power_w": {number}}}') == ({"seq": 1}, [("value_type", "power_w")])
    found = patient(f'{{"seq": 1, "ts": {number}}}')
    assert found.records == []
    assert [(r.reason, r.seq, r.metric, len(r.detail) < 200) for r in found.refusals] == [("core", 1, None, True)]


@pytest.mark.parametrize(
    ("kind", "metric", "value"),
    [
        (LAMP, "power_w", '"41.2"'),
        (LAMP, "power_w", "true"),
        (LAMP, "power_w", "[41.2]"),
        (LAMP, "power_w", "{}"),
        (LAMP, "energy_wh", str(COUNTER_MAX + 1)),
        (LAMP, "lamp_starts", "false"),
        (LAMP, "failure_flags", '["gear_failure"]'),
        (LAMP, "level_reason", '"weather"'),
        (LAMP, "level_reason", '""'),
        (LAMP, "level_reason", "2"),
        (LAMP, "level_reason", '["manual"]'),
        (CABINET, "door_open", "1"),
        (CABINET, "door_open", '"true"'),
        (SOLAR, "state", '"MPPT"'),
    ],
)
def test_a_value_of_the_wrong_type_is_left_out_and_the_rest_is_kept(kind: Kind, metric: str, value: str) -> None:
    payload = f'{{"seq": 1, "{metric}": {value}, "rssi_dbm": -70}}'
    assert only(payload, kind) == ({"seq": 1, "rssi_dbm": -70.0}, [("value_type", metric)])
    (refusal,) = patient(payload, kind).refusals
    assert refusal.detail.startswith(f"{metric}: must be ")
    assert (refusal.boot, refusal.seq) == (None, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in wire.CORE for value in ("true", '"7"', "1.5", "[1]", "-9007199254740993")),
        *((name, str(high + 1)) for name, (_, high) in wire.CORE.items()),
        *((name, str(low - 1)) for name, (low, _) in wire.CORE.items()),
        ("event", '""'),
        ("event", '"' + "x" * 65 + '"'),
        ("event", "1"),
        ("event", r'"a\u0000"'),
        ("event", r'"a\n"'),
        ("event", r'"\ud800"'),
        ("event", r'"\udc00\ud800"'),
    ],
)
def test_a_wrong_core_costs_the_reading_and_says_which_field(name: str, value: str) -> None:
    payload = f'[{{"{name}": {value}, "power_w": 1}}, {{"seq": 2}}]'
    found = patient(payload)
    assert [known(record) for _, record in found.records] == [{"seq": 2}]
    (refusal,) = found.refusals
    assert (refusal.reason, refusal.metric) == ("core", None)
    assert refusal.detail.startswith(f"{name} must ")
    with pytest.raises(wire.FAST_PATH_REFUSALS):
        decoder(LAMP).decode(payload)


def test_whole_numbers_may_be_written_as_floats() -> None:
    payload = '{"ts": 1.795e12, "boot": 7.0, "lamp_starts": 3.0}'
    assert only(payload) == ({"ts": 1_795_000_000_000, "boot": 7, "lamp_starts": 3.0}, [])


@pytest.mark.parametrize("value", ["41.2", "null", '"x"', "true"])
def test_a_key_that_stands_twice_with_the_same_value_is_no_fault(value: str) -> None:
    _, refused = only(f'{{"seq": 1, "seq": 1, "power_w": {value}, "power_w": {value}}}')
    assert "value_ambiguous" not in [reason for reason, _ in refused]


@pytest.mark.parametrize(("one", "other"), [("1", "2"), ("1", "true"), ("null", "1"), ("1", '"1"'), ("[]", "[]")])
def test_a_metric_that_stands_twice_with_different_values_is_ambiguous(one: str, other: str) -> None:
    payload = f'{{"seq": 1, "power_w": {one}, "power_w": {other}, "voltage_v": 230}}'
    assert only(payload) == ({"seq": 1, "voltage_v": 230.0}, [("value_ambiguous", "power_w")])


def test_a_core_field_that_stands_twice_with_different_values_costs_the_reading() -> None:
    found = patient('{"boot": 3, "seq": 1, "seq": 2}')
    assert [(r.reason, r.boot, r.seq, r.detail) for r in found.refusals] == [
        ("core", 3, None, "seq stands twice with different values")
    ]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [1, 100, 400, 800])
def test_a_deep_value_that_stands_twice_does_not_break_the_reader(opening: str, closing: str, depth: int) -> None:
    deep = opening * depth + "1" + closing * depth
    payload = f'{{"x": {deep}, "x": {deep}, "power_w": {deep}}}'
    assert only(payload) == ({}, [("value_type", "power_w")])


def test_unknown_keys_are_named_made_printable_and_bounded() -> None:
    found = patient(r'{"seq": 1, "Power": 5, "b\u0000\ud800c": {}, "": 1}')
    assert found.unknown_keys == {"Power", "b��c", ""}
    assert found.refusals == []
    many = patient(json.dumps([{f"key{n}-{i}": 1 for n in range(40)} for i in range(60)]))
    assert len(many.unknown_keys) == wire.UNKNOWN_KEYS_MAX
    (long,) = patient(json.dumps({"k" * 500: 1})).unknown_keys
    assert len(long) == 80


def test_a_channel_that_serves_nothing_costs_its_reading_only() -> None:
    kinds = {1: LAMP, 2: CABINET}
    payload = b'[{"seq": 1, "channel": 1, "power_w": 5}, {"seq": 2, "channel": 3}, {"seq": 3, "boot": 1}]'
    found = examine(payload, lambda channel: kinds.get(channel or 0))
    assert [(kind, record.seq) for kind, record in found.records] == [(LAMP, 1)]
    assert [(r.reason, r.boot, r.seq, r.detail) for r in found.refusals] == [
        ("channel", None, 2, "channel 3"),
        ("channel", 1, 3, "channel absent"),
    ]


TOKENS = (b"NaN", b"1e999", b"null", b"true", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\u0000", b"\\ud800", b"\xff",
          b"-", b"9" * 30, b"\x00", b'"seq":', b'"event":', b'"power_w":', b"[" * 2000, b'{"a":' * 500)  # fmt: skip


def mutated(random: random.Random, payload: bytes) -> bytes:
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(payload) + 1)
        match random.randrange(4):
            case 0:
                payload = payload[:place] + bytes([random.randrange(256)]) + payload[place + 1 :]
            case 1:
                payload = payload[:place] + random.choice(TOKENS) + payload[place:]
            case 2:
                payload = payload[:place] + payload[random.randrange(len(payload) + 1) :]
            case _:
                payload = payload[:place]
    return payload


def read_all_ways(payload: bytes) -> None:
    """Every decoder of the wire; only what is documented may escape."""
    try:
        quick = fast(LAMP, payload)
    except wire.FAST_PATH_REFUSALS:
        quick = None
    try:
        found = patient(payload)
    except PayloadError as error:
        assert quick is None, "the fast path took what the patient one refuses"
        Rejection(0, error.reason, str(error))
    else:
        for refusal in found.refusals:
            assert refusal.reason in REASONS
        assert all(key == printable(key) for key in found.unknown_keys)
        if quick is not None and not found.refusals:
            assert same(LAMP, found, quick)
    marks(payload)
    with contextlib.suppress(PayloadError):
        decode_status(payload)


def test_20000_mutated_payloads_raise_only_payload_errors_and_leave_no_memory_behind() -> None:
    seeded = random.Random(20_261_121)
    seeds = [
        b'{"ts":1795212345000,"boot":7,"seq":1234,"power_w":41.2,"level_reason":"manual","rssi_dbm":-70}',
        b'[{"seq":1,"event":"sos_pressed"},{"seq":2,"x":{"y":[1,2,3]},"seq":2}]',
        b'{"online":true,"boot":7,"firmware":"1.4.0"}',
    ]
    before = 0
    for n in range(20_000):
        if n == 5000:
            before = psutil.Process().memory_info().rss
        read_all_ways(mutated(seeded, seeded.choice(seeds)))
    assert psutil.Process().memory_info().rss - before < 20 << 20
