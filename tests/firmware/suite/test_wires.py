"""Sensors by their bytes: what is right is read to the last digit, and what is damaged, absent or stuck is unknown."""

import struct
import unittest

from fakes.bench import Clock
from fakes.dali_line import Line
from fakes.i2c_line import Bus, Ina226, Lis3dh, Sht3x
from fakes.serial_line import ModbusLine, Victron
from node import dali, ina226, lis3dh, meters, modbus, scale, sht3x, vedirect
from node.scale import Snapshot


def single(value):
    bits = struct.unpack(">I", struct.pack(">f", value))[0]
    return bits >> 16, bits & 0xFFFF


class Numbers(unittest.TestCase):
    def test_scales_round_halves_away_from_zero(self):
        cases = ((1234, 2, 1, 123), (1235, 2, 1, 124), (-1235, 2, 1, -124), (7, 0, 3, 7000), (None, 2, 1, None))
        for n, have, to, expected in cases:
            self.assertEqual(scale.rescale(n, have, to), expected)
        self.assertEqual(scale.rescale(1499999, 0, -3), 1500)

    def test_singles_become_whole_numbers_without_floats(self):
        for value, decimals, expected in (
            (230.25, 2, 23025),
            (-0.5, 1, -5),
            (16777216.0, 3, 16777216000),
            (0.0, 3, 0),
            (1e-30, 3, 0),
            (0.0996, 1, 1),
        ):
            high, low = single(value)
            self.assertEqual(scale.of_single(high << 16 | low, decimals), expected)
        for bits in (0x7FC00000, 0x7F800000, 0xFF800000, 0xFFFFFFFF, 0x7F000000):
            self.assertIsNone(scale.of_single(bits, 1))

    def test_what_is_impossible_is_left_out(self):
        found = Snapshot(Voltage, {"voltage_v": 0})
        for n in (30100, -100, None):
            found.put("voltage_v", n, 2)
            self.assertEqual(found.values, {})
        found.put("no_such_metric", 1)
        found.put("voltage_v", 23004, 2)
        self.assertEqual(found.values, {"voltage_v": 2300})


class Voltage:
    NUMBERS, PACKED = (0, 1, 3000), bytes((1, 0, 0, 2, 0))


class Modbus(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.clock = Clock()
        self.line = ModbusLine({5: {3: {at: at * 257 & 0xFFFF for at in range(200)}}})
        self.master = modbus.Master(self.line, self.clock)

    async def test_registers_are_read(self):
        self.assertEqual(await self.master.read(5, 10, 3), [2570, 2827, 3084])

    async def test_the_crc_is_that_of_the_specification(self):
        self.assertEqual(modbus.framed(b"\x01\x03\x00\x00\x00\x0a"), b"\x01\x03\x00\x00\x00\x0a\xc5\xcd")

    async def test_one_broken_answer_costs_a_second_question(self):
        for trouble in ("drop", "half", "flip", "foreign"):
            self.line.trouble, self.line.asked = [trouble], []
            self.assertEqual(await self.master.read(5, 1, 2), [257, 514])
            self.assertEqual(len(self.line.asked), 2)
        self.assertEqual((self.master.silent, self.master.broken), (1, 3))

    async def test_noise_before_an_answer_is_passed_over(self):
        self.line.trouble = ["noise"]
        self.assertEqual(await self.master.read(5, 1, 2), [257, 514])
        self.assertEqual(len(self.line.asked), 1)

    async def test_who_stays_broken_is_an_error_in_bounded_time(self):
        for trouble in ("drop", "half", "flip"):
            self.line.trouble = [trouble] * 2
            began = self.clock.ticks_ms()
            with self.assertRaises(modbus.ModbusError):
                await self.master.read(5, 1, 2)
            self.assertTrue(self.clock.ticks_ms() - began <= 700)

    async def test_an_absent_unit_is_an_error(self):
        with self.assertRaises(modbus.ModbusError):
            await self.master.read(6, 1, 2)

    async def test_a_refusal_is_not_asked_again(self):
        with self.assertRaises(modbus.ModbusError):
            await self.master.read(5, 500, 2)
        self.assertEqual(len(self.line.asked), 1)

    async def test_an_answer_that_came_too_late_is_not_taken_for_the_next(self):
        self.master.tries, self.line.trouble = 1, ["late"]
        with self.assertRaises(modbus.ModbusError):
            await self.master.read(5, 1, 2)
        self.line.waiting, self.line.late = self.line.late, b""
        self.assertEqual(await self.master.read(5, 3, 2), [771, 1028])

    async def test_every_cut_and_every_flipped_bit_of_an_answer_is_noticed(self):
        class Replay:
            def __init__(self, frame):
                self.frame, self.got = frame, b""

            def write(self, data):
                self.got = self.frame

            def read(self):
                got, self.got = self.got, b""
                return got

        whole = modbus.framed(b"\x05\x03\x04\x01\x01\x02\x02")
        frames = [whole[:cut] for cut in range(len(whole))]
        for place in range(len(whole)):
            flipped = [bytes((whole[place] ^ 1 << bit,)) for bit in range(8)]
            frames.extend(whole[:place] + byte + whole[place + 1 :] for byte in flipped)
        for frame in frames:
            master = modbus.Master(Replay(frame), self.clock, 20, 1)
            with self.assertRaises(modbus.ModbusError):
                await master.read(5, 1, 2)
        self.assertEqual(await modbus.Master(Replay(whole), self.clock, 20, 1).read(5, 1, 2), [257, 514])


class Meters(unittest.IsolatedAsyncioTestCase):
    async def test_a_pzem_is_read_low_word_first(self):
        registers = dict(enumerate((2304, 0x1234, 1, 412, 0, 0x5678, 2, 500, 97, 0)))
        meter = meters.Pzem(modbus.Master(ModbusLine({1: {4: registers}}), Clock()), 1)
        found = {name: (n, decimals) for name, n, decimals in await meter.read()}
        self.assertEqual(found["voltage_v"], (2304, 1))
        self.assertEqual(found["current_a"], (0x11234, 3))
        self.assertEqual(found["power_w"], (412, 1))
        self.assertEqual(found["energy_wh"], (0x25678, 0))
        self.assertEqual(found["power_factor"], (97, 2))

    async def test_an_sdm_is_read_by_its_singles(self):
        registers = dict.fromkeys(range(80), 0)
        for at, value in ((0, 231.25), (6, 4.5), (12, 1000.5), (14, 20.0), (16, 30.0), (30, -0.95), (72, 1234.567)):
            registers[at], registers[at + 1] = single(value)
        meter = meters.Sdm(modbus.Master(ModbusLine({1: {4: registers}}), Clock()), 1)
        found = {name: scale.rescale(n, decimals, 3) for name, n, decimals in await meter.read()}
        self.assertEqual(found["l1_voltage_v"], 231250)
        self.assertEqual(found["l1_current_a"], 4500)
        self.assertEqual(found["power_w"], 1050500)
        self.assertEqual(found["l1_power_factor"], 950)
        self.assertEqual(found["energy_wh"], 1234567000)


class Victrons(unittest.TestCase):
    BLOCK = (
        ("PID", "0xA053"),
        ("V", 13250),
        ("I", 2100),
        ("VPV", 35120),
        ("PPV", 62),
        ("CS", 3),
        ("ERR", 0),
        ("IL", 700),
        ("H19", 123456),
    )

    def setUp(self):
        self.port, self.clock = Victron(), Clock()
        self.text = vedirect.Text(self.port, self.clock)

    def read(self):
        return {name: (n, decimals) for name, n, decimals in self.text.read()}

    def test_a_block_is_read(self):
        self.port.say(self.BLOCK)
        found = self.read()
        self.assertEqual(found["battery_voltage_v"], (13250, 3))
        self.assertEqual(found["battery_current_a"], (1400, 3))
        self.assertEqual(found["pv_voltage_v"], (35120, 3))
        self.assertEqual(found["pv_energy_wh"], (1234560, 0))
        self.assertEqual(found["load_power_w"], (9275, 3))
        self.assertEqual(found["charger_state"], (3, 0))
        self.assertEqual(found["battery_soc_pct"], (None, 1))

    def test_half_a_block_changes_nothing_and_the_next_whole_one_counts(self):
        whole = self.port.block(self.BLOCK)
        self.port.waiting = whole[20:]
        self.assertEqual(self.read()["battery_voltage_v"], (None, 3))
        self.port.waiting = whole[:40]
        self.assertEqual(self.read()["battery_voltage_v"], (None, 3))
        self.port.waiting = whole[40:]
        self.assertEqual(self.read()["battery_voltage_v"], (13250, 3))
        self.assertEqual(self.text.broken, 1)

    def test_every_flipped_byte_costs_its_block(self):
        whole = self.port.block(self.BLOCK)
        for place in range(len(whole)):
            text = vedirect.Text(self.port, self.clock)
            self.port.waiting = whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :] + self.port.block(())
            text.poll()
            self.assertIsNone(text.number(b"V"), place)

    def test_a_line_of_the_hex_protocol_is_passed_over(self):
        whole = self.port.block(self.BLOCK)
        self.port.waiting = b":7F0ED0071\n" + whole[:9] + b":A0102000543\n" + whole[9:]
        self.assertEqual(self.read()["battery_voltage_v"], (13250, 3))

    def test_what_is_old_is_unknown(self):
        self.port.say(self.BLOCK)
        self.read()
        self.clock.now_ms += vedirect.STALE_MS + 1
        self.assertEqual(self.read()["battery_voltage_v"], (None, 3))

    def test_endless_noise_does_not_fill_the_memory(self):
        self.port.waiting = b"x" * 5000
        self.text.poll()
        self.assertTrue(len(self.text.block) <= vedirect.BLOCK_MAX + 1)


class Chips(unittest.IsolatedAsyncioTestCase):
    def test_an_ina226_tells_volts_and_amperes_of_both_directions(self):
        chip = Ina226(12800, 25000)
        sensor = ina226.Ina226(Bus(x40=chip), 0x40, 10000)
        with self.assertRaises(OSError):
            sensor.read()
        self.assertEqual(sensor.read(), (12800, 2500))
        chip.shunt_uv = -5000
        self.assertEqual(sensor.read(), (12800, -500))

    def test_an_ina226_that_restarted_is_set_up_again(self):
        chip = Ina226(5000, 1000)
        sensor = ina226.Ina226(Bus(x40=chip), 0x40, 10000)
        self.assertRaises(OSError, sensor.read)
        sensor.read()
        chip.config = b"\x41\x27"
        self.assertRaises(OSError, sensor.read)
        self.assertRaises(OSError, sensor.read)
        self.assertEqual(sensor.read(), (5000, 100))

    def test_an_ina226_that_is_absent_foreign_or_overdriven_is_an_error(self):
        chip = Ina226(5000, 1000)
        sensor = ina226.Ina226(Bus(x40=chip), 0x40, 10000)
        chip.absent = True
        self.assertRaises(OSError, sensor.read)
        chip.absent, chip.maker = False, b"\xff\xff"
        self.assertRaises(OSError, sensor.read)
        chip.maker, chip.shunt_uv = b"TI", 100000
        self.assertRaises(OSError, sensor.read)
        self.assertRaises(OSError, sensor.read)

    def test_a_lis3dh_tells_how_it_leans_and_whether_it_is_one(self):
        chip = Lis3dh((0, -480, 996))
        sensor = lis3dh.Lis3dh(Bus(x18=chip))
        self.assertRaises(OSError, sensor.read)
        self.assertEqual(sensor.read(), (0, -480, 996, 0))
        chip.registers[0x23] = 0
        self.assertRaises(OSError, sensor.read)
        chip.registers[0x0F] = 0xFF
        self.assertRaises(OSError, sensor.read)

    def test_a_lis3dh_keeps_a_shock_between_two_looks_and_tells_it_once(self):
        chip = Lis3dh((0, 0, 996))
        sensor = lis3dh.Lis3dh(Bus(x18=chip))
        self.assertRaises(OSError, sensor.read)
        chip.hit((0, 0, 9000))  # as it starts: what rest is, is not known yet
        self.assertEqual(sensor.read(), (0, 0, 996, 0))
        self.assertEqual(sensor.read(), (0, 0, 996, 0))
        for hit in ((2400, 0, 996), (0, -2400, 996), (0, 0, 3400), (0, 0, -1400)):
            chip.hit(hit)
            self.assertEqual(sensor.read(), (0, 0, 996, 2046), hit)
            self.assertEqual(sensor.read(), (0, 0, 996, 0), hit)
        # Wind is weaker; nor does gravity count where it hangs upside down.
        chip.hit((1800, -1800, 2700))
        self.assertEqual(sensor.read()[3], 0)

    def test_a_shock_outlives_a_bus_that_fails_and_a_restart_of_ours_but_not_the_sensors_own(self):
        chip = Lis3dh((0, 0, -996))
        sensor = lis3dh.Lis3dh(Bus(x18=chip))
        self.assertRaises(OSError, sensor.read)
        sensor.read()
        chip.hit((3000, 0, -996))
        chip.absent = True
        self.assertRaises(OSError, sensor.read)
        chip.absent = False
        self.assertEqual(lis3dh.Lis3dh(Bus(x18=chip)).read(), (0, 0, -996, 2046))
        chip.hit((3000, 0, -996))
        chip.power_on()
        self.assertRaises(OSError, sensor.read)
        self.assertEqual(sensor.read()[3], 0)
        chip.hit((3000, 0, -996))
        self.assertEqual(sensor.read()[3], 2046)

    async def test_an_sht3x_tells_temperature_and_humidity(self):
        chip = Sht3x(-12, 81)
        sensor = sht3x.Sht3x(Bus(x44=chip), Clock())
        warm, wet = await sensor.read()
        self.assertTrue(abs(warm + 1200) <= 1)
        self.assertTrue(abs(wet - 8100) <= 1)

    async def test_an_sht3x_that_is_absent_damaged_or_stuck_is_an_error(self):
        self.assertEqual(sht3x.crc8(b"\xbe\xef"), 0x92)
        chip = Sht3x()
        sensor = sht3x.Sht3x(Bus(x44=chip), Clock())
        for trouble in ("absent", "flip", "stuck"):
            for stuck in (0, 255) if trouble == "stuck" else (True,):
                setattr(chip, trouble, stuck)
                with self.assertRaises(OSError):
                    await sensor.read()
            setattr(chip, trouble, None if trouble == "stuck" else False)
        await sensor.read()


def bank(start, *values):
    return {start + place: value for place, value in enumerate(values)}


class Gears(unittest.IsolatedAsyncioTestCase):
    def test_the_curve_is_that_of_dali(self):
        self.assertEqual([dali.arc(pct) for pct in (0, 1, 10, 50, 100)], [0, 85, 170, 229, 254])
        for n in range(1, 255):
            exact = 10 ** (3 * (n - 1) / 253 - 1)
            self.assertTrue(abs(dali.light(n) / 1000000 - exact) < exact / 1000, n)

    async def test_a_gear_without_us_burns_at_full(self):
        line = Line()
        await dali.Gear(line, 3).prepare()
        self.assertEqual((line.failure_level, line.power_on_level), (254, 254))

    async def test_levels_go_out_and_come_back(self):
        line = Line()
        gear = dali.Gear(line, 3)
        await gear.set_pct(50)
        self.assertEqual(line.sent, [6 << 8 | 229])
        self.assertTrue(abs(await gear.level() - 500) <= 15)
        linear = dali.Gear(line, None, linear=True)
        await linear.set_pct(50)
        self.assertEqual(line.level, 127)
        self.assertEqual(await linear.level(), 500)
        line.level = 255
        self.assertIsNone(await gear.level())
        line.mute = True
        self.assertIsNone(await gear.level())

    async def test_d4i_banks_are_read(self):
        line = Line({202: bank(4, 0xFF, 0, 0, 0, 1, 0, 0, 0xFE, 0, 0, 0x10, 0x1C)})
        line.banks[205] = bank(4, 0, 1, 0, 0, 0, 0, 9, 0x08, 0xFC, 50, 97, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 101)
        line.banks[206] = bank(7, 0, 0, 7, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
        found = {name: (n, decimals) for name, n, decimals in await dali.Gear(line, 0).read()}
        self.assertEqual(found["energy_wh"], (65536, 1))
        self.assertEqual(found["power_w"], (4124, 2))
        self.assertEqual(found["gear_on_time_s"], (65536, 0))
        self.assertEqual(found["gear_starts"], (9, 0))
        self.assertEqual(found["voltage_v"], (2300, 1))
        self.assertEqual(found["power_factor"], (97, 2))
        self.assertEqual(found["gear_temp_degc"], (41, 0))
        self.assertEqual(found["lamp_starts"], (7, 0))
        self.assertEqual(found["failure_flags"], (1 << 1 | 1 << 4 | 1 << 6, 0))

    async def test_what_a_gear_does_not_know_is_unknown(self):
        line = Line(
            {
                202: bank(4, *[255] * 12),
                205: bank(4, *[255, 255, 255, 254, 255, 255, 254] + [255] * 3 + [254] * 14),
                206: {},
            }
        )
        for _, n, _ in await dali.Gear(line, 0).read():
            self.assertIsNone(n)
        line.mute = True
        for _, n, _ in await dali.Gear(line, 0).read():
            self.assertIsNone(n)
