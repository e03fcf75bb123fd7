"""Lamps on DALI, motion sensors and e-paper on the computer board: the firmware's own drivers, wire by wire."""

import asyncio
import json
from pathlib import Path
from typing import Any

from simulators.firmware.host import Host, Options
from simulators.firmware.wiring import PARTS, VERSION

DALI = {"type": "dali", "tx": 18, "rx": 19, "address": 0}
MOTION = {"type": "pulses", "pin": 4}
PAPER = {"type": "epaper", "sck": 14, "mosi": 12, "cs": 15, "dc": 2, "rst": 4, "busy": 35}
BY_DAY = {"illuminance_lx": 500, "voltage_v": 230, "power_full_w": 40, "energy_wh": 70_000, "tilt_deg": 0}
CHARGED = {
    "battery_voltage_v": 13.4,
    "battery_current_a": 0.1,
    "pv_voltage_v": 17.5,
    "charger_state": 5,
    "load_power_w": 9.5,
    "door_open": 0,
}
RING = """
import json
from node import app
print(json.dumps([json.loads(text) for _, text in app.here.ring.take(app.here.clock.ticks_ms())]))
"""
WAIT_S = 60


async def board(folder: Path, kind: str, parts: dict[str, Any], values: dict[str, Any]) -> Host:
    """A device that was never enrolled, so that it has no broker to wait for."""
    settings = {"version": VERSION, "kind": kind, "device": "stop-1", "parts": parts}
    kept = {"kraj/settings": "b" + json.dumps(settings).encode().hex()}
    (folder / "nvs.json").write_text(json.dumps(kept))
    return await Host.start(Options(folder=folder, kind=kind, values=values))


async def told(host: Host, name: str) -> Any:
    while True:
        found = await asyncio.wait_for(host.told.get(), WAIT_S)
        assert "failed" not in found, found
        if name in found:
            return found[name]


async def until(host: Host, name: str, wanted: object) -> None:
    while await told(host, name) != wanted:
        pass


async def readings(host: Host) -> list[dict[str, Any]]:
    host.order("python", code=RING)
    while not (found := await told(host, "said")).startswith("["):  # its troubles are said as well
        pass
    return json.loads(found)


async def test_a_lamp_on_dali_follows_an_order_and_tells_what_its_gear_says(tmp_path: Path) -> None:
    parts = {"output": DALI, "photocell": PARTS["lamp"]["photocell"], "motion": MOTION}
    host = await board(tmp_path, "lamp", parts, BY_DAY)
    try:
        await until(host, "level", 0)
        order = {"id": "a", "do": "set_level", "level_pct": 35, "reason": "manual", "until": 4_000_000_000_000}
        payload = json.dumps(order).encode()
        host.order("python", code=f"from node import app; app.here.take('command', {payload!r}, 3600)")
        await until(host, "level", 35)
        host.order("values", values={"motion": 1})
        found: list[dict[str, Any]] = []
        while not any(one.get("event") == "motion" for one in found):
            await asyncio.sleep(0.5)
            found += await readings(host)
        newest = found[-1]
        assert newest["level_commanded_pct"] == 35
        assert abs(newest["level_measured_pct"] - 35) < 1, "the gear's own word, by its curve"
        assert (newest["voltage_v"], newest["energy_wh"], newest["gear_temp_degc"]) == (230, 70_000, 41)
        assert 13 < newest["power_w"] < 17
    finally:
        await host.close()


async def test_a_stops_e_paper_shows_its_state_and_how_old_that_is_is_told(tmp_path: Path) -> None:
    parts = {**PARTS["stop"], "display": PAPER}
    host = await board(tmp_path, "stop", parts, CHARGED)
    try:
        shown = await told(host, "display")
        assert shown.split("\n") == ["stop-1", "", "USB      ano", "WiFi     ano", "Baterie  100 %"]
        found: list[dict[str, Any]] = []
        while not any("display_content_age_s" in one for one in found):
            host.order("values", values={"sos_pressed": len(found) % 2})  # each press is told at once
            await asyncio.sleep(1)
            found = await readings(host)
        assert found[-1]["display_refresh_ok"] is True
        assert found[-1]["display_content_age_s"] < WAIT_S
    finally:
        await host.close()
