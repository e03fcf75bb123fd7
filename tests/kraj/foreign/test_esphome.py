"""ESPHome's entities become readings, birth and will become a state, and commands go to the entity.

Topics and payloads are in the form of the pages *MQTT Client Component*, *MQTT Component Base Configuration*, *Light
Component* and *Template Switch* of ESPHome's documentation.
"""

import json
from typing import Any

import pytest

from kraj.errors import PayloadError
from kraj.foreign import adapters
from kraj.foreign.records import Adapter, Report, SetLevel
from tests.kraj.foreign.saying import document, told

E = Adapter.ESPHOME
LEVELS = ("level_commanded_pct", "level_effective_pct")


@pytest.mark.parametrize(
    ("tail", "payload", "kind", "values"),
    [
        ("sensor/pole_7_power/state", b"41.5", "lamp", {"power_w": 41.5}),
        ("sensor/voltage/state", b"230.1", "lamp", {"voltage_v": 230.1}),
        ("sensor/wifi_signal/state", b"-61", "lamp", {"rssi_dbm": -61}),
        ("sensor/uptime/state", b"1201.4", "lamp", {"uptime_s": 1201}),
        ("sensor/l2_voltage_v/state", b"231", "cabinet", {"l2_voltage_v": 231}),
        ("sensor/shelter_temperature/state", b"-3.5", "stop", {"air_temp_degc": -3.5}),
        ("binary_sensor/door_open/state", b"ON", "cabinet", {"door_open": True}),
        ("switch/relay/state", b"OFF", "cabinet", {"contactor_closed": False}),
        ("light/lamp/state", b'{"state":"ON","brightness":128}', "lamp", dict.fromkeys(LEVELS, 50.2)),
        ("light/lamp/state", b'{"state":"OFF"}', "lamp", dict.fromkeys(LEVELS, 0)),
    ],
)  # fmt: skip
def test_entities_are_known_by_their_names(tail: str, payload: bytes, kind: str, values: dict[str, Any]) -> None:
    found = told(E, tail, payload, kind)
    assert found.readings[0].values == values
    assert found.merge


def test_an_entity_with_another_name_needs_a_line_in_the_mapping() -> None:
    assert told(E, "sensor/odber/state", b"41.5").ignored
    part = {"kind": "lamp", "topic": "sensor/odber/state", "metrics": {"energy_wh": {"path": "$", "factor": 1000}}}
    found = told(E, "sensor/odber/state", b"1.25", given={"readings": [part]})
    assert found.readings[0].values == {"energy_wh": 1250}
    assert told(E, "sensor/odber/state", b"nan", given={"readings": [part]}).ignored


def test_energy_is_not_guessed() -> None:
    assert told(E, "sensor/total_energy/state", b"12.5").ignored


@pytest.mark.parametrize(("word", "online"), [(b"online", True), (b"offline", False)])
def test_birth_and_will(word: bytes, *, online: bool) -> None:
    assert told(E, "status", word).online is online


@pytest.mark.parametrize("tail", ["debug", "switch/relay/command", "sensor/power/config"])
def test_what_tells_no_measurement_is_left_alone(tail: str) -> None:
    found = told(E, tail, b"anything")
    assert found.ignored
    assert found.silent


def test_a_sensor_without_a_value_yet_is_unknown() -> None:
    assert told(E, "sensor/power/state", b"nan").ignored


@pytest.mark.parametrize(
    ("tail", "payload", "reason"),
    [
        ("switch/relay/state", b"1", "foreign_message"),
        ("light/lamp/state", b"ON", "not_json"),
        ("light/lamp/state", b'{"state": 1}', "foreign_message"),
        ("status", b"yes", "foreign_message"),
        ("sensor/power/state", b"\xff", "not_utf8"),
    ],
)
def test_bad_input_is_refused_with_a_reason(tail: str, payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        told(E, tail, payload)
    assert caught.value.reason == reason


def test_a_text_in_place_of_a_number_stays_for_the_wire_format_to_refuse() -> None:
    assert told(E, "sensor/power/state", b"much").readings[0].values == {"power_w": "much"}


def test_commands_go_to_the_entity_of_the_channel() -> None:
    given = {"channels": {"switch/relay": 0, "light/lamp": 1}}

    def sent(level: int, channel: int) -> tuple[str, bytes]:
        (out,) = adapters.command(E, SetLevel(level, channel), document(E, given), prefix="foreign/lhota/esp-1")
        return out.tail, out.payload

    assert sent(100, 0) == ("switch/relay/command", b"ON")
    tail, payload = sent(40, 1)
    assert (tail, json.loads(payload)) == ("light/lamp/command", {"state": "ON", "brightness": 102})
    for level, channel in ((40, 0), (100, 2)):
        with pytest.raises(PayloadError):
            sent(level, channel)
    with pytest.raises(PayloadError):
        adapters.command(E, Report(), document(E), prefix="foreign/lhota/esp-1")
