"""Foreign devices through the real broker, the real ingest and the real database."""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.types.json import Jsonb

from kraj.store.registry import NewAsset, NewDevice, register
from tests.ingest.region import Region
from tests.ingest.rig import TOWN, now_ms, wait_until


class Foreign(Region):
    """A region in which devices may be foreign."""

    def device(
        self,
        adapter: str | None,
        *kinds: str,
        document: dict[str, Any] | None = None,
        address: str | None = None,
    ) -> str:
        """The name of a new device with an asset of each kind on channels from 0 on."""
        name = f"own-{uuid.uuid4().hex[:8]}"
        assets = {n: NewAsset(kind=kind, label=f"{name}-{n}") for n, kind in enumerate(kinds)}
        with psycopg.connect(self.url) as connection:
            device = NewDevice(name=name, municipality=TOWN, assets=assets)
            register(connection, {TOWN: "Lhota", "dvory": "Dvory"}, [device], datetime.now(UTC))
            if adapter is not None:
                mapping = None
                if document is not None:
                    mapping = connection.execute(
                        "INSERT INTO mapping (municipality_id, name, adapter, document, changed_at)"
                        " SELECT municipality_id, %s, %s, %s, now() FROM municipality WHERE name = %s"
                        " RETURNING mapping_id",
                        [name, adapter, Jsonb(document), TOWN],
                    ).fetchone()
                connection.execute(
                    "INSERT INTO foreign_device (device_id, adapter, mapping_id, address, changed_at)"
                    " SELECT device_id, %s, %s, %s, now() FROM device WHERE name = %s",
                    [adapter, mapping and mapping[0], address, name],
                )
        return name

    def say(self, device: str, tail: str, message: Any, town: str = TOWN) -> None:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.devices.publish(f"foreign/{town}/{device}/{tail}", payload)

    def readings(self, device: str, columns: str, kind: str = "lamp", channel: int = 0) -> list[Any]:
        return self.query(
            f"SELECT {columns} FROM reading_{kind} WHERE asset_id ="
            " (SELECT asset_id FROM asset WHERE label = %s) ORDER BY ts, seq",
            f"{device}-{channel}",
        )

    def ring(self, device: str, columns: str = "verdict") -> list[Any]:
        return self.query(
            f"SELECT {columns} FROM foreign_message JOIN device USING (device_id) WHERE name = %s ORDER BY number",
            device,
        )


@pytest.fixture(scope="module")
def foreign(module_database_url: str, module_folder: Path) -> Iterator[Foreign]:
    yield from Foreign.lived_in(module_database_url, module_folder)


def local(moment: datetime) -> str:
    return moment.astimezone(ZoneInfo("Europe/Prague")).replace(tzinfo=None).isoformat(timespec="seconds")


def sensor(moment: datetime, power: float = 98, **energy: Any) -> dict[str, Any]:
    values = {"Total": 6.404, "Power": power, "Factor": 0.97, "Voltage": 226, "Current": 0.446}
    return {"Time": local(moment), "ENERGY": {**values, **energy}}


def test_tasmotas_energy_is_committed_as_a_lamps_reading_and_once(foreign: Foreign) -> None:
    name = foreign.device("tasmota", "lamp")
    moment = datetime.now(UTC).replace(microsecond=0)
    for _ in range(2):
        foreign.say(name, "tele/SENSOR", sensor(moment))
        foreign.settled()
    (row,) = foreign.readings(name, "power_w, energy_wh, voltage_v, ts, boot")
    assert row == (98.0, 6404, 226.0, moment + timedelta(milliseconds=1), None)
    assert foreign.ring(name) == ["stored", "duplicate"]
    assert foreign.devices.acks == [] or all(name not in topic for topic, _ in foreign.devices.acks)


def test_state_and_sensor_of_one_second_are_two_readings_and_the_later_knows_both(foreign: Foreign) -> None:
    name = foreign.device("tasmota", "lamp")
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=5)
    foreign.say(name, "tele/STATE", {"Time": local(moment), "UptimeSec": 12, "POWER": "ON", "Wifi": {"Signal": -61}})
    foreign.say(name, "tele/SENSOR", sensor(moment))
    foreign.settled()
    assert foreign.readings(name, "level_commanded_pct, rssi_dbm, power_w") == [(100.0, -61, None), (100.0, -61, 98.0)]


def test_switching_makes_what_was_measured_before_unknown(foreign: Foreign) -> None:
    name = foreign.device("tasmota", "lamp")
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=30)
    foreign.say(name, "tele/STATE", {"Time": local(moment), "POWER": "ON"})
    foreign.say(name, "tele/SENSOR", sensor(moment + timedelta(seconds=1)))
    foreign.say(name, "stat/POWER", b"OFF")
    foreign.settled()
    assert foreign.readings(name, "level_commanded_pct, power_w, voltage_v")[-1] == (0.0, None, 226.0)


def test_the_will_makes_the_device_offline(foreign: Foreign) -> None:
    name = foreign.device("tasmota", "lamp")
    for word, online in ((b"Online", True), (b"Offline", False)):
        foreign.say(name, "tele/LWT", word)
        foreign.settled()
        assert foreign.query(
            "SELECT online FROM device_status JOIN device USING (device_id) WHERE name = %s", name
        ) == [online]
    assert foreign.ring(name) == ["online", "offline"]


def test_an_impossible_value_is_quarantined_alone(foreign: Foreign) -> None:
    name = foreign.device("tasmota", "lamp")
    foreign.say(name, "tele/SENSOR", sensor(datetime.now(UTC), power=9000))
    foreign.settled()
    assert foreign.readings(name, "power_w, voltage_v") == [(None, 226.0)]
    assert foreign.quarantine(name, "reason, metric") == [("value_impossible", "power_w")]
    ((verdict, reasons),) = foreign.ring(name, "verdict, reasons")
    assert verdict == "partly"
    assert reasons[0]["metric"] == "power_w"


def test_a_mapping_reads_what_a_municipality_describes(foreign: Foreign) -> None:
    document = {
        "readings": [
            {
                "kind": "lamp",
                "records": "poles",
                "channel": {"path": "pole", "table": {"north": 0, "south": 1}},
                "time": {"path": "$.at", "format": "unix_s"},
                "metrics": {
                    "power_w": {"path": "kw", "factor": 1000},
                    "level_reason": {"path": "mode", "table": {"A": "program", "M": "manual"}},
                },
            }
        ]
    }
    name = foreign.device("json", "lamp", "lamp", document=document)
    at = now_ms() // 1000
    poles = [{"pole": "north", "kw": 0.041, "mode": "A"}, {"pole": "south", "kw": "0.02", "mode": "M"}]
    foreign.say(name, "data", {"at": at, "poles": poles})
    foreign.settled()
    assert foreign.readings(name, "power_w, level_reason") == [(41.0, 4)]
    assert foreign.readings(name, "power_w, level_reason", channel=1) == [(20.0, 2)]


def test_a_mapping_that_is_changed_counts_at_once(foreign: Foreign) -> None:
    name = foreign.device("json", "lamp", document={"readings": [{"kind": "lamp", "metrics": {"power_w": "p"}}]})
    foreign.say(name, "data", {"q": 7})
    foreign.settled()
    assert foreign.quarantine(name) == ["foreign_mapping"]
    changed = {"readings": [{"kind": "lamp", "metrics": {"power_w": "q"}}]}
    foreign.query("UPDATE mapping SET document = %s WHERE name = %s", Jsonb(changed), name)
    foreign.say(name, "data", {"q": 7})
    foreign.settled()
    assert foreign.readings(name, "power_w") == [7.0]


def test_shelly_and_esphome_make_whole_snapshots_of_parts(foreign: Foreign) -> None:
    shelly, esp = foreign.device("shelly", "lamp"), foreign.device("esphome", "lamp")
    stamp = time.time() - 10
    for n, part in enumerate(({"output": True}, {"apower": 40.5}, {"voltage": 231.0})):
        params = {"ts": round(stamp + n, 2), "switch:0": {"id": 0, **part}}
        foreign.say(shelly, "events/rpc", {"src": "s", "dst": "d", "method": "NotifyStatus", "params": params})
    foreign.say(esp, "sensor/pole_power/state", b"39.5")
    foreign.say(esp, "sensor/pole_voltage/state", b"230.1")
    foreign.settled()
    assert foreign.readings(shelly, "level_commanded_pct, power_w, voltage_v")[-1] == (100.0, 40.5, 231.0)
    assert foreign.readings(esp, "power_w, round(voltage_v::numeric, 1)::float8")[-1] == (39.5, 230.1)


def test_an_uplink_of_an_application_finds_its_device_by_the_deveui(foreign: Foreign) -> None:
    document = {"readings": [{"kind": "stop", "metrics": {"air_temp_degc": "object.temperature"}}]}
    eui = uuid.uuid4().hex[:16]
    carrier = foreign.device("chirpstack", document=document)
    device = foreign.device("chirpstack", "stop", document=document, address=eui)
    stranger = foreign.device("tasmota", "lamp")
    event = {
        "time": datetime.now(UTC).isoformat(),
        "deviceInfo": {"devEui": eui},
        "fCnt": 4,
        "fPort": 1,
        "object": {"temperature": 12.5},
        "rxInfo": [{"rssi": -110, "snr": 2.0}, {"rssi": -97, "snr": 7.5}],
    }
    foreign.say(carrier, f"application/7/device/{eui}/event/up", event)
    foreign.say(stranger, f"application/7/device/{eui}/event/up", event)
    foreign.say(carrier, "application/7/device/0000000000000001/event/up", event)
    foreign.settled()
    assert foreign.readings(device, "air_temp_degc, rssi_dbm", "stop") == [(12.5, -97)]
    assert foreign.quarantine(carrier) == ["unknown_device"]


@pytest.mark.parametrize(
    ("adapter", "tail", "payload", "reason"),
    [
        ("tasmota", "tele/SENSOR", b"{", "not_json"),
        ("shelly", "events/rpc", b"{}", "foreign_message"),
        ("esphome", "switch/relay/state", b"MAYBE", "foreign_message"),
        ("json", "data", b'{"x": 1}', "foreign_mapping"),
        ("json", "data", b"\xff\xfe", "not_utf8"),
        (None, "tele/SENSOR", b"{}", "foreign_device"),
    ],
)
def test_what_is_not_understood_is_kept_with_its_reason(
    foreign: Foreign, adapter: str | None, tail: str, payload: bytes, reason: str
) -> None:
    document = {"readings": [{"kind": "lamp", "metrics": {"power_w": "p"}}]} if adapter == "json" else None
    name = foreign.device(adapter, "lamp", document=document)
    foreign.say(name, tail, payload)
    foreign.settled()
    assert foreign.quarantine(name, "reason, payload") == [(reason, payload)]
    if adapter is not None:
        assert foreign.ring(name) == ["refused"]


def test_another_towns_topic_and_a_stranger_are_refused(foreign: Foreign) -> None:
    name = foreign.device("tasmota", "lamp")
    foreign.say(name, "tele/SENSOR", sensor(datetime.now(UTC)), town="dvory")
    foreign.say("nobody-at-all", "tele/SENSOR", sensor(datetime.now(UTC)))
    foreign.settled()
    assert foreign.quarantine(name) == ["municipality"]
    assert foreign.quarantine("nobody-at-all") == ["unknown_device"]
    assert foreign.ring(name) == []


def test_the_ring_keeps_the_last_twenty(foreign: Foreign) -> None:
    name = foreign.device("tasmota", "lamp")
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    for n in range(30):
        foreign.say(name, "tele/SENSOR", sensor(begin + timedelta(seconds=n), power=n))
    foreign.settled()
    wait_until(lambda: len(foreign.readings(name, "power_w")) == 30, "all are stored")
    found = foreign.ring(name, "readings")
    assert [readings[0]["power_w"] for readings in found] == list(range(10, 30))
