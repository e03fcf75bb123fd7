"""ChirpStack's uplinks become readings by a mapping, and commands downlinks.

Events are in the form of the pages *Event types* and *MQTT* (integrations) of ChirpStack v4's documentation.
"""

import base64
import json
from typing import Any

import pytest

from kraj.errors import PayloadError
from kraj.foreign import adapters, chirpstack
from kraj.foreign.records import Adapter, SetLevel
from tests.kraj.foreign.saying import document, ms, told

C = Adapter.CHIRPSTACK
EUI = "0101010101010101"
UP = f"application/17/device/{EUI}/event/up"
EVENT: dict[str, Any] = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2026-11-21T06:14:15.775023242+00:00",
    "deviceInfo": {"applicationId": "17", "deviceName": "stop", "devEui": EUI},
    "devAddr": "00189440",
    "adr": True,
    "dr": 1,
    "fCnt": 4,
    "fPort": 1,
    "confirmed": False,
    "data": "qg==",
    "object": {"temperatureSensor": {"1": 25}, "battery": 3.61},
    "rxInfo": [
        {"gatewayId": "0016c001f153a14c", "rssi": -108, "snr": 3.2},
        {"gatewayId": "0016c001f153a14d", "rssi": -97, "snr": 9.0},
    ],
}
MAPPING: dict[str, Any] = {
    "application": "17",
    "readings": [
        {
            "kind": "stop",
            "when": [{"path": "fPort", "is": 1}],
            "metrics": {"air_temp_degc": "object.temperatureSensor.1", "battery_voltage_v": "object.battery"},
        }
    ],
    "commands": {"set_level": {"f_port": 2, "hex": "01$level_pct"}},
}


def test_an_uplink_is_read_by_the_mapping_with_its_time_and_best_signal() -> None:
    (reading,) = told(C, UP, EVENT, "stop", given=MAPPING).readings
    assert reading.values == {"air_temp_degc": 25, "battery_voltage_v": 3.61, "rssi_dbm": -97}
    assert reading.ts_ms == ms("2026-11-21T06:14:15.775+00:00")


def test_another_port_is_another_message() -> None:
    assert told(C, UP, {**EVENT, "fPort": 2}, "stop", given=MAPPING).ignored


def test_without_a_codec_the_reason_says_where_to_set_one() -> None:
    with pytest.raises(PayloadError, match="codec in the device profile"):
        told(C, UP, {k: v for k, v in EVENT.items() if k != "object"}, "stop", given=MAPPING)


def test_the_device_status_tells_the_battery() -> None:
    tail = UP.replace("/up", "/status")
    status: dict[str, Any] = {"time": "2026-11-21T06:14:15Z", "deviceInfo": {}, "margin": 10, "batteryLevel": 75.5}
    assert told(C, tail, status, "stop", given=MAPPING).readings[0].values == {"battery_soc_pct": 75.5}
    assert told(C, tail, {**status, "externalPowerSource": True}, "stop", given=MAPPING).ignored


@pytest.mark.parametrize("event", ["ack", "txack", "log", "location"])
def test_other_events_are_left_alone(event: str) -> None:
    assert told(C, UP.replace("/up", f"/{event}"), b"{}", "stop", given=MAPPING).silent


@pytest.mark.parametrize(
    ("payload", "reason"), [(b"{}", "foreign_message"), (b"\x08\x01", "not_json"), (b"[]", "foreign_message")]
)
def test_bad_input_is_refused_with_a_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        told(C, UP, payload, "stop", given=MAPPING)
    assert caught.value.reason == reason


def test_odd_values_in_a_good_uplink_do_no_harm() -> None:
    odd: dict[str, Any] = {
        **EVENT,
        "rxInfo": [None, {"rssi": "x"}, 3],
        "object": {"temperatureSensor": [], "battery": {}},
    }
    (reading,) = told(C, UP, odd, "stop", given=MAPPING).readings
    assert reading.values == {"battery_voltage_v": {}}


def test_a_command_is_a_downlink() -> None:
    (out,) = adapters.command(C, SetLevel(40), document(C, MAPPING), prefix="foreign/lhota/lora", address=EUI)
    assert out.tail == f"application/17/device/{EUI}/command/down"
    body = json.loads(out.payload)
    assert (body["devEui"], body["fPort"], base64.b64decode(body["data"])) == (EUI, 2, b"\x01\x28")
    as_object = {**MAPPING, "commands": {"set_level": {"f_port": 2, "payload": {"dim": "$level_pct"}}}}
    (out,) = adapters.command(C, SetLevel(40), document(C, as_object), prefix="foreign/lhota/lora", address=EUI)
    assert json.loads(out.payload)["object"] == {"dim": 40}
    with pytest.raises(PayloadError, match="DevEUI"):
        adapters.command(C, SetLevel(40), document(C, MAPPING), prefix="foreign/lhota/lora")


def test_the_topic_names_the_device() -> None:
    assert chirpstack.device_of(f"application/17/device/{EUI.upper()}/event/up") == EUI
    assert chirpstack.device_of("tele/SENSOR") is None
