"""Decoding a batch equals decoding its messages one by one; what is bad is named, and harms no neighbour."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import STEP_PATIENT, STEP_RECORDS, Message, decode, decoding
from ingest.flood import FloodGuard, FloodGuards
from kraj.kinds import KINDS, LAMP
from kraj.metrics import Kind, Type
from kraj.quarantine import PAYLOAD_BYTES_MAX
from kraj.readings import DAY_MS
from tests.ingest.twin import NOW_MS, ROUTES, TELEMETRY, Twin, lamp, rows, said, whole


def mostly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda n: bad if n == 0 else good)


CORE = {
    "ts": mostly(
        st.integers(NOW_MS - 399 * DAY_MS, NOW_MS), st.sampled_from([None, 0, -1, NOW_MS + DAY_MS, "now", 1.5, 2**60])
    ),
    "boot": mostly(st.integers(0, 9), st.sampled_from([None, -1, 2**31, True, 1.0])),
    "seq": mostly(st.integers(0, 2000), st.sampled_from([None, -5, 2**80, "1", 7.0])),
    "uptime_ms": mostly(st.integers(0, 10**9), st.sampled_from([None, -1, 2**53])),
    "channel": st.sampled_from([0, 0, 1, 2, 3, 5, 1000, None]),
    "event": st.sampled_from(["sos_pressed", 'a"b', "\u0000", "", None, 5, "x" * 65, "č"]),
}
NOISE: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.floats(), st.text(max_size=5), st.integers(-(2**70), 2**70), st.just([1])
)


def of_metric(kind: Kind, name: str) -> st.SearchStrategy[Any]:
    metric = kind.by_name[name]
    if metric.type is Type.STATE:
        return mostly(st.sampled_from(metric.states), NOISE)
    if metric.type is Type.BOOLEAN:
        return mostly(st.booleans(), NOISE)
    low, high = (int(limit) for limit in metric.possible)
    around = st.floats(low - 10, high + 10)
    return mostly(st.integers(low, high), around if metric.type is Type.REAL else st.one_of(around, NOISE))


@st.composite
def objects(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """The pairs of an object; sometimes a key stands twice."""
    kind = draw(st.sampled_from([LAMP, LAMP, *KINDS.values()]))
    core = draw(st.lists(st.sampled_from(["uptime_ms", "channel", "event"]), max_size=1))
    names = draw(st.lists(st.sampled_from([m.name for m in kind.metrics]), max_size=5, unique=True))
    pairs = [(name, draw(CORE[name])) for name in ("ts", "boot", "seq", *core) if draw(st.integers(0, 19))]
    pairs += [(name, draw(of_metric(kind, name))) for name in names]
    odd = draw(st.integers(0, 19))
    if odd == 0:
        pairs.append((draw(st.text(max_size=5)), draw(NOISE)))
    elif odd == 1 and pairs:
        name, value = draw(st.sampled_from(pairs))
        pairs.append((name, draw(st.sampled_from([value, 1, 2]))))
    return pairs


def written(pairs: list[tuple[str, Any]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"


DOCUMENTS = st.one_of(
    objects().map(written), st.lists(objects().map(written), max_size=5).map(lambda d: f"[{','.join(d)}]")
)
PAYLOADS = mostly(
    DOCUMENTS.map(str.encode),
    st.one_of(
        st.binary(max_size=10),
        st.sampled_from(
            [b"[" * 2000, b'{"a":' * 2000, b"null", b"5", b"[]", b"[1]", b"{}", b"x" * (PAYLOAD_BYTES_MAX + 1)]
        ),
        DOCUMENTS.map(lambda text: text.encode()[:-1]),
        DOCUMENTS.map(lambda text: text.encode() + b"\xff"),
        DOCUMENTS.map(lambda text: b" " + text.encode() + b"\n"),
    ),
)
TOPICS = st.sampled_from(
    [TELEMETRY.format("lamp-1")] * 6
    + [TELEMETRY.format(d) for d in ("lamp-2", "lamp-2", "cabinet-1", "gateway-1", "gateway-1", "spare-1", "stolen-1")]
    + [TELEMETRY.format(d) for d in ("nobody-1", "newer-1", "BAD")]
    + ["kraj/lhota/lamp-1/event", "kraj/lhota/gateway-1/event", "kraj/dvory/lamp-1/telemetry", "kraj/dvory/x-9/status"]
    + ["kraj/lhota/lamp-1/status", "kraj/lhota/lamp-1/noise", "kraj/lhota", "other/lhota/lamp-1/telemetry", ""]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TOPICS, PAYLOADS), max_size=12))
def test_a_batch_equals_its_messages_one_by_one(messages: list[tuple[str, bytes]]) -> None:
    epochs: dict[tuple[int, int], int] = {}
    found = whole(messages, epochs)
    twin = Twin(messages, epochs)
    assert rows(found) == twin.rows
    assert said(found) == twin.said
    assert found.unknown_keys == twin.unknown
    assert sorted((m.message, str(m.channel)) for m in found.device_messages) == sorted(twin.device_messages)
    assert found.received == twin.rows.total() + sum(metric is None for *_, metric in twin.said)


def text(fields: str) -> bytes:
    return b'{"ts":%d,"boot":7,"seq":5,"power_w":41.5,%s}' % (NOW_MS, fields.encode())


GOOD = lamp()
READINGS_LOST = [
    ("not JSON", b"hello", ["not_json"]),
    ("empty", b"", ["not_json"]),
    ("cut short", GOOD[:-1], ["not_json"]),
    ("two documents", GOOD + GOOD, ["not_json"]),
    ("an endless number", b'{"ts":%s}' % (b"9" * 5000), ["core"]),
    ("a text", b'"hello"', ["shape"]),
    ("a number", b"5", ["shape"]),
    ("null", b"null", ["shape"]),
    ("an empty list", b"[]", ["shape"]),
    ("a list of lists", b"[[1],[2]]", ["shape", "shape"]),
    ("65 readings", b"[" + b",".join([GOOD] * 65) + b"]", ["shape"]),
    ("bad UTF-8", GOOD[:-1] + b',"\xff":1}', ["not_utf8"]),
    ("a UTF-16 message", GOOD.decode().encode("utf-16"), ["not_utf8"]),
    ("deep lists", b"[" * 30_000, ["too_deep"]),
    ("deep objects", b'{"a":' * 10_000, ["too_deep"]),
    ("deep inside", GOOD[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}", ["too_deep"]),
    ("more than 64 KiB", b" " * PAYLOAD_BYTES_MAX + GOOD, ["too_large"]),
    ("time as text", lamp(ts="2026-11-21"), ["core"]),
    ("time not whole", lamp(ts=NOW_MS + 0.5), ["core"]),
    ("infinite time", text('"ts":Infinity'), ["core"]),
    ("two times", text(f'"ts":{NOW_MS - 1}'), ["core"]),
    ("two seqs", text('"seq":6'), ["core"]),
    ("negative boot", lamp(boot=-1), ["core"]),
    ("seq beyond 2^53", lamp(seq=2**53 + 1), ["core"]),
    ("event not a text", lamp(event=5), ["core"]),
    ("event with NUL", lamp(event="a\0b"), ["core"]),
    ("event with half a character", lamp(event="\ud800"), ["core"]),
    ("no time", lamp(ts=None), ["time_missing"]),
    ("uptime without boot", lamp(ts=None, boot=None, uptime_ms=5), ["time_missing"]),
    ("1970", lamp(ts=5000), ["time_past"]),
    ("before 400 days", lamp(ts=NOW_MS - 400 * DAY_MS - 1), ["time_past"]),
    ("a year ahead", lamp(ts=NOW_MS + 365 * DAY_MS), ["time_future"]),
    ("11 minutes ahead", lamp(ts=NOW_MS + 660_000), ["time_future"]),
    ("seconds for milliseconds", lamp(ts=NOW_MS // 1000), ["time_past"]),
    ("microseconds for milliseconds", lamp(ts=NOW_MS * 1000), ["time_future"]),
    ("unknown channel", lamp(channel=9), ["channel"]),
]


@pytest.mark.parametrize(
    ("payload", "reasons"), [case[1:] for case in READINGS_LOST], ids=[c[0] for c in READINGS_LOST]
)
def test_a_bad_message_is_refused_for_its_reason_and_its_neighbours_are_not(payload: bytes, reasons: list[str]) -> None:
    topic = TELEMETRY.format("lamp-1")
    found = whole([(topic, GOOD), (topic, payload), (topic, lamp(seq=6))], {})
    assert [(r.message, r.reason) for r in found.rejections] == [(1, reason) for reason in reasons]
    assert sorted(key[6] for key in rows(found)) == [5, 6]
    assert found.received == 2 + len(reasons)


VALUES_LOST = [
    ("NaN", '"voltage_v":NaN', "voltage_v", "value_type"),
    ("infinity", '"voltage_v":-Infinity', "voltage_v", "value_type"),
    ("beyond a float", '"voltage_v":1e999', "voltage_v", "value_type"),
    ("a text", '"voltage_v":"230"', "voltage_v", "value_type"),
    ("a truth", '"voltage_v":true', "voltage_v", "value_type"),
    ("a list", '"voltage_v":[230]', "voltage_v", "value_type"),
    ("not whole", '"lamp_starts":1.5', "lamp_starts", "value_type"),
    ("not exact", '"energy_wh":9007199254740993', "energy_wh", "value_type"),
    ("an unknown state", '"level_reason":"whim"', "level_reason", "value_type"),
    ("a state as number", '"level_reason":3', "level_reason", "value_type"),
    ("too much", '"voltage_v":301', "voltage_v", "value_impossible"),
    ("far too much", '"voltage_v":1e300', "voltage_v", "value_impossible"),
    ("negative", '"energy_wh":-1', "energy_wh", "value_impossible"),
    ("twice and different", '"voltage_v":230,"voltage_v":231', "voltage_v", "value_ambiguous"),
    ("twice, once null", '"voltage_v":null,"voltage_v":231', "voltage_v", "value_ambiguous"),
    # The fast path counts quotation marks to see a repeated key: escaped ones must not make up for it.
    ("twice behind escapes", '"event":"\\"","voltage_v":1,"voltage_v":2', "voltage_v", "value_ambiguous"),
    ("twice, escaped name", '"voltage_v":1,"voltage\\u005fv":2', "voltage_v", "value_ambiguous"),
    (
        "twice and a missing quote's worth of null",
        '"tilt_deg":null,"voltage_v":1,"voltage_v":2',
        "voltage_v",
        "value_ambiguous",
    ),
]


@pytest.mark.parametrize(("fields", "metric", "reason"), [c[1:] for c in VALUES_LOST], ids=[c[0] for c in VALUES_LOST])
def test_a_bad_value_is_quarantined_and_the_rest_of_its_reading_kept(fields: str, metric: str, reason: str) -> None:
    found = whole([(TELEMETRY.format("lamp-1"), text(fields))], {})
    assert [(r.reason, r.metric, r.boot, r.seq) for r in found.rejections] == [(reason, metric, 7, 5)]
    ((_, values, *_, implausible),) = rows(found)
    given_ = {m.name: v for m, v in zip(LAMP.metrics, values, strict=True) if v is not None}
    assert (given_, implausible) == ({"power_w": 41.5}, 0)
    assert (found.received, found.quarantined) == (1, 0)


def test_a_repeated_key_with_the_same_value_costs_nothing() -> None:
    found = whole([(TELEMETRY.format("lamp-1"), text('"power_w":41.5'))], {})
    assert (found.rejections, rows(found).total()) == ([], 1)


def test_an_implausible_value_is_kept_and_flagged() -> None:
    found = whole([(TELEMETRY.format("lamp-1"), lamp(voltage_v=180, power_w=601))], {})
    ((_, values, *_, implausible),) = rows(found)
    index = {m.name: n for n, m in enumerate(LAMP.metrics)}
    assert values[index["voltage_v"]] == 180
    assert implausible == 1 << index["voltage_v"] | 1 << index["power_w"]
    assert not found.rejections


def test_a_gateway_serves_each_channel_with_its_own_kind() -> None:
    topic = TELEMETRY.format("gateway-1")
    readings = b'[{"ts":%d,"seq":1,"power_w":1},{"ts":%d,"seq":2,"channel":1,"dc_power_w":2},' % (NOW_MS, NOW_MS)
    readings += b'{"ts":%d,"seq":3,"channel":2,"battery_soc_pct":3},{"ts":%d,"seq":4,"channel":7}]' % (NOW_MS, NOW_MS)
    found = whole([(topic, readings)], {})
    assert sorted((key[0], key[3], key[6]) for key in rows(found)) == [
        ("lamp", 400, 1),
        ("solar", 401, 2),
        ("stop", 402, 3),
    ]
    assert said(found) == [(0, "channel", None, 4, None)]


def test_a_metric_of_another_kind_is_an_unknown_key() -> None:
    found = whole([(TELEMETRY.format("cabinet-1"), lamp(tilt_deg=5, banana=1))], {})
    assert found.unknown_keys.keys() == {(3, "tilt_deg"), (3, "banana")}
    assert rows(found).total() == 1


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("kraj/lhota/nobody-1/telemetry", "unknown_device"),
        ("kraj/dvory/lamp-1/telemetry", "municipality"),
        ("kraj/lhota/stolen-1/telemetry", "suspended"),
        ("kraj/lhota/spare-1/telemetry", "not_installed"),
        ("kraj/lhota/newer-1/telemetry", "not_installed"),
    ],
)
def test_readings_without_an_owner_are_refused_one_by_one_with_their_numbers(topic: str, reason: str) -> None:
    two = b"[" + lamp(seq=1) + b"," + lamp(seq=2) + b"]"
    found = whole([(topic, two), (topic, b"rubbish"), (topic, b'{"seq":%d}' % 10**30), (topic, b" " * 70_000)], {})
    assert said(found) == [
        (0, reason, 7, 1, None),
        (0, reason, 7, 2, None),
        (1, reason, None, None, None),
        (2, reason, None, None, None),
        (3, "too_large", None, None, None),
    ]
    assert found.received == found.quarantined == 5


def test_a_device_without_a_clock_is_dated_by_the_beginning_of_its_boot() -> None:
    topic = TELEMETRY.format("lamp-1")
    first = decode([(topic, lamp(ts=None, uptime_ms=60_000), 1)], ROUTES, {}, NOW_MS)
    assert (first.epochs_missing, first.readings) == ({(1, 7): NOW_MS - 60_000}, []) or first.received == 0
    known = {(1, 7): NOW_MS - 90_000}
    again = decode([(topic, lamp(ts=None, uptime_ms=60_000), 1)], ROUTES, known, NOW_MS)
    assert [key[5] for key in rows(again)] == [NOW_MS - 30_000]


def test_of_a_boot_not_met_before_the_longest_uptime_tells_the_beginning() -> None:
    topic = TELEMETRY.format("lamp-1")
    messages: list[Message] = [(topic, lamp(ts=None, seq=n, uptime_ms=n * 1000), n) for n in (3, 9, 6)]
    assert decode(messages, ROUTES, {}, NOW_MS).epochs_missing == {(1, 7): NOW_MS - 9000}


@pytest.mark.parametrize("count", [STEP_RECORDS - 1, STEP_RECORDS, 3 * STEP_RECORDS + 1])
def test_decoding_pauses_after_each_step_and_loses_nothing(count: int) -> None:
    batch = [(TELEMETRY.format("lamp-1"), lamp(seq=seq), seq) for seq in range(1, count + 1)]
    steps = decoding(batch, ROUTES, {}, NOW_MS)
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as done:
            (readings,) = done.value.readings
            break
        pauses += 1
    assert pauses == count // STEP_RECORDS
    assert readings.seq.tolist() == list(range(1, count + 1))


def test_a_batch_of_bad_messages_pauses_too() -> None:
    batch = [(TELEMETRY.format("lamp-1"), b"{", n) for n in range(STEP_PATIENT * 3)]
    assert sum(1 for _ in decoding(batch, ROUTES, {}, NOW_MS)) == 3


def test_the_excess_of_a_flooding_device_is_refused_and_its_neighbour_is_not() -> None:
    messages = [(TELEMETRY.format("lamp-1"), lamp(seq=n)) for n in range(1, 8)]
    messages.insert(6, (TELEMETRY.format("lamp-2"), lamp(seq=1)))
    found = whole(messages, {}, FloodGuards(FloodGuard(1, 5)))
    assert said(found) == [(5, "flood", 7, 6, None), (7, "flood", 7, 7, None)]
    assert rows(found).total() == 6
    assert found.received == 8
