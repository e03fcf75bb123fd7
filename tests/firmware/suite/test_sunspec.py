"""SunSpec as inverters speak it: both numberings of states, scale factors, values that are not implemented."""

import unittest

from fakes.bench import Clock
from fakes.serial_line import ModbusLine
from node import modbus, sunspec

NOTHING, SIGNED = 0xFFFF, 0x8000
GAPS_103 = {14: SIGNED, 31: SIGNED, 33: SIGNED, 13: SIGNED, 15: SIGNED, 17: SIGNED, 26: SIGNED, 32: SIGNED, 37: SIGNED}


def minus(n):
    return 0x10000 - n


# The registers of a device from `start` on: models as (number, length, {offset: value}).
def device(models, start=40000, gap=NOTHING):
    found, at = {start: 0x5375, start + 1: 0x6E53}, start + 2
    for number, length, values in models:
        for place in range(length + 2):
            found[at + place] = values.get(place, gap)
        found[at], found[at + 1] = number, length
        at += length + 2
    found[at], found[at + 1] = 0xFFFF, 0
    return found


INVERTER = (
    103,
    50,
    {
        10: 2301,
        11: 2310,
        12: NOTHING,
        13: minus(1),
        14: 4210,
        15: 0,
        16: 5001,
        17: minus(2),
        24: 0x0012,
        25: 0x3456,
        26: 1,
        31: 435,
        32: 1,
        33: minus(35),
        37: minus(1),
        38: 5,
        40: 0,
        41: 1 << 7 | 1,
    },
)


class Inverters(unittest.IsolatedAsyncioTestCase):
    async def read(self, models, start=40000, gap=NOTHING, unit=1, trouble=()):
        self.line = ModbusLine({1: {3: device(models, start, gap)}})
        self.inverter = sunspec.Inverter(modbus.Master(self.line, Clock()), unit)
        await self.inverter.scan()
        self.line.trouble = list(trouble)
        return {name: (n, decimals) for name, n, decimals in await self.inverter.read()}

    async def test_model_103_with_its_scale_factors(self):
        found = await self.read(((1, 66, {}), INVERTER))
        self.assertEqual(found["l1_voltage_v"], (2301, 1))
        self.assertEqual(found["l3_voltage_v"], (None, 1))
        self.assertEqual(found["power_w"], (4210, 0))
        self.assertEqual(found["frequency_hz"], (5001, 2))
        self.assertEqual(found["energy_wh"], (0x123456 * 10, 0))
        self.assertEqual(found["dc_power_w"], (4350, 0))
        self.assertEqual(found["inverter_temp_degc"], (-35, 1))
        self.assertEqual(found["state"], (4, 0))
        self.assertEqual(found["event_flags"], (1 << 7 | 1, 0))

    async def test_it_is_found_at_every_place_of_the_specification(self):
        for start in (0, 40000, 50000):
            found = await self.read((INVERTER,), start)
            self.assertEqual(found["power_w"], (4210, 0))

    async def test_what_is_not_implemented_is_unknown(self):
        found = await self.read(((103, 50, GAPS_103),))
        self.assertEqual({n for n, _ in found.values()}, {None})
        # A value is unknown where its scale factor is, or where that is absurd.
        for factor in (SIGNED, NOTHING - 20, 11):
            found = await self.read(((103, 50, {14: 4210, 15: factor}),))
            self.assertEqual(found["power_w"], (None, 0))

    async def test_a_counter_that_reads_zero_has_not_counted(self):
        found = await self.read(((103, 50, {24: 0, 25: 0, 26: 0}),))
        self.assertEqual(found["energy_wh"], (None, 0))

    async def test_both_models_tell_states_by_the_same_word(self):
        for number, place, codes in ((103, 38, (1, 2, 3, 4, 5, 6, 7, 8)), (701, 4, (0, 1, 2, 3, 4, 5, 6, 7))):
            length = 50 if number == 103 else 153
            for word, code in enumerate(codes):
                found = await self.read(((number, length, {place: code}),))
                self.assertEqual(found["state"], (word, 0))
            for code in (NOTHING, 99):
                found = await self.read(((number, length, {place: code}),))
                self.assertEqual(found["state"], (None, 0))

    async def test_model_701(self):
        values = {4: 4, 8: 1, 9: 0, 10: minus(250), 17: 0, 18: 49980, 47: 2305, 70: 2315, 93: 2325}
        values.update({19: 0, 20: 1, 21: 0, 22: 7, 36: 415, 110: 30, 111: 0, 112: 1 << 14})
        values.update({114: minus(1), 115: minus(3), 116: 1, 120: 0, 122: minus(1)})
        found = await self.read(((701, 153, values),))
        self.assertEqual(found["power_w"], (-2500, 0))
        self.assertEqual(found["frequency_hz"], (4998, 2))
        self.assertEqual([found["l" + n + "_voltage_v"][0] for n in "123"], [2305, 2315, 2325])
        self.assertEqual(found["energy_wh"], (1 << 32 | 7, 0))
        self.assertEqual(found["event_flags"], (1 << 16, 0))
        self.assertEqual(found["throttle_pct"], (30, 0))
        self.assertEqual(found["throttle_flags"], (1 << 14, 0))
        self.assertEqual(found["inverter_temp_degc"], (415, 1))

    async def test_strings_meter_isolation_and_weather(self):
        strings = {2: minus(2), 3: minus(1), 8: 2}
        for module, (amperes, volts) in enumerate(((512, 6105), (NOTHING, 6110))):
            strings.update({10 + 20 * module + 9: amperes, 10 + 20 * module + 10: volts})
        found = await self.read(
            (
                INVERTER,
                (160, 48, strings),
                (122, 44, {44: 1500, 45: 3}),
                (203, 105, {38: 1, 39: 2, 46: 0, 47: 9, 54: 0}),
                (302, 5, {3: 812}),
                (303, 1, {2: minus(45)}),
            )
        )
        self.assertEqual(found["string1_current_a"], (5120, 3))
        self.assertEqual(found["string1_voltage_v"], (6105, 1))
        self.assertEqual(found["string2_current_a"], (None, 3))
        self.assertFalse("string3_current_a" in found)
        self.assertEqual(found["isolation_ohm"], (1500000, 0))
        self.assertEqual(found["export_energy_wh"], (65538, 0))
        self.assertEqual(found["import_energy_wh"], (9, 0))
        self.assertEqual(found["irradiance_w_per_m2"], (812, 0))
        self.assertEqual(found["module_temp_degc"], (-45, 1))

    async def test_a_model_that_does_not_answer_costs_itself_alone(self):
        found = await self.read((INVERTER, (122, 44, {44: 1500, 45: 3})), trouble=("drop", "half"))
        self.assertEqual(found, {"isolation_ohm": (1500000, 0)})

    async def test_an_absent_inverter_is_an_error_and_is_looked_for_again(self):
        await self.read((INVERTER,))
        devices, self.line.devices = self.line.devices, {}
        with self.assertRaises(OSError):
            await self.inverter.read()
        self.assertIsNone(self.inverter.models)
        with self.assertRaises(OSError):
            await self.inverter.read()
        self.line.devices = devices
        self.assertTrue(await self.inverter.read())

    async def test_nothing_is_ever_written(self):
        await self.read((INVERTER,))
        self.assertEqual({function for _, function, _, _ in self.line.asked}, {3})

    async def test_a_map_without_an_end_is_left(self):
        line = ModbusLine({1: {3: {40000: 0x5375, 40001: 0x6E53}}})
        line.devices[1][3].update(dict.fromkeys(range(40002, 40400), 0))
        inverter = sunspec.Inverter(modbus.Master(line, Clock()))
        await inverter.scan()
        self.assertTrue(len(line.asked) < 100)

    async def test_a_model_shorter_than_it_should_be_is_left_out(self):
        self.assertEqual(await self.read(((103, 20, {14: 4210, 15: 0}),)), {})
