"""The mapping language says where each metric stands, says what is wrong with a document, and runs nothing."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kraj.errors import PayloadError
from kraj.foreign import adapters, mapped, mapping
from kraj.foreign.mapping import MappingError
from kraj.foreign.payloads import Path
from kraj.foreign.records import Adapter, Report, SetLevel
from tests.kraj.foreign.saying import context, document, ms, told

J = Adapter.JSON


def lamp(**metrics: Any) -> dict[str, Any]:
    return {"readings": [{"kind": "lamp", "metrics": metrics}]}


def value(message: Any, **source: Any) -> Any:
    found = told(J, "data", message, given=lamp(power_w=source)).readings
    return found[0].values["power_w"]


def test_values_are_found_by_path_and_converted_by_factor_and_offset() -> None:
    assert value({"a": {"b": [1, {"c": 2}]}}, path="a.b[1].c") == 2
    assert value({"Power [kW]": 0.5}, path='["Power [kW]"]', factor=1000) == 500
    assert value({"raw": 212}, path="raw", factor=0.5, offset=-32) == 74
    assert value([5], path="$[0]") == 5
    assert value(b"41.5", path="$") == 41.5
    assert value({"p": "41.5"}, path="p") == 41.5


def test_a_comma_may_stand_for_the_point() -> None:
    given_ = {**lamp(power_w="p"), "decimal": ","}
    assert told(J, "data", {"p": "1.041,5"}, given=given_).readings[0].values == {"power_w": 1041.5}


def test_tables_translate_words_and_codes() -> None:
    given_ = lamp(level_reason={"path": "m", "table": {"1": "program", "true": "manual", "x": None}}, power_w="p")
    for said, reason in ((1, "program"), (1.0, "program"), ("1", "program"), (True, "manual")):
        assert told(J, "data", {"m": said}, given=given_).readings[0].values == {"level_reason": reason}
    assert told(J, "data", {"m": "x", "p": 1}, given=given_).readings[0].values == {"power_w": 1}
    assert told(J, "data", {"m": "other"}, given=given_).readings[0].values == {"level_reason": "other"}


def test_what_stands_for_nothing_is_unknown() -> None:
    given_ = lamp(power_w={"path": "p", "unknown": [-9999, "n/a"]}, voltage_v="u")
    for said in (-9999, "n/a", "", None):
        assert told(J, "data", {"p": said, "u": 230}, given=given_).readings[0].values == {"voltage_v": 230}


def test_yes_and_no_come_in_many_words_but_open_and_closed_need_a_table() -> None:
    given_ = {"readings": [{"kind": "cabinet", "metrics": {"door_open": "d"}}]}
    for said, meant in ((1, True), ("ON", True), ("ne", False), (False, False), ("closed", "closed")):
        assert told(J, "data", {"d": said}, "cabinet", given=given_).readings[0].values == {"door_open": meant}


def test_whole_metrics_are_rounded_after_conversion() -> None:
    given_ = lamp(energy_wh={"path": "kwh", "factor": 1000})
    assert told(J, "data", {"kwh": 6.404}, given=given_).readings[0].values == {"energy_wh": 6404}


@pytest.mark.parametrize(
    ("time", "pattern", "utc"),
    [
        (1795241700, "unix_s", "2026-11-21T06:15:00+00:00"),
        (1795241700123, "unix_ms", "2026-11-21T06:15:00.123+00:00"),
        ("2026-11-21T06:15:00.123456789Z", "iso", "2026-11-21T06:15:00.123+00:00"),
        ("2026-11-21 07:15:00", "iso", "2026-11-21T06:15:00+00:00"),
        ("21.11.2026 07:15", "%d.%m.%Y %H:%M", "2026-11-21T06:15:00+00:00"),
    ],
)
def test_times_are_read_by_format_and_zone(time: Any, pattern: str, utc: str) -> None:
    part = {"kind": "lamp", "time": {"path": "t", "format": pattern}, "metrics": {"power_w": "p"}}
    (reading,) = told(J, "data", {"t": time, "p": 1}, given={"readings": [part]}).readings
    assert reading.ts_ms == ms(utc)


def test_parts_are_chosen_by_topic_and_by_what_the_message_says() -> None:
    parts = [
        {"kind": "lamp", "topic": "meter/+", "metrics": {"power_w": "p"}},
        {
            "kind": "lamp",
            "topic": "state/#",
            "when": [{"path": "type", "is": [1, "full"]}],
            "metrics": {"voltage_v": "u"},
        },
    ]
    given_ = {"readings": parts}
    assert told(J, "meter/1", {"p": 1, "u": 2}, given=given_).readings[0].values == {"power_w": 1}
    assert told(J, "state/x/y", {"type": "full", "u": 2}, given=given_).readings[0].values == {"voltage_v": 2}
    assert told(J, "state/x", {"type": 2, "u": 2}, given=given_).ignored
    assert told(J, "elsewhere", {"u": 2}, given=given_).ignored


@pytest.mark.parametrize(
    ("pattern", "tail", "fits"),
    [("a/+/c", "a/b/c", True), ("a/#", "a/b/c", True), ("a", "a/b", False), ("a/+", "a", False), ("#", "x", True)],
)
def test_topics_fit_as_in_mqtt(pattern: str, tail: str, *, fits: bool) -> None:
    assert mapped.fits(pattern, tail) is fits


WRONG: list[tuple[Any, str, str]] = [
    ([], "", "an object is expected"),
    ({}, "readings", "is missing"),
    ({"readings": []}, "readings", "at least one"),
    ({"readings": {}}, "readings", "a list is expected"),
    ({"readings": [{"kind": "tram", "metrics": {}}]}, "readings[0].kind", "known are lamp"),
    ({"readings": [{"kind": "lamp"}]}, "readings[0].metrics", "is missing"),
    ({"readings": [{"kind": "lamp", "metrics": {}}]}, "readings[0].metrics", "at least one"),
    (lamp(power="p"), "readings[0].metrics.power", "docs/metrics.md"),
    (lamp(power_w=5), "readings[0].metrics.power_w", "an object is expected"),
    (lamp(power_w={"path": "a..b"}), "readings[0].metrics.power_w.path", "is no path"),
    (lamp(power_w={"path": "a", "factor": "x"}), "readings[0].metrics.power_w.factor", "a number is expected"),
    (lamp(power_w={"path": "a", "factor": 0}), "readings[0].metrics.power_w.factor", "makes everything 0"),
    (lamp(power_w={"path": "a", "eval": "1"}), "readings[0].metrics.power_w.eval", "unknown key"),
    (lamp(level_reason={"path": "a", "table": {"1": "x"}}), "readings[0].metrics.level_reason.table.1", "none of"),
    (lamp(power_w={"path": "a", "table": {"1": 2}, "factor": 2}), "readings[0].metrics.power_w", "either a table"),
    ({**lamp(power_w="a"), "zone": "Europe/Praha"}, "zone", "unknown zone"),
    ({**lamp(power_w="a"), "zone": "../../etc/passwd"}, "zone", "unknown zone"),
    ({**lamp(power_w="a"), "decimal": ";"}, "decimal", "one of"),
    ({**lamp(power_w="a"), "merge": "yes"}, "merge", "true or false"),
    ({**lamp(power_w="a"), "commands": {"explode": {}}}, "commands.explode", "unknown command"),
    (
        {"readings": [{"kind": "lamp", "time": {"path": "t", "format": "%Q"}, "metrics": {"power_w": "a"}}]},
        "readings[0].time.format",
        "%Q is not taken",
    ),
    ({"readings": [{"kind": "lamp", "channel": 1000, "metrics": {"power_w": "a"}}]}, "readings[0].channel", "0 to 999"),
    (
        {"readings": [{"kind": "lamp", "topic": "a+/b", "metrics": {"power_w": "a"}}]},
        "readings[0].topic",
        "whole level",
    ),
]


@pytest.mark.parametrize(("wrong", "place", "words"), WRONG)
def test_a_wrong_document_is_refused_with_the_place_of_the_fault(wrong: Any, place: str, words: str) -> None:
    with pytest.raises(MappingError) as caught:
        mapping.read(wrong)
    assert any(at == place and words in sentence for at, sentence in caught.value.errors), caught.value.errors


def test_documents_are_bounded_in_size_and_depth() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MappingError, match="nested"):
        mapping.read({"readings": deep})
    with pytest.raises(MappingError, match="bytes"):
        mapping.read(lamp(power_w={"path": "a", "table": {str(n): "x" * 500 for n in range(200)}}))
    with pytest.raises(MappingError, match="at most 64"):
        mapping.read({"readings": [{"kind": "lamp", "metrics": {"power_w": "a"}}] * 100})


def test_records_are_bounded_and_named_when_they_are_missing() -> None:
    part = {"kind": "lamp", "records": "list", "metrics": {"power_w": "p"}}
    given_ = {"readings": [part]}
    with pytest.raises(PayloadError, match="at most 64"):
        told(J, "data", {"list": [{"p": 1}] * 65}, given=given_)
    with pytest.raises(PayloadError, match="no records at list"):
        told(J, "data", {"p": 1}, given=given_)


def test_a_mapping_for_another_kind_is_refused() -> None:
    with pytest.raises(PayloadError, match="for a lamp, and on channel 0 is a stop"):
        told(J, "data", {"p": 1}, "stop", given=lamp(power_w="p"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_as_a_document_is_taken_or_refused_with_reasons(wrong: Any) -> None:
    for candidate in (
        wrong,
        {"readings": wrong},
        {"readings": [wrong]},
        lamp(power_w=wrong),
        {**lamp(power_w="a"), "commands": wrong},
    ):
        said: list[tuple[str, str]] | None = None
        try:
            mapping.read(candidate)
        except MappingError as error:
            said = error.errors
        assert said is None or said


@settings(max_examples=150, deadline=None)
@given(JSON | st.binary(max_size=60), st.sampled_from(list(Adapter)), st.sampled_from(
    ["tele/SENSOR", "tele/STATE", "stat/POWER", "events/rpc", "status/switch:0", "status/em:0", "sensor/power/state",
     "light/x/state", "status", "data", "application/1/device/0102030405060708/event/up"]))  # fmt: skip
def test_any_message_becomes_readings_or_a_reason(message: Any, adapter: Adapter, tail: str) -> None:
    given_ = lamp(power_w="a", level_reason="b") if adapter in adapters.PARTS_NEEDED else None
    with contextlib.suppress(PayloadError):
        found = told(adapter, tail, message, given=given_)
        json.dumps([adapters.flat(reading, 0) for reading in found.readings])


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        Path.read(text).find({"a": [1]}, {"a": [1]})


def test_commands_are_templates_filled_with_numbers() -> None:
    given_ = {
        **lamp(power_w="p"),
        "commands": {
            "set_level": {
                "topic": "set",
                "payload": {"level": "$level_pct", "state": "$on_off", "note": "to $level_pct %"},
            },
            "report": {"topic": "ask", "payload": "now"},
        },
    }
    (out,) = adapters.command(J, SetLevel(40), document(J, given_), prefix="foreign/lhota/x")
    assert (out.tail, json.loads(out.payload)) == ("set", {"level": 40, "state": "ON", "note": "to 40 %"})
    (ask,) = adapters.command(J, Report(), document(J, given_), prefix="foreign/lhota/x")
    assert (ask.tail, ask.payload) == ("ask", b"now")
    with pytest.raises(PayloadError, match="set_level"):
        adapters.command(J, SetLevel(0), document(J, lamp(power_w="p")), prefix="foreign/lhota/x")


def test_the_same_said_again_has_the_same_number_and_something_else_another() -> None:
    def seq(power: float, at: int) -> int:
        part = {"kind": "lamp", "time": {"path": "t", "format": "unix_s"}, "metrics": {"power_w": "p"}}
        (reading,) = told(J, "data", {"p": power, "t": at}, given={"readings": [part]}).readings
        return adapters.flat(reading, 0)["seq"]

    assert seq(1, 1795241700) == seq(1, 1795241700)
    assert len({seq(1, 1795241700), seq(2, 1795241700), seq(1, 1795241701)}) == 3


def test_a_context_without_assets_reads_nothing() -> None:
    assert adapters.read(Adapter.TASMOTA, "stat/POWER", b"ON", document(Adapter.TASMOTA), context()).readings == []
