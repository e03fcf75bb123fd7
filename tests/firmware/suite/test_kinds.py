"""Lamp, cabinet and roof on a bench: outputs follow orders, and what fails costs its own metrics alone."""

import json
import unittest

from fakes.bench import Analogue, Board, Clock, Leaning, Pin, Ring, Store, wired
from fakes.dali_line import Line
from fakes.i2c_line import Bus, Sht3x
from fakes.serial_line import ModbusLine
from node import scale
from node.kinds import cabinet, lamp, solar
from node.orders import Orders
from node.sampling import Sampling
from suite.test_sunspec import INVERTER, device
from suite.test_wires import single

PZEM = dict(enumerate((2304, 179, 0, 412, 0, 4321, 0, 500, 97, 0)))


class Case(unittest.IsolatedAsyncioTestCase):
    def bench(self, module, parts, wirings, channels=(0,), *, utc_ms=1795212345000, store=None, **config):
        self.clock, self.store, self.ring = Clock(utc_ms), store or Store(), Ring()
        self.board = Board(self.clock, **parts)
        self.orders = Orders(self.clock, self.store, self.ring, channels)
        config["parts"] = wirings
        self.kind = module.Kind(self.board, config, self.orders)
        return self.kind

    def order(self, level, reason="manual", seconds=3600):
        self.named = getattr(self, "named", 0) + 1
        until = (self.clock.utc_ms() or 0) + seconds * 1000
        said = {"id": str(self.named), "do": "set_level", "level_pct": level, "reason": reason, "until": until}
        answer = json.loads(self.orders.command(json.dumps(said).encode()))
        self.assertTrue(answer["ok"], answer)

    async def after(self, seconds, every_s=1):
        for _ in range(0, seconds, every_s):
            self.clock.now_ms += every_s * 1000
            await self.kind.apply()
        return await self.kind.sample(0)


class Lamps(Case):
    def lamp(self, **config):
        self.output, self.relay, self.line = Pin(None), Pin(0), ModbusLine({1: {4: dict(PZEM)}})
        self.cell, self.motion, self.lean = Analogue(0), Pin(), Leaning()
        parts = {"output": self.output, "relay": self.relay, "meter": self.line, "photocell": self.cell}
        parts.update({"motion": self.motion, "tilt": self.lean})
        wirings = wired(*parts, meter={"chip": "pzem"}, photocell={"per_v": 100})
        return self.bench(lamp, parts, wirings, **config)

    async def test_without_program_and_clock_it_is_lit(self):
        self.lamp(utc_ms=None)
        found = await self.after(2)
        self.assertEqual((self.output.level, self.relay.level), (1000, 1))
        self.assertEqual((found["level_commanded_pct"], found["level_reason"]), (1000, 5))

    async def test_an_order_reaches_the_output_and_the_reading(self):
        self.lamp()
        await self.after(2)
        self.order(40)
        found = await self.after(1)
        self.assertEqual(self.output.level, 400)
        self.assertEqual((found["level_effective_pct"], found["level_reason"]), (400, 2))
        self.assertEqual((found["power_w"], found["voltage_v"], found["energy_wh"]), (412, 2304, 4321))
        self.assertEqual((found["current_a"], found["power_factor"], found["rssi_dbm"]), (179, 970, -71))
        self.assertFalse("level_measured_pct" in found)

    async def test_the_relay_moves_for_dark_and_light_alone(self):
        self.lamp()
        await self.after(5)
        for level in (40, 60, 0, 80):
            self.order(level)
            await self.after(30)
        self.assertEqual((self.relay.moves, self.relay.level), (3, 1))
        # Hours without platform, clock and network: no click.
        self.clock.utc_from_ms = None
        await self.after(1800)
        self.assertEqual((self.relay.moves, self.output.level), (3, 800))

    async def test_by_day_a_lamp_without_a_clock_follows_its_photocell_but_not_for_ever(self):
        self.lamp(utc_ms=None)
        self.cell.level_mv = 3000
        found = await self.after(2)
        self.assertEqual((found["level_commanded_pct"], found["illuminance_lx"]), (0, 3000))
        # A headlight of half a minute is no dawn, nor is a cloud dusk.
        self.cell.level_mv = 10
        self.assertEqual((await self.after(30))["level_commanded_pct"], 0)
        self.cell.level_mv = 3000
        await self.after(30)
        self.cell.level_mv = 10
        self.assertEqual((await self.after(70))["level_commanded_pct"], 1000)
        # One that sees light for eighteen hours is broken.
        self.cell.level_mv = 3000
        self.assertEqual((await self.after(120))["level_commanded_pct"], 0)
        self.assertEqual((await self.after(19 * 3600, 60))["level_commanded_pct"], 1000)
        # So is one that is gone.
        self.cell.level_mv = None
        found = await self.after(2)
        self.assertEqual(found["level_commanded_pct"], 1000)
        self.assertFalse("illuminance_lx" in found)

    async def test_a_meter_that_is_silent_or_absurd_costs_its_metrics_alone(self):
        self.lamp()
        await self.after(1)
        self.line.trouble = ["half", "flip"]
        found = await self.after(1)
        self.assertFalse("power_w" in found)
        self.assertTrue("level_commanded_pct" in found)
        self.assertTrue("power_w" in await self.after(1))
        self.line.devices[1][4][0] = 65535
        found = await self.after(1)
        self.assertFalse("voltage_v" in found)
        self.assertEqual(found["power_w"], 412)

    async def test_a_part_that_is_not_there_is_tried_again_each_minute(self):
        self.lamp()
        meter = self.board.parts.pop("meter")
        self.assertFalse("power_w" in await self.after(2))
        self.board.parts["meter"] = meter
        self.assertFalse("power_w" in await self.after(2))
        self.assertTrue("power_w" in await self.after(61))

    async def test_leaning_and_shocks(self):
        self.lamp()
        found = await self.after(1)
        self.assertEqual((found["tilt_deg"], found["shock_g"]), (0, 0))
        self.lean.xyz_mg = (0, 2500, 1000)
        await self.kind.apply()
        self.lean.xyz_mg = (0, 500, 866)
        found = await self.after(1)
        self.assertEqual((found["tilt_deg"], found["shock_g"]), (300, 169))
        self.kind.sent(0)
        self.assertEqual((await self.after(1))["shock_g"], 0)
        self.lean.kept_mg = 2046  # between two looks
        self.assertEqual((await self.after(2))["shock_g"], 205)
        self.kind.sent(0)
        self.assertEqual((await self.after(1))["shock_g"], 0)

    async def test_motion_is_an_event_told_once(self):
        self.lamp()
        self.motion.edges = 3
        await self.after(1)
        self.motion.edges = 1
        await self.after(1)
        self.assertEqual(self.kind.events(), [(0, "motion")])

    async def test_counters_outlive_a_restart_and_are_whole(self):
        self.lamp()
        found = await self.after(2 * 3600 + 30, 7)
        self.assertEqual((found["lamp_starts"], found["supply_losses"]), (1, 1))
        self.assertTrue(abs(found["lamp_on_time_s"] - 7230) <= 10)
        self.lamp(store=self.store)
        found = await self.after(1)
        self.assertTrue(found["lamp_on_time_s"] >= 7190)
        self.assertEqual(found["supply_losses"], 2)
        self.assertTrue(self.store.writes <= 4)

    async def test_a_dali_gear_is_told_measured_and_told_again_when_it_forgets(self):
        line = Line()
        self.bench(lamp, {"output": line}, wired(output={"type": "dali", "address": 4}))
        await self.after(1)
        self.assertEqual((line.level, line.failure_level), (254, 254))
        self.order(50)
        found = await self.after(1)
        self.assertTrue(abs(found["level_measured_pct"] - 500) <= 15)
        line.level = 254
        found = await self.after(1)
        self.assertEqual(found["level_measured_pct"], 1000)
        await self.after(1)
        self.assertEqual(line.level, 229)
        sent = len(line.sent)
        for _ in range(20):
            self.clock.now_ms += 1000
            await self.kind.apply()
        self.assertEqual(len(line.sent), sent)
        line.mute = True
        found = await self.after(1)
        self.assertFalse("level_measured_pct" in found)
        self.assertEqual(found["level_commanded_pct"], 500)

    async def test_two_lamps_on_one_device_obey_apart(self):
        first, second = Pin(None), Pin(None)
        parts = {"output": first, "output1": second}
        self.bench(lamp, parts, wired(*parts, output1={"curve": "log"}), (0, 1), lamps=2)
        await self.after(1)
        said = {"id": "x", "do": "set_level", "level_pct": 50, "reason": "manual", "channel": 1, "until": 2**42}
        self.orders.command(json.dumps(said).encode())
        await self.after(1)
        self.assertEqual((first.level, second.level), (1000, 901))

    async def test_a_night_of_readings_fits_what_is_promised(self):
        self.lamp()
        sampling = Sampling(self.kind, self.ring, self.clock, 300, 3600, self.orders)
        for _ in range(3600):
            await sampling.turn()
            self.clock.now_ms += 1000
        self.assertEqual(len(self.ring.readings), 12)


class Cabinets(Case):
    def cabinet(self, **config):
        registers = dict.fromkeys(range(80), 0)
        for at, value in ((0, 231.0), (6, 4.5), (12, 1000.0), (30, 0.95), (72, 1234.567)):
            registers[at], registers[at + 1] = single(value)
        self.line = ModbusLine({1: {4: registers}})
        self.contactor, self.on, self.off = Pin(0), Pin(), Pin()
        self.door, self.breaker, self.leak = Pin(0), Pin(0), Analogue(120)
        parts = {"contactor": self.contactor, "switch_on": self.on, "switch_off": self.off, "door": self.door}
        parts.update({"breaker": self.breaker, "leakage": self.leak, "meter": self.line})
        parts["climate"] = Bus(x44=Sht3x(31, 40))
        wirings = wired(*parts, meter={"chip": "sdm", "phases": 1}, leakage={"per_v": 100})
        return self.bench(cabinet, parts, wirings, **config)

    async def test_everything_is_read(self):
        self.cabinet()
        found = await self.after(1)
        self.assertEqual((found["l1_voltage_v"], found["l1_power_w"], found["power_w"]), (2310, 1000, 1000))
        self.assertEqual((found["energy_wh"], found["leakage_ma"]), (1234567, 12 * 10 ** self.decimals("leakage_ma")))
        self.assertEqual((found["contactor_closed"], found["breaker_closed"], found["door_open"]), (1, 1, 0))
        self.assertEqual(found["local_switch"], 0)
        self.assertTrue(abs(found["cabinet_temp_degc"] - 310) <= 1)
        self.assertFalse("l2_voltage_v" in found)

    def decimals(self, name):
        return scale.about(self.kind.table, self.kind.places[name], scale.DECIMALS)

    async def test_the_switch_holds_against_orders_and_off_is_off(self):
        self.cabinet()
        self.order(0)
        await self.after(1)
        self.assertEqual(self.contactor.level, 0)
        self.on.level = 0
        found = await self.after(11)
        self.assertEqual((self.contactor.level, found["local_switch"]), (1, 1))
        self.on.level, self.off.level = 1, 0
        found = await self.after(1)
        self.assertEqual((self.contactor.level, found["local_switch"], found["contactor_closed"]), (0, 2, 0))
        self.assertTrue(self.orders.locked)

    async def test_the_contactor_does_not_chatter(self):
        self.cabinet()
        for level in (0, 100) * 30:
            self.order(level)
            await self.after(1)
        self.assertTrue(self.contactor.moves <= 7)

    async def test_broken_wires_cost_their_metrics_alone(self):
        self.cabinet()
        self.door.broken = self.on.broken = self.off.broken = True
        self.line.devices, self.leak.level_mv = {}, None
        found = await self.after(1)
        for name in ("door_open", "local_switch", "power_w", "l1_voltage_v", "leakage_ma"):
            self.assertFalse(name in found, name)
        self.assertEqual(found["contactor_closed"], 1)


class Roofs(Case):
    def roof(self, **config):
        models = ((1, 66, {}), INVERTER)
        self.line = ModbusLine({1: {3: device(models)}, 2: {3: device(models)}})
        return self.bench(solar, {"inverter": self.line}, wired("inverter"), (), **config)

    def write(self, offset, value, unit=1):
        self.line.devices[unit][3][40002 + 68 + offset] = value

    async def test_an_inverter_is_read(self):
        self.roof()
        found = await self.after(1)
        self.assertEqual((found["power_w"], found["state"], found["energy_wh"]), (4210, 4, 11930460))
        self.assertEqual((found["l1_voltage_v"], found["frequency_hz"], found["inverter_temp_degc"]), (2301, 5001, -35))

    async def test_what_floats_is_the_mean_of_a_minute_and_states_are_as_they_are(self):
        self.roof()
        for watts in (1000, 2000, 3000, 4000, 5000, 6000):
            self.write(14, watts)
            found = await self.after(10, 10)
        self.assertEqual(found["power_w"], 3500)
        self.write(38, 7)
        found = await self.after(10, 10)
        self.assertEqual((found["power_w"], found["state"]), (4333, 6))

    async def test_a_counter_at_zero_or_falling_is_not_believed_until_it_stays(self):
        self.roof()
        await self.after(1)
        before = self.line.devices[1][3][40002 + 68 + 25]
        self.write(25, 0)
        self.assertFalse("energy_wh" in await self.after(10, 10))
        self.write(25, before)
        self.assertTrue("energy_wh" in await self.after(10, 10))
        self.write(25, 5)
        for _ in range(17):
            self.assertFalse("energy_wh" in await self.after(100, 100))
        found = await self.after(300, 100)
        self.assertEqual(found["energy_wh"], (0x120000 + 5) * 10)

    async def test_two_inverters_of_a_logger_are_two_channels_and_one_may_be_silent(self):
        self.roof(units=[1, 2])
        self.assertEqual(self.kind.channels, (0, 1))
        self.line.devices.pop(1)
        await self.kind.apply()
        self.assertFalse("power_w" in await self.kind.sample(0))
        self.assertTrue("power_w" in await self.kind.sample(1))
        self.assertTrue("uptime_s" in await self.kind.sample(0))

    async def test_asleep_it_still_reports(self):
        self.roof()
        self.write(38, 2)
        await self.after(1)
        self.assertFalse(self.kind.active(0))
        self.assertEqual(self.kind.table.HEARTBEAT_IDLE_S, 300)
