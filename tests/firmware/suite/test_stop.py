"""The stop on a bench: what it sheds, what outlives a restart, and what fails costs its own metrics."""

import asyncio

from fakes.bench import Display, Pin, wired
from fakes.i2c_line import Bus, Ina226, Lis3dh, Sht3x
from fakes.serial_line import Victron
from node import lis3dh, shedding
from node.kinds import stop
from suite import test_kinds


class Stops(test_kinds.Case):
    def stop(self, **config):
        self.charger, self.shunt, self.port = Victron(), Ina226(13200, 0), Ina226(5000, 0)
        self.light, self.usb, self.wifi, self.air = Pin(None), Pin(None), Pin(None), Pin(None)
        self.sos, self.door, self.display = Pin(), Pin(0), Display()
        self.bus = Bus(x40=self.shunt, x41=self.port, x44=Sht3x(-5, 80))
        parts = {"charger": self.charger, "battery": self.bus, "usb1": self.usb, "usb1_meter": self.bus}
        parts.update({"light": self.light, "wifi": self.wifi, "air": self.air, "sos": self.sos, "door": self.door})
        parts.update({"display": self.display, "climate": self.bus})
        wirings = wired(*parts, battery={"address": 0x40}, usb1_meter={"address": 0x41})
        return self.bench(stop, parts, wirings, (), battery_mah=100000, **config)

    def says(self, mv=13200, panel_mv=400, state=0, **more):
        fields = [("V", mv), ("I", 0), ("VPV", panel_mv), ("PPV", 0), ("CS", state), ("ERR", 0), ("H19", 5)]
        self.charger.say(fields + list(more.items()))

    async def second(self, **said):
        self.says(**said)
        return await self.after(1)

    async def charge(self, pct):
        self.kind.battery.charge_mas = self.kind.battery.full_mas * pct // 100
        await self.second()
        return await self.second()

    async def test_everything_is_read(self):
        self.stop()
        await self.second(mv=13250)
        self.shunt.mv, self.shunt.shunt_uv = 13250, 21000
        found = await self.second(mv=13250)
        self.assertEqual((found["battery_voltage_v"], found["battery_current_a"]), (1325, 210))
        self.assertEqual((found["pv_energy_wh"], found["charger_state"], found["shedding"]), (50, 0, 0))
        self.assertTrue(abs(found["air_temp_degc"] + 500) <= 1)
        self.assertEqual((found["door_open"], found["sos_pressed"]), (0, 0))
        self.assertEqual((found["wifi_up"], found["usb1_state"]), (1, 1))

    async def test_the_age_of_what_is_shown_counts_from_when_it_was_drawn(self):
        self.stop()
        self.assertFalse("display_content_age_s" in await self.second())
        self.display.shown, self.display.ok = 1, 1
        await self.second()
        self.clock.set(946684800000)
        found = await self.after(120)
        self.assertEqual((found["display_content_age_s"], found["display_refresh_ok"]), (120, 1))

    async def test_services_are_shed_and_come_back(self):
        self.stop()
        expected = (
            (80, (1, 1, 1, 1000, 300)),
            (59, (0, 1, 1, 1000, 300)),
            (44, (0, 0, 1, 300, 300)),
            (29, (0, 0, 0, 300, 3600)),
            (14, (0, 0, 0, 0, 0)),
            (20, (0, 0, 0, 0, 0)),
            (41, (0, 0, 1, 300, 300)),
            (71, (1, 1, 1, 1000, 300)),
        )
        for pct, outputs in expected:
            found = await self.charge(pct)
            told = (self.usb.level, self.wifi.level, self.air.level, self.light.level, self.display.every_s)
            self.assertEqual(told, outputs, pct)
        self.assertEqual(found["shedding"], shedding.NONE)

    async def test_switches_move_only_when_something_changes(self):
        self.stop()
        await self.charge(80)
        moves = self.usb.moves + self.wifi.moves + self.light.moves
        for _ in range(60):
            await self.second()
        self.assertEqual(self.usb.moves + self.wifi.moves + self.light.moves, moves)

    async def test_charge_shedding_and_a_latched_port_outlive_a_restart(self):
        self.stop()
        await self.charge(44)
        self.port.shunt_uv = 35000
        for _ in range(3):
            await self.second()
            await self.after(61)
        self.assertEqual((await self.second())["usb1_state"], 4)
        self.assertEqual(self.usb.level, 0)
        self.stop(store=self.store)
        found = await self.second()
        self.assertEqual((found["usb1_state"], found["usb1_faults"], found["shedding"]), (4, 3, 2))
        self.assertTrue(abs(found["battery_soc_pct"] - 440) <= 10)

    async def test_sos_is_an_event_at_each_press(self):
        self.stop()
        await self.second()
        for level in (0, 0, 1, 0):
            self.sos.level = level
            await self.after(1)
        self.assertEqual(self.kind.events(), [(0, "sos_pressed")] * 2)

    async def test_the_panel_is_the_photocell(self):
        self.stop()
        await self.second(panel_mv=36000)
        for _ in range(70):
            await self.second(panel_mv=36000)
        self.assertEqual(self.light.level, 0)
        for _ in range(70):
            await self.second(panel_mv=500)
        self.assertEqual(self.light.level, 1000)

    async def test_a_charger_that_falls_silent_and_a_shunt_that_is_gone_are_unknown_and_shed_nothing(self):
        self.stop()
        await self.charge(80)
        self.shunt.absent = self.port.absent = True
        found = await self.after(10)
        for name in ("battery_voltage_v", "battery_soc_pct", "pv_voltage_v", "usb1_current_a", "charger_state"):
            self.assertFalse(name in found, name)
        self.assertEqual((found["shedding"], self.wifi.level), (0, 1))

    async def test_a_shunt_of_the_maker_knows_the_charge_better(self):
        self.stop()
        found = await self.second(SOC=555)
        self.assertEqual((found["battery_soc_pct"], found["shedding"]), (555, 1))

    async def test_a_shock_between_two_looks_is_told_by_the_next_reading(self):
        chip = Lis3dh()
        parts = {"shock": lis3dh.Lis3dh(Bus(x18=chip))}
        self.bench(stop, parts, wired("shock"), ())
        self.assertEqual((await self.after(3))["shock_g"], 0)
        chip.hit((4000, 0, 996))
        self.assertEqual((await self.after(5))["shock_g"], 205)
        self.kind.sent(0)
        self.assertEqual((await self.after(1))["shock_g"], 0)

    async def test_the_display_tells_what_works_at_once_when_that_changes_and_else_now_and_then(self):
        self.stop(device="stop-nadrazi-prvni")

        async def drawn(seconds, pct):
            await self.charge(pct)
            await self.after(seconds, 10)
            await asyncio.sleep(0)
            written, self.display.written = self.display.written, []
            return written

        full = ("stop-nadrazi-pr", "", "USB      ano", "WiFi     ano", "Baterie  82 %")
        self.assertEqual(await drawn(280, 82), [full])
        self.assertEqual(await drawn(60, 82), [full])
        low = ("stop-nadrazi-pr", "", "USB      ne", "WiFi     ne", "Baterie  20 %")
        self.assertEqual((await drawn(3000, 20))[0], low)
        self.assertEqual(len(await drawn(700, 20)), 1)
        self.assertEqual([one[4] for one in await drawn(8000, 5)], ["Baterie  5 %"])
