"""Tasmota's own messages become readings, and our commands its own.

Payloads are in the form of the pages *MQTT*, *Commands* (Power Monitoring, SetOption52, TelePeriod) and *PZEM-0XX* of
Tasmota's documentation.
"""

from typing import Any

import pytest

from kraj.errors import PayloadError
from kraj.foreign import adapters
from kraj.foreign.records import Adapter, Report, SetInterval, SetLevel
from tests.kraj.foreign.saying import document, ms, told

T = Adapter.TASMOTA
ENERGY: dict[str, Any] = {
    "TotalStartTime": "2018-11-14T18:39:40",
    "Total": 6.404,
    "Yesterday": 5.340,
    "Today": 1.064,
    "Period": 4,
    "Power": 98,
    "ApparentPower": 101,
    "ReactivePower": 24,
    "Factor": 0.97,
    "Voltage": 226,
    "Current": 0.446,
}
SENSOR = {"Time": "2026-11-21T07:14:50", "ENERGY": ENERGY}
STATE = {
    "Time": "2026-11-21T07:14:50",
    "Uptime": "9T04:03:29",
    "UptimeSec": 792209,
    "Heap": 25,
    "SleepMode": "Dynamic",
    "Sleep": 50,
    "LoadAvg": 19,
    "MqttCount": 1,
    "POWER": "ON",
    "Wifi": {"AP": 2, "SSId": "obec", "Channel": 1, "Mode": "11n", "RSSI": 100, "Signal": -39, "LinkCount": 1},
}


def test_energy_of_a_plug_is_a_lamps_reading_in_our_units() -> None:
    (reading,) = told(T, "tele/SENSOR", SENSOR).readings
    assert reading.values == {
        "power_w": 98,
        "power_factor": 0.97,
        "voltage_v": 226,
        "current_a": 0.446,
        "energy_wh": 6404,
    }
    assert reading.channel == 0


@pytest.mark.parametrize("tail", ["tele/SENSOR", "tele/tasmota_1A2B3C/SENSOR", "tasmota_1A2B3C/tele/SENSOR"])
def test_the_default_full_topic_and_others_are_understood(tail: str) -> None:
    assert told(T, tail, SENSOR).readings[0].values["power_w"] == 98


@pytest.mark.parametrize(
    ("time", "zone", "utc"),
    [
        ("2026-11-21T07:14:50", None, "2026-11-21T06:14:50+00:00"),
        ("2026-07-01T08:00:00", None, "2026-07-01T06:00:00+00:00"),
        ("2026-07-01T08:00:00", "Etc/GMT-1", "2026-07-01T07:00:00+00:00"),
        ("2026-11-21T07:14:50+01:00", "UTC", "2026-11-21T06:14:50+00:00"),
    ],
)
def test_time_is_local_without_a_zone_unless_setoption52_adds_it(time: str, zone: str | None, utc: str) -> None:
    given = None if zone is None else {"zone": zone}
    (reading,) = told(T, "tele/SENSOR", {**SENSOR, "Time": time}, given=given).readings
    assert reading.ts_ms == ms(utc) + 1  # behind STATE of the same second


@pytest.mark.parametrize(
    ("now", "utc"),
    [("2026-10-25T00:30:05+00:00", "2026-10-25T00:30:00"), ("2026-10-25T01:30:05+00:00", "2026-10-25T01:30:00")],
)
def test_the_hour_that_comes_twice_is_the_one_in_which_it_came(now: str, utc: str) -> None:
    (reading,) = told(T, "tele/SENSOR", {**SENSOR, "Time": "2026-10-25T02:30:00"}, now=now).readings
    assert reading.ts_ms == ms(f"{utc}+00:00") + 1


def test_a_clock_that_was_never_set_is_no_time() -> None:
    (reading,) = told(T, "tele/SENSOR", {**SENSOR, "Time": "1970-01-01T00:00:12"}).readings
    assert reading.ts_ms is None


def test_the_state_tells_the_relay_the_signal_and_the_uptime() -> None:
    (reading,) = told(T, "tele/STATE", STATE).readings
    assert reading.values == {
        "level_commanded_pct": 100,
        "level_effective_pct": 100,
        "rssi_dbm": -39,
        "uptime_s": 792209,
    }


def test_a_dimmer_tells_the_level_and_nothing_while_it_is_off() -> None:
    lit = told(T, "tele/STATE", {**STATE, "Dimmer": 40}).readings[0]
    dark = told(T, "tele/STATE", {**STATE, "POWER": "OFF", "Dimmer": 40}).readings[0]
    assert (lit.values["level_commanded_pct"], dark.values["level_commanded_pct"]) == (40, 0)


def test_zero_volts_of_a_relay_that_is_off_are_unknown() -> None:
    off = {**ENERGY, "Power": 0, "Factor": 0.0, "Voltage": 0, "Current": 0.0}
    (reading,) = told(T, "tele/SENSOR", {**SENSOR, "ENERGY": off}).readings
    assert reading.values == {"power_w": 0, "current_a": 0, "energy_wh": 6404}


def test_lists_of_a_meter_are_phases_of_a_cabinet() -> None:
    energy = {
        "Total": 1234.5,
        "Power": [100, 200, 300],
        "Voltage": [231, 232, 233],
        "Current": [0.5, 0.9, 1.3],
        "Factor": [1, 1, 1],
    }
    (reading,) = told(T, "tele/SENSOR", {**SENSOR, "ENERGY": energy}, "cabinet").readings
    assert reading.values["power_w"] == 600
    assert reading.values["l3_power_w"] == 300
    assert reading.values["l2_voltage_v"] == 232
    assert reading.values["energy_wh"] == 1_234_500


def test_lists_of_a_two_relay_plug_are_two_lamps() -> None:
    energy = {"Total": 1.5, "Power": [10, 20], "Voltage": 230, "Current": [0.05, 0.09], "Factor": [0.9, 0.95]}
    first, second = told(T, "tele/SENSOR", {**SENSOR, "ENERGY": energy}, "lamp", "lamp").readings
    assert (first.channel, first.values["power_w"], first.values["voltage_v"]) == (0, 10, 230)
    assert (second.channel, second.values["power_w"], second.values["voltage_v"]) == (1, 20, 230)


def test_a_relay_without_an_asset_is_noted_and_not_refused() -> None:
    found = told(T, "tele/STATE", {**STATE, "POWER1": "ON", "POWER2": "OFF"})
    assert [reading.channel for reading in found.readings] == [0]
    assert found.notes == ["part 1 of the device: no asset is on channel 1"]


def test_channels_can_be_named() -> None:
    (reading,) = told(T, "stat/POWER2", b"ON", given={"channels": {"POWER2": 0}}).readings
    assert (reading.channel, reading.values["level_commanded_pct"]) == (0, 100)


def test_switching_is_told_at_once() -> None:
    found = told(T, "stat/POWER", b"OFF", "cabinet")
    assert found.readings[0].values == {"contactor_closed": False}
    assert found.readings[0].ts_ms is None
    assert found.merge


@pytest.mark.parametrize(("word", "online"), [(b"Online", True), (b"Offline", False)])
def test_the_will_tells_whether_it_is_online(word: bytes, *, online: bool) -> None:
    assert told(T, "tele/LWT", word).online is online


def test_sensors_of_a_stop_are_read_in_either_unit_of_temperature() -> None:
    message = {
        "Time": "2026-11-21T07:14:50",
        "SI7021": {"Temperature": 70.7, "Humidity": 52.1, "DewPoint": 50.0},
        "TempUnit": "F",
    }
    (reading,) = told(T, "tele/SENSOR", message, "stop").readings
    assert reading.values == {"air_temp_degc": pytest.approx(21.5), "air_humidity_pct": 52.1}
    dust = {"Time": "2026-11-21T07:14:50", "SDS0X1": {"PM2.5": 12.3, "PM10": 20.1}}
    assert told(T, "tele/SENSOR", dust, "stop").readings[0].values == {"pm2_5_ug_per_m3": 12.3, "pm10_ug_per_m3": 20.1}


def test_the_answer_to_status_8_is_a_reading_too() -> None:
    assert told(T, "stat/STATUS8", {"StatusSNS": SENSOR}).readings[0].values["power_w"] == 98


@pytest.mark.parametrize("tail", ["cmnd/POWER", "tele/INFO1", "stat/RESULT", "stat/LOGGING", "something/else"])
def test_what_tells_no_measurement_is_left_alone(tail: str) -> None:
    assert told(T, tail, b"anything").ignored


@pytest.mark.parametrize(
    ("tail", "payload", "reason", "words"),
    [
        ("tele/SENSOR", b"{", "not_json", "begins"),
        ("tele/SENSOR", b"\xff", "not_utf8", "offset 0"),
        ("tele/SENSOR", b"[1]", "foreign_message", "a list"),
        ("tele/SENSOR", b'{"Time": "yesterday", "ENERGY": {}}', "time_missing", "yesterday"),
        ("tele/SENSOR", b"[" * 60_000, "too_deep", "nested"),
        ("tele/SENSOR", b'{"a":' * 30 + b"1" + b"}" * 30, "too_deep", "nested"),
        ("tele/SENSOR", b" " * 70_000, "too_large", "70000"),
        ("stat/POWER", b"MAYBE", "foreign_message", "ON or OFF"),
        ("tele/LWT", b"gone", "foreign_message", "Offline"),
        ("stat/STATUS8", b"{}", "foreign_message", "StatusSNS"),
    ],
)
def test_bad_input_is_refused_with_a_reason(tail: str, payload: bytes, reason: str, words: str) -> None:
    with pytest.raises(PayloadError, match=words) as caught:
        told(T, tail, payload)
    assert caught.value.reason == reason


def test_odd_values_within_a_good_message_cost_only_themselves() -> None:
    energy: dict[str, Any] = {**ENERGY, "Power": "much", "Voltage": None, "Current": True, "Total": {}}
    (reading,) = told(T, "tele/SENSOR", {**SENSOR, "ENERGY": energy, "Wifi": 3, "X": {"Temperature": []}}).readings
    assert reading.values == {"power_factor": 0.97}


@pytest.mark.parametrize(
    ("command", "tail", "payload"),
    [
        (SetLevel(100), "cmnd/Power1", b"ON"),
        (SetLevel(0), "cmnd/Power1", b"OFF"),
        (SetLevel(100, channel=1), "cmnd/Power2", b"ON"),
        (SetLevel(40), "cmnd/Dimmer1", b"40"),
        (SetInterval(60), "cmnd/TelePeriod", b"60"),
    ],
)
def test_commands_are_tasmotas(command: Any, tail: str, payload: bytes) -> None:
    (out,) = adapters.command(T, command, document(T), prefix="foreign/lhota/plug-1")
    assert (out.tail, out.payload) == (tail, payload)


def test_asking_for_a_report_asks_for_sensors_and_state() -> None:
    out = adapters.command(T, Report(), document(T), prefix="foreign/lhota/plug-1")
    assert [(m.tail, m.payload) for m in out] == [("cmnd/Status", b"8"), ("cmnd/Status", b"11")]


def test_a_period_that_tasmota_does_not_take_is_refused() -> None:
    with pytest.raises(PayloadError, match="10 to 3600"):
        adapters.command(T, SetInterval(5), document(T), prefix="foreign/lhota/plug-1")
