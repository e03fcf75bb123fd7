"""Shelly's notifications and statuses become readings, and our commands its RPC.

Payloads are in the form of the pages *Notifications*, *MQTT*, *Switch*, *PM1*, *EM*, *EMData*, *EM1*, *RPC Protocol* of
Shelly's documentation of the second generation.
"""

import json
from typing import Any

import pytest

from kraj.errors import PayloadError
from kraj.foreign import adapters
from kraj.foreign.records import Adapter, Report, SetInterval, SetLevel
from tests.kraj.foreign.saying import document, ms, told

S = Adapter.SHELLY
SWITCH: dict[str, Any] = {
    "id": 0,
    "source": "MQTT",
    "output": True,
    "apower": 25.7,
    "voltage": 239.7,
    "freq": 50.2,
    "current": 0.188,
    "pf": 0.57,
    "aenergy": {"total": 913.252, "by_minute": [404.631, 404.631, 404.631], "minute_ts": 1795241640},
    "ret_aenergy": {"total": 0.0, "by_minute": [0.0, 0.0, 0.0], "minute_ts": 1795241640},
    "temperature": {"tC": 68.1, "tF": 154.6},
}


def notify(components: dict[str, Any], method: str = "NotifyStatus", ts: Any = 1795241699.04) -> dict[str, Any]:
    src = "shellyplus1pm-a8032ab12345"
    return {"src": src, "dst": f"{src}/events", "method": method, "params": {"ts": ts, **components}}


def test_the_status_of_a_switch_is_a_lamps_reading() -> None:
    (reading,) = told(S, "status/switch:0", SWITCH).readings
    assert reading.values == {
        "power_w": 25.7,
        "voltage_v": 239.7,
        "current_a": 0.188,
        "power_factor": 0.57,
        "energy_wh": 913,
        "level_commanded_pct": 100,
        "level_effective_pct": 100,
    }
    assert reading.ts_ms is None


def test_a_notification_tells_a_part_and_its_time() -> None:
    found = told(S, "events/rpc", notify({"switch:0": {"id": 0, "aenergy": {"total": 6.532, "by_minute": [45.199]}}}))
    (reading,) = found.readings
    assert reading.values == {"energy_wh": 7}
    assert reading.ts_ms == 1795241699040
    assert found.merge


def test_the_default_prefix_may_stand_before() -> None:
    found = told(S, "shellyplus1pm-a8032ab12345/events/rpc", notify({"switch:0": {"id": 0, "apower": 8.9}}))
    assert found.readings[0].values == {"power_w": 8.9}


def test_a_device_that_asked_nobody_for_the_time_has_none() -> None:
    found = told(S, "events/rpc", notify({"switch:0": {"id": 0, "apower": 8.9}}, ts=12.5))
    assert found.readings[0].ts_ms is None
    assert told(S, "events/rpc", notify({"switch:0": {"apower": 1}}, ts=None)).readings[0].ts_ms is None


def test_each_switch_is_a_channel() -> None:
    full = notify(
        {"switch:0": SWITCH, "switch:1": {**SWITCH, "id": 1, "apower": 3.0}, "wifi": {"rssi": -45}}, "NotifyFullStatus"
    )
    first, second = told(S, "events/rpc", full, "lamp", "lamp").readings
    assert (first.channel, first.values["power_w"], second.channel, second.values["power_w"]) == (0, 25.7, 1, 3.0)
    assert first.values["rssi_dbm"] == second.values["rssi_dbm"] == -45


def test_a_three_phase_meter_is_a_cabinet() -> None:
    em: dict[str, Any] = {"id": 0, "total_current": 4.4, "total_act_power": 1011.0, "n_current": 0.3}
    for letter, power in zip("abc", (345.0, 482.0, 184.0), strict=True):
        em |= {
            f"{letter}_current": 1.5,
            f"{letter}_voltage": 230.0,
            f"{letter}_act_power": power,
            f"{letter}_pf": -0.99,
        }
    (reading,) = told(S, "events/rpc", notify({"em:0": em}), "cabinet").readings
    assert reading.values["power_w"] == 1011
    assert reading.values["l2_power_w"] == 482
    assert reading.values["l3_voltage_v"] == 230
    assert reading.values["l1_power_factor"] == 0.99
    (energy,) = told(S, "status/emdata:0", {"id": 0, "total_act": 12345.67, "total_act_ret": 2.1}, "cabinet").readings
    assert energy.values == {"energy_wh": 12346}


def test_single_phase_meters_and_their_data_share_a_channel() -> None:
    given = {"channels": {"em1:1": 0}}
    em1 = {"id": 1, "current": 4.029, "voltage": 236.1, "act_power": 951.2, "aprt_power": 951.9, "pf": 1, "freq": 50}
    (reading,) = told(S, "status/em1:1", em1, "solar", given=given).readings
    assert reading.values == {"power_w": 951.2, "l1_voltage_v": 236.1, "frequency_hz": 50}
    data = {"id": 1, "total_act_energy": 5000.4, "total_act_ret_energy": 1.0}
    assert told(S, "status/em1data:1", data, "solar", given=given).readings[0].values == {"energy_wh": 5000}


def test_a_power_meter_without_a_relay_tells_no_level() -> None:
    pm1 = {"id": 0, "voltage": 231.0, "current": 0.2, "apower": 40.0, "freq": 50.0, "aenergy": {"total": 10.0}}
    (reading,) = told(S, "status/pm1:0", pm1).readings
    assert reading.values == {"voltage_v": 231, "current_a": 0.2, "power_w": 40, "energy_wh": 10}


def test_a_dimmed_light_tells_its_level() -> None:
    light = {"id": 0, "source": "timer", "output": True, "brightness": 40, "apower": 20.1}
    assert told(S, "status/light:0", light).readings[0].values["level_commanded_pct"] == 40
    assert told(S, "status/light:0", {**light, "output": False}).readings[0].values["level_commanded_pct"] == 0


def test_sensors_of_a_stop() -> None:
    full = notify(
        {
            "temperature:0": {"id": 0, "tC": 21.4, "tF": 70.5},
            "humidity:0": {"id": 0, "rh": 52.0},
            "devicepower:0": {"id": 0, "battery": {"V": 5.61, "percent": 87}, "external": {"present": False}},
            "sys": {"uptime": 1201, "mac": "A8032AB12345"},
        },
        "NotifyFullStatus",
    )
    (reading,) = told(S, "events/rpc", full, "stop").readings
    assert reading.values == {
        "air_temp_degc": 21.4,
        "air_humidity_pct": 52,
        "battery_voltage_v": 5.61,
        "battery_soc_pct": 87,
        "uptime_s": 1201,
    }


def test_the_answer_to_our_question_is_a_reading() -> None:
    answer = {
        "id": 1,
        "src": "shellyplus1pm-a8032ab12345",
        "dst": "foreign/lhota/plug-1/reply",
        "result": {"switch:0": SWITCH},
    }
    assert told(S, "reply/rpc", answer).readings[0].values["power_w"] == 25.7


@pytest.mark.parametrize(("word", "online"), [(b"true", True), (b"false", False)])
def test_online_is_a_will(word: bytes, *, online: bool) -> None:
    assert told(S, "online", word).online is online


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("rpc", {"id": 1, "src": "x", "method": "Switch.Set", "params": {"id": 0, "on": True}}),
        ("events/rpc", {"method": "NotifyEvent", "params": {"ts": 1.0, "events": []}}),
        ("reply/rpc", {"id": 1, "error": {"code": -105, "message": "Argument 'id', value 9 not found!"}}),
        ("status/input:0", {"id": 0, "state": False}),
        ("command/switch:0", b"on"),
        ("debug/log", b"shelly_debug"),
    ],
)
def test_what_tells_no_measurement_is_left_alone(tail: str, message: Any) -> None:
    assert told(S, tail, message).ignored


@pytest.mark.parametrize(
    ("tail", "payload", "reason"),
    [
        ("status/switch:0", b"on", "not_json"),
        ("status/switch:0", b'"on"', "foreign_message"),
        ("events/rpc", b"{}", "foreign_message"),
        ("events/rpc", b'{"method": "NotifyStatus"}', "foreign_message"),
        ("online", b"maybe", "foreign_message"),
        ("status/switch:0", b"\xc3", "not_utf8"),
    ],
)
def test_bad_input_is_refused_with_a_reason(tail: str, payload: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        told(S, tail, payload)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("given", "command", "method", "params"),
    [
        ({}, SetLevel(100), "Switch.Set", {"id": 0, "on": True}),
        ({}, SetLevel(0, channel=1), "Switch.Set", {"id": 1, "on": False}),
        ({"channels": {"switch:2": 0}}, SetLevel(0), "Switch.Set", {"id": 2, "on": False}),
        ({"channels": {"light:0": 0}}, SetLevel(40), "Light.Set", {"id": 0, "on": True, "brightness": 40}),
        ({"channels": {"light:0": 0}}, SetLevel(0), "Light.Set", {"id": 0, "on": False}),
        ({}, Report(), "Shelly.GetStatus", None),
    ],
)
def test_commands_are_rpc_requests_answered_below_the_devices_prefix(
    given: Any, command: Any, method: str, params: Any
) -> None:
    (out,) = adapters.command(S, command, document(S, given), prefix="foreign/lhota/plug-1")
    frame = json.loads(out.payload)
    assert (out.tail, frame["method"], frame.get("params")) == ("rpc", method, params)
    assert frame["src"] == "foreign/lhota/plug-1/reply"


@pytest.mark.parametrize("command", [SetLevel(40), SetInterval(60)])
def test_what_a_shelly_cannot_do_is_refused(command: Any) -> None:
    with pytest.raises(PayloadError):
        adapters.command(S, command, document(S), prefix="foreign/lhota/plug-1")


def test_times_are_utc() -> None:
    found = told(S, "events/rpc", notify({"switch:0": {"apower": 1.0}}, ts=1795241699.0))
    assert found.readings[0].ts_ms == ms("2026-11-21T06:14:59+00:00")
